"""Running tasks on Ray.

With no cluster named, a local Ray is started for the session and ended with it; otherwise the
session joins the cluster at ``address`` and leaves it running.

Ray retries tasks whose worker or node is lost, and computes lost values again. Left to this module is what Ray cannot
know: that a task killed for its memory needs more of it, that one past its deadline hangs, which task of a lost batch
is to blame, and why nothing starts.
"""

from __future__ import annotations

import itertools
import math
import pickle
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError

from distmarl.errors import LostRayError, TaskTimeoutError
from distmarl.model.options import Runner
from distmarl.study.kinds import has_followers
from distmarl.sweep.clusters.joining import Cluster
from distmarl.sweep.clusters.pulse import Pulse
from distmarl.sweep.estimates.requests import SMALL_TASK_BYTES
from distmarl.sweep.executors import ray_private
from distmarl.sweep.executors.execution import DEADLINE_MARGIN_S, Outcome
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.executors.failures import describe_failure
from distmarl.sweep.executors.ray_cluster import compare_with_nodes, join, leave, node_resources
from distmarl.sweep.executors.ray_notes import Notes
from distmarl.sweep.executors.ray_worker import Shared, run_batch
from distmarl.wording import counted

# A lost worker or node costs a task at most this many more tries.
MAX_RETRIES = 3
# A kill for want of memory costs one of these, and the next try asks for twice as much.
MAX_MEMORY_RETRIES = 3
# Beyond the slots that a cluster has now, so that one that can grow sees a reason to.
LOOKAHEAD_TASKS = 8
# Ray sends an argument along with a task if it is no larger than 100 kB, and lets it be fetched otherwise.
SMALL_VALUE_BYTES = 80_000
# Clusters grow and shrink, and tasks start; asking costs a round trip.
LOOK_EVERY_S = 1.0
# A node that does not answer for so long is taken to be busy.
LOOK_TIMEOUT_S = 2.0


class Handle:
    """Stands for a value in Ray's object store, which goes when nobody holds its handle any more.

    Ray's own references stay within the executor: one that is dropped while Ray ends would take this process along.
    """


@dataclass(slots=True, eq=False)
class _Submission:
    """A batch on its way through Ray."""

    number: int
    batch: tuple[Task, ...]
    values: list[ray.ObjectRef[Any]]  # one for each task, or none where no task needs them
    memory_bytes: int
    n_memory_kills: int
    started: tuple[int, float] = (-1, math.inf)  # the last try that was seen, and when
    is_overdue: bool = False
    is_there: ray.ObjectRef[bool] | None = None  # what its node was asked when it seemed overdue


