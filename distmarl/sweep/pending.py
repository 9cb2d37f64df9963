"""What is left to do: the plan compared with the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from distmarl.results.schemas import ALTERNATIONS, EVALUATIONS, TRAININGS
from distmarl.results.store import Store
from distmarl.sweep.plan import Plan
from distmarl.sweep.tasks import TaskKey


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

    @property
    def n_tasks(self) -> int:
        """How many tasks are missing."""
        return len(self.shared_policies) + sum(map(len, self.trainings.values())) + sum(map(len, self.seeds.values()))

    def has(self, key: TaskKey) -> bool:
        """Return whether a task is missing."""
        if key.kind == "shared_policy":
            return key.setting_id in self.shared_policies
        if key.kind == "g_learn":
            return key.k in self.trainings.get(key.setting_id, ())
        return key.k is not None and key.seed in self.seeds.get((key.setting_id, key.k), ())

    def only(self, keys: Collection[TaskKey]) -> Pending:
        """Return what is left to do of some tasks; what they unlock is left for later."""
        return replace(
            self,
            shared_policies={name for name in self.shared_policies if TaskKey("shared_policy", name) in keys},
            trainings={
                name: [k for k in ks if TaskKey("g_learn", name, k) in keys] for name, ks in self.trainings.items()
            },
            seeds={
                (name, k): [seed for seed in seeds if TaskKey("evaluate", name, k, seed) in keys]
                for (name, k), seeds in self.seeds.items()
            },
        )


def find_pending(plan: Plan, store: Store | None) -> Pending:
    """Compare a plan with the tables of its results folder, if there are any."""
    evaluated = store.keys(EVALUATIONS) if store else set()
    trained = store.keys(TRAININGS) if store else set()
    shared = {setting_id for setting_id, _ in store.keys(ALTERNATIONS)} if store else set()
    names = [job.setting_id for job in plan.jobs]
    pending = Pending(
        shared_policies={name for name in names if name not in shared},
        trainings={name: [k for k in plan.k_values if (name, k) not in trained] for name in names},
        seeds={
            (name, k): [seed for seed in range(plan.n_eval_seeds) if (name, k, seed) not in evaluated]
            for name in names
            for k in plan.k_values
        },
        done=Counter(),
    )
    pending.done["shared_policy"] = len(names) - len(pending.shared_policies)
    pending.done["g_learn"] = plan.n_tasks["g_learn"] - sum(map(len, pending.trainings.values()))
    pending.done["evaluate"] = plan.n_tasks["evaluate"] - sum(map(len, pending.seeds.values()))
    return pending
