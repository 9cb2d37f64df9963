"""What all commands have in common: their options, how they write to a terminal, and how they end."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from distmarl.errors import ConfigError, DistmarlError, OutputError
from distmarl.paths import is_utf8, printable
from distmarl.version import __version__
from distmarl.wording import harmless

DONE, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
# A line of a file is as long as it has to be.
PLAIN_WIDTH = 1000
# A terminal that does not say how wide it is.
UNKNOWN_WIDTH = 80


def called_program() -> str | None:
    """Return how the command that dispatches to the others was called, if it was."""
    path = Path(sys.argv[0])
    if path.parts[-2:] == ("distmarl", "__main__.py"):
        return "python -m distmarl"
    return "distmarl" if path.stem == "distmarl" else None


class _Parser(argparse.ArgumentParser):
    """Shows no word that was typed, or that a shell made of a pattern, otherwise than printable."""

    def error(self, message: str) -> NoReturn:
        super().error(harmless(message))


def command_parser(module: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser of ``python -m module ...``, or however it was called; texts are printed as they stand."""
    program = called_program()
    parser = _Parser(
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
    """Run what a command does with its arguments and the console for messages; return its exit code."""

    def checked(messages: Console) -> int:
        _check_words(sys.argv[1:] if argv is None else argv)
        os.environ.pop("MPLBACKEND", None)  # figures go to files; matplotlib cannot be imported where it is misspelt
        return run(_parsed(parser, argv), messages)

    return run_guarded(checked)


def run_guarded(run: Callable[[Console], int]) -> int:
    """Run something with the console for messages; return its exit code.

    An error is a message and a code of its own, here and for all commands alike; so is Ctrl-C. A reader that goes,
    as in ``| head``, ends nothing and is not worth a word.
    """
    with _guarded("stderr"):
        messages = message_console()
        try:
            with _guarded("stdout"):
                return run(messages)
        except DistmarlError as error:
            print_error(error, messages)
            return BAD_INPUT
        except KeyboardInterrupt:
            messages.print("interrupted")
            return INTERRUPTED


class GuardedStream:
    """A standard stream that may lose its reader, or the room on its disk; what is written after that goes nowhere.

    Parameters
    ----------
    stream : text stream
        The stream, which has all other attributes, too.
    name : str
        What to call it in the error that is raised where it cannot be written; without a name there is no error.
    """

    def __init__(self, stream: TextIO, name: str | None) -> None:
        self._stream = stream
        self._name = name
        self._is_lost = False

    def write(self, text: str) -> int:
        """Write a text, unless that has become impossible."""
        self._try(self._stream.write, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        self._try(self._stream.writelines, lines)

    def flush(self) -> None:
        """Write what is kept back."""
        self._try(self._stream.flush)

    @property
    def has_reader(self) -> bool:
        """Whether somebody, or a file, still takes what is written."""
        with suppress(OSError, ValueError):  # a stream in memory has no number
            poll = select.poll()
            poll.register(self._stream.fileno(), 0)
            return not self._is_lost and not any(event & select.POLLERR for _, event in poll.poll(0))
        return not self._is_lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, write: Callable[..., object], *arguments: object) -> None:
        if self._is_lost:
            return
        try:
            write(*arguments)
        except OSError as error:
            self._is_lost = True
            # Python writes at its end what a stream still keeps back, and would complain again.
            with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
            if self._name is not None and not isinstance(error, BrokenPipeError):
                raise OutputError(f"{self._name}: cannot be written: {error.strerror}") from error


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    """Guard a standard stream, if there is one."""
    stream = getattr(sys, name)
    if stream is None:
        yield
        return
    is_output = name == "stdout"
    if is_output and isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")  # a terminal of another encoding has no "±", but all numbers
    guard = GuardedStream(stream, "standard output" if is_output else None)
    setattr(sys, name, guard)
    try:
        yield
    finally:
        try:
            guard.flush()
        finally:
            if getattr(sys, name) is guard:
                setattr(sys, name, stream)


def has_reader(console: Console) -> bool:
    """Return whether somebody, or a file, still takes what is printed."""
    return not isinstance(console.file, GuardedStream) or console.file.has_reader


class HarmlessConsole(Console):
    """A console for texts that others wrote: control sequences in them are shown, not obeyed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.width < 1:  # COLUMNS=0, as in some containers, would show nothing
            self.width = UNKNOWN_WIDTH

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of something to print."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text), style, control)


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return a command's arguments; of words that it does not know, say what may have been meant."""
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        overrides = [word for word in unknown if "=" in word and not word.startswith("-")]
        meant = " ".join(f"--set {word}" for word in overrides) if hasattr(arguments, "assignments") else ""
        hint = f"; did you mean {meant}?" if meant else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return arguments


def _check_words(words: Sequence[str]) -> None:
    """Refuse what is no text, which could be neither printed nor noted in the provenance."""
    for word in words:
        if not is_utf8(word):
            raise ConfigError(f"{printable(word)}: is not UTF-8 text; choose another name")


def message_console() -> Console:
    """Return a console for what is said beside the results; it leaves lines whole: what is to be copied, too."""
    return HarmlessConsole(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def output_console() -> Console:
    """Return a console for results: a terminal with its width, or a file whose lines are not folded."""
    console = HarmlessConsole(highlight=False, emoji=False)
    return console if console.is_terminal else HarmlessConsole(highlight=False, emoji=False, width=PLAIN_WIDTH)


def can_redraw(console: Console) -> bool:
    """Return whether someone watches who can be shown a line again: no file, no dumb terminal, no log of a CI job."""
    return console.file.isatty() and console.is_terminal and not console.is_dumb_terminal and "CI" not in os.environ


def print_error(error: DistmarlError, console: Console) -> None:
    """Print an error, folded between words in a terminal, in lines of its own elsewhere."""
    console.print(Text.assemble(("error:", "bold red"), " ", str(error)), soft_wrap=not console.is_terminal)