class RayExecutor(Executor):
    """Runs tasks on a local Ray or on a cluster.

    Parameters
    ----------
    runner : Runner
        Cores and deadline.
    cluster : Cluster or None
        The cluster to join; None starts a local Ray.
    warn : callable
        Is told in a line of text what a user should know of this Ray: also from another thread, while this one waits
        for Ray.
    give_up : callable
        Says that the Ray was lost and ends this process, where nothing else helps: likewise.

    Raises
    ------
    ExecutorError
        When the cluster cannot be joined, or no node has the cores that a task asks for.
    LostRayError
        From every method, when the Ray itself was lost.

    Attributes
    ----------
    shortcoming : str or None
        What this Ray does not tell, and what is lost by that.
    """

    _run_batch = staticmethod(run_batch)

    def __init__(
        self,
        runner: Runner,
        cluster: Cluster | None,
        warn: Callable[[str], None],
        give_up: Callable[[LostRayError], object],
    ) -> None:
        self._runner = runner
        self._cluster = cluster
        self._numbers = itertools.count()
        self._running: dict[ray.ObjectRef[Any], _Submission] = {}
        self._values: weakref.WeakKeyDictionary[Handle, Any] = weakref.WeakKeyDictionary()
        self._functions: dict[tuple[int, int, int], Any] = {}
        self._n_cpus, self._n_nodes, self._counted_at = 0.0, 0, -math.inf
        self._looked_at = -math.inf
        self._lost: LostRayError | None = None
        self._place = join(runner, cluster, warn)

        self._give_up = give_up
        self._pulse = Pulse(self._name, cluster.address if cluster else None, warn, self._leave_at_once)
        with self._pulse.asked():
            self._notes = Notes()
        self.shortcoming = ray_private.shortcomings(notes_are_kept=self._notes.are_kept)
        self._remote = ray.remote(max_retries=MAX_RETRIES, retry_exceptions=False)(self._run_batch)

    @property
    def n_slots(self) -> int:
        """How many tasks the cluster's cores, or ``runner.num_cpus`` of them, can run at once."""
        self._count()
        n_cpus = self._n_cpus
        if self._runner.num_cpus is not None:
            n_cpus = min(n_cpus, self._runner.num_cpus)
        return int(n_cpus)

    @property
    def n_nodes(self) -> int:
        """How many nodes of the cluster run tasks."""
        self._count()
        return self._n_nodes

    def _count(self) -> None:
        """Look at the cluster, now and then."""
        if time.monotonic() - self._counted_at > LOOK_EVERY_S:
            nodes = node_resources(self._pulse.nodes, "CPU")
            self._counted_at, self._n_cpus, self._n_nodes = time.monotonic(), sum(nodes), len(nodes)

    @property
    def largest_node_cpus(self) -> int:
        """Cores of the largest node, or ``runner.num_cpus`` of them."""
        largest = int(max(node_resources(self._pulse.nodes, "CPU"), default=0))
        return min(largest, self._runner.num_cpus or largest)

    @property
    def largest_node_memory(self) -> int:
        """Memory for tasks of the node that has most; any amount while there is no node."""
        return int(max(node_resources(self._pulse.nodes, "memory"), default=2**63))

    @property
    def description(self) -> str:
        """Where the tasks run."""
        nodes = counted(len(self._pulse.nodes), "node")
        return f"{self._name}: {nodes}, {counted(self.n_slots, 'task')} at once"

    @property
    def _name(self) -> str:
        """What to call the Ray."""
        return f"the Ray cluster at {self._cluster.address}" if self._cluster else "a local Ray"

    @property
    def resources(self) -> dict[str, Any]:
        """The nodes."""
        names = ("CPU", "memory", "object_store_memory")
        nodes = [{name: node["Resources"].get(name, 0) for name in names} for node in self._pulse.nodes]
        return {"address": self._cluster.address if self._cluster else "local", "nodes": nodes}

    @property
    def max_in_flight(self) -> int:
        """Enough to keep the slots busy; no more than asked for on a cluster that others use."""
        if self._cluster is not None and self._runner.num_cpus is not None:
            return self._runner.num_cpus
        return super().max_in_flight + (0 if self._cluster is None else LOOKAHEAD_TASKS)

    @property
    def n_in_flight(self) -> int:
        """How many batches Ray has."""
        return len(self._running)

    def put(self, value: Any) -> Any:
        """Put a value into the object store; a small one travels with each task.

        A node that ends takes this process along in the moment in which it misses a value that was put there.
        """
        if len(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)) <= SMALL_VALUE_BYTES:
            return self._handle(value)
        with self._losses():
            return self._handle(ray.put(value))

    def _handle(self, value: Any) -> Handle:
        """Return what stands for a value, or for a reference to it."""
        handle = Handle()
        self._values[handle] = value
        return handle

    def submit(self, *batch: Task) -> None:
        """Submit tasks to Ray, as one of its own."""
        self._submit(batch, max(task.memory_bytes for task in batch))

    def _submit(self, batch: tuple[Task, ...], memory_bytes: int, n_memory_kills: int = 0) -> None:
        number = next(self._numbers)
        n_values = len(batch) if any(has_followers(task.key.kind) for task in batch) else 0
        remote = self._function(max(task.n_cpus for task in batch), memory_bytes, n_values)
        handles: dict[Handle, Shared] = {}
        calls = [
            call._replace(arguments=tuple(_numbered(each, handles) for each in call.arguments))
            for call in (task.call for task in batch)
        ]
        name, timeout_s = self._notes.name(number), self._runner.task_timeout_s
        shared = (self._values[handle] for handle in handles)
        with self._losses():
            returned = remote.remote(name, calls, timeout_s, *shared, has_values=n_values > 0)
        *values, outcomes = returned if n_values else [returned]
        self._running[outcomes] = _Submission(number, batch, values, memory_bytes, n_memory_kills)

    def _function(self, n_cpus: int, memory_bytes: int, n_values: int) -> Any:
        """Return the function for batches that ask for so much; making it takes as long as calling it."""
        request = (n_cpus, memory_bytes, n_values)
        if request not in self._functions:
            self._functions[request] = self._remote.options(
                num_cpus=n_cpus, memory=memory_bytes or None, num_returns=n_values + 1
            )
        return self._functions[request]

    def next_completed(self, timeout_s: float) -> list[Completed]:
        """Wait for batches to complete; where a task's process was lost for good, it is a failure."""
        if self._lost is not None:
            raise self._lost
        with self._losses():
            running = list(self._running)
            ready, _ = ray.wait(running, num_returns=len(running), timeout=0)
            if not ready:
                ready, _ = ray.wait(running, num_returns=1, timeout=timeout_s)
        completed: list[Completed] = []
        try:
            with self._pulse.asked():
                for outcomes in ready:
                    completed += self._collect(outcomes)
            self._pulse.check()
            if self._pulse.answers:
                with self._pulse.asked():
                    self._end_overdue()
        except LostRayError as lost:  # once what has come is taken
            # Without its frames, which hold references.
            self._lost = lost.with_traceback(None)
            lost.__cause__ = lost.__context__ = None
        return completed

    @contextmanager
    def _losses(self) -> Iterator[None]:
        """Say that Ray was lost where it does nothing any more in the block, or its client has no server."""
        self._pulse.check()
        try:
            with self._pulse.asked():
                yield
        except (RayError, ConnectionError) as error:
            raise self._pulse.lost(error) from error

    def _collect(self, reference: ray.ObjectRef[Any]) -> list[Completed]:
        """Return what became of a batch; nothing if it is to be tried again."""
        submission = self._running.pop(reference)
        batch = submission.batch
        try:
            outcomes: list[Outcome] = ray.get(reference)
        except RayError as error:
            return self._try_again(submission, error)
        values = itertools.chain(map(self._handle, submission.values), itertools.repeat(None))
        return [Completed(*each) for each in zip(batch, outcomes, values, strict=False)]

    def _try_again(self, submission: _Submission, error: RayError) -> list[Completed]:
        """Submit a lost batch again where that may help; where it cannot, return the lost task as a failure."""
        asked, n_kills = submission.memory_bytes, submission.n_memory_kills
        if len(submission.batch) > 1:
            for task in submission.batch:  # each gets a chance of its own
                self._submit((task,), task.memory_bytes)
            return []
        largest = self.largest_node_memory
        if isinstance(error, OutOfMemoryError) and n_kills < MAX_MEMORY_RETRIES and asked < largest:
            self._submit(submission.batch, min(2 * max(asked, SMALL_TASK_BYTES), largest), n_kills + 1)
            return []
        cause: Exception = error
        if submission.is_overdue:
            cause = TaskTimeoutError(
                f"ran longer than runner.task_timeout_s ({self._runner.task_timeout_s:g} s) and could not be "
                "interrupted, so its process was ended"
            )
        else:
            self._pulse.look_for_end(error)
        (task,) = submission.batch
        hostname, log_tail = self._notes.place(submission.number)
        function, arguments, _ = task.call
        failure = describe_failure(cause, function, arguments, log_tail, hostname)
        return [Completed(task, Outcome({}, failure, {}))]

    def _end_overdue(self) -> None:
        """End the processes of tasks that have not heeded their deadline."""
        timeout_s, now = self._runner.task_timeout_s, time.monotonic()
        if timeout_s is None or not self._notes.are_kept or now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        started = self._notes.started()
        for reference, submission in self._running.items():
            attempt = started.get(submission.number, -1)
            if attempt > submission.started[0]:
                submission.started = (attempt, now)
            elif now - submission.started[1] > timeout_s + DEADLINE_MARGIN_S and not submission.is_overdue:
                is_there = self._is_there(submission)
                if is_there:
                    submission.is_overdue = True
                    ray.cancel(reference, force=True)
                elif is_there is False:  # its process was lost, and Ray waits for a place to try it again
                    submission.started = (attempt, now)

    def _is_there(self, submission: _Submission, timeout_s: float = 0.0) -> bool | None:
        """Return whether a batch has started and its process was not lost since; None until its node has said so.

        One whose process was lost leaves its note until Ray has found a place to try it again.
        """
        submission.is_there = submission.is_there or self._notes.ask_for_process(submission.number)
        if submission.is_there is None:
            return False
        ready, _ = ray.wait([submission.is_there], timeout=timeout_s)
        if not ready:
            return None
        answer, submission.is_there = submission.is_there, None
        try:
            return bool(ray.get(answer))
        except RayError:  # the node went while it was asked
            return False

    def why_nothing_starts(self) -> str | None:
        """Return what the waiting tasks ask for, and what the nodes have."""
        if not self._pulse.answers:
            return None
        with self._pulse.asked():
            return self._compare_with_nodes()

    def _compare_with_nodes(self) -> str | None:
        """Return what why_nothing_starts does, of a Ray that answers."""
        started = self._notes.started()
        submissions = [submission for submission in self._running.values() if submission.number in started]
        if any(self._is_there(submission, LOOK_TIMEOUT_S) is not False for submission in submissions):
            return None
        requests = (
            (max(task.n_cpus for task in submission.batch), submission.memory_bytes)
            for submission in self._running.values()
        )
        what = "nothing is running" if self._notes.are_kept else "nothing has ended for a while"
        return f"{what}; {compare_with_nodes(requests, self._pulse.nodes)}"

    def close(self) -> None:
        """Give up what still runs and leave the cluster; a local Ray ends."""
        is_lost = not self._pulse.answers
        try:
            if not is_lost:
                self._cancel()
        finally:
            self._running.clear()
            self._values.clear()
            self._pulse.stop()
            if not leave(self._place, is_lost=is_lost):  # which would bar another one, and crash at the end of Python
                self._give_up(self._pulse.lost_and("the rest of it does not end"))

    def _leave_at_once(self, lost: LostRayError) -> None:
        """End this process, which waits for Ray and hears nothing, and what is left of a local Ray."""
        try:
            self._place.close()
        finally:
            self._give_up(lost)

    def _cancel(self) -> None:
        """Give up what still runs."""
        with self._pulse.asked():
            for outcomes in self._running:
                ray.cancel(outcomes, force=True)
            if self._cluster is not None:
                with suppress(RayError):
                    self._notes.clear()


def _numbered(argument: Any, handles: dict[Handle, Shared]) -> Any:
    """Return an argument; a handle as its number, since Ray exchanges only arguments of its own for their values."""
    if not isinstance(argument, Handle):
        return argument
    if argument not in handles:
        handles[argument] = Shared(len(handles))
    return handles[argument]
