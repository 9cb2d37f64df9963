"""Report a sweep's results: ``python -m distmarl.report results/robots``."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from distmarl.errors import ResultsError
from distmarl.report.printing import Printer, printing
from distmarl.results.storage.opening import is_on_disk, open_location
from distmarl.terminal import DONE, command_parser, output_console, run_command
from distmarl.wording import counted

DESCRIPTION = """\
Summarise the results of a sweep: print value and training time against the subsample size k, and write
its figures into the folder, each as PNG and, for papers, as PDF; and report.html, one page with all of it, to read
in a browser, to print or to send. Of a folder that one may only read, it prints the numbers; --out says where the
figures and the page shall lie.

Nothing is trained or simulated: all numbers come from the stored tables. The report of a sweep
that still runs, or was interrupted, shows what there is and says what is missing.
"""

EPILOG = """\
The numbers go to the standard output, with what is missing of them; everything else to the standard error.

examples:
  python -m distmarl.report results/robots
  python -m distmarl.report results/robots --open
  python -m distmarl.report results/robots > robots.txt
  python -m distmarl.report /shared/robots --out figures
  python -m distmarl.report results/robots --compare results/best

exit codes: 0 done, 2 no usable results
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.report", DESCRIPTION, EPILOG)
    parser.add_argument("folder", help="results folder of a sweep, for example results/robots or s3://bucket/robots")
    parser.add_argument("--out", metavar="FOLDER", help="folder for the figures and the page (default: the same)")
    parser.add_argument(
        "--compare",
        metavar="FOLDER",
        action="append",
        default=[],
        help="results of another sweep, whose rewards comparison.png shows beside these; may be repeated",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    if {"-h", "--help"} & set(sys.argv[1:] if argv is None else argv):
        parser.epilog = f"{_figures()}\n\n{EPILOG}"
    return run_command(parser, _run, argv)


def _figures() -> str:
    """Return the figures by name; the list takes matplotlib, so only who asks for help waits for it."""
    from distmarl.report.catalogue import FIGURES

    return "\n".join(["figures:", *(f"  {name:22}{figure.caption.title}" for name, figure in FIGURES.items())])


def _run(arguments: argparse.Namespace, messages: Console) -> int:
    with printing() as printer:
        return _report(arguments, messages, printer)


def _report(arguments: argparse.Namespace, messages: Console, printer: Printer) -> int:
    # pandas and matplotlib, which --help need not wait for
    from distmarl.report.terminal_report import print_report
    from distmarl.report.write import write_comparison, write_report

    page_folder = arguments.folder if arguments.out is None else arguments.out
    if arguments.open and not is_on_disk(page_folder):
        place = f"the page will lie in {page_folder}, where no browser can open it"
        raise ResultsError(f"--open: {place}; leave the option out")
    out = None if arguments.out is None else open_location(arguments.out)
    report = write_report(open_location(arguments.folder), vectors=True, out=out, printer=printer)
    print_report(report, output_console(), messages)
    if arguments.compare:
        folders = [open_location(name) for name in (arguments.folder, *arguments.compare)]
        for path in write_comparison(folders, out):
            messages.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    for line in report.warnings:
        messages.print(f"warning: {line}", markup=False)
    if n_failures := len(report.numbers.failures):
        failures = report.numbers.folder.describe("failures")
        messages.print(f"{counted(n_failures, 'task')} failed: see {failures}", markup=False)
    if report.numbers.unfinished:
        messages.print("To go on, run the sweep's command again.")
    if arguments.open and report.page is None:
        raise ResultsError("--open: there is no page to open; say with --out where it shall lie")
    if report.page and arguments.open and not webbrowser.open(Path(report.page).absolute().as_uri()):
        messages.print(f"no browser could be started; the page is {report.page}", markup=False)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
