"""What the command says before the tasks run and after."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from distmarl.config.environments import draws_at_random
from distmarl.learning.softmax_preview import preview_softmax
from distmarl.paths import shell_words
from distmarl.results.folder import PAGE_FILE, stranger_lines
from distmarl.results.grid_columns import content_of
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.tables import SETTINGS
from distmarl.study.job import Job
from distmarl.study.plan import Plan
from distmarl.sweep.progress.tally import Tally
from distmarl.wording import counted

# Settings of a grid whose softmax is looked at before the run.
MAX_PREVIEWED = 20
KEPT = "their rows stay in the tables (in_sweep is false in the table settings), the figures show this sweep"


def tell_of_store(plan: Plan, store: Snapshot, console: Console) -> None:
    """Say that a folder holds settings that its sweep file no longer has, or files that a loss of power cut short."""
    others = [row for row in store.rows(SETTINGS) if row["setting_id"] not in plan.by_id]
    jobs = {_but_for_its_game(job.content): job for job in plan.jobs} if others else {}
    remade = [job for row in others if (job := jobs.get(_but_for_its_game(content_of(row)))) is not None]
    if remade:
        console.print(_another_game(remade, store.folder), markup=False)
    if n_earlier := len(others) - len(remade):
        console.print(
            f"{store.folder} also holds {counted(n_earlier, 'setting')} of an earlier sweep file: {KEPT}", markup=False
        )
    if torn := store.torn_parts():
        console.print(
            f"{escape(str(store.folder))}: {counted(len(torn), 'file')} cut short (power lost?): "
            "deleted, and the tasks run again"
        )


def _but_for_its_game(content: Mapping[str, Any]) -> str:
    """Return all that a setting is but for the tables of its game, as text."""
    environment = {key: value for key, value in content.get("environment", {}).items() if key != "digest"}
    return json.dumps({**content, "environment": environment}, sort_keys=True, default=str)


def _another_game(jobs: Sequence[Job], folder: Location) -> str:
    """Say that an environment's function has returned other games than in earlier settings, and why."""
    section, digest = jobs[0].setting.environment, jobs[0].environment.digest()
    says = f"it returned another game than in {counted(len(jobs), 'setting')} that {folder} also holds"
    if draws_at_random(section, digest):
        remedy = "give it a seed, as in numpy.random.default_rng(0), or all is trained again each time"
        return f"{section['name']} draws at random: {says}; {remedy}; {KEPT}"
    return f"{section['name']} has changed since: {says}; {KEPT}"


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


def warn_of_temperature(plan: Plan, console: Console) -> None:
    """Warn of settings in which the minimum temperature makes the softmax, at a price; of each kind once."""
    told = set()
    for job in plan.jobs[:MAX_PREVIEWED]:
        options = job.setting.local_agent
        if options.policy == "greedy":
            continue
        preview = preview_softmax(job.environment, options)
        key = (preview, options)
        if preview.is_notable and key not in told:
            told.add(key)
            where = f" in the setting {job.setting.label}" if job.setting.label else ""
            warn(
                f"local_agent.softmax_temperature_min: {options.softmax_temperature_min:g} decides{where}: the softmax "
                f"has that temperature in {100 * preview.minimum_share:.0f} % of (s_g, s_l). Against a global agent "
                f"that sees nobody it earns {preview.value:.4g} over all steps, the greedy policy "
                f"{preview.greedy_value:.4g}; "
                "set local_agent.softmax_temperature_unit to range, or local_agent.policy to greedy",
                console,
            )


def warn(message: str, console: Console) -> None:
    """Print a warning."""
    console.print(Text.assemble(("warning:", "yellow"), f" {message}"))


def command_again(words: Sequence[str], *, has_failures: bool) -> str:
    """Return what to type to go on: the words typed, without those that delete results or, by now, run nothing."""
    left_out = ("--overwrite",) if has_failures else ("--overwrite", "--retry-failed")
    before = words.index("--") if "--" in words else len(words)  # what follows are names
    return shell_words([word for word in words[:before] if word not in left_out] + [*words[before:]])


def tell_what_next(folder: Location, console: Console) -> None:
    """Tell where everything lies, and what to type for more, each in a line that can be copied."""
    console.print(f"\nresults in {folder}", markup=False)
    console.print("  tables (Parquet), figures, sweep.yaml, provenance.json\nto see more:")
    console.print(f"  {folder.describe(PAGE_FILE)}, in a browser", markup=False)
    for command in (
        shell_words(["python", "-m", "distmarl.report", folder.typed]),
        shell_words(["python", "-m", "distmarl.status", folder.typed]),
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
