"""The kinds of task that a sweep has, in the order in which they are told of.

A kind is a file of its own with a record (:class:`~distmarl.study.kinds.kind.Kind`), and a line here.
"""

from __future__ import annotations

from distmarl.model.options import SweepFile
from distmarl.study.kinds.baseline_values import BASELINES
from distmarl.study.kinds.bounds import BOUND
from distmarl.study.kinds.evaluations import EVALUATE
from distmarl.study.kinds.exact_returns import EXACT_RETURN
from distmarl.study.kinds.foreign_policies import FOREIGN_POLICIES
from distmarl.study.kinds.global_policies import G_LEARN
from distmarl.study.kinds.kind import Kind, TaskGroup
from distmarl.study.kinds.learners import INDEPENDENT_Q, SUBSAMPLED_Q
from distmarl.study.kinds.local_choices import LOCAL_POLICY
from distmarl.study.kinds.nash_gaps import NASH_GAP
from distmarl.study.kinds.shared_policies import SHARED_POLICY
from distmarl.study.kinds.starts import START
from distmarl.study.kinds.welfare_searches import WELFARE

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        START,
        SHARED_POLICY,
        LOCAL_POLICY,
        G_LEARN,
        BASELINES,
        FOREIGN_POLICIES,
        BOUND,
        WELFARE,
        NASH_GAP,
        EXACT_RETURN,
        EVALUATE,
        INDEPENDENT_Q,
        SUBSAMPLED_Q,
    )
}


def needed_group(group: TaskGroup, sweep: SweepFile) -> TaskGroup | None:
    """Return the tasks that those of a group cannot run without, if there are any."""
    kind = KINDS[group.kind]
    needs = kind.needs if kind.needs_in is None else kind.needs_in(sweep)
    if needs is None:
        return None
    k = group.k if KINDS[needs].per in ("k", "seed") else None
    return TaskGroup(needs, group.setting_id, k, group.train_seed if KINDS[needs].is_per_training else 0)


def also_needed_group(group: TaskGroup, sweep: SweepFile) -> TaskGroup | None:
    """Return the task of the setting that those of a group cannot run without either, if there is one."""
    also = KINDS[group.kind].also_needs
    return TaskGroup(also, group.setting_id) if also is not None and KINDS[also].is_asked_for(sweep) else None


def has_followers(kind: str) -> bool:
    """Return whether tasks of other kinds need the values of tasks of a kind."""
    return KINDS[kind].load is not None
