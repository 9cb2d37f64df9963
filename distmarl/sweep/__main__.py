"""Run a sweep: ``python -m distmarl.sweep sweeps/robots.yaml``."""

from __future__ import annotations

import argparse
import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from distmarl.config.reading import RawSweep, apply_overrides, names_function, read_sweep_file
from distmarl.errors import ConfigError, LostRayError, OutputError
from distmarl.paths import typed_path
from distmarl.results.damage import find_damage
from distmarl.results.folder import check_folder
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.storage.opening import open_location
from distmarl.results.tables import FAILURES
from distmarl.search_path import look_in
from distmarl.study.changes import find_changes
from distmarl.study.failed import failed_keys
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan, make_plan
from distmarl.sweep.clusters.joining import Cluster
from distmarl.sweep.clusters.local_ray import readable_token
from distmarl.sweep.estimates.costs import estimate_costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.executors.choice import ExecutorChoice
from distmarl.sweep.executors.executor import Executor
from distmarl.sweep.guards.guard import Guard
from distmarl.sweep.messages import (
    command_again,
    tell_of_store,
    tell_what_next,
    tell_what_went_wrong,
    warn,
    warn_of_job_folder,
    warn_of_strangers,
    warn_of_temperature,
)
from distmarl.sweep.progress.lines import LineProgress, Progress, QuietProgress
from distmarl.sweep.progress.live import LiveProgress
from distmarl.sweep.progress.patience import Patience
from distmarl.sweep.progress.plan_text import print_plan
from distmarl.sweep.progress.watch import Watch
from distmarl.sweep.session import Interrupted, run_session
from distmarl.sweep.stopping import HalfStarted, Stop, hearing, leave
from distmarl.terminal import (
    DONE,
    INTERRUPTED,
    SOME_FAILED,
    can_redraw,
    command_parser,
    output_console,
    print_error,
    run_command,
)
from distmarl.wording import counted

DESCRIPTION = """\
Train a shared local policy, then a global policy for every subsample size k, and evaluate each of
them; write the results as Parquet tables and figures. The tasks run in parallel on Ray: on this
machine, or on the cluster that --address or RAY_ADDRESS names.

Running the same command again runs only what is missing, which includes what has failed. The first
Ctrl-C (or SIGTERM, or a terminal that is closed) keeps what ends within a few seconds; the second leaves at once.
"""

EPILOG = """\
examples:
  python -m distmarl.sweep sweeps/robots.yaml
  python -m distmarl.sweep sweeps/robots.yaml --plan
  python -m distmarl.sweep sweeps/robots.yaml --set environment.gamma=0.9 --out results/robots-0.9
  python -m distmarl.sweep sweeps/paper.yaml --address ray-head:6379 --out /shared/paper

exit codes: 0 done, 1 some tasks failed or Ray was lost, 2 bad input, 130 interrupted (by Ctrl-C, SIGTERM or SIGHUP)
With --executor serial, a task that hears no signal ends the command by SIGINT, which a shell gives as 130, too.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    parser = command_parser("distmarl.sweep", DESCRIPTION, EPILOG)
    parser.add_argument("sweep_file", help="YAML or JSON file that describes the sweep")
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
        "--join-timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="when to give up a cluster that does not answer (default: 30)",
    )
    parser.add_argument(
        "--executor",
        choices=["ray", "serial"],
        default="ray",
        help="serial runs every task in this process, one at a time, with the same results",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--overwrite",
        action="store_true",
        help="delete earlier results in the folder, and nothing else there, and start afresh",
    )
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
    return parser


def _run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the sweep, or say how to go on with it."""
    try:
        with hearing(functools.partial(_interrupted, console)):
            return _sweep(arguments, console)
    except HalfStarted:
        _interrupted(console)
        leave()
    except KeyboardInterrupt:
        pass
    return _interrupted(console)


