"""The notes that batches leave in Ray's key-value store, and what their driver learns from them.

A note says that a batch runs and where its log is. It is gone when the batch has ended, unless its process was
lost: then the note tells where. Where Ray keeps no notes, nothing is known of a batch until it has ended.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from distmarl.results.storage.processes import is_running
from distmarl.sweep.executors import ray_private
from distmarl.sweep.executors.task_log import LogMark

_T = TypeVar("_T")

LOG_TIMEOUT_S = 30.0


@contextmanager
def noted(name: str | None, attempt: int | None, node_id: str) -> Iterator[None]:
    """Leave a note of the batch that runs in the block, if it has a name."""
    key = f"{name}/{attempt or 0}"
    if name is not None:
        place = {"hostname": socket.gethostname(), "node_id": node_id, "process": os.getpid()}
        ray_private.put(key, json.dumps({**place, "log": LogMark.here().files}))
    yield
    if name is not None:
        ray_private.delete(key)


class Notes:
    """The notes of one driver's batches, which it numbers.

    Attributes
    ----------
    are_kept : bool
        Whether there are any.
    """

    def __init__(self) -> None:
        self.are_kept = ray_private.keeps_notes()
        self._prefix = f"{uuid.uuid4().hex}/"

    def name(self, number: int) -> str | None:
        """Return what to call a batch; None where no note is kept."""
        return f"{self._prefix}{number}" if self.are_kept else None

    def started(self) -> dict[int, int]:
        """Return the numbers of the batches that run or were lost, each with its last try."""
        keys = ray_private.keys(self._prefix) if self.are_kept else []
        tries = [key.split("/")[1:] for key in keys]
        return dict(sorted((int(number), int(attempt)) for number, attempt in tries))

    def place(self, number: int) -> tuple[str | None, str | None]:
        """Return the host of a batch that was lost, and the end of its log; None where that is not known."""
        note = self._read(number)
        if note is None:
            return None, None
        mark = LogMark(tuple(map(tuple, note["log"])))
        if note["hostname"] == socket.gethostname() and mark.is_readable():
            return note["hostname"], mark.tail()
        log_tail = None
        with suppress(RayError):  # the node is gone, too
            log_tail = ray.get(_ask(note, LogMark.tail, mark), timeout=LOG_TIMEOUT_S)
        return note["hostname"], log_tail

    def ask_for_process(self, number: int) -> ray.ObjectRef[bool] | None:
        """Ask the node of a batch whether its process is still there; None where no such node is left."""
        note = self._read(number)
        if note is None or note["node_id"] not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:
            return None
        return _ask(note, is_running, note["process"])

    def clear(self) -> None:
        """Remove what lost batches have left."""
        if self.are_kept:
            ray_private.delete(self._prefix, by_prefix=True)

    def _read(self, number: int) -> dict[str, Any] | None:
        """Return the note of a batch's last try."""
        attempt = self.started().get(number)
        text = None if attempt is None else ray_private.get(f"{self.name(number)}/{attempt}")
        return None if text is None else json.loads(text)


def _ask(note: dict[str, Any], function: Callable[..., _T], *arguments: Any) -> ray.ObjectRef[_T]:
    """Call a function on the node of a note."""
    there = NodeAffinitySchedulingStrategy(note["node_id"], soft=False)
    remote = ray.remote(function).options(num_cpus=0, scheduling_strategy=there)
    return cast("ray.ObjectRef[_T]", remote.remote(*arguments))
