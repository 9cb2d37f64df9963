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


def run_batch(
    name: str | None, calls: list[Call], timeout_s: float | None, *shared: Any, has_values: bool = True
) -> tuple[Any, ...] | list[Outcome]:
    """Run tasks one after the other; return the value of each, and the list of all outcomes.

    Parameters
    ----------
    name : str or None
        Names the batch, from ``Notes.name``.
    calls : list of Call
        What is to be done.
    timeout_s : float or None
        Deadline of each task.
    *shared
        What the tasks share.
    has_values : bool
        Whether other tasks need the values; if not, there are the outcomes alone.
    """
    node_id, attempt = ray.get_runtime_context().get_node_id(), ray_private.attempt()
    with noted(name, attempt, node_id):
        own = [call._replace(arguments=own_arguments(call.arguments, shared)) for call in calls]
        done = execute_batch(own, Place(timeout_s, node_id, attempt, keeps_logs=True))
    outcomes = [outcome for _, outcome in done]
    return (*(value for value, _ in done), outcomes) if has_values else outcomes


def own_arguments(arguments: tuple[Any, ...], shared: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a task's arguments with what it shares in place."""
    return tuple(shared[each.place] if isinstance(each, Shared) else each for each in arguments)
