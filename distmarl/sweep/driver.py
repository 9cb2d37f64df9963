"""The driver: decides what is to be run, in which order, and commits what comes back.

Per setting one task trains the shared local policy; then one trains the global policy for each
k; as soon as a k is trained, one evaluates each of its seeds. Nothing waits for more than it needs.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.results.schemas import (
    ALTERNATIONS,
    BASELINES,
    FAILURES,
    GLOBAL_POLICIES,
    LOCAL_POLICIES,
    TABLES,
    TIMINGS,
    TRAININGS,
)
from distmarl.results.store import Store
from distmarl.sweep.executor import Completed, Executor, Task
from distmarl.sweep.pending import find_pending
from distmarl.sweep.plan import Job, Plan, n_count_vectors_of
from distmarl.sweep.progress import Progress
from distmarl.sweep.tally import Tally
from distmarl.sweep.tasks import TaskKey

PUBLISH_EVERY_S = 20.0
# Batches get smaller towards the end of a phase: each slot is left this many.
BATCHES_PER_SLOT = 2
MIN_SECONDS = 1e-4
# A Nash gap takes about as long as so many values of the population.
N_VALUES_OF_A_GAP = 20


class Driver:
    """Runs a plan on an executor into a store.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    store : Store
        The tables, with whatever earlier sessions have left in them.
    executor : Executor
        Where tasks run.
    progress : Progress
        Whom to tell.
    """

    def __init__(self, plan: Plan, store: Store, executor: Executor, progress: Progress) -> None:
        self._plan = plan
        self._store = store
        self._executor = executor
        self._progress = progress
        self._jobs = {job.setting_id: job for job in plan.jobs}
        self._job_handles: dict[str, Any] = {}
        self._local_policies: dict[str, Any] = {}
        self._pending = find_pending(plan, store)
        self._ready: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._running: dict[TaskKey, Any] = {}  # the value of each batch, by the key of its first task
        self._evaluation_seconds = math.inf
        done = self._pending.done
        self.tally = Tally(total=Counter(plan.n_tasks), done=Counter(done), n_done_before=done.total())

    def run(self) -> Tally:
        """Run all that is missing and return the tally. What completes is committed at once."""
        self._store.replace(FAILURES, [])
        for name, job in self._jobs.items():
            if name in self._pending.shared_policies:
                n_cpus = self._cpus_of_shared_policy(job)
                self._push(TaskKey("shared_policy", name), (self._handle(job), n_cpus), cost=math.inf, n_cpus=n_cpus)
            else:
                self._resume(job)
        self._progress.start(self.tally, self._executor.description)
        published_at = time.monotonic()
        while self._ready or self._running:
            while self._ready and len(self._running) < self._executor.max_in_flight:
                batch = self._next_batch()
                self._running[batch[0].key] = self._executor.submit(*batch)
                for task in batch:
                    self._progress.submitted(task.key)
            self._take(self._executor.next_completed())
            if time.monotonic() - published_at > PUBLISH_EVERY_S:
                self._store.publish()
                published_at = time.monotonic()
        return self.tally

    def _resume(self, job: Job) -> None:
        """Go on with a setting whose shared local policy is in the store."""
        name = job.setting_id
        untrained = self._pending.trainings[name]
        unfinished = [k for k in self._plan.k_values if self._pending.is_unfinished(name, k) and k not in untrained]
        if not (unfinished or untrained or name in self._pending.baselines):
            return
        self._local_policies[name] = self._executor.put(self._stored_local_policy(job))
        self._push_trainings(job)
        for k, global_policy in self._stored_global_policies(job, unfinished).items():
            self._push_evaluations(job, k, self._executor.put(global_policy))

    def _next_batch(self) -> list[Task]:
        """Take the first task that is ready; short evaluations, which come last, are taken together."""
        batch = [heapq.heappop(self._ready)[-1]]
        if batch[0].key.kind == "evaluate":
            n_left_per_batch = len(self._ready) // (BATCHES_PER_SLOT * max(1, self._executor.n_slots))
            n_more = min(n_left_per_batch, int(self._executor.batch_seconds / self._evaluation_seconds) - 1)
            batch += [heapq.heappop(self._ready)[-1] for _ in range(n_more)]
        return batch

    def _take(self, batch: list[Completed]) -> None:
        """Commit what a batch yielded and make ready what waited for it."""
        value = self._running.pop(batch[0].task.key)
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for completed in batch:
            for table, table_rows in self._rows(completed).items():
                rows[table] += table_rows
        self._store.commit(_batch_name(batch), [(TABLES[table], table_rows) for table, table_rows in rows.items()])
        for completed in batch:
            key, outcome = completed.task.key, completed.outcome
            (self.tally.done if outcome.failure is None else self.tally.failed)[key.kind] += 1
            if outcome.failure is None:
                self._note_convergence(key, outcome.rows)
                self._follow_up(self._jobs[key.setting_id], key, value)
            self._progress.completed(key, outcome, self.tally)
        if batch[0].task.key.kind == "evaluate":
            seconds = [completed.outcome.timing["seconds"] for completed in batch if completed.outcome.timing]
            self._evaluation_seconds = max([MIN_SECONDS, *seconds])

    def _rows(self, completed: Completed) -> dict[str, list[dict[str, Any]]]:
        """Return what a task adds to the tables; the rows that make it done come last."""
        key, outcome = completed.task.key, completed.outcome
        name = {"sweep": self._jobs[key.setting_id].sweep, **key.columns()}
        rows: dict[str, list[dict[str, Any]]] = {}
        if outcome.timing:
            inner = [{**outcome.timing, "cpu_seconds": None, **row} for row in outcome.rows.get(TIMINGS.name, [])]
            rows[TIMINGS.name] = [{**name, **outcome.timing}, *inner]
        if outcome.failure is not None:
            return {**rows, FAILURES.name: [{**name, **asdict(outcome.failure)}]}
        return {**rows, **{table: table_rows for table, table_rows in outcome.rows.items() if table != TIMINGS.name}}

    def _follow_up(self, job: Job, key: TaskKey, value: Any) -> None:
        """Make ready what waited for a task."""
        if key.kind == "shared_policy":
            self._local_policies[job.setting_id] = value
            self._push_trainings(job)
        elif key.kind == "g_learn":
            assert key.k is not None
            self._push_evaluations(job, key.k, value)

    def _note_convergence(self, key: TaskKey, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Keep a line for each training that ended above its threshold."""
        trainings = [(row, "") for row in rows.get(TRAININGS.name, [])]
        trainings += [(row, side) for row in rows.get(ALTERNATIONS.name, []) for side in ("global_", "local_")]
        for row in rows.get(BASELINES.name, []):
            if not row["converged"]:
                self.tally.unconverged.append(f"{key}, {row['baseline']}: not certified to the threshold")
        for row, side in trainings:
            converged = row[f"{side}converged"]
            if converged is not None and not converged:
                where = f"{key}, outer iteration {row['iteration']}, {side.rstrip('_')} agent" if side else str(key)
                bound, n_iterations = row[f"{side}bound"], row[f"{side}n_iterations"]
                self.tally.unconverged.append(f"{where}: certified to {bound:.2g} only, after {n_iterations} sweeps")

    def _cpus_of_shared_policy(self, job: Job) -> int:
        """Return the cores for a shared policy: nothing else can run before them, so idle ones are lent."""
        asked = self._plan.sweep.runner.cpus_per_train
        if asked is not None:
            return asked
        share = self._executor.n_slots // len(self._pending.shared_policies)
        return max(1, min(share, self._executor.largest_node_cpus, job.environment.n_global_states))

    def _push_trainings(self, job: Job) -> None:
        """Make ready what rests on the shared local policy alone: the global policies and the baselines."""
        if job.setting_id in self._pending.baselines:
            experiment, method = self._plan.sweep.experiment, self._plan.sweep.evaluation.method
            options = (experiment.baselines, method, experiment.n_eval_seeds)
            arguments: tuple[Any, ...] = (self._handle(job), self._local_policies[job.setting_id], *options)
            self._push(TaskKey("baselines", job.setting_id), arguments, _population_cost(job))
        n_cpus = self._plan.sweep.runner.cpus_per_train or 1
        for k in self._pending.trainings[job.setting_id]:
            cost = float(n_count_vectors_of(job, k)) * k
            arguments = (self._handle(job), self._local_policies[job.setting_id], k, n_cpus)
            self._push(TaskKey("g_learn", job.setting_id, k), arguments, cost, n_cpus)

    def _push_evaluations(self, job: Job, k: int, global_policy: Any) -> None:
        """Make ready all that tells what the pair at k is worth."""
        name = job.setting_id
        arguments = (self._handle(job), self._local_policies[name], global_policy, k)
        if k in self._pending.nash_gaps[name]:
            method = self._plan.sweep.experiment.nash_gap
            cost = N_VALUES_OF_A_GAP * _population_cost(job) if method == "exact" else math.inf
            self._push(TaskKey("nash_gap", name, k), (*arguments, method), cost)
        if k in self._pending.exact_returns[name]:
            self._push(TaskKey("exact_return", name, k), arguments, _population_cost(job))
        for seed in self._pending.seeds[name, k]:
            self._push(TaskKey("evaluate", name, k, seed), (*arguments, seed), cost=0.0)

    def _push(self, key: TaskKey, arguments: tuple[Any, ...], cost: float, n_cpus: int = 1) -> None:
        heapq.heappush(self._ready, (-cost, next(self._order), Task(key, arguments, n_cpus)))

    def _handle(self, job: Job) -> Any:
        """Return the handle of a job, which is stored once for all of its tasks."""
        if job.setting_id not in self._job_handles:
            self._job_handles[job.setting_id] = self._executor.put(job)
        return self._job_handles[job.setting_id]

    def _stored_local_policy(self, job: Job) -> NDArray[np.float64]:
        env = job.environment
        rows = self._store.rows(LOCAL_POLICIES, setting_id=job.setting_id)
        shape = (env.n_global_states, env.n_local_states, env.n_local_actions)
        return np.array([row["probability"] for row in rows]).reshape(shape)

    def _stored_global_policies(self, job: Job, ks: list[int]) -> dict[int, NDArray[np.int16]]:
        """Return the stored policy for each k; the table is read once, which may lie far away."""
        rows = self._store.rows(GLOBAL_POLICIES, setting_id=job.setting_id, k=ks)
        return {k: np.array([row["actions"] for row in rows if row["k"] == k], dtype=np.int16) for k in ks}


def _population_cost(job: Job) -> float:
    """Return the cost of values on the chain of the whole population, on the scale of the trainings' costs."""
    n_agents = job.environment.n_agents
    return float(n_count_vectors_of(job, n_agents)) * n_agents


def _batch_name(batch: list[Completed]) -> str:
    """Return a name for the parts of a batch, which other batches with the same first task do not have."""
    first, *others = (str(completed.task.key) for completed in batch)
    if not others:
        return first
    digest = hashlib.blake2b(" ".join(others).encode(), digest_size=8).hexdigest()
    return f"{first}-and-{len(others)}-more-{digest}"
