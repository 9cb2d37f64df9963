"""What runs in Ray's workers: batches of tasks, and the notes that they leave in Ray's key-value store.

A note says that a batch runs and where its log is. It is gone when the batch has ended, unless its process was
lost: then the note tells where.
"""

from __future__ import annotations

import json
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import ray
from ray.exceptions import RayError
from ray.experimental import internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distmarl.sweep.execution import Outcome, execute
from distmarl.sweep.task_log import LogMark
from distmarl.sweep.tasks import TaskKind

NAMESPACE = b"distmarl"
LOG_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for an argument that tasks of a batch share: its place among them."""

    place: int


Call: TypeAlias = tuple[TaskKind, tuple[Any, ...]]


def run_batch(name: str, calls: list[Call], timeout_s: float | None, *shared: Any) -> tuple[Any, list[Outcome]]:
    """Run tasks one after the other; return the last one's value, and all outcomes.

    Parameters
    ----------
    name : str
        Names the batch, from ``Notes.name``.
    calls : list of (str, tuple)
        The kind of each task, and its arguments.
    timeout_s : float or None
        Deadline of each task.
    *shared
        What the tasks share.
    """
    node_id, attempt = ray.get_runtime_context().get_node_id(), _attempt()
    key = f"{name}/{attempt or 0}"
    place = {"hostname": socket.gethostname(), "node_id": node_id, "log": LogMark.here().files}
    internal_kv._internal_kv_put(key, json.dumps(place), namespace=NAMESPACE)
    value, outcomes = None, []
    for kind, arguments in calls:
        own = own_arguments(arguments, shared)
        value, outcome = execute(kind, own, timeout_s, node_id=node_id, attempt=attempt, log=LogMark.here())
        outcomes.append(outcome)
    internal_kv._internal_kv_del(key, namespace=NAMESPACE)
    return value, outcomes


def own_arguments(arguments: tuple[Any, ...], shared: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a task's arguments with what it shares in place."""
    return tuple(shared[each.place] if isinstance(each, Shared) else each for each in arguments)


class Notes:
    """The notes of one driver's batches, which it numbers."""

    def __init__(self) -> None:
        self._prefix = f"{uuid.uuid4().hex}/"

    def name(self, number: int) -> str:
        """Return what to call a batch."""
        return f"{self._prefix}{number}"

    def started(self) -> dict[int, int]:
        """Return the numbers of the batches that run or were lost, each with its last try."""
        keys = internal_kv._internal_kv_list(self._prefix, namespace=NAMESPACE)
        tries = [key.decode().split("/")[1:] for key in keys]
        return dict(sorted((int(number), int(attempt)) for number, attempt in tries))

    def place(self, number: int) -> tuple[str | None, str | None]:
        """Return the host of a batch that was lost, and the end of its log; None where that is not known."""
        attempt = self.started().get(number)
        text = internal_kv._internal_kv_get(f"{self.name(number)}/{attempt}", namespace=NAMESPACE)
        if text is None:
            return None, None
        note = json.loads(text)
        there = NodeAffinitySchedulingStrategy(note["node_id"], soft=False)
        read = ray.remote(LogMark.tail).options(num_cpus=0, scheduling_strategy=there)
        log_tail = None
        with suppress(RayError):  # the node is gone, too
            log_tail = ray.get(read.remote(LogMark(tuple(map(tuple, note["log"])))), timeout=LOG_TIMEOUT_S)
        return note["hostname"], log_tail

    def clear(self) -> None:
        """Remove what lost batches have left."""
        internal_kv._internal_kv_del(self._prefix, del_by_prefix=True, namespace=NAMESPACE)


def _attempt() -> int | None:
    """Return how often Ray has tried the running task before; None if this Ray does not tell.

    The number has no public name (Ray 2.52 to 2.60), hence the look behind the scenes.
    """
    worker = getattr(ray._private.worker.global_worker, "core_worker", None)
    attempt = getattr(worker, "get_current_task_attempt_number", None)
    return None if attempt is None else int(attempt())
