"""What commands say beside their results, on the standard error stream."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from distmarl.errors import DistmarlError


def message_console() -> Console:
    """Return a console that leaves lines whole: what is to be copied must not be broken."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def print_error(error: DistmarlError, console: Console) -> None:
    """Print an error, folded between words in a terminal, in lines of its own elsewhere."""
    console.print(Text.assemble(("error:", "bold red"), " ", str(error)), soft_wrap=not console.is_terminal)
