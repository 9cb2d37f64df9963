"""The driver: decides what is to be run, in which order, and commits what comes back.

Per setting one task trains the shared local policy; then one trains the global policy for each
k; as soon as a k is trained, one evaluates each of its seeds. Nothing waits for more than it needs.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

from distmarl.results.store import Store
from distmarl.results.stored_policies import read_global_policies, read_local_policy
from distmarl.results.tables import (
    ALTERNATIONS,
    BASELINES,
    FAILURES,
    TABLES,
    TIMINGS,
    TRAININGS,
)
from distmarl.study.failed import FailedTasks
from distmarl.study.pending import find_pending
from distmarl.study.plan import Job, Plan
from distmarl.study.tasks import TaskKey, TaskKind
from distmarl.sweep.estimates.memory import memory_request, task_bytes
from distmarl.sweep.estimates.operations import reference_seconds
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.pace import Pace
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.ready import ReadyTasks
from distmarl.sweep.stopping import GRACE_S, Stop

# Batches get smaller towards the end of a phase: each slot is left this many.
BATCHES_PER_SLOT = 2
MIN_SECONDS = 1e-4


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
    stop : Stop
        Is asked whether to stop.
    retry_failed : bool
        Run the tasks that have failed before, and no others.
    fail_fast : bool
        Submit nothing more once a task has failed.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        executor: Executor,
        progress: Progress,
        stop: Stop,
        *,
        retry_failed: bool = False,
        fail_fast: bool = False,
    ) -> None:
        self._plan = plan
        self._store = store
        self._executor = executor
        self._progress = progress
        self._stop = stop
        self._fail_fast = fail_fast
        self._jobs = {job.setting_id: job for job in plan.jobs}
        self._job_handles: dict[str, Any] = {}
        self._local_policies: dict[str, Any] = {}
        self._pending = find_pending(plan, store)
        self._failed = FailedTasks(store, self._pending)
        done = self._pending.done
        if retry_failed:
            self._pending = self._pending.only(self._failed.keys)
        self._ready = ReadyTasks()
        self._completed: list[Completed] = []
        self._evaluation_seconds = math.inf
        self.tally = Tally(total=Counter(plan.n_tasks), done=Counter(done), n_done_before=done.total())

    def run(self) -> Tally:
        """Run all that is missing and return the tally. What completes is committed at once."""
        for name, job in self._jobs.items():
            if name in self._pending.shared_policies:
                n_cpus = self._cpus_of_shared_policy(job)
                self._push(TaskKey("shared_policy", name), (self._handle(job), n_cpus), cost=math.inf, n_cpus=n_cpus)
            else:
                self._resume(job)
        self._progress.start(self.tally, self._executor.description)
        try:
            self._work()
        except KeyboardInterrupt:
            self._commit()
            if not self._stop.by_signal:
                raise
        finally:
            self._failed.save()
        return self.tally

    def _work(self) -> None:
        """Keep the executor busy until everything is done or the session is to stop."""
        pace, executor = Pace(), self._executor
        told = False
        while executor.n_in_flight or (self._ready and not self._stop.requested):
            if not self._stop.requested:
                self._submit()
            elif self._stop.is_due:
                break
            elif self._stop.by_signal and not told:
                self._progress.warn(f"stopping: what ends within {GRACE_S:g} s is kept; once more to leave at once")
                told = True
            self._progress.look(executor.n_slots, executor.n_nodes)
            self._receive(self._next_completed(pace.timeout_s(commit_waits=bool(self._completed))))
            if self._completed and (pace.may_commit or not (self._ready or executor.n_in_flight)):
                with pace.committing():
                    self._commit()
            elif not self._completed and pace.time_to_speak() and (reason := executor.why_nothing_starts()):
                self._progress.warn(reason)
            if pace.may_publish:
                with pace.publishing():
                    self._store.publish()
        self._commit()

    def _submit(self) -> None:
        """Submit tasks until every slot has enough of them."""
        while self._ready and self._executor.n_in_flight < self._executor.max_in_flight:
            batch = self._next_batch()
            self._executor.submit(*batch)
            for task in batch:
                self._progress.submitted(task.key, task.n_cpus)

    def _next_completed(self, timeout_s: float) -> list[Completed]:
        """Wait a little for tasks to complete."""
        if not self._executor.runs_here:
            return self._executor.next_completed(timeout_s)
        with self._stop.breaking_off():
            return self._executor.next_completed(timeout_s)

    def _receive(self, arrived: list[Completed]) -> None:
        """Keep what has completed, and learn from it what cannot wait for a commit."""
        self._completed += arrived
        if self._fail_fast and any(completed.outcome.failure for completed in arrived):
            self._stop.request()
        timings = [completed.outcome.timing for completed in arrived if completed.task.key.kind == "evaluate"]
        if any(timings):
            self._evaluation_seconds = max([MIN_SECONDS, *(timing["seconds"] for timing in timings if timing)])

    def _resume(self, job: Job) -> None:
        """Go on with a setting whose shared local policy is in the store."""
        name = job.setting_id
        untrained = self._pending.trainings[name]
        unfinished = [k for k in self._plan.k_values if self._pending.is_unfinished(name, k) and k not in untrained]
        if not (unfinished or untrained or name in self._pending.baselines):
            return
        self._local_policies[name] = self._executor.put(read_local_policy(self._store, name))
        self._push_trainings(job)
        for k, global_policy in read_global_policies(self._store, name, unfinished).items():
            self._push_evaluations(job, k, self._executor.put(global_policy))

    def _next_batch(self) -> list[Task]:
        """Take the first task that is ready; short evaluations, which come last, are taken together."""
        batch = [self._ready.take()]
        if batch[0].key.kind == "evaluate":
            n_left_per_batch = len(self._ready) // (BATCHES_PER_SLOT * max(1, self._executor.n_slots))
            n_more = min(n_left_per_batch, int(self._executor.batch_seconds / self._evaluation_seconds) - 1)
            batch += [self._ready.take() for _ in range(n_more)]
        return batch

    def _commit(self) -> None:
        """Commit what tasks have yielded and make ready what waited for them."""
        batch, self._completed = self._completed, []
        if not batch:
            return
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for completed in batch:
            for table, table_rows in self._rows(completed).items():
                rows[table] += table_rows
        filled = [(TABLES[table], table_rows) for table, table_rows in rows.items() if table_rows]
        self._store.commit(_batch_name(batch), filled)
        for completed in batch:
            self._follow_up(completed)

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

    def _follow_up(self, completed: Completed) -> None:
        """Count a task that is committed, and make ready what waited for it."""
        key, outcome = completed.task.key, completed.outcome
        if outcome.failure is None:
            self.tally.done[key.kind] += 1
            self._failed.forget(key)
            self._note_convergence(key, outcome.rows)
            job = self._jobs[key.setting_id]
            if key.kind == "shared_policy":
                self._local_policies[key.setting_id] = completed.value
                self._push_trainings(job)
            elif key.kind == "g_learn":
                assert key.k is not None
                self._push_evaluations(job, key.k, completed.value)
        else:
            self.tally.failed[key.kind] += 1
        self._progress.completed(key, outcome, self.tally)

    def _note_convergence(self, key: TaskKey, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Keep a line for each training that ended above its threshold."""
        trainings = [(row, "") for row in rows.get(TRAININGS.name, [])]
        trainings += [(row, side) for row in rows.get(ALTERNATIONS.name, []) for side in ("global_", "local_")]
        for row in rows.get(BASELINES.name, []):
            if not row["converged"]:
                self.tally.unconverged.append(f"{key}, {row['baseline']}: not certified to its convergence_threshold")
        for row, side in trainings:
            converged = row[f"{side}converged"]
            if converged is not None and not converged:
                where = f"{key}, outer iteration {row['iteration']}, {side.rstrip('_')} agent" if side else str(key)
                bound, n_iterations = row[f"{side}bound"], row[f"{side}n_iterations"]
                self.tally.unconverged.append(
                    f"{where}: certified to {bound:.2g} only, after {n_iterations} sweeps, "
                    "which is above its convergence_threshold"
                )

    def _cpus_of_shared_policy(self, job: Job) -> int:
        """Return the cores for a shared policy: nothing else can run before them, so idle ones are lent."""
        asked = self._plan.sweep.runner.cpus_per_train
        if asked is not None:
            return asked
        share = self._executor.n_slots // len(self._pending.shared_policies)
        n_cpus = max(1, min(share, self._executor.largest_node_cpus, job.environment.n_global_states))
        largest = self._executor.largest_node_memory
        while n_cpus > 1 and task_bytes(self._plan, job, "shared_policy", None, n_cpus) > largest:
            n_cpus -= 1
        return n_cpus

    def _push_trainings(self, job: Job) -> None:
        """Make ready what rests on the shared local policy alone: the global policies and the baselines."""
        if job.setting_id in self._pending.baselines:
            experiment, method = self._plan.sweep.experiment, self._plan.sweep.evaluation.method
            options = (experiment.baselines, method, experiment.n_eval_seeds)
            arguments: tuple[Any, ...] = (self._handle(job), self._local_policies[job.setting_id], *options)
            self._push(TaskKey("baselines", job.setting_id), arguments, self._cost(job, "baselines"))
        n_cpus = self._plan.sweep.runner.cpus_per_train or 1
        for k in self._pending.trainings[job.setting_id]:
            arguments = (self._handle(job), self._local_policies[job.setting_id], k, n_cpus)
            self._push(TaskKey("g_learn", job.setting_id, k), arguments, self._cost(job, "g_learn", k), n_cpus)

    def _push_evaluations(self, job: Job, k: int, global_policy: Any) -> None:
        """Make ready all that tells what the pair at k is worth."""
        name = job.setting_id
        shared = (self._handle(job), self._local_policies[name], global_policy, k)
        if k in self._pending.nash_gaps[name]:
            method = self._plan.sweep.experiment.nash_gap
            self._push(TaskKey("nash_gap", name, k), (*shared, method), self._cost(job, "nash_gap", k))
        if k in self._pending.exact_returns[name]:
            self._push(TaskKey("exact_return", name, k), shared, self._cost(job, "exact_return", k))
        seeds = self._pending.seeds[name, k]
        self._ready.add(
            (self._task(TaskKey("evaluate", name, k, seed), (*shared, seed)) for seed in seeds), len(seeds), 0.0
        )

    def _cost(self, job: Job, kind: TaskKind, k: int | None = None) -> float:
        return reference_seconds(self._plan, job, kind, k)

    def _push(self, key: TaskKey, arguments: tuple[Any, ...], cost: float, n_cpus: int = 1) -> None:
        self._ready.add([self._task(key, arguments, n_cpus)], 1, cost)

    def _task(self, key: TaskKey, arguments: tuple[Any, ...], n_cpus: int = 1) -> Task:
        memory_bytes = task_bytes(self._plan, self._jobs[key.setting_id], key.kind, key.k, n_cpus)
        return Task(key, arguments, n_cpus, memory_request(memory_bytes))

    def _handle(self, job: Job) -> Any:
        """Return the handle of a job, which is stored once for all of its tasks."""
        if job.setting_id not in self._job_handles:
            self._job_handles[job.setting_id] = self._executor.put(job)
        return self._job_handles[job.setting_id]


def _batch_name(batch: list[Completed]) -> str:
    """Return a name for the parts of a batch, which other batches with the same first task do not have."""
    first, *others = (str(completed.task.key) for completed in batch)
    if not others:
        return first
    digest = hashlib.blake2b(" ".join(others).encode(), digest_size=8).hexdigest()
    return f"{first}-and-{len(others)}-more-{digest}"
