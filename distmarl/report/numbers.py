"""What a results folder holds, as far as its report is about it: the one place where a report reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from distmarl.config.checking import k_values
from distmarl.errors import ResultsError
from distmarl.report.returns import has_trainings, summarise, with_ceilings, with_shares, with_welfare_gaps
from distmarl.results.damage import find_damage
from distmarl.results.fields import Table
from distmarl.results.folder import (
    SWEEP_FILE,
    read_provenance,
    read_sweep,
    rollouts_per_seed,
    starts_per_setting,
    sweep_settings,
)
from distmarl.results.grid_columns import content_of, value_at
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.lock import find_writer
from distmarl.results.summary.comparison_rows import COLUMNS, comparison_rows
from distmarl.results.tables import (
    ALTERNATIONS,
    BASELINES,
    BOUNDS,
    EVALUATIONS,
    EXACT_RETURNS,
    FAILURES,
    LEARNERS,
    NASH_GAPS,
    POLICIES,
    SETTINGS,
    TIMINGS,
    TRAININGS,
    WELFARE,
)
from distmarl.study.kinds import KINDS
from distmarl.study.pending import Pending, find_pending

# Settings that are compared with the first.
MAX_COMPARED = 50


@dataclass(frozen=True, slots=True)
class Chosen:
    """The one of several settings that a figure shows.

    Attributes
    ----------
    setting_id : str
        Its id.
    k_values : sequence of int
        Its subsample sizes, increasing.
    label : str
        Its grid values in short.
    n_settings : int
        How many there are.
    """

    setting_id: str
    k_values: Sequence[int]
    label: str
    n_settings: int


class Numbers:
    """The numbers of a report. Each table is read when it is first asked for, and kept.

    Only what the sweep file asks for is here: rows of an earlier, larger sweep stay in the tables.

    Parameters
    ----------
    snapshot : Snapshot
        The tables of the results folder.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.folder = snapshot.folder
        self.sweep = read_sweep(snapshot.folder)
        self.k_values = k_values(self.sweep.experiment)
        method = self.sweep.evaluation.method
        n_seeds = self.sweep.experiment.n_eval_seeds if method != "exact" else 0
        exact_k = frozenset(self.k_values) if method != "rollouts" else ()
        # First of all: whatever it rests on has been committed when the other tables are read.
        self._points = snapshot.summary(
            lambda k, seed: np.isin(k, self.k_values) & (seed < n_seeds),
            exact_k=exact_k,
            n_train_seeds=self.sweep.experiment.n_train_seeds,
        )

    @cached_property
    def settings(self) -> pd.DataFrame:
        """The sweep's settings in the order of its file, with their ``place`` in it, from 0 on."""
        settings = sweep_settings(self._snapshot.read(SETTINGS))
        return settings.assign(place=range(len(settings)))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """What :func:`distmarl.report.returns.summarise` returns, with the ceilings and the welfare gaps."""
        summary = summarise(self._points, self.trainings, self.timings, self.settings)
        return with_welfare_gaps(with_ceilings(summary, self.bounds), self.nash_gaps, self.bounds)

    @cached_property
    def trainings(self) -> pd.DataFrame:
        """The trainings, with ``label`` and ``place`` of the settings."""
        trainings = self._placed(self._snapshot.read(TRAININGS), "k", "train_seed")
        return trainings[trainings["k"].isin(self.k_values)]

    @cached_property
    def alternations(self) -> pd.DataFrame:
        """The proposals of the alternations, with ``label`` and ``place`` of the settings."""
        return self._placed(self._snapshot.read(ALTERNATIONS), "train_seed", "iteration")

    @cached_property
    def nash_gaps(self) -> pd.DataFrame:
        """The Nash gaps, with ``label`` and ``place`` of the settings."""
        gaps = self._placed(self._snapshot.read(NASH_GAPS), "k", "train_seed")
        return gaps[(gaps["method"] == self.sweep.experiment.nash_gap) & gaps["k"].isin(self.k_values)]

    @cached_property
    def baselines(self) -> pd.DataFrame:
        """The baselines, with ``label`` and ``place`` of the settings."""
        baselines = self._placed(self._snapshot.read(BASELINES))
        return baselines[baselines["baseline"].isin(self.sweep.experiment.baselines)]

    @cached_property
    def learners(self) -> pd.DataFrame:
        """The model-free learners at each budget, with ``label`` and ``place`` of the settings."""
        learners = self._placed(self._snapshot.read(LEARNERS), "k", "train_seed", "learner", "budget")
        asked = self.sweep.experiment
        is_asked_for = learners["learner"].isin(asked.baselines) & learners["budget"].isin(asked.baseline_samples)
        return learners[is_asked_for & learners["k"].isin(self.k_values)]

    @cached_property
    def policies(self) -> pd.DataFrame:
        """The pairs from elsewhere in the file's order, with ``label`` and ``place``, and shares of the ceiling."""
        names = [*self.sweep.experiment.policies]
        rows = self._placed(self._snapshot.read(POLICIES), "k", "train_seed")
        rows = rows[rows["policy"].isin(names) & rows["k"].isin(self.k_values)]
        order = rows["policy"].map(dict(zip(names, range(len(names)), strict=True)))
        rows = rows.iloc[np.lexsort((order, rows["place"]))]
        return with_shares(rows, self.bounds)

    @cached_property
    def bounds(self) -> pd.DataFrame:
        """What nobody earns more than, with ``label`` and ``place`` of the settings."""
        bounds = self._placed(self._snapshot.read(BOUNDS))
        return bounds if self.sweep.experiment.bound != "off" else bounds.iloc[:0]

    @cached_property
    def welfare(self) -> pd.DataFrame:
        """The best pairs that were found, with ``label`` and ``place`` of the settings."""
        found = self._placed(self._snapshot.read(WELFARE))
        return found if self.sweep.experiment.nash_gap == "exact" else found.iloc[:0]

    @cached_property
    def timings(self) -> pd.DataFrame:
        """When the tasks of the sweep's settings ran, and for how long."""
        timings = self._of_sweep(self._snapshot.read(TIMINGS))
        return timings[timings["setting_id"].isin(self.settings["setting_id"])]

    @cached_property
    def failures(self) -> pd.DataFrame:
        """The tasks that have failed and have not succeeded since."""
        return self._snapshot.read(FAILURES)

    @cached_property
    def n_agents(self) -> dict[str, int]:
        """The number of local agents of each setting that has been evaluated, by its id."""
        sizes: dict[str, int] = {}
        for table in (EVALUATIONS, EXACT_RETURNS):
            unread = [name for name in table.schema.names if name not in (*table.key, "n_agents")]
            rows = self._snapshot.read(table, without=unread).drop_duplicates("setting_id")
            sizes |= dict(zip(rows["setting_id"], rows["n_agents"], strict=True))
        return sizes

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """How each other setting compares with the first at each k, where they were trained several times."""
        by_setting = dict(tuple(self.summary.groupby("setting_id", sort=False)))
        names = list(by_setting) if has_trainings(self.summary) else []
        contents = {row["setting_id"]: content_of(row) for row in self.settings.to_dict("records")}
        seeds = {name: value_at(contents[name], "experiment.seed") for name in names}
        rows = [
            {"setting_id": name, **row}
            for name in names[1 : MAX_COMPARED + 1]
            for row in comparison_rows(
                by_setting[name], by_setting[names[0]], shares_seeds=seeds[name] == seeds[names[0]]
            )
        ]
        places = self.settings[["setting_id", "label", "place"]]
        return places.merge(pd.DataFrame(rows, columns=["setting_id", *COLUMNS]), on="setting_id")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The sessions that wrote to the folder."""
        return read_provenance(self.folder)

    @cached_property
    def sweep_file(self) -> str:
        """``sweep.yaml``: the sweep with every default filled in."""
        return self.folder.read(SWEEP_FILE).decode()

    @cached_property
    def files(self) -> set[str]:
        """Names of the files and folders in the folder, as it was found."""
        return set(self.folder.names())

    @cached_property
    def pending(self) -> Pending:
        """What the sweep file asks for and the tables lack."""
        n_rollouts, n_starts = rollouts_per_seed(self.settings, self.sweep), starts_per_setting(self.settings)
        return find_pending(self.sweep, n_rollouts, n_starts, self._snapshot)

    @property
    def unfinished(self) -> str | None:
        """How far an unfinished sweep is; None for a finished one."""
        return self.pending.note

    @property
    def unfinished_by_kind(self) -> str | None:
        """How far an unfinished sweep is, and with what; None for a finished one."""
        return f"{self.unfinished} ({missing_kinds(self.pending)})" if self.unfinished else None

    def first_with(self, table: Table) -> Chosen | None:
        """Return the first evaluated setting that a table has rows of, and its k there."""
        settings = self.summary.drop_duplicates("setting_id")
        asked_for = set(self.summary["k"])
        found: dict[str, set[int]] = {}
        for setting_id, k in self._snapshot.keys(table, ("setting_id", "k")):
            if k in asked_for:
                found.setdefault(setting_id, set()).add(int(k))
        for setting_id, label in zip(settings["setting_id"], settings["label"], strict=True):
            if setting_id in found:
                return Chosen(setting_id, sorted(found[setting_id]), label, len(settings))
        return None

    def observation(self, setting_id: str) -> list[int] | None:
        """Return the class of each local state in a setting's game; None where the states themselves are seen."""
        own = self.settings.loc[self.settings["setting_id"] == setting_id, "observation"]
        classes = None if own.empty else own.iloc[0]
        return None if classes is None else [int(number) for number in classes]

    def local_types(self, setting_id: str) -> list[str] | None:
        """Return the type of agents of each local state in a setting's game; None where there is a single one."""
        own = self.settings.loc[self.settings["setting_id"] == setting_id, "local_types"]
        names = None if own.empty else own.iloc[0]
        return None if names is None else [str(name) for name in names]

    def read(self, table: Table, **key: Any) -> pd.DataFrame:
        """Return some rows of a table that is too long to be read whole."""
        return self._snapshot.read(table, **key)

    def _placed(self, rows: pd.DataFrame, *by: str) -> pd.DataFrame:
        """Return the rows of the sweep's settings and trainings, in their order."""
        places = self.settings[["setting_id", "label", "place"]]
        placed = places.merge(self._of_sweep(rows), on="setting_id")
        return placed.sort_values(["place", *by], kind="stable", ignore_index=True)

    def _of_sweep(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the sweep's trainings."""
        return rows[rows["train_seed"] < self.sweep.experiment.n_train_seeds] if "train_seed" in rows else rows


def read_numbers(snapshot: Snapshot) -> Numbers:
    """Return what a report says of a results folder, without writing anything.

    Raises
    ------
    ResultsError
        When the folder holds no evaluation of its sweep yet.
    ConfigError
        When its sweep file cannot be read.
    """
    numbers = Numbers(snapshot)
    if numbers.summary.empty:
        n_failures = len(numbers.failures)
        failed = f" ({n_failures} of its tasks failed: see the table failures)" if n_failures else ""
        runs = find_writer(snapshot.folder) is not None
        remedy = "it is running: wait for the first" if runs else "run the sweep's command again to go on"
        damaged = "".join(f"; {damage}" for damage in find_damage(snapshot))
        raise ResultsError(f"{snapshot.folder}: has no evaluation of its sweep yet{failed}; {remedy}{damaged}")
    return numbers


def missing_kinds(pending: Pending) -> str:
    """Return how far the kinds of tasks are that are not done: ``30 of 250 evaluations, 0 of 1 baselines``."""
    done = pending.done
    return ", ".join(
        f"{done[name]:,} of {pending.asked_for[name]:,} {kind.plural}"
        for name, kind in KINDS.items()
        if done[name] < pending.asked_for[name]
    )


def session_cpus(provenance: Mapping[str, Any]) -> float | None:
    """Return how many CPUs each session started with; None where that is not known, or where they differ.

    Parameters
    ----------
    provenance : mapping
        The content of ``provenance.json``.
    """
    found = {node_cpus(session.get("resources", {}).get("nodes", [])) for session in provenance.get("sessions", [])}
    return found.pop() or None if len(found) == 1 else None


def node_cpus(nodes: Sequence[Mapping[str, float]]) -> float:
    """Return how many CPUs some nodes have."""
    return sum(node.get("CPU", 0) for node in nodes)
