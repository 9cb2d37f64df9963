"""What is asked for, done and missing: a sweep compared with the tables of its results folder.

There is one definition of it, which the sweep, its status, its report and a notebook share.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from distmarl.config.checking import k_values
from distmarl.model.options import SweepFile
from distmarl.results.snapshot import Snapshot
from distmarl.study.kinds import KINDS, also_needed_group, needed_group
from distmarl.study.kinds.kind import Asked, Kind, TaskGroup, TaskKey

# The seeds of a group that is one task, without a seed.
NO_SEED: Sequence[int | None] = (None,)


@dataclass(frozen=True)
class Pending:
    """The tasks of a sweep that no session has done.

    Attributes
    ----------
    missing : dict of TaskGroup to sequence
        For each group of which something is missing, the evaluation seeds, or the numbers of the starts; None stands
        for a task without either.
    asked_for : Counter
        Number of tasks of each kind, done or not.
    sweep : SweepFile
        What asks for them.
    """

    missing: Mapping[TaskGroup, Sequence[int | None]]
    asked_for: Counter[str]
    sweep: SweepFile

    @cached_property
    def n_tasks(self) -> Counter[str]:
        """Number of missing tasks of each kind."""
        counts: Counter[str] = Counter()
        for group, seeds in self.missing.items():
            counts[group.kind] += len(seeds)
        return counts

    @property
    def done(self) -> Counter[str]:
        """Number of tasks of each kind that are done."""
        missing = self.n_tasks
        return Counter({kind: number - missing[kind] for kind, number in self.asked_for.items()})

    def has(self, key: TaskKey) -> bool:
        """Return whether a task is missing."""
        return key.seed in self.missing.get(key.group, ())

    def only(self, keys: Collection[TaskKey]) -> Pending:
        """Return what is left to do of some tasks; what they unlock is left for later."""
        chosen = {group: [seed for seed in seeds if group.task(seed) in keys] for group, seeds in self.missing.items()}
        return replace(self, missing={group: seeds for group, seeds in chosen.items() if seeds})

    def by_setting(self) -> dict[str, dict[TaskGroup, Sequence[int | None]]]:
        """Return the missing tasks of each setting that has some."""
        settings: dict[str, dict[TaskGroup, Sequence[int | None]]] = {}
        for group, seeds in self.missing.items():
            settings.setdefault(group.setting_id, {})[group] = seeds
        return settings

    def needed(self, group: TaskGroup) -> TaskGroup | None:
        """Return the group without all of which a group's tasks cannot run, if there is one."""
        return needed_group(group, self.sweep)

    def all_needed(self, group: TaskGroup) -> list[TaskGroup]:
        """Return every group without all of which a group's tasks cannot run."""
        found = (self.needed(group), also_needed_group(group, self.sweep))
        return [needed for needed in found if needed is not None]

    def given(self, group: TaskGroup) -> list[TaskGroup]:
        """Return the groups whose values a group's tasks are given: first of what is needed in turn, none of starts."""
        chain: list[TaskGroup] = []
        for needed in self.all_needed(group):
            chain += [*(() if self.keeps_values(needed) else self.given(needed)), needed]
        return chain

    def keeps_values(self, group: TaskGroup) -> bool:
        """Return whether those that need a group are not given what its own tasks were given: where that is starts."""
        needed = self.needed(group)
        return needed is not None and KINDS[needed.kind].per == "start"

    def can_run(self, group: TaskGroup) -> bool:
        """Return whether all that a group's tasks are given is there: what a done task was given may have gone."""
        return not any(each in self.missing for each in self.given(group))

    @property
    def note(self) -> str | None:
        """How far an unfinished sweep is; None for a finished one."""
        total, n_missing = self.asked_for.total(), self.n_tasks.total()
        return f"unfinished: {total - n_missing:,} of {total:,} tasks" if n_missing else None


def find_pending(
    sweep: SweepFile,
    n_rollouts: Mapping[str, int],
    n_starts: Mapping[str, int],
    store: Snapshot | None,
    policies: Mapping[str, Mapping[tuple[str, int], str]] | None = None,
) -> Pending:
    """Compare what a sweep asks for with the tables of its results folder, if there are any.

    Parameters
    ----------
    sweep : SweepFile
        The sections of the sweep file.
    n_rollouts : dict of str to int
        Rollouts per evaluation seed of each of its settings, by their ids.
    n_starts : dict of str to int
        Number of starts of each.
    store : Snapshot, optional
        The tables.
    policies : mapping, optional
        Digests of the pairs from elsewhere (``experiment.policies``) of each setting, by name and k, where they have
        been made: without them, rows of another pair of the same name count, too.
    """
    missing: dict[TaskGroup, Sequence[int | None]] = {}
    for kind in kinds_of(sweep):
        done = kind.tasks_done(store, Asked(sweep, n_rollouts, policies)) if store else set()
        for setting_id in n_rollouts:
            seeds = _seeds(kind, sweep, n_starts[setting_id])
            for train_seed, k in itertools.product(_train_seeds(kind, sweep), _ks(kind, sweep)):
                left = [seed for seed in seeds if (setting_id, k, seed, train_seed) not in done]
                if left:
                    missing[TaskGroup(kind.name, setting_id, k, train_seed)] = left
    return Pending(missing, count_tasks(sweep, list(n_starts.values())), sweep)


def count_tasks(sweep: SweepFile, n_starts: Sequence[int]) -> Counter[str]:
    """Return the number of tasks of each kind that a sweep asks for.

    Parameters
    ----------
    sweep : SweepFile
        The sections of the sweep file.
    n_starts : sequence of int
        Number of starts of each of its settings.
    """
    return Counter(
        {
            kind.name: _n_groups(kind, sweep) * sum(len(_seeds(kind, sweep, number)) for number in n_starts)
            for kind in kinds_of(sweep)
        }
    )


def kinds_of(sweep: SweepFile) -> list[Kind]:
    """Return the kinds of task that a sweep asks for."""
    return [kind for kind in KINDS.values() if kind.is_asked_for(sweep)]


def _n_groups(kind: Kind, sweep: SweepFile) -> int:
    """Return the number of groups of a kind in each setting."""
    return len(_train_seeds(kind, sweep)) * len(_ks(kind, sweep))


def _train_seeds(kind: Kind, sweep: SweepFile) -> Sequence[int]:
    return range(sweep.experiment.n_train_seeds if kind.is_per_training else 1)


def _ks(kind: Kind, sweep: SweepFile) -> Sequence[int | None]:
    return k_values(sweep.experiment) if kind.per in ("k", "seed") else (None,)


def _seeds(kind: Kind, sweep: SweepFile, n_starts: int) -> Sequence[int | None]:
    if kind.per == "start":
        return range(n_starts)
    return range(sweep.experiment.n_eval_seeds) if kind.is_short else NO_SEED
