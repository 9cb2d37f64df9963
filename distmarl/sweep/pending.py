"""What is left to do: the plan compared with the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distmarl.results.schemas import ALTERNATIONS, EVALUATIONS, TRAININGS
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
    seeds : dict of (str, int) to list of int
        For each setting and k, every evaluation seed that is missing.
    done : Counter
        Number of tasks of each kind that are done.
    """

    shared_policies: set[str]
    trainings: dict[str, list[int]]
    seeds: dict[tuple[str, int], list[int]]
    done: Counter[str]


def find_pending(plan: Plan, store: Store | None) -> Pending:
    """Compare a plan with the tables of its results folder, if there are any."""
    return find_missing([job.setting_id for job in plan.jobs], plan.k_values, plan.n_eval_seeds, store)


def find_missing(names: Sequence[str], k_values: Sequence[int], n_eval_seeds: int, store: Store | None) -> Pending:
    """Compare what is asked for with the tables of a results folder, if there are any.

    Parameters
    ----------
    names : sequence of str
        Ids of the settings.
    k_values : sequence of int
        Subsample sizes.
    n_eval_seeds : int
        Evaluation seeds per subsample size.
    store : Store, optional
        The tables.
    """
    evaluated = store.keys(EVALUATIONS) if store else set()
    trained = store.keys(TRAININGS) if store else set()
    shared = {setting_id for setting_id, _ in store.keys(ALTERNATIONS)} if store else set()
    pending = Pending(
        shared_policies={name for name in names if name not in shared},
        trainings={name: [k for k in k_values if (name, k) not in trained] for name in names},
        seeds={
            (name, k): [seed for seed in range(n_eval_seeds) if (name, k, seed) not in evaluated]
            for name in names
            for k in k_values
        },
        done=Counter(),
    )
    n_trainings = len(names) * len(k_values)
    pending.done["shared_policy"] = len(names) - len(pending.shared_policies)
    pending.done["g_learn"] = n_trainings - sum(map(len, pending.trainings.values()))
    pending.done["evaluate"] = n_trainings * n_eval_seeds - sum(map(len, pending.seeds.values()))
    return pending
