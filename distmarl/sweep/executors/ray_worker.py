"""What runs in Ray's workers: batches of tasks, each of which leaves a note while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray

from distmarl.sweep.executors import ray_private
from distmarl.sweep.executors.execution import Call, Outcome, Place, execute_batch
from distmarl.sweep.executors.ray_notes import noted


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for an argument that tasks of a batch share: its place among them."""

    place: int


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
    with noted(name, attempt, node_id):
        own = [(function, own_arguments(arguments, shared)) for function, arguments in calls]
        done = execute_batch(own, Place(timeout_s, node_id, attempt, keeps_logs=True))
    (value, _), outcomes = done[-1], [outcome for _, outcome in done]
    return value, outcomes


def own_arguments(arguments: tuple[Any, ...], shared: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a task's arguments with what it shares in place."""
    return tuple(shared[each.place] if isinstance(each, Shared) else each for each in arguments)
