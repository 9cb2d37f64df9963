"""Executors for which no task computes anything: on a virtual clock, and on a real Ray where tasks sleep."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from distmarl.results.storage.opening import open_location
from distmarl.results.store import Store
from distmarl.results.tables import EVALUATIONS
from distmarl.study.kinds.kind import TaskKey
from distmarl.study.plan import Plan
from distmarl.sweep.executors.execution import Call, Outcome
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.executors.ray_worker import own_arguments
from tests.sweep.sweeps import TINY, changed, plan_of

Durations = Callable[[TaskKey], float]


class VirtualExecutor(Executor):
    """Runs batches on slots of a clock of its own: first come, first served, as Ray does.

    Parameters
    ----------
    n_slots : int
        Batches that run at the same time.
    durations : callable
        Seconds that a task takes.
    starts_per_s : float
        Batches that can be started in a second, infinitely many by default.
    """

    def __init__(self, n_slots: int, durations: Durations, starts_per_s: float = float("inf")) -> None:
        self.now = 0.0
        self.work = 0.0
        self.n_batches = 0
        self._n_slots = n_slots
        self._durations = durations
        self._start_s = 1 / starts_per_s
        self._next_start = 0.0
        self._order = itertools.count()
        self._waiting: deque[tuple[Task, ...]] = deque()
        self._running: list[tuple[float, int, tuple[Task, ...]]] = []

    @property
    def n_slots(self) -> int:
        return self._n_slots

    @property
    def largest_node_cpus(self) -> int:
        return self._n_slots

    @property
    def largest_node_memory(self) -> int:
        return 2**63

    @property
    def description(self) -> str:
        return f"{self._n_slots} slots of a virtual clock"

    @property
    def n_in_flight(self) -> int:
        return len(self._waiting) + len(self._running)

    def put(self, value: Any) -> Any:
        return value

    def submit(self, *batch: Task) -> None:
        self._waiting.append(batch)
        self._start()

    def next_completed(self, timeout_s: float) -> list[Completed]:  # noqa: ARG002
        self.now, _, batch = heapq.heappop(self._running)
        self._start()
        return [Completed(task, outcome_of(task.key, self._durations(task.key))) for task in batch]

    def close(self) -> None:
        self._waiting.clear()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._n_slots:
            batch = self._waiting.popleft()
            seconds = sum(self._durations(task.key) for task in batch)
            self._next_start = max(self.now, self._next_start) + self._start_s
            heapq.heappush(self._running, (self._next_start + seconds, next(self._order), batch))
            self.work += seconds
            self.n_batches += 1


def outcome_of(key: TaskKey, seconds: float) -> Outcome:
    """Return what a task that took so long could have yielded: an evaluation's row, nothing else."""
    timing = {
        "seconds": seconds,
        "cpu_seconds": seconds,
        "peak_memory_bytes": 0,
        "hostname": "",
        "node_id": None,
        "pid": 0,
        "attempt": 0,
        "started_at": datetime.now(timezone.utc),
    }
    if key.kind != "evaluate":
        return Outcome({}, None, timing)
    row = dict.fromkeys(EVALUATIONS.schema.names) | key.columns() | {"returns": [float(key.seed or 0)] * 50}
    del row["task"]
    return Outcome({"evaluations": [row]}, None, timing)


def realistic_durations(plan: Plan, seconds: float, seed: int = 0) -> Durations:
    """Return durations that grow with k as training does and scatter by a quarter; evaluations take a twentieth."""
    largest = max(job.n_count_vectors(plan.k_values[-1]) for job in plan.jobs) * plan.k_values[-1]
    jobs = {job.setting_id: job for job in plan.jobs}

    def duration(key: TaskKey) -> float:
        scatter = random.Random(f"{seed} {key}").uniform(0.75, 1.25)
        if key.kind == "evaluate":
            return scatter * seconds / 20
        job = jobs[key.setting_id]
        k = job.setting.reference_k if key.k is None else key.k
        share = job.n_count_vectors(k) * k / largest
        return scatter * seconds * (share + 0.01) * (3 if key.kind == "shared_policy" else 1)

    return duration


def bound(plan: Plan, durations: Durations, n_slots: int) -> float:
    """Return what no schedule can beat: max(critical path, total work / slots)."""
    work, path = 0.0, 0.0
    for job in plan.jobs:
        shared = durations(TaskKey("shared_policy", job.setting_id))
        work += shared
        for k in plan.k_values:
            trained = durations(TaskKey("g_learn", job.setting_id, k))
            seeds = [durations(TaskKey("evaluate", job.setting_id, k, seed)) for seed in range(plan.n_eval_seeds)]
            work += trained + sum(seeds)
            path = max(path, shared + trained + max(seeds))
    return max(path, work / n_slots)


def simulated_batch(durations: Durations) -> Callable[..., Any]:
    """Return what a Ray worker runs in place of ``run_batch``: tasks that only sleep."""

    def run_batch(_name: str, calls: list[Call], _timeout_s: Any, *shared: Any, has_values: bool) -> Any:
        outcomes = []
        for call in calls:
            _, key, *_ = own_arguments(call.arguments, shared)
            seconds = durations(key)
            time.sleep(seconds)
            outcomes.append(outcome_of(key, seconds))
        return (*[None] * len(calls), outcomes) if has_values else outcomes

    return run_batch


class NoStore(Store):
    """Keeps nothing."""

    def __init__(self) -> None:
        super().__init__(open_location(Path()))

    def keys(self, _table: Any, columns: Any = None) -> set[Any]:  # noqa: ARG002
        return set()

    def rows(self, _table: Any, **_key: Any) -> list[Any]:
        return []

    def replace(self, table: Any, rows: Any) -> None: ...

    def commit(self, task: str, rows: Any) -> None: ...

    def publish(self, *, force: bool = False) -> None: ...


def settings_of_seeds(n_settings: int, k_values: Sequence[int] = (1, 2, 4, 8, 16, 25), n_eval_seeds: int = 10) -> Plan:
    """Return a sweep of settings that differ in their seed."""
    sections: dict[str, dict[str, Any]] = {
        "environment": {"n_agents": 50},
        "experiment": {"k_values": list(k_values), "n_eval_seeds": n_eval_seeds},
        "runner": {"cpus_per_train": 1},
    }
    return plan_of({**changed(TINY, **sections), "grid": {"experiment.seed": list(range(n_settings))}})
