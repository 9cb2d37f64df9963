"""The kinds of task that a sweep has, in the order in which they are told of.

A kind is a file of its own with a record (:class:`~distmarl.study.kinds.kind.Kind`), and a line here.
"""

from __future__ import annotations

from distmarl.study.kinds.baseline_values import BASELINES
from distmarl.study.kinds.bounds import BOUND
from distmarl.study.kinds.evaluations import EVALUATE
from distmarl.study.kinds.exact_returns import EXACT_RETURN
from distmarl.study.kinds.global_policies import G_LEARN
from distmarl.study.kinds.kind import Kind, TaskGroup
from distmarl.study.kinds.nash_gaps import NASH_GAP
from distmarl.study.kinds.shared_policies import SHARED_POLICY

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        SHARED_POLICY,
        G_LEARN,
        BASELINES,
        BOUND,
        NASH_GAP,
        EXACT_RETURN,
        EVALUATE,
    )
}


def needed_group(group: TaskGroup) -> TaskGroup | None:
    """Return the task that the tasks of a group cannot run without, if there is one."""
    needs = KINDS[group.kind].needs
    if needs is None:
        return None
    return TaskGroup(needs, group.setting_id, None if KINDS[needs].per == "setting" else group.k)


def has_followers(kind: str) -> bool:
    """Return whether tasks of other kinds need the values of tasks of a kind."""
    return any(other.needs == kind for other in KINDS.values())
