"""What runs in Ray's workers: batches of tasks, and the notes that they leave in Ray's key-value store.

A note says that a batch runs and where its log is. It is gone when the batch has ended, unless its process was
lost: then the note tells where.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.experimental import internal_kv
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distmarl.study.kinds.base import TaskResult
from distmarl.sweep.executors.execution import Outcome, execute
from distmarl.sweep.executors.task_log import LogMark

_T = TypeVar("_T")

NAMESPACE = b"distmarl"
LOG_TIMEOUT_S = 10.0
LOOK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Shared:
    """Stands for an argument that tasks of a batch share: its place among them."""

    place: int


Call: TypeAlias = tuple[Callable[..., TaskResult], tuple[Any, ...]]


def run_batch(name: str, calls: list[Call], timeout_s: float | None, *shared: Any) -> tuple[Any, list[Outcome]]:
    """Run tasks one after the other; return the last one's value, and all outcomes.

    Parameters
    ----------
    name : str
        Names the batch, from ``Notes.name``.
    calls : list of (callable, tuple)
        The function of each task, and its arguments.
    timeout_s : float or None
        Deadline of each task.
    *shared
        What the tasks share.
    """
    node_id, attempt = ray.get_runtime_context().get_node_id(), _attempt()
    key = f"{name}/{attempt or 0}"
    place = {"hostname": socket.gethostname(), "node_id": node_id, "process": os.getpid(), "log": LogMark.here().files}
    internal_kv._internal_kv_put(key, json.dumps(place), namespace=NAMESPACE)
    value, outcomes = None, []
    for function, arguments in calls:
        own = own_arguments(arguments, shared)
        value, outcome = execute(function, own, timeout_s, node_id=node_id, attempt=attempt, log=LogMark.here())
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
        note = self._read(number)
        if note is None:
            return None, None
        log_tail = None
        with suppress(RayError):  # the node is gone, too
            mark = LogMark(tuple(map(tuple, note["log"])))
            log_tail = ray.get(_ask(note, LogMark.tail, mark), timeout=LOG_TIMEOUT_S)
        return note["hostname"], log_tail

    def is_running(self, number: int) -> bool:
        """Return whether a batch has started and its process was not lost since; True where its node does not say.

        One whose process was lost leaves its note until Ray has found a place to try it again.
        """
        answer = self.ask_for_process(number)
        try:
            return answer is not None and ray.get(answer, timeout=LOOK_TIMEOUT_S)
        except GetTimeoutError:
            return True
        except RayError:  # the node went while it was asked
            return False

    def ask_for_process(self, number: int) -> ray.ObjectRef[bool] | None:
        """Ask the node of a batch whether its process is still there; None where no such node is left."""
        note = self._read(number)
        if note is None or note["node_id"] not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:
            return None
        return _ask(note, is_there, note["process"])

    def clear(self) -> None:
        """Remove what lost batches have left."""
        internal_kv._internal_kv_del(self._prefix, del_by_prefix=True, namespace=NAMESPACE)

    def _read(self, number: int) -> dict[str, Any] | None:
        """Return the note of a batch's last try."""
        attempt = self.started().get(number)
        text = internal_kv._internal_kv_get(f"{self.name(number)}/{attempt}", namespace=NAMESPACE)
        return None if text is None else json.loads(text)


def is_there(process: int) -> bool:
    """Return whether a process of this machine lives."""
    with suppress(ProcessLookupError, PermissionError):  # gone, or the number is somebody else's by now
        os.kill(process, 0)
        return True
    return False


def _ask(note: dict[str, Any], function: Callable[..., _T], *arguments: Any) -> ray.ObjectRef[_T]:
    """Call a function on the node of a note."""
    there = NodeAffinitySchedulingStrategy(note["node_id"], soft=False)
    remote = ray.remote(function).options(num_cpus=0, scheduling_strategy=there)
    return cast("ray.ObjectRef[_T]", remote.remote(*arguments))


def _attempt() -> int | None:
    """Return how often Ray has tried the running task before; None if this Ray does not tell.

    The number has no public name (Ray 2.52 to 2.60), hence the look behind the scenes.
    """
    worker = getattr(ray._private.worker.global_worker, "core_worker", None)
    attempt = getattr(worker, "get_current_task_attempt_number", None)
    return None if attempt is None else int(attempt())
