"""What is left to do: the plan compared with the tables."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from distmarl.evaluation.baselines import methods
from distmarl.results.schemas import ALTERNATIONS, BASELINES, EVALUATIONS, EXACT_RETURNS, NASH_GAPS, TRAININGS, Table
from distmarl.results.store import Store
from distmarl.sweep.plan import Plan


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

    def is_unfinished(self, setting_id: str, k: int) -> bool:
        """Return whether anything about the pair at k is missing."""
        values = (self.nash_gaps[setting_id], self.exact_returns[setting_id])
        return bool(self.seeds[setting_id, k]) or any(k in missing for missing in values)


def find_pending(plan: Plan, store: Store | None) -> Pending:
    """Compare a plan with the tables of its results folder, if there are any."""

    def keys(table: Table) -> set[tuple[Any, ...]]:
        return store.keys(table) if store else set()

    def missing(is_asked_for: bool, done: set[tuple[Any, ...]]) -> dict[str, list[int]]:
        return {name: [k for k in plan.k_values if is_asked_for and (name, k) not in done] for name in names}

    experiment, method = plan.sweep.experiment, plan.sweep.evaluation.method
    names = [job.setting_id for job in plan.jobs]
    shared = {setting_id for setting_id, *_ in keys(ALTERNATIONS)}
    gaps = {(name, k) for name, k, kind, _ in keys(NASH_GAPS) if kind == experiment.nash_gap}
    evaluated = keys(EVALUATIONS)
    # More evaluation seeds are more rollouts of a baseline, too.
    n_rollouts = {job.setting_id: plan.n_eval_seeds * job.setting.evaluation.n_rollouts for job in plan.jobs}
    valued = {
        (row["setting_id"], row["baseline"], row["method"])
        for row in (store.rows(BASELINES) if store and experiment.baselines else [])
        if row["method"] == "exact" or row["n_rollouts"] >= n_rollouts.get(row["setting_id"], 0)
    }
    seeds = range(plan.n_eval_seeds if method != "exact" else 0)
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
            (name, k): [seed for seed in seeds if (name, k, seed) not in evaluated]
            for name in names
            for k in plan.k_values
        },
        done=Counter(),
    )
    n_pending = {
        "shared_policy": len(pending.shared_policies),
        "g_learn": sum(map(len, pending.trainings.values())),
        "baselines": len(pending.baselines),
        "nash_gap": sum(map(len, pending.nash_gaps.values())),
        "exact_return": sum(map(len, pending.exact_returns.values())),
        "evaluate": sum(map(len, pending.seeds.values())),
    }
    pending.done.update({kind: number - n_pending[kind] for kind, number in plan.n_tasks.items()})
    return pending