def _sweep(arguments: argparse.Namespace, console: Console) -> int:
    """Check everything, then run the sweep and report on it."""
    raw = _read(arguments)
    tell_if_slow: Callable[[str], None] = (lambda _: None) if arguments.quiet else Patience(console)
    plan = make_plan(raw, tell_if_slow)
    folder = open_location(f"results/{plan.sweep.name}" if arguments.out is None else arguments.out)
    store = check_folder(folder, plan.sweep.name, overwrite=arguments.overwrite)
    tell_if_slow(f"comparing {counted(plan.n_tasks.total(), 'task')} with what is in {folder}")
    pending = plan.pending(store)
    if store is not None and not pending.missing:  # who merges nothing would not read the tables
        store.check_whole()
        pending = plan.pending(store)
    if arguments.retry_failed:
        pending = pending.only(failed_keys(store, pending) if store else ())
    guard = Guard(folder.typed, command_again(sys.orig_argv, has_failures=True))
    choice = ExecutorChoice(plan, pending, arguments.executor, _cluster(arguments), guard)
    choice.check()
    damages = [] if store is None else find_damage(store)
    if store is not None:
        warn_of_strangers(store, console)
    warn_of_temperature(plan, console)
    if pending.missing:
        tell_if_slow("predicting how long the tasks take")
    if arguments.plan:
        n_cpus, where = choice.cores()
        costs = estimate_costs(plan, store, pending)
        changes = find_changes(plan, store) if store is not None else ()
        for damage in damages:
            warn(str(damage), console)
        print_plan(plan, folder, pending, costs, output_console(), n_cpus=n_cpus, where=where, changes=changes)
        return DONE
    if store is not None:
        tell_of_store(plan, store, console)
    warn_of_job_folder(folder, console)
    if choice.runs_on_ray and (warning := readable_token()) is not None:
        warn(warning, console)
    tell = functools.partial(console.print, markup=False, soft_wrap=not console.is_terminal)
    tell_of_start = (lambda _: None) if arguments.quiet else tell

    def give_up(lost: LostRayError) -> None:
        try:
            _lost(lost, console)
        finally:
            leave(SOME_FAILED)

    def start() -> Executor:
        executor = choice.start(tell_of_start, functools.partial(warn, console=console), give_up)
        # Matplotlib and pandas take a second to import: they can while the tasks run.
        threading.Thread(target=importlib.import_module, args=("distmarl.report.write",), daemon=True).start()
        return executor

    try:
        with _progress(console, plan, pending, store, quiet=arguments.quiet) as progress:
            tally = run_session(
                plan,
                folder,
                start,
                progress,
                overwrite=arguments.overwrite,
                retry_failed=arguments.retry_failed,
                fail_fast=arguments.fail_fast,
                damages=damages,
                tell=tell,
            )
    except LostRayError as lost:
        return _lost(lost, console)
    except Interrupted:
        return _interrupted(console, has_failures=not arguments.retry_failed or bool(Snapshot(folder).keys(FAILURES)))
    if tally.done["evaluate"] or tally.done["exact_return"]:
        _report(folder, console, quiet=arguments.quiet)
    tell_what_went_wrong(tally, folder, console)
    return SOME_FAILED if tally.n_failed else DONE


def _read(arguments: argparse.Namespace) -> RawSweep:
    """Read the sweep file with its overrides, and let a function that it names be found beside it."""
    assignments = list(arguments.assignments)
    for key in ("num_cpus", "cpus_per_train"):
        if getattr(arguments, key) is not None:
            assignments.append(f"runner.{key}={getattr(arguments, key)}")
    sweep_file = Path(typed_path(arguments.sweep_file, ConfigError))
    raw = apply_overrides(read_sweep_file(sweep_file), assignments)
    if names_function(raw):
        look_in(Path.cwd(), sweep_file.absolute().parent)
    return raw


def _cluster(arguments: argparse.Namespace) -> Cluster | None:
    """Return the cluster to join; None for a Ray of this machine."""
    if not arguments.join_timeout > 0:
        raise ConfigError(f"--join-timeout: must be more than 0 seconds, got {arguments.join_timeout:g}")
    source = "--address" if arguments.address else "RAY_ADDRESS"
    address = arguments.address or os.environ.get("RAY_ADDRESS")
    return Cluster(address, source, arguments.join_timeout) if address and address != "local" else None


def _progress(console: Console, plan: Plan, pending: Pending, store: Snapshot | None, *, quiet: bool) -> Progress:
    """Return what tells how the sweep goes, in a way that fits what it is written to."""
    if quiet:
        return QuietProgress(console)
    forecast = Forecast(
        pending, estimate_costs(plan, store, pending), cpus_per_train=plan.sweep.runner.cpus_per_train or 1
    )
    watch = Watch(forecast, {job.setting_id: job.setting.label for job in plan.jobs})
    return LiveProgress(console, watch) if can_redraw(console) else LineProgress(console, watch)


def _report(folder: Location, console: Console, *, quiet: bool) -> None:
    """Draw the figures; print the final table and where everything lies."""
    from distmarl.report.printing import printing

    stop = Stop()
    with stop.on_signals(), stop.breaking_off(), printing() as printer:
        from distmarl.report.terminal_report import print_report
        from distmarl.report.write import write_report

        report = write_report(folder, publish=False, printer=printer)
        if not quiet:
            try:
                print_report(report, output_console(), console)
            except OutputError as error:  # the tables have it all
                warn(str(error), console)
            tell_what_next(folder, console)


def _interrupted(console: Console, *, has_failures: bool = True) -> int:
    """Say how to go on and return the exit code."""
    return _stopped(console, "interrupted; what was done is kept", INTERRUPTED, has_failures=has_failures)


def _lost(lost: LostRayError, console: Console) -> int:
    """Say what was lost and how to go on, and return the exit code."""
    print_error(lost, console)
    return _stopped(console, "what was done is kept", SOME_FAILED)


def _stopped(console: Console, what: str, code: int, *, has_failures: bool = True) -> int:
    """Say how to go on and return the exit code."""
    command = command_again(sys.orig_argv, has_failures=has_failures)
    console.print(f"{what}. To go on:", command, markup=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
