"""The command line of the report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import distmarl
from distmarl.errors import DistmarlError
from distmarl.results.storage.location import Location
from distmarl.results.storage.opening import open_location
from distmarl.terminal import message_console, output_console, print_error

if TYPE_CHECKING:
    from rich.console import Console

    from distmarl.report.write import Report

DONE, BAD_INPUT = 0, 2

PROG = "python -m distmarl.report"
DESCRIPTION = """\
Summarise the results of a sweep: print value and training time against the subsample size k, and write
its figures into the folder, each as PNG and, for papers, as PDF; and report.html, one page with all of it, to read
in a browser, to print or to send. The figures:

  reward_vs_k, difference_vs_k, mode_accuracy_vs_k   what a pair is worth, and how well it follows the mode
  nash_gap_vs_k, price_of_subsampling                where the sweep asks for Nash gaps
  scaling                                            return against n, where a grid varies environment.n_agents
  zone_heatmap, policy                               one rollout, and what was learnt, of the first setting
  runtime_vs_k, alternation, timeline                how the training went, and when the tasks ran

Nothing is trained or simulated: all numbers come from the stored tables. The report of a sweep
that still runs, or was interrupted, shows what there is and says what is missing.
"""

EPILOG = """\
The table goes to the standard output, everything else to the standard error.

examples:
  python -m distmarl.report results/robots
  python -m distmarl.report results/robots > robots.txt

exit codes: 0 done, 2 no usable results
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Run the command and return its exit code."""
    arguments = _parser(prog).parse_args(argv)
    messages = message_console()
    # pandas and matplotlib, which --help need not wait for
    from distmarl.report.text import print_report
    from distmarl.report.write import write_report

    try:
        folder = open_location(arguments.folder)
        report = write_report(folder, vectors=True)
    except DistmarlError as error:
        print_error(error, messages)
        return BAD_INPUT
    print_report(report, output_console(), messages)
    _tell_what_is_missing(report, folder, messages)
    return DONE


def _parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="results folder of a sweep, for example results/robots or s3://bucket/robots")
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    return parser


def _tell_what_is_missing(report: Report, folder: Location, messages: Console) -> None:
    if report.n_failures:
        tasks = "1 task" if report.n_failures == 1 else f"{report.n_failures} tasks"
        messages.print(f"{tasks} failed: see {folder.describe('failures')}", markup=False, highlight=False)
    if report.unfinished:
        messages.print("To go on, run the sweep's command again.")
