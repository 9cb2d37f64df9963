"""Tell how far a sweep is: ``python -m distmarl.status results/robots``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from rich.console import Console

from distmarl.terminal import DONE, SOME_FAILED, command_parser, output_console, run_command

WATCH_EVERY_S = 5.0
MAX_WATCH_EVERY_S = 86400.0

DESCRIPTION = """\
Tell how far a sweep is, from its results folder alone: what is done, running, failed and missing, when
the last result came in, and what to type next. Nothing is changed, whether the sweep runs or not.
"""

EPILOG = """\
examples:
  python -m distmarl.status results/robots
  python -m distmarl.status results/robots --watch

exit codes: 0 nothing failed, 1 some tasks failed, 2 no usable results
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.status", DESCRIPTION, EPILOG)
    parser.add_argument("folder", help="results folder of a sweep: a path such as results/robots, or a URI")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        nargs="?",
        const=WATCH_EVERY_S,
        help=f"look again every so many seconds ({WATCH_EVERY_S:g}) until the sweep has ended, or until Ctrl-C",
    )
    return run_command(parser, _run, argv)


def _seconds(text: str) -> float:
    """Return a time that is given in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_WATCH_EVERY_S:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, got {text!r}; the folder stands before --watch")
    return seconds


def _run(arguments: argparse.Namespace, _messages: Console) -> int:
    # pandas, which --help need not wait for
    from distmarl.results.storage.opening import open_location
    from distmarl.status.folder_status import read_status
    from distmarl.status.following import follow
    from distmarl.status.text import print_status

    folder, output = open_location(arguments.folder), output_console()
    if arguments.watch is not None:
        status = follow(folder, output, arguments.watch)
    else:
        status = read_status(folder)
        print_status(status, output, datetime.now(timezone.utc))
    return SOME_FAILED if status.failures else DONE


if __name__ == "__main__":
    sys.exit(main())
