"""Doing what comes first in this process while a Ray starts.

A Ray of one machine takes seconds to start, most of them waiting, and the first tasks that it would get are those that
all others wait for. They run here meanwhile, one after the other in a thread; what has not begun when Ray is there runs
on Ray.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from distmarl.study.kinds import KINDS, has_followers
from distmarl.study.kinds.kind import TaskKey
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan
from distmarl.sweep.estimates.requests import memory_request
from distmarl.sweep.executors.execution import Call, Outcome, Place, execute
from distmarl.sweep.executors.executor import Completed, Executor, Task

# A task that takes longer had better wait for Ray, where it gets all idle cores.
MAX_SECONDS = 5.0
# How long to wait for Ray's tasks before a look at what runs here.
LOOK_EVERY_S = 0.05


class HeadStart:
    """Runs tasks that need no others, until it is told that there is somebody else to do so.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    pending : Pending
        What is left of it.
    """

    def __init__(self, plan: Plan, pending: Pending) -> None:
        self._calls = _first_calls(plan, pending)
        self._changed = threading.Condition()
        self._has_begun = self._is_over = False
        self._done: dict[TaskKey, tuple[Any, Outcome] | None] = {}  # None while it runs

    def begin(self) -> None:
        """Begin with the first task, unless that was done before."""
        if not self._has_begun:
            self._has_begun = True
            threading.Thread(target=self._run, name="head start", daemon=True).start()

    def end(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._is_over = True

    def has(self, key: TaskKey) -> bool:
        """Return whether a task was begun and not taken."""
        return key in self._done

    def take(self, key: TaskKey, timeout_s: float) -> tuple[Any, Outcome] | None:
        """Return the value and the outcome of a task that was begun; None if it does not end in so many seconds."""
        with self._changed:
            if self._changed.wait_for(lambda: self._done[key] is not None, timeout_s):
                return self._done.pop(key)
            return None

    def _run(self) -> None:
        for key, call in self._calls:
            with self._changed:
                if self._is_over:
                    return
                self._done[key] = None
            done = execute(call.function, call.arguments, Place(timeout_s=None))
            with self._changed:
                self._done[key] = done
                self._changed.notify_all()


class AheadExecutor(Executor):
    """Hands back what a head start has done, and leaves everything else to another executor.

    Parameters
    ----------
    head_start : HeadStart
        Which has ended: it begins nothing more.
    executor : Executor
        Runs the rest.
    """

    def __init__(self, head_start: HeadStart, executor: Executor) -> None:
        self._head_start = head_start
        self._executor = executor
        self._here: list[Task] = []  # submitted, and begun by the head start
        self.batch_seconds, self.runs_here = executor.batch_seconds, executor.runs_here

    @property
    def n_slots(self) -> int:
        """How many tasks of one core can run at the same time."""
        return self._executor.n_slots

    @property
    def n_nodes(self) -> int:
        """How many nodes they run on."""
        return self._executor.n_nodes

    @property
    def largest_node_cpus(self) -> int:
        """How many cores a single task can get."""
        return self._executor.largest_node_cpus

    @property
    def largest_node_memory(self) -> int:
        """How many bytes of memory a single task can get."""
        return self._executor.largest_node_memory

    @property
    def description(self) -> str:
        """Where the tasks run, for people."""
        return self._executor.description

    @property
    def resources(self) -> dict[str, Any]:
        """What there is to run tasks with, for the provenance."""
        return self._executor.resources

    @property
    def max_in_flight(self) -> int:
        """How many submitted batches keep every slot busy."""
        return self._executor.max_in_flight

    @property
    def n_in_flight(self) -> int:
        """How many submitted batches have not been handed back."""
        return len(self._here) + self._executor.n_in_flight

    def put(self, value: Any) -> Any:
        """Store a value once and return a handle that tasks take as an argument."""
        return self._executor.put(value)

    def submit(self, *batch: Task) -> None:
        """Start tasks, but for those that were begun."""
        self._here += [task for task in batch if self._head_start.has(task.key)]
        if others := [task for task in batch if not self._head_start.has(task.key)]:
            self._executor.submit(*others)

    def next_completed(self, timeout_s: float) -> list[Completed]:
        """Wait for submitted tasks, here and there."""
        if not self._here:
            return self._executor.next_completed(timeout_s)
        others = self._executor.n_in_flight
        completed: list[Completed] = []
        for task in [*self._here]:
            if done := self._head_start.take(task.key, 0.0 if others or completed else timeout_s):
                value, outcome = done
                self._here.remove(task)
                handle = self._executor.put(value) if has_followers(task.key.kind) and not outcome.failure else None
                completed.append(Completed(task, outcome, handle))
        return completed or (self._executor.next_completed(min(timeout_s, LOOK_EVERY_S)) if others else [])

    def why_nothing_starts(self) -> str | None:
        """Return why none of the submitted tasks is running, if none is."""
        return None if self._here else self._executor.why_nothing_starts()

    def close(self) -> None:
        """Give up what still runs and free what was started."""
        self._head_start.end()
        self._executor.close()


def _first_calls(plan: Plan, pending: Pending) -> Iterator[tuple[TaskKey, Call]]:
    """Yield the missing tasks that others wait for and that wait for none, short and small ones."""
    for group, seeds in pending.missing.items():
        kind, job = KINDS[group.kind], plan.by_id[group.setting_id]
        is_first = pending.needed(group) is None and has_followers(kind.name)
        if is_first and kind.seconds(job, group.k) <= MAX_SECONDS and not memory_request(kind.n_bytes(job, group.k, 1)):
            for seed in seeds:
                key = group.task(seed)
                yield key, Call(kind.run, (job, key, 1))
