"""What the command says before the tasks run and after."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from distmarl.results.folder import PAGE_FILE, stranger_lines
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.tables import SETTINGS
from distmarl.study.plan import Plan
from distmarl.sweep.progress.tally import Tally
from distmarl.wording import counted


def tell_of_store(plan: Plan, store: Snapshot, console: Console) -> None:
    """Say that a folder holds settings that its sweep file no longer has, or files that a loss of power cut short."""
    others = {name for (name,) in store.keys(SETTINGS)} - {job.setting_id for job in plan.jobs}
    if others:
        console.print(
            f"{escape(str(store.folder))} also holds {counted(len(others), 'setting')} of an earlier sweep file: their "
            "rows stay in the tables (in_sweep is false in the table settings), the figures show this sweep"
        )
    if torn := store.torn_parts():
        console.print(
            f"{escape(str(store.folder))}: {counted(len(torn), 'file')} cut short (power lost?): "
            "deleted, and the tasks run again"
        )


def warn_of_strangers(store: Snapshot, console: Console) -> None:
    """Warn of files in the tables' folders that are not distmarl's."""
    for line in stranger_lines(store):
        warn(line, console)


def warn_of_job_folder(folder: Location, console: Console) -> None:
    """Warn of results that would vanish with a submitted job; Ray sets the variable in jobs alone."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and folder.is_relative:
        warn(
            f"{folder} lies in the job's own copy of the folder, which goes with the cluster; "
            "give --out an absolute path",
            console,
        )


def warn(message: str, console: Console) -> None:
    """Print a warning."""
    console.print(Text.assemble(("warning:", "yellow"), f" {message}"))


def command_again(words: Sequence[str], *, has_failures: bool) -> str:
    """Return what to type to go on: the words typed, without those that delete results or, by now, run nothing."""
    left_out = ("--overwrite",) if has_failures else ("--overwrite", "--retry-failed")
    return shlex.join(word for word in words if word not in left_out)


def tell_what_next(folder: Location, console: Console) -> None:
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


def tell_what_went_wrong(tally: Tally, folder: Location, console: Console) -> None:
    """Tell of trainings that ended above their threshold, of failures and of what did not run."""
    for message in tally.unconverged:
        warn(message, console)
    if tally.n_failed:
        not_run = f", {tally.n_not_run} not run" if tally.n_not_run else ""
        console.print(
            f"[bold red]{counted(tally.n_failed, 'task')} failed[/]{not_run}; "
            f"their tracebacks are in {escape(folder.describe('failures'))}. "
            "The same command tries them again, with --retry-failed only them."
        )
    elif tally.n_not_run:
        console.print(f"{counted(tally.n_not_run, 'task')} not run; the command without --retry-failed runs them")
