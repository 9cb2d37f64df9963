"""The command line of the status."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone

import distmarl
from distmarl.errors import DistmarlError
from distmarl.terminal import message_console, output_console, print_error

NOTHING_FAILED, SOME_FAILED, BAD_INPUT = 0, 1, 2

DESCRIPTION = """\
Tell how far a sweep is, from its results folder alone: what is done, running, failed and missing, when
the last result came in, and what to type next. Nothing is changed, whether the sweep runs or not.
"""

EPILOG = """\
examples:
  python -m distmarl.status results/robots
  watch --color python -m distmarl.status results/robots

exit codes: 0 nothing failed, 1 some tasks failed, 2 no usable results
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    # pandas, which --help need not wait for
    from distmarl.results.storage.opening import open_location
    from distmarl.status.folder_status import read_status
    from distmarl.status.text import print_status

    try:
        status = read_status(open_location(arguments.folder))
    except DistmarlError as error:
        print_error(error, message_console())
        return BAD_INPUT
    print_status(status, output_console(), datetime.now(timezone.utc))
    return SOME_FAILED if status.failures else NOTHING_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m distmarl.status",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="results folder of a sweep: a path such as results/robots, or a URI")
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    return parser
