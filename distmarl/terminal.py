"""What all commands have in common: their options, how they write to a terminal, and how they end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from distmarl.errors import ConfigError, DistmarlError
from distmarl.paths import is_utf8, printable
from distmarl.version import __version__

DONE, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
# A line of a file is as long as it has to be.
PLAIN_WIDTH = 1000


def called_program() -> str | None:
    """Return how the command that dispatches to the others was called, if it was."""
    path = Path(sys.argv[0])
    if path.parts[-2:] == ("distmarl", "__main__.py"):
        return "python -m distmarl"
    return "distmarl" if path.stem == "distmarl" else None


def command_parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser of ``python -m module ...``, or however it was called; texts are printed as they stand."""
    program = called_program()
    parser = argparse.ArgumentParser(
        prog=f"{program} {module.removeprefix('distmarl.')}" if program else f"python -m {module}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"distmarl {__version__}")
    return parser


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace, Console], int], argv: Sequence[str] | None
) -> int:
    """Run what a command does with its arguments and the console for messages; return its exit code.

    An error is a message and a code of its own, here and for all commands alike; so is Ctrl-C.
    """
    messages = message_console()
    try:
        _check_words(sys.argv[1:] if argv is None else argv)
        return run(parser.parse_args(argv), messages)
    except DistmarlError as error:
        print_error(error, messages)
        return BAD_INPUT
    except KeyboardInterrupt:
        messages.print("interrupted")
        return INTERRUPTED


def _check_words(words: Sequence[str]) -> None:
    """Refuse what is no text, which could be neither printed nor noted in the provenance."""
    for word in words:
        if not is_utf8(word):
            raise ConfigError(f"{printable(word)}: is not UTF-8 text; choose another name")


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
