"""How commands write to a terminal, or to a file in its place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from distmarl.errors import DistmarlError

# A line of a file is as long as it has to be.
PLAIN_WIDTH = 1000
SEPARATOR = " · "


def message_console() -> Console:
    """Return a console for what is said beside the results; it leaves lines whole: what is to be copied, too."""
    return Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def output_console() -> Console:
    """Return a console for results: a terminal with its width, or a file whose lines are not folded."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=PLAIN_WIDTH)


def can_redraw(console: Console) -> bool:
    """Return whether someone watches who can be shown a line again: no file, no dumb terminal, no log of a CI job."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal and "CI" not in os.environ


def print_error(error: DistmarlError, console: Console) -> None:
    """Print an error, folded between words in a terminal, in lines of its own elsewhere."""
    console.print(Text.assemble(("error:", "bold red"), " ", str(error)), soft_wrap=not console.is_terminal)


def duration(seconds: float) -> str:
    """Return a time as text, in its two largest units: ``2 h 5 min``; a short one, unless whole, with two digits."""
    if isinstance(seconds, float) and seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.095 else f"{1000 * seconds:.2g} ms"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if not minutes:
        return f"{whole} s"
    if not hours:
        return f"{minutes} min {whole % 60} s"
    return f"{days} d {hours % 24} h" if days else f"{hours} h {minutes % 60} min"


def mebibytes(n_bytes: float) -> str:
    """Return a number of bytes as text."""
    return f"{n_bytes / 2**20:,.0f} MiB"


def shortened(text: str, width: int) -> str:
    """Return a text that fits, without its middle where it is too long."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}" if width > 2 else text[:width]


def fitting_label(label: str, width: int) -> str:
    """Return a setting's label, ``n_agents=30, gamma=0.9``, that fits: all of it, or its values, or nothing."""
    values = ", ".join(part.rpartition("=")[2] for part in label.split(", "))
    return next((text for text in (label, values) if len(text) <= width), "")


def packed(parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield lines of as many parts as fit."""
    line = ""
    for part in (shortened(part, width) for part in parts if part):
        if line and len(line) + len(SEPARATOR) + len(part) > width:
            yield line
            line = ""
        line = f"{line}{SEPARATOR}{part}" if line else part
    if line:
        yield line
