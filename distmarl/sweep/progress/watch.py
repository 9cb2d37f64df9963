"""What there is to see of a running sweep: how far it is, when it will end, what came in last."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.progress.tally import Tally
from distmarl.wording import TIME_UNITS, duration, mebibytes

# The end is worked out anew so often, and for at most this share of the time.
FORECAST_EVERY_S = 0.5
FORECAST_SHARE = 0.02
# Throughput is that of so many tasks, the last.
N_TIMED = 200
NEAR = timedelta(hours=12)
# A task is overdue once it has run for so many times what was expected, and so long besides.
OVERDUE_FACTOR, OVERDUE_S = 2.0, 30.0


class Watch:
    """Is told what the driver does, and keeps what people want to know.

    What a display reads may be read from another thread.

    Parameters
    ----------
    forecast : Forecast
        Predicts the end.
    labels : dict of str to str
        What to call each setting; empty where there is only one.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(
        self, forecast: Forecast, labels: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._forecast = forecast
        self._labels = labels
        self._clock = clock
        self._made_at = self._started_at = clock()
        self._ended_at: deque[float] = deque(maxlen=N_TIMED)
        self._in_flight: dict[TaskKey, float | None] = {}  # when it was first taken to run, if it is
        self._look_at = -float("inf")
        self._end_at: float | None = None
        self.n_slots = self.n_nodes = 1
        self.n_ended = 0
        self.last: tuple[str, str] | None = None  # the label of a setting, and what came of a task
        self.tally = Tally(Counter())

    def start(self, tally: Tally) -> None:
        """Begin: what is done in how long is counted from here."""
        self.tally = tally
        self._started_at = self._clock()

    def look(self, n_slots: int, n_nodes: int) -> None:
        """Learn what there is to run tasks on, and work out the end."""
        now = self._clock()
        self.n_slots, self.n_nodes = n_slots, n_nodes
        for key in self._running():
            if self._in_flight.get(key, now) is None:
                self._in_flight[key] = now
        if now >= self._look_at:
            self._forecast.n_slots = n_slots
            self._end_at = now + self._forecast.remaining_s()
            self._look_at = now + max(FORECAST_EVERY_S, (self._clock() - now) / FORECAST_SHARE)

    def submitted(self, key: TaskKey, n_cpus: int) -> None:
        """Learn that a task was submitted."""
        self._in_flight[key] = None
        self._forecast.submitted(key, n_cpus)

    def completed(self, key: TaskKey, outcome: Outcome) -> None:
        """Learn what became of a task."""
        self._in_flight.pop(key, None)
        self._forecast.completed(key, outcome.timing, failed=outcome.failure is not None)
        self.n_ended += 1
        self._ended_at.append(self._clock())
        if outcome.failure is None:
            results = ", ".join(KINDS[key.kind].results(outcome.rows, outcome.timing["seconds"]))
            self.last = (
                self._labels.get(key.setting_id, ""),
                ": ".join(part for part in (_numbers(key), results) if part),
            )

    def running(self) -> dict[str, list[str]]:
        """Return by kind the names of the tasks that run, as far as that is known: those submitted first."""
        names: dict[str, list[str]] = {}
        for key in self._running():
            names.setdefault(key.kind, []).append(_numbers(key) or self._labels.get(key.setting_id) or "running")
        return names

    def _running(self) -> list[TaskKey]:
        return list(self._in_flight)[: self.n_slots]

    @property
    def overdue(self) -> str:
        """Which task has run far longer than expected, and since when; nothing where none has."""
        late = list(self._overdue())
        if not late:
            return ""
        seconds, key = max(late, key=lambda each: each[0])
        label = self._labels.get(key.setting_id, "")
        name = " ".join(part for part in (KINDS[key.kind].noun, _numbers(key), f"({label})" if label else "") if part)
        since = (datetime.now(timezone.utc) - timedelta(seconds=seconds)).astimezone()
        expected = duration(float(self._forecast.expected_s(key.group)))
        more = f"; {len(late) - 1:,} more overdue" if len(late) > 1 else ""
        return f"overdue: {name}, runs since {since:%H:%M:%S} ({duration(round(seconds))}), expected {expected}{more}"

    def _overdue(self) -> Iterator[tuple[float, TaskKey]]:
        """Yield tasks that have run far longer than expected, and for how long."""
        now = self._clock()
        for key in self._running():
            started_at = self._in_flight.get(key)
            seconds = 0.0 if started_at is None else now - started_at
            if seconds > OVERDUE_S and seconds > OVERDUE_S + OVERDUE_FACTOR * self._forecast.expected_s(key.group):
                yield seconds, key

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made, just before a Ray was started: tasks run meanwhile."""
        return self._clock() - self._made_at

    @property
    def time_left(self) -> str:
        """How long it will take yet, and until when; nothing where a task that is overdue has taken longer already."""
        if self._end_at is None:
            return ""
        left_s = max(0.0, self._end_at - self._clock())
        if left_s < max((seconds for seconds, _ in self._overdue()), default=0.0):
            return ""
        end = (datetime.now(timezone.utc) + timedelta(seconds=left_s)).astimezone()  # the clock may change meanwhile
        until = f"{end:%H:%M}" if timedelta(seconds=left_s) < NEAR else f"{end:%a %d %b %H:%M}"
        return f"about {duration(max(1, round(left_s)))} left, until {until}"

    @property
    def throughput(self) -> str:
        """Tasks per second, minute or hour."""
        if len(self._ended_at) < 2:
            return ""
        since = self._ended_at[0] if self.n_ended > N_TIMED else self._started_at
        per_s = len(self._ended_at) / max(1e-9, self._clock() - since)
        rates = {unit: per_s * TIME_UNITS[unit] for unit in ("s", "min", "h")}
        unit = next((unit for unit, rate in rates.items() if rate >= 1), "h")
        return f"{rates[unit]:,.{0 if rates[unit] >= 10 else 1}f} tasks/{unit}"


def resident_memory() -> str:
    """Return the memory that this process takes; nothing where the system does not tell."""
    if sys.platform != "linux":
        return ""
    return mebibytes(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def _numbers(key: TaskKey) -> str:
    """Return what tells a task from others of its setting: ``k=3 seed=1``."""
    return " ".join(f"{name}={value}" for name, value in key.numbers)
