"""The driver: decides what is to be run, in which order, and commits what comes back.

Tasks need others (:mod:`distmarl.study.kinds`): a setting's global policies need its shared local policy, and what is
found out about a pair needs its global policy, and may need something about its game. Nothing waits for more than it
needs.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from distmarl.errors import LostRayError
from distmarl.results.store import Store
from distmarl.results.tables import FAILURES, TABLES, TIMINGS
from distmarl.study.failed import FailedTasks
from distmarl.study.job import Job
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import Kind, TaskGroup
from distmarl.study.plan import Plan
from distmarl.sweep.estimates.requests import cores_for, memory_request
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.pace import Pace
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.ready import ReadyTasks
from distmarl.sweep.stopping import GRACE_S, Stop

# Batches get smaller towards the end of a phase: each slot is left this many.
BATCHES_PER_SLOT = 2
# No task is taken to be shorter, nor so much faster than predicted.
MIN_SECONDS = 1e-4
# What runs first, when all of it is ready: what others wait for, then what is evaluated, then what is found out beside.
LONG, SHORT, EXTRA = 2, 1, 0


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
        self._jobs = plan.by_id
        self._job_handles: dict[str, Any] = {}
        self._pending = plan.pending(store)
        self._failed = FailedTasks(store, self._pending)
        done = self._pending.done
        if retry_failed:
            self._pending = self._pending.only(self._failed.keys)
        self._missing = self._pending.by_setting()
        self._followers: dict[TaskGroup, list[TaskGroup]] = defaultdict(list)
        for group in self._pending.missing:
            for needed in self._pending.given(group):
                self._followers[needed].append(group)
        self._n_left = Counter({group: len(seeds) for group, seeds in self._pending.missing.items()})
        self._ready = ReadyTasks()
        self._n_for_curve = 0  # tasks in flight that the curve waits for
        self._completed: list[Completed] = []
        self._slowness: dict[str, float] = {}  # seconds per predicted one, the most of what came last, by kind
        self.tally = Tally(total=Counter(plan.n_tasks), done=Counter(done), n_done_before=done.total())

    def run(self) -> Tally:
        """Run all that is missing and return the tally. What completes is committed at once."""
        for setting_id in self._jobs:
            if setting_id in self._missing:
                self._resume(setting_id)
        self._progress.start(self.tally, self._executor.description)
        try:
            self._work()
        except LostRayError:
            self._commit()
            raise
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
        executor = self._executor
        while self._ready and executor.n_in_flight < executor.max_in_flight:
            if self._n_for_curve and self._ready.next_urgency == EXTRA and executor.n_in_flight >= executor.n_slots:
                break  # it takes an idle slot, but stands in no line that evaluations will need
            batch = self._next_batch()
            self._executor.submit(*batch)
            for task in batch:
                self._n_for_curve += not KINDS[task.key.kind].is_extra
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
        self._n_for_curve -= sum(not KINDS[completed.task.key.kind].is_extra for completed in arrived)
        if self._fail_fast and any(completed.outcome.failure for completed in arrived):
            self._stop.request()
        slowness: dict[str, float] = {}
        for completed in arrived:
            if timing := completed.outcome.timing:
                kind, factor = completed.task.key.kind, timing["seconds"] / completed.task.seconds
                slowness[kind] = max(slowness.get(kind, 0.0), factor)
        self._slowness |= slowness

    def _next_batch(self) -> list[Task]:
        """Take the first task that is ready, and with it others of its kind that are as short."""
        first = self._ready.take()
        slowness = self._slowness.get(first.key.kind)
        if slowness is None:
            return [first]
        n_left = self._ready.n_of(urgency_of(KINDS[first.key.kind]))
        n_left_per_batch = n_left // (BATCHES_PER_SLOT * max(1, self._executor.n_slots))
        # The costliest comes first, so none of the others takes longer.
        n_fitting = int(self._executor.batch_seconds / max(MIN_SECONDS, slowness * first.seconds))
        return [first, *self._ready.take_like(first, min(n_left_per_batch, n_fitting - 1))]

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
            self.tally.unconverged += KINDS[key.kind].unconverged(key, outcome.rows)
            self._n_left[key.group] -= 1
            if not self._n_left[key.group]:
                self._unlock(completed)
        else:
            self.tally.failed[key.kind] += 1
        self._progress.completed(key, outcome, self.tally)

    def _unlock(self, completed: Completed) -> None:
        """Make ready what waited for nothing but the last of a group's tasks."""
        key, several = completed.task.key, []
        for group in self._followers.get(key.group, ()):
            if self._pending.all_needed(group) == [key.group] and KINDS[key.kind].per != "start":
                handed_on = () if self._pending.keeps_values(key.group) else completed.task.values
                self._push(group, (*handed_on, completed.value))
            elif not any(self._n_left[each] for each in self._pending.given(group)):
                several.append(group)
        self._push_stored(several)

    def _resume(self, setting_id: str) -> None:
        """Make ready the missing tasks of a setting that wait for nothing but a slot."""
        self._push_stored([group for group in self._missing[setting_id] if self._pending.can_run(group)])

    def _push_stored(self, groups: Sequence[TaskGroup]) -> None:
        """Make the missing tasks of groups of a setting ready, with values that are in the tables."""
        given = {group: self._pending.given(group) for group in groups}
        values = self._stored_values({each for chain in given.values() for each in chain})
        for group, chain in given.items():
            self._push(group, [values[each] for each in chain])

    def _stored_values(self, wanted: Collection[TaskGroup]) -> dict[TaskGroup, Any]:
        """Return handles of what tasks have yielded before."""
        values: dict[TaskGroup, Any] = {}
        together: dict[tuple[str, str, int], list[TaskGroup]] = defaultdict(list)
        for group in wanted:
            together[group.kind, group.setting_id, group.train_seed].append(group)
        for (name, setting_id, train_seed), groups in together.items():
            if (load := KINDS[name].load) is not None:
                loaded = load(self._store, setting_id, train_seed, [group.k for group in groups])
                values |= {group: self._executor.put(loaded[group.k]) for group in groups}
        return values

    def _push(self, group: TaskGroup, values: Iterable[Any]) -> None:
        """Make the missing tasks of a group ready, with the values that they need."""
        kind, job = KINDS[group.kind], self._jobs[group.setting_id]
        node = self._executor.largest_node_cpus, self._executor.largest_node_memory
        n_cpus = cores_for(self._plan, self._pending, group, self._executor.n_slots, *node)
        memory_bytes = memory_request(kind.n_bytes(job, group.k, n_cpus))
        handle, values = self._handle(job), tuple(values)
        seeds = self._pending.missing[group]
        seconds = kind.seconds(job, group.k)
        tasks = (Task(group.task(seed), handle, values, n_cpus, memory_bytes, seconds) for seed in seeds)
        cost = math.inf if self._pending.needed(group) is None else seconds
        self._ready.add(tasks, len(seeds), urgency=urgency_of(kind), cost=cost)

    def _handle(self, job: Job) -> Any:
        """Return the handle of a job, which is stored once for all of its tasks."""
        if job.setting_id not in self._job_handles:
            self._job_handles[job.setting_id] = self._executor.put(job)
        return self._job_handles[job.setting_id]


def urgency_of(kind: Kind) -> int:
    """Return how urgent tasks of a kind are."""
    return EXTRA if kind.is_extra else SHORT if kind.is_short else LONG


def _batch_name(batch: list[Completed]) -> str:
    """Return a name for the parts of a batch, which other batches with the same first task do not have."""
    first, *others = (str(completed.task.key) for completed in batch)
    if not others:
        return first
    digest = hashlib.blake2b(" ".join(others).encode(), digest_size=8).hexdigest()
    return f"{first}-and-{len(others)}-more-{digest}"
