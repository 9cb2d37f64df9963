"""When a sweep will end: what is left of it, on the workers that there are."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskGroup, TaskKey
from distmarl.study.pending import Pending
from distmarl.sweep.estimates.costs import Costs

# A task that has run longer than it should is expected to take this share of its time more.
OVERDUE_SHARE = 0.1


class Forecast:
    """Predicts how long the rest of a session takes.

    The tasks that are left are scheduled as the driver does, the longest first, on the slots that there are; the
    evaluations fill the gaps.

    Parameters
    ----------
    pending : Pending
        What is missing of the sweep.
    costs : Costs
        What tasks take; it learns from those that complete.
    cpus_per_train : int
        Cores that each training takes.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(
        self,
        pending: Pending,
        costs: Costs,
        *,
        cpus_per_train: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.costs = costs
        self._cpus_per_train = cpus_per_train
        self._clock = clock
        self._needed = pending.needed
        self._left = {group: len(seeds) for group, seeds in pending.missing.items()}
        self._followers: dict[TaskGroup, list[TaskGroup]] = defaultdict(list)
        for group in self._left:
            if (needed := pending.needed(group)) is not None:
                self._followers[needed].append(group)
        self._n_cpus: dict[TaskGroup, int] = {}
        # Beside the evaluations: what is in line, and what is taken to run, since when.
        self._in_line: dict[TaskGroup, None] = {}
        self._started_at: dict[TaskGroup, float] = {}
        self.n_slots = 1

    def submitted(self, key: TaskKey, n_cpus: int) -> None:
        """Learn that a task was submitted, and how many cores it takes."""
        if not KINDS[key.kind].is_short:
            group = key.group
            self._n_cpus[group] = n_cpus
            self._in_line[group] = None
            self._start()

    def completed(self, key: TaskKey, timing: Mapping[str, Any], *, failed: bool) -> None:
        """Learn that a task is done, or that it failed and with it what needs it."""
        group = key.group
        self._in_line.pop(group, None)
        self._started_at.pop(group, None)
        self._start()
        if failed:
            self._drop_what_needs(group)
        elif timing:
            self.costs.learn(key, timing)
        if self._left.get(group, 0) > 1:
            self._left[group] -= 1
        else:
            self._left.pop(group, None)

    def _drop_what_needs(self, group: TaskGroup) -> None:
        """Leave out what cannot run any more."""
        for follower in self._followers.pop(group, ()):
            self._left.pop(follower, None)
            self._drop_what_needs(follower)

    def _start(self) -> None:
        """Take what is first in line to run on the free slots."""
        while self._in_line and len(self._started_at) < self.n_slots:
            group = next(iter(self._in_line))
            del self._in_line[group]
            self._started_at[group] = self._clock()

    def remaining_s(self) -> float:
        """Return the seconds until everything is done."""
        schedule = _Schedule(self.n_slots)
        now = self._clock()
        for group in self._left:
            if self._needed(group) in self._left:
                continue  # it follows
            if group in self._started_at:
                seconds, width = self._expected(group)
                seconds = max(seconds - (now - self._started_at[group]), OVERDUE_SHARE * seconds)
                schedule.start(group, seconds, width)
                if self._left[group] > 1:  # of several starts
                    schedule.add(group, *self._expected(group), self._left[group] - 1)
            else:
                schedule.add(group, *self._expected(group), self._left[group])
        left = dict(self._left)
        for group in schedule.ended():
            left[group] -= 1
            for follower in self._followers.get(group, ()) if not left[group] else ():
                if follower in self._left:
                    schedule.add(follower, *self._expected(follower), self._left[follower])
        return schedule.makespan

    def expected_s(self, group: TaskGroup) -> float:
        """Return the seconds that one of these tasks takes."""
        return self._expected(group)[0]

    def _expected(self, group: TaskGroup) -> tuple[float, int]:
        """Return the seconds that one of these tasks takes, and on how many slots."""
        n_cpus = self._cpus_per_train if KINDS[group.kind].has_threads else 1
        width = min(self._n_cpus.get(group, n_cpus), max(1, self.n_slots))
        return self.costs.seconds(group.kind, group.setting_id, group.k) / width, width


class _Schedule:
    """Tasks on slots, the longest first; evaluations are work that fits in anywhere."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = self._n_free = max(1, n_slots)
        self._running: list[tuple[float, int, TaskGroup]] = []
        self._ready: list[tuple[float, int, TaskGroup]] = []
        self._now = self._latest = self._work = 0.0

    @property
    def makespan(self) -> float:
        """When everything has ended, as far as it was looked at."""
        return max(self._latest, self._work / self._n_slots)

    def start(self, group: TaskGroup, seconds: float, width: int) -> None:
        """Run a task now."""
        self._n_free -= width
        self._work += seconds * width
        self._latest = max(self._latest, self._now + seconds)
        heapq.heappush(self._running, (self._now + seconds, width, group))

    def add(self, group: TaskGroup, seconds: float, width: int, number: int) -> None:
        """Run tasks as soon as there is a slot for them."""
        if KINDS[group.kind].is_short:
            self._work += seconds * number
            self._latest = max(self._latest, self._now + seconds)
        else:
            for _ in range(number):
                heapq.heappush(self._ready, (-seconds, width, group))

    def ended(self) -> Iterator[TaskGroup]:
        """Yield the tasks as they end."""
        self._fill()
        while self._running:
            self._now, width, group = heapq.heappop(self._running)
            self._n_free += width
            yield group
            self._fill()

    def _fill(self) -> None:
        while self._ready and (self._n_free >= self._ready[0][1] or not self._running):
            seconds, width, group = heapq.heappop(self._ready)
            self.start(group, -seconds, width)
