"""The command line of a sweep."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import shlex
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

import distmarl
from distmarl.config.reading import RawSweep, apply_overrides, read_sweep_file
from distmarl.errors import DistmarlError, ExecutorError
from distmarl.model.options import Runner
from distmarl.results.folder import PAGE_FILE, check_folder
from distmarl.results.storage.location import Location
from distmarl.results.storage.opening import open_location
from distmarl.results.store import Store
from distmarl.results.tables import SETTINGS
from distmarl.study.failed import failed_keys
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan, make_plan
from distmarl.sweep.estimates.costs import estimate_costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.estimates.requests import check_memory, machine_memory
from distmarl.sweep.executors.base import Executor, SerialExecutor
from distmarl.sweep.progress.lines import LineProgress, Progress, QuietProgress, counted
from distmarl.sweep.progress.live import LiveProgress
from distmarl.sweep.progress.plan_text import print_plan
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.progress.watch import Watch
from distmarl.sweep.session import Interrupted, run_session
from distmarl.sweep.stopping import EXIT_CODE, Stop
from distmarl.terminal import can_redraw, message_console, output_console, print_error

DONE, SOME_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, EXIT_CODE

DESCRIPTION = """\
Train a shared local policy, then a global policy for every subsample size k, and evaluate each of
them; write the results as Parquet tables and figures. The tasks run in parallel on Ray: on this
machine, or on the cluster that --address or RAY_ADDRESS names.

Running the same command again runs only what is missing, which includes what has failed. The first
Ctrl-C (or SIGTERM) keeps what ends within a few seconds; the second leaves at once.
"""

EPILOG = """\
examples:
  python -m distmarl.sweep sweeps/robots.yaml
  python -m distmarl.sweep sweeps/robots.yaml --plan
  python -m distmarl.sweep sweeps/robots.yaml --set environment.n_agents=100 --out results/robots-100
  python -m distmarl.sweep sweeps/paper.yaml --address ray-head:6379 --out /shared/paper

