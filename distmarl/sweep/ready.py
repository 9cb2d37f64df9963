"""The tasks that wait for nothing but a slot."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator

from distmarl.sweep.executors.executor import Task


class ReadyTasks:
    """A queue of tasks, the costliest first.

    Tasks come in groups, which are unfolded one task at a time: a hundred thousand evaluations
    take no memory before their turn.
    """

    def __init__(self) -> None:
        self._groups: list[tuple[float, int, Iterator[Task]]] = []
        self._order = itertools.count()
        self._n_tasks = 0

    def __len__(self) -> int:
        return self._n_tasks

    def add(self, tasks: Iterable[Task], n_tasks: int, cost: float) -> None:
        """Add a group of tasks of one cost; of equal costs the group that came first goes first."""
        if n_tasks:
            heapq.heappush(self._groups, (-cost, next(self._order), iter(tasks)))
            self._n_tasks += n_tasks

    def take(self) -> Task:
        """Remove the next task and return it."""
        while True:
            task = next(self._groups[0][-1], None)
            if task is not None:
                self._n_tasks -= 1
                return task
            heapq.heappop(self._groups)
