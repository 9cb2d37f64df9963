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
        # Of each group: urgency and cost (negative: the smallest comes first), order, the next task, those after it.
        self._groups: list[tuple[int, float, int, list[Task], Iterator[Task]]] = []
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
            heapq.heappush(self._groups, (-urgency, -cost, next(self._order), [], iter(tasks)))
            self._n_tasks[urgency] += n_tasks

    def take(self) -> Task:
        """Remove the next task and return it."""
        upcoming = self._upcoming()
        self._n_tasks[-self._groups[0][0]] -= 1
        return upcoming.pop()

    def take_like(self, task: Task, n_tasks: int) -> Iterator[Task]:
        """Remove up to so many more tasks of a task's kind that ask for as many cores, and yield them."""
        for _ in range(min(n_tasks, len(self))):
            (other,) = self._upcoming()
            if (other.key.kind, other.n_cpus) != (task.key.kind, task.n_cpus):
                return
            yield self.take()

    def _upcoming(self) -> list[Task]:
        """Return where the next task lies, by itself."""
        while True:
            *_, upcoming, tasks = self._groups[0]
            if not upcoming:
                upcoming += itertools.islice(tasks, 1)
            if upcoming:
                return upcoming
            heapq.heappop(self._groups)