exit codes: 0 done, 1 some tasks failed, 2 bad input, 130 interrupted (by Ctrl-C or SIGTERM)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    console = message_console()
    try:
        return _run(arguments, console)
    except DistmarlError as error:
        print_error(error, console)
        return BAD_INPUT
    except (Interrupted, KeyboardInterrupt):
        command = shlex.join(word for word in sys.orig_argv if word != "--overwrite")
        console.print("interrupted; what was done is kept. To go on:", command, markup=False)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m distmarl.sweep",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("sweep_file", type=Path, help="YAML or JSON file that describes the sweep")
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="results folder: a path, or a URI such as s3://bucket/name (default: results/<name>)",
    )
    parser.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key, for example environment.n_agents=100 (may be repeated)",
    )
    parser.add_argument("--num-cpus", metavar="N", help="cores to use (the same as --set runner.num_cpus=N)")
    parser.add_argument(
        "--cpus-per-train",
        metavar="N",
        help="cores that each training uses (default: one, and idle ones for the shared local policy)",
    )
    parser.add_argument("--address", help="Ray cluster to join (default: RAY_ADDRESS, else a local Ray is started)")
    parser.add_argument(
        "--executor",
        choices=["ray", "serial"],
        default="ray",
        help="serial runs every task in this process, one at a time, with the same results",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--overwrite", action="store_true", help="delete earlier results in the folder and start afresh")
    which.add_argument(
        "--retry-failed",
        action="store_true",
        help="run the tasks that have failed before, and no others (without it, everything that is missing)",
    )
    parser.add_argument(
        "--fail-fast", action="store_true", help="start no more tasks once one has failed, and stop soon after"
    )
    parser.add_argument("--plan", action="store_true", help="print what would run, and stop")
    parser.add_argument("--quiet", action="store_true", help="print errors and warnings only")
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    return parser


def _read(arguments: argparse.Namespace) -> RawSweep:
    """Read the sweep file with its overrides, and let its environment be found beside it."""
    assignments = list(arguments.assignments)
    for key in ("num_cpus", "cpus_per_train"):
        if getattr(arguments, key) is not None:
            assignments.append(f"runner.{key}={getattr(arguments, key)}")
    raw = apply_overrides(read_sweep_file(arguments.sweep_file), assignments)
    for folder in (arguments.sweep_file.absolute().parent, Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return raw


def _run(arguments: argparse.Namespace, console: Console) -> int:
    """Check everything, then run the sweep and report on it."""
    plan = make_plan(_read(arguments))
    folder = open_location(arguments.out or f"results/{plan.sweep.name}")
    check_folder(folder, plan.sweep.name, overwrite=arguments.overwrite)
    address = arguments.address or os.environ.get("RAY_ADDRESS") or None
    if arguments.executor == "ray" and address is None:
        _check_cores(plan.sweep.runner)
    store = None if arguments.overwrite or not folder.is_there() else Store(folder)
    pending = plan.pending(store)
    if arguments.retry_failed:
        pending = pending.only(failed_keys(store, pending) if store else ())
    if arguments.executor == "serial" or address is None:
        check_memory(plan, pending, machine_memory(), "this machine")
    if arguments.plan:
        n_cpus, where = _cores(arguments, plan, address)
        costs = estimate_costs(plan, store)
        print_plan(plan, folder, pending, costs, output_console(), n_cpus=n_cpus, where=where)
        return DONE
    if store is not None:
        _tell_of_other_settings(plan, store, console)
        _tell_of_torn_parts(store, console)
    _warn_of_job_folder(folder, console)
    kind = arguments.executor if pending.missing else "serial"  # which spares Ray's start
    start_executor = functools.partial(_start_executor, plan, pending, kind, address)
    # Matplotlib and pandas take a second to import: they can while the tasks run.
    threading.Thread(target=importlib.import_module, args=("distmarl.report.write",), daemon=True).start()
    with _progress(console, plan, pending, store, quiet=arguments.quiet) as progress:
        tally = run_session(
            plan,
            folder,
            start_executor,
            progress,
            overwrite=arguments.overwrite,
            retry_failed=arguments.retry_failed,
            fail_fast=arguments.fail_fast,
            tell=functools.partial(console.print, markup=False, soft_wrap=not console.is_terminal),
        )
    if tally.done["evaluate"] or tally.done["exact_return"]:
        stop = Stop()
        with stop.on_signals(), stop.breaking_off():
            _report(folder, console, quiet=arguments.quiet)
    return _conclude(tally, folder, console)


def _check_cores(runner: Runner) -> None:
    """Refuse tasks that a local Ray could never run."""
    n_cpus = runner.num_cpus or os.cpu_count() or 1
    if (runner.cpus_per_train or 1) > n_cpus:
        raise ExecutorError(
            f"runner.cpus_per_train: each training asks for {runner.cpus_per_train} cores, "
            f"but the local Ray has {n_cpus}; ask for fewer"
        )


def _cores(arguments: argparse.Namespace, plan: Plan, address: str | None) -> tuple[int, str]:
    """Return the cores that a plan reckons with, and whose they are."""
    if arguments.executor == "serial":
        return 1, ", as --executor serial asks for"
    asked, there = plan.sweep.runner.num_cpus, os.cpu_count() or 1
    if asked is not None:
        return asked, ", as runner.num_cpus says"
    if address is not None:
        return there, ", as many as this machine has; --num-cpus tells how many the cluster has"
    return there, " of this machine"


def _tell_of_other_settings(plan: Plan, store: Store, console: Console) -> None:
    """Say that the folder holds settings that the sweep file no longer has."""
    others = {name for (name,) in store.keys(SETTINGS)} - {job.setting_id for job in plan.jobs}
    if others:
        console.print(
            f"{escape(str(store.folder))} also holds {counted(len(others), 'setting')} of an earlier sweep file: their "
            "rows stay in the tables (in_sweep is false in the table settings), the figures show this sweep"
        )


def _tell_of_torn_parts(store: Store, console: Console) -> None:
    """Say that files lost their end, by a loss of power, and with it what some tasks had found."""
    if torn := store.torn_parts():
        console.print(
            f"{escape(str(store.folder))}: {counted(len(torn), 'file')} cut short (power lost?): "
            "deleted, and the tasks run again"
        )


def _warn_of_job_folder(folder: Location, console: Console) -> None:
    """Warn of results that would vanish with a submitted job; Ray sets the variable in jobs alone."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and folder.is_relative:
        console.print(
            f"[yellow]warning:[/] {escape(str(folder))} lies in the job's own copy of the folder, "
            "which goes with the cluster; give --out an absolute path"
        )


def _progress(console: Console, plan: Plan, pending: Pending, store: Store | None, *, quiet: bool) -> Progress:
    """Return what tells how the sweep goes, in a way that fits what it is written to."""
    if quiet:
        return QuietProgress(console)
    forecast = Forecast(pending, estimate_costs(plan, store), cpus_per_train=plan.sweep.runner.cpus_per_train or 1)
    watch = Watch(forecast, {job.setting_id: job.setting.label for job in plan.jobs})
    return LiveProgress(console, watch) if can_redraw(console) else LineProgress(console, watch)


def _start_executor(plan: Plan, pending: Pending, kind: str, address: str | None) -> Executor:
    """Start or join what runs the tasks, and refuse what it could never run."""
    runner = plan.sweep.runner
    if kind == "serial":
        return SerialExecutor(runner.task_timeout_s)
    from distmarl.sweep.executors.ray_executor import RayExecutor  # half a second that --help need not wait for

    executor = RayExecutor(runner, address)
    try:
        check_memory(plan, pending, executor.largest_node_memory, "the cluster" if address else "the local Ray")
    except ExecutorError:
        executor.close()
        raise
    return executor


def _report(folder: Location, console: Console, *, quiet: bool) -> None:
    """Draw the figures; print the final table and where everything lies."""
    from distmarl.report.terminal_report import print_report
    from distmarl.report.write import write_report

    report = write_report(folder, publish=False)
    if not quiet:
        print_report(report, output_console(), console)
        _tell_what_next(folder, console)


def _tell_what_next(folder: Location, console: Console) -> None:
    """Tell where everything lies, and what to type for more, each in a line that can be copied."""
    console.print(f"\nresults in {folder}", markup=False)
    console.print("  tables (Parquet), figures, sweep.yaml, provenance.json\nto see more:")
    console.print(f"  {folder.describe(PAGE_FILE)}, in a browser", markup=False)
    for command in (
        shlex.join(["python", "-m", "distmarl.report", folder.typed]),
        shlex.join(["python", "-m", "distmarl.status", folder.typed]),
        f"r = dm.open({json.dumps(folder.typed)})",
    ):
        note = "  # after import distmarl as dm" if command.startswith("r =") else ""
        console.print(Text.assemble("  ", (command, "bold"), (note, "dim")))


def _conclude(tally: Tally, folder: Location, console: Console) -> int:
    """Say what went wrong, if anything, and return the exit code."""
    for sentence in tally.unconverged:
        console.print(f"[yellow]warning:[/] {escape(sentence)}")
    if tally.n_failed == 0:
        if tally.n_not_run:
            console.print(f"{counted(tally.n_not_run, 'task')} not run; the command without --retry-failed runs them")
        return DONE
    not_run = f", {tally.n_not_run} not run" if tally.n_not_run else ""
    console.print(
        f"[bold red]{counted(tally.n_failed, 'task')} failed[/]{not_run}; "
        f"their tracebacks are in {escape(folder.describe('failures'))}. "
        "The same command tries them again, with --retry-failed only them."
    )
    return SOME_FAILED
