"""Why a sweep trains again what a results folder has trained before: what its settings were, and what they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from distmarl.results.folder import starts_per_setting, sweep_settings
from distmarl.results.grid_columns import content_of
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import SETTINGS
from distmarl.study.job import Job
from distmarl.study.pending import find_pending
from distmarl.study.plan import Plan
from distmarl.wording import counted

# What other sections and the game make of a setting.
FOLLOWING = {"starts"}
DIGEST, REFERENCE_K, NUMBERS_KEY = ("environment", "digest"), ("experiment", "reference_k"), ("experiment", "numbers")


def find_changes(plan: Plan, store: Snapshot) -> Iterator[str]:
    """Yield what makes settings of the last sweep file new ones in this, and what would keep their results.

    Parameters
    ----------
    plan : Plan
        The sweep.
    store : Snapshot
        The tables of its results folder.
    """
    before = sweep_settings(store.read(SETTINGS)).to_dict("records")
    left_out = [row for row in before if row["setting_id"] not in plan.by_id]
    known = {name for (name,) in store.keys(SETTINGS)}
    new = [job for job in plan.jobs if job.setting_id not in known]
    if not left_out or not new:
        return
    rollouts = {row["setting_id"]: content_of(row)["evaluation"]["n_rollouts"] for row in left_out}
    starts = starts_per_setting(pd.DataFrame(left_out))
    n_done = find_pending(plan.sweep, rollouts, starts, store).done.total()
    if not n_done:
        return
    changed: dict[tuple[str, str], tuple[Any, Any]] = {}
    for row, job in _pairs(left_out, new):
        was, now = content_of(row), job.content
        for section in sorted({*was, *now} - FOLLOWING):
            mine, yours = was.get(section, {}), now.get(section, {})
            for key in sorted({*mine, *yours}):
                is_new = key not in mine and section != "environment" and (section, key) != NUMBERS_KEY
                if mine.get(key) != yours.get(key) and not is_new:
                    changed.setdefault((section, key), (mine.get(key), yours.get(key)))
    game_keys = [path for path in changed if path[0] == "environment" and path != DIGEST]
    if DIGEST in changed and game_keys:
        del changed[DIGEST]  # which follows from them
    can_be_kept = len(changed) == 1 and NUMBERS_KEY not in changed
    kept = f"to keep {counted(n_done, 'task')}" if can_be_kept else ""
    yield f"{counted(len(new), 'setting')} would be trained that the folder does not have, since something changed:"
    for path, (was, now) in changed.items():
        yield _sentence(path, was, now, kept)
    if not kept and NUMBERS_KEY not in changed:
        yield f"with all of this as it was, {counted(n_done, 'task')} would be kept"


def _pairs(left_out: list[dict[Any, Any]], new: list[Job]) -> Iterator[tuple[Mapping[Any, Any], Job]]:
    """Yield settings that stand for each other: those of one label or, where the grid is another, the first ones."""
    by_label = {row["label"]: row for row in left_out}
    pairs = [(by_label[job.setting.label], job) for job in new if job.setting.label in by_label]
    yield from pairs or [(left_out[0], new[0])]


def _sentence(path: tuple[str, str], was: Any, now: Any, kept: str) -> str:
    """Return what changed, and how to keep what there is."""
    key = ".".join(path)
    if path == DIGEST:
        remedy = f"; bring its code back {kept}" if kept else ""
        return f"the game: its function returns other tables than it did{remedy}"
    if path == NUMBERS_KEY:
        return "the numbers: this version of distmarl draws others for the same setting"
    if path == REFERENCE_K:
        remedy = f"; set experiment.reference_k: {was} {kept}" if kept else ""
        return f"reference_k was {was}, is {now}{remedy}"
    remedy = f"; set {key}: {was} {kept}" if kept else ""
    return f"{key} was {was}, is {now}{remedy}"
