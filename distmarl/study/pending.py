"""What is left to do: the plan compared with the tables."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distmarl.config.checking import k_values
from distmarl.equilibrium.baselines import methods
from distmarl.model.options import SweepFile
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import ALTERNATIONS, BASELINES, EVALUATIONS, EXACT_RETURNS, NASH_GAPS, TRAININGS, Table
from distmarl.study.plan import Plan, count_tasks
from distmarl.study.tasks import TaskKey, TaskKind


@dataclass(frozen=True, slots=True)
class Pending:
    """The tasks of a plan that no session has done.

    Attributes
    ----------
    shared_policies : set of str
        Settings whose shared local policy is missing.
    trainings : dict of str to list of int
        For each setting, every k that is not trained.
    baselines : set of str
        Settings whose baselines are missing.
    nash_gaps, exact_returns : dict of str to list of int
        For each setting, every k whose Nash gap, or exact return, is asked for and missing.
    seeds : dict of (str, int) to list of int
        For each setting and k, every evaluation seed that is missing.
    done : Counter
        Number of tasks of each kind that are done.
    """

    shared_policies: set[str]
    trainings: dict[str, list[int]]
    baselines: set[str]
    nash_gaps: dict[str, list[int]]
    exact_returns: dict[str, list[int]]
    seeds: dict[tuple[str, int], list[int]]
    done: Counter[str]

    @property
    def by_setting(self) -> dict[TaskKind, set[str]]:
        """The settings of the tasks that a setting has one of."""
        return {"shared_policy": self.shared_policies, "baselines": self.baselines}

    @property
    def by_k(self) -> dict[TaskKind, dict[str, list[int]]]:
        """For each setting, every k of the tasks that a k has one of."""
        return {"g_learn": self.trainings, "nash_gap": self.nash_gaps, "exact_return": self.exact_returns}

    @property
    def n_tasks(self) -> dict[str, int]:
        """Number of missing tasks of each kind."""
        numbers: dict[str, int] = {kind: len(names) for kind, names in self.by_setting.items()}
        numbers |= {kind: sum(map(len, missing.values())) for kind, missing in self.by_k.items()}
        return {**numbers, "evaluate": sum(map(len, self.seeds.values()))}

    def n_tasks_of(self, setting_id: str, k_values: Sequence[int]) -> dict[str, int]:
        """Return the number of missing tasks of each kind of one setting."""
        numbers: dict[str, int] = {kind: int(setting_id in names) for kind, names in self.by_setting.items()}
        numbers |= {kind: len(missing[setting_id]) for kind, missing in self.by_k.items()}
        return {**numbers, "evaluate": sum(len(self.seeds[setting_id, k]) for k in k_values)}

    def has(self, key: TaskKey) -> bool:
        """Return whether a task is missing."""
        if key.kind in self.by_setting:
            return key.setting_id in self.by_setting[key.kind]
        if key.kind in self.by_k:
            return key.k in self.by_k[key.kind].get(key.setting_id, ())
        return key.k is not None and key.seed in self.seeds.get((key.setting_id, key.k), ())

    def only(self, keys: Collection[TaskKey]) -> Pending:
        """Return what is left to do of some tasks; what they unlock is left for later."""

        def named(kind: TaskKind) -> set[str]:
            return {name for name in self.by_setting[kind] if TaskKey(kind, name) in keys}

        def sizes(kind: TaskKind) -> dict[str, list[int]]:
            missing = self.by_k[kind].items()
            return {name: [k for k in ks if TaskKey(kind, name, k) in keys] for name, ks in missing}

        return replace(
            self,
            shared_policies=named("shared_policy"),
            trainings=sizes("g_learn"),
            baselines=named("baselines"),
            nash_gaps=sizes("nash_gap"),
            exact_returns=sizes("exact_return"),
            seeds={
                (name, k): [seed for seed in seeds if TaskKey("evaluate", name, k, seed) in keys]
                for (name, k), seeds in self.seeds.items()
            },
        )

    def is_unfinished(self, setting_id: str, k: int) -> bool:
        """Return whether anything about the pair at k is missing."""
        values = (self.nash_gaps[setting_id], self.exact_returns[setting_id])
        return bool(self.seeds[setting_id, k]) or any(k in missing for missing in values)


def find_pending(plan: Plan, store: Snapshot | None) -> Pending:
    """Compare a plan with the tables of its results folder, if there are any."""
    return find_missing({job.setting_id: job.setting.evaluation.n_rollouts for job in plan.jobs}, plan.sweep, store)


def find_missing(n_rollouts: Mapping[str, int], sweep: SweepFile, store: Snapshot | None) -> Pending:
    """Compare what a sweep asks for with the tables of its results folder, if there are any.

    Parameters
    ----------
    n_rollouts : dict of str to int
        Rollouts per evaluation seed of each of its settings, by their ids.
    sweep : SweepFile
        The sections of the sweep file.
    store : Snapshot, optional
        The tables.
    """
    names, asked_for = list(n_rollouts), k_values(sweep.experiment)

    def keys(table: Table) -> set[tuple[Any, ...]]:
        return store.keys(table) if store else set()

    def missing(is_asked_for: bool, done: set[tuple[Any, ...]]) -> dict[str, list[int]]:
        return {name: [k for k in asked_for if is_asked_for and (name, k) not in done] for name in names}

    experiment, method = sweep.experiment, sweep.evaluation.method
    shared = {setting_id for setting_id, *_ in keys(ALTERNATIONS)}
    gaps = {(name, k) for name, k, kind, _ in keys(NASH_GAPS) if kind == experiment.nash_gap}
    evaluated = keys(EVALUATIONS)
    # More evaluation seeds are more rollouts of a baseline, too.
    valued = {
        (row["setting_id"], row["baseline"], row["method"])
        for row in (store.rows(BASELINES) if store and experiment.baselines else [])
        if row["method"] == "exact"
        or row["n_rollouts"] >= experiment.n_eval_seeds * n_rollouts.get(row["setting_id"], 0)
    }
    seeds = range(experiment.n_eval_seeds if method != "exact" else 0)
    pending = Pending(
        shared_policies={name for name in names if name not in shared},
        trainings=missing(True, keys(TRAININGS)),
        baselines={
            name
            for name in names
            for baseline, kind in itertools.product(experiment.baselines, methods(method))
            if (name, baseline, kind) not in valued
        },
        nash_gaps=missing(experiment.nash_gap != "off", gaps),
        exact_returns=missing(method != "rollouts", keys(EXACT_RETURNS)),
        seeds={
            (name, k): [seed for seed in seeds if (name, k, seed) not in evaluated] for name in names for k in asked_for
        },
        done=Counter(),
    )
    n_tasks = count_tasks(sweep, len(names))
    pending.done.update({kind: number - pending.n_tasks[kind] for kind, number in n_tasks.items()})
    return pending
