"""The figures that are drawn from more of a results folder than its summary, each reading what it needs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from distmarl.report.figures.frames import setting_note, spread
from distmarl.report.figures.policies import policy
from distmarl.report.figures.rollouts import zone_heatmap
from distmarl.report.figures.runs import alternation, timeline
from distmarl.report.figures.scaling import scaling
from distmarl.report.page.run_facts import session_cpus
from distmarl.results.folder import read_provenance
from distmarl.results.settings import sweep_settings
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import (
    ALTERNATIONS,
    GLOBAL_POLICIES,
    LOCAL_POLICIES,
    ROLLOUTS,
    SETTINGS,
    TIMINGS,
    TRAININGS,
    Table,
)


def draw_zone_heatmap(store: Snapshot, summary: pd.DataFrame, *, unfinished: str | None) -> Figure | None:
    """Draw the rollouts of the first setting that has some."""
    chosen = _first_with(store, ROLLOUTS, summary)
    if chosen is None:
        return None
    setting_id, ks, note = chosen
    rollouts = store.read(ROLLOUTS, setting_id=setting_id, k=spread(ks))
    return zone_heatmap(rollouts, setting=note, unfinished=unfinished)


def draw_policy(store: Snapshot, summary: pd.DataFrame, *, unfinished: str | None) -> Figure | None:
    """Draw the policies of the first setting that has some; of long global policies only those that are shown."""
    chosen = _first_with(store, TRAININGS, summary)
    if chosen is None:
        return None
    setting_id, ks, note = chosen
    local_policies = store.read(LOCAL_POLICIES, setting_id=setting_id)
    global_policies = store.read(GLOBAL_POLICIES, setting_id=setting_id, k=spread(ks))
    points = summary[summary["setting_id"] == setting_id]
    # The mode accuracy is null where global actions are no local states; without rollouts it is not known.
    is_steered = bool(points["mode_accuracy"].notna().any()) if points["n_seeds"].max() > 0 else None
    return policy(local_policies, global_policies, is_steered=is_steered, setting=note, unfinished=unfinished)


def draw_alternation(store: Snapshot, *, unfinished: str | None) -> Figure | None:
    """Draw the alternations of the sweep's settings, of those without evaluations, too."""
    settings = sweep_settings(store.read(SETTINGS))[["setting_id", "label"]]
    return alternation(settings.merge(store.read(ALTERNATIONS), on="setting_id"), unfinished=unfinished)


def draw_timeline(store: Snapshot, *, unfinished: str | None) -> Figure | None:
    """Draw when the tasks of the sweep's settings ran."""
    timings, settings = store.read(TIMINGS), store.read(SETTINGS)
    in_sweep = settings.loc[settings["in_sweep"], "setting_id"]
    n_cpus = session_cpus(read_provenance(store.folder))
    return timeline(timings[timings["setting_id"].isin(in_sweep)], n_cpus=n_cpus, unfinished=unfinished)


def draw_scaling(store: Snapshot, summary: pd.DataFrame, *, unfinished: str | None) -> Figure | None:
    """Draw what the size of the population changes."""
    return scaling(summary, store.read(SETTINGS), unfinished=unfinished)


def _first_with(store: Snapshot, table: Table, summary: pd.DataFrame) -> tuple[str, Sequence[int], str | None] | None:
    """Return the first setting of a summary that a table has rows of, its k there, and a note that names it."""
    found = {(setting_id, k) for setting_id, k, *_ in store.keys(table)}
    asked_for = set(summary["k"])
    settings = summary.drop_duplicates("setting_id")
    for setting_id, label in zip(settings["setting_id"], settings["label"], strict=True):
        ks = sorted(int(k) for name, k in found if name == setting_id and k in asked_for)
        if ks:
            return setting_id, ks, setting_note(len(settings), label)
    return None
