"""Running tasks in this process, which needs no Ray and can be looked into with a debugger."""

from __future__ import annotations

from collections import deque
from typing import Any

from distmarl.sweep.estimates.machine import machine_memory
from distmarl.sweep.executors.execution import Place, execute_batch
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.guards.guard import Guard


class SerialExecutor(Executor):
    """Runs tasks one after the other in this process.

    Parameters
    ----------
    task_timeout_s : float or None
        Deadline of each task.
    guard : Guard, optional
        Ends this process where a task hears nothing.
    """

    batch_seconds = 0.2
    runs_here = True

    def __init__(self, task_timeout_s: float | None = None, guard: Guard | None = None) -> None:
        self._task_timeout_s = task_timeout_s
        self._guard = guard
        self._waiting: deque[tuple[Task, ...]] = deque()

    @property
    def n_slots(self) -> int:
        """One."""
        return 1

    @property
    def largest_node_cpus(self) -> int:
        """One: more threads would change nothing but the time."""
        return 1

    @property
    def largest_node_memory(self) -> int:
        """What the machine has."""
        return machine_memory()

    @property
    def max_in_flight(self) -> int:
        """One: the next task is chosen when the last is done."""
        return 1

    @property
    def n_in_flight(self) -> int:
        """How many batches wait."""
        return len(self._waiting)

    @property
    def description(self) -> str:
        """Where the tasks run."""
        return "this process, one task at a time"

    def put(self, value: Any) -> Any:
        """Return the value itself."""
        return value

    def submit(self, *batch: Task) -> None:
        """Queue tasks."""
        self._waiting.append(batch)

    def next_completed(self, timeout_s: float) -> list[Completed]:  # noqa: ARG002  # it never waits
        """Run the batch that has waited longest."""
        batch = self._waiting.popleft()
        place = Place(self._task_timeout_s, watching=self._guard.watching if self._guard else None)
        try:
            done = execute_batch([task.call for task in batch], place)
        except KeyboardInterrupt:
            if self._guard is not None:
                self._guard.rest()  # the signal may have come while it was told
            raise
        return [Completed(task, outcome, value) for task, (value, outcome) in zip(batch, done, strict=True)]

    def close(self) -> None:
        """Forget what has not run."""
        self._waiting.clear()
        if self._guard is not None:
            self._guard.close()
