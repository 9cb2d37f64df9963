"""The tasks that wait for nothing but a slot."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from distmarl.sweep.executors.executor import Task


class ReadyTasks:
    """A queue of tasks, the most urgent first and of these the costliest.

    Tasks come in groups, which are unfolded one task at a time: a hundred thousand evaluations
    take no memory before their turn.
    """

    def __init__(self) -> None:
        self._groups: list[tuple[int, float, int, Iterator[Task]]] = []
        self._order = itertools.count()
        self._n_tasks: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._n_tasks.total()

    @property
    def next_urgency(self) -> int:
        """The largest urgency of a task that waits."""
        return max(+self._n_tasks)

    def n_of(self, urgency: int) -> int:
        """Return how many tasks there are of one urgency."""
        return self._n_tasks[urgency]

    def add(self, tasks: Iterable[Task], n_tasks: int, *, urgency: int, cost: float) -> None:
        """Add a group of tasks of one cost; of equal costs the group that came first goes first."""
        if n_tasks:
            heapq.heappush(self._groups, (-urgency, -cost, next(self._order), iter(tasks)))
            self._n_tasks[urgency] += n_tasks

    def take(self) -> Task:
        """Remove the next task and return it."""
        while True:
            urgency, *_, tasks = self._groups[0]
            task = next(tasks, None)
            if task is not None:
                self._n_tasks[-urgency] -= 1
                return task
            heapq.heappop(self._groups)
