"""From a results folder to numbers: what is done, running, failed and missing.

Nothing but the folder is looked at: neither the sweep's process nor the code of its environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import pandas as pd

from distmarl.model.options import SweepFile
from distmarl.results.damage import Damage, find_damage
from distmarl.results.folder import (
    open_results,
    read_provenance,
    read_settings,
    read_sweep,
    rollouts_per_seed,
    starts_per_setting,
    stranger_lines,
)
from distmarl.results.grid_columns import content_of, value_at
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import find_writer
from distmarl.results.tables import FAILURES, TIMINGS
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskGroup, key_of
from distmarl.study.pending import Pending, count_tasks, find_pending

State: TypeAlias = Literal["done", "running", "waiting", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """How far one phase is: the tasks of one kind, such as the evaluations.

    Attributes
    ----------
    n_tasks, n_done, n_failed : int
        Tasks in all, those that are done, and those that failed and have not succeeded since; while a process
        writes to the folder, those that failed under it.
    state : {"done", "running", "waiting", "failed", "missing"}
        ``running`` means that a process writes to the folder and could be running these tasks;
        ``waiting`` that one does, and that they need others first.
    """

    n_tasks: int
    n_done: int
    n_failed: int
    state: State


@dataclass(frozen=True, slots=True)
class SettingStatus:
    """How far one setting is.

    Attributes
    ----------
    label : str
        Its grid values in short.
    grid : dict
        Those that differ between settings, by their keys.
    phases : dict of str to PhaseStatus
        By kind of task; kinds that the sweep does not ask for are left out.
    """

    label: str
    grid: dict[str, Any]
    phases: dict[str, PhaseStatus]


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that failed and has not succeeded since.

    Attributes
    ----------
    task : str
        Its kind.
    label : str
        Its setting.
    numbers : sequence of (str, int)
        What it was for: names, such as k, and numbers.
    error : str
        First line of the exception.
    """

    task: str
    label: str
    numbers: Sequence[tuple[str, int]]
    error: str


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """How far a sweep is.

    Attributes
    ----------
    folder : Location
        Its results folder.
    sweep : str
        Its name.
    settings : sequence of SettingStatus
        In the order of the grid's values.
    failures : sequence of FailedTask
        What failed and has not succeeded since; while a process writes to the folder, what failed under it.
    writer : str, optional
        The process that writes to the folder now.
    last_result_at : datetime, optional
        When the last task ended (UTC).
    command : sequence of str
        What was typed for the last session.
    warnings : sequence of str
        What is wrong with the folder.
    damages : sequence of Damage
        Tables that are damaged, or have gone: the sweep's command mends them.
    n_train_seeds : int
        How many trainings each setting has.
    """

    folder: Location
    sweep: str
    settings: Sequence[SettingStatus]
    failures: Sequence[FailedTask]
    writer: str | None
    last_result_at: datetime | None
    command: Sequence[str]
    warnings: Sequence[str] = ()
    damages: Sequence[Damage] = ()
    n_train_seeds: int = 1

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        phases = (phase for setting in self.settings for phase in setting.phases.values())
        return not self.damages and all(phase.state == "done" for phase in phases)


def read_status(folder: Location) -> FolderStatus:
    """Find out how far the sweep of a results folder is.

    Raises
    ------
    ResultsError
        When the folder cannot be used, or holds no settings yet.
    ConfigError
        When its sweep file cannot be used.
    """
    store = open_results(folder)
    sweep = read_sweep(store.folder)
    # The writer first: what it commits meanwhile is then seen as done.
    writer = find_writer(store.folder)
    session = read_provenance(store.folder)["sessions"][-1]
    settings = read_settings(store)
    failures = store.read(FAILURES, without=("traceback", "log_tail"))
    failures = failures[failures["setting_id"].isin(settings["setting_id"])]
    if writer is not None:  # which tries again what failed before
        failures = failures[failures["failed_at"] >= pd.Timestamp(session["started_at"])]
    labels = dict(zip(settings["setting_id"], settings["label"], strict=True))
    of_settings = _settings(settings, sweep, store, failures, is_running=writer is not None)
    last_result_at = _last_result_at(store.read(TIMINGS))
    damages = find_damage(store)  # once all has been read
    return FolderStatus(
        folder=store.folder,
        sweep=sweep.name,
        settings=of_settings,
        failures=[_failed_task(row, labels) for row in failures.to_dict("records")],
        writer=None if writer is None else str(writer),
        last_result_at=last_result_at,
        command=session["command"],
        warnings=[*map(str, damages), *stranger_lines(store)],
        damages=damages,
        n_train_seeds=sweep.experiment.n_train_seeds,
    )


def _settings(
    settings: pd.DataFrame, sweep: SweepFile, store: Snapshot, failures: pd.DataFrame, *, is_running: bool
) -> list[SettingStatus]:
    """Return how far each setting is."""
    n_starts = starts_per_setting(settings)
    pending = find_pending(sweep, rollouts_per_seed(settings, sweep), n_starts, store)
    missing = pending.by_setting()
    n_failed = Counter(zip(failures["setting_id"], failures["task"], strict=True))
    failed = set(zip(failures["setting_id"], failures["task"], failures["train_seed"], strict=True))
    in_each = {name: count_tasks(sweep, [number]) for name, number in n_starts.items()}

    def phase(name: str, kind: str) -> PhaseStatus:
        n_tasks = in_each[name]
        groups = [group for group in missing.get(name, ()) if group.kind == kind]
        n_missing = sum(len(pending.missing[group]) for group in groups)
        state: State = "done" if not n_missing else "failed" if n_failed[name, kind] else "missing"
        left = [group for group in groups if not _has_failed_need(pending, group, failed)]
        if is_running and n_missing > n_failed[name, kind] and left:
            state = "running" if any(map(pending.can_run, left)) else "waiting"
        return PhaseStatus(n_tasks[kind], n_tasks[kind] - n_missing, n_failed[name, kind], state)

    varied = [key for key in settings.columns if "." in key and settings[key].nunique(dropna=False) > 1]
    contents = [content_of(row) for row in settings.to_dict("records")]
    grids = [{key: value_at(content, key) for key in varied} for content in contents]
    return [
        SettingStatus(label, grid, {kind: phase(name, kind) for kind in in_each[name]})
        for name, label, grid in zip(settings["setting_id"], settings["label"], grids, strict=True)
    ]


def _has_failed_need(pending: Pending, group: TaskGroup, failed: set[tuple[str, str, int]]) -> bool:
    """Return whether tasks wait for their training's one task of another kind, or its starts, and one failed."""
    needed = pending.needed(group)
    while needed is not None:
        is_one = KINDS[needed.kind].per in ("setting", "start")
        if is_one and (needed.setting_id, needed.kind, needed.train_seed) in failed:
            return True
        needed = pending.needed(needed)
    return False


def _failed_task(row: dict[Any, Any], labels: dict[str, str]) -> FailedTask:
    error = str(row["error"]).partition("\n")[0]
    return FailedTask(row["task"], labels[row["setting_id"]], key_of(row).numbers, error)


def _last_result_at(timings: pd.DataFrame) -> datetime | None:
    """Return when the last task ended."""
    if timings.empty:
        return None
    ended_at = timings["started_at"] + pd.to_timedelta(timings["seconds"], unit="s")
    return None if ended_at.isna().all() else ended_at.max().floor("s").to_pydatetime()
