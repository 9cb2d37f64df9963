"""What runs in Ray's workers: batches of tasks, each of which leaves a note while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import ray

from distmarl.study.kinds.kind import TaskResult
from distmarl.sweep.executors import ray_private
from distmarl.sweep.executors.execution import Outcome, execute
from distmarl.sweep.executors.ray_notes import noted
from distmarl.sweep.executors.task_log import LogMark


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for an argument that tasks of a batch share: its place among them."""

    place: int


Call: TypeAlias = tuple[Callable[..., TaskResult], tuple[Any, ...]]


def run_batch(name: str | None, calls: list[Call], timeout_s: float | None, *shared: Any) -> tuple[Any, list[Outcome]]:
    """Run tasks one after the other; return the last one's value, and all outcomes.

    Parameters
    ----------
    name : str or None
        Names the batch, from ``Notes.name``.
    calls : list of (callable, tuple)
        The function of each task, and its arguments.
    timeout_s : float or None
        Deadline of each task.
    *shared
        What the tasks share.
    """
    node_id, attempt = ray.get_runtime_context().get_node_id(), ray_private.attempt()
    value, outcomes = None, []
    with noted(name, attempt, node_id):
        for function, arguments in calls:
            own = own_arguments(arguments, shared)
            value, outcome = execute(function, own, timeout_s, node_id=node_id, attempt=attempt, log=LogMark.here())
            outcomes.append(outcome)
    return value, outcomes


def own_arguments(arguments: tuple[Any, ...], shared: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a task's arguments with what it shares in place."""
    return tuple(shared[each.place] if isinstance(each, Shared) else each for each in arguments)
