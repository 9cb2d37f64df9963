"""Running tasks on Ray: the only module that imports it.

With no cluster named, a local Ray is started for the session and ended with it; otherwise the
session joins the cluster at ``address`` and leaves it running.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from typing import Any

import ray
from ray.exceptions import RayError

from distmarl.config.sections import Runner
from distmarl.errors import ExecutorError
from distmarl.sweep.execution import Outcome, describe_failure, execute
from distmarl.sweep.executor import Completed, Executor, Task
from distmarl.sweep.progress import counted
from distmarl.sweep.tasks import TaskKind

# A lost worker or node costs a task at most this many more tries.
MAX_RETRIES = 3
# Beyond the slots that a cluster has now, so that one that can grow sees a reason to.
LOOKAHEAD_TASKS = 8
# Clusters grow and shrink; asking costs a round trip.
COUNT_EVERY_S = 1.0


class RayExecutor(Executor):
    """Runs tasks on a local Ray or on a cluster.

    Parameters
    ----------
    runner : Runner
        Cores and deadline.
    address : str or None
        Address of a cluster to join, as ``ray.init`` takes it; None starts a local Ray.

    Raises
    ------
    ExecutorError
        When the cluster cannot be joined, or no node has the cores that a task asks for.
    """

    def __init__(self, runner: Runner, address: str | None) -> None:
        self._runner = runner
        self._address = address
        self._running: dict[ray.ObjectRef[Any], tuple[Task, ...]] = {}
        self._n_cpus, self._counted_at = 0.0, -math.inf
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Says at every start that token authentication is on, which is as it should be.
        logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
        try:
            self._start()
        except (ConnectionError, ValueError, RuntimeError, RayError) as error:
            where = f"the Ray cluster at {address}" if address else "a local Ray"
            raise ExecutorError(f"cannot start on {where}: {error}") from error
        try:
            self._check_nodes()
        except ExecutorError:
            self.close()
            raise
        self._function = ray.remote(num_returns=2, max_retries=MAX_RETRIES, retry_exceptions=False)(_execute)

    def _start(self) -> None:
        options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
        if self._address is None:
            options |= {"num_cpus": self._runner.num_cpus, "include_dashboard": False}
        ray.init(address=self._address or "local", **options)

    def _check_nodes(self) -> None:
        """Refuse a request that no node of the cluster could ever meet."""
        wanted = self._runner.cpus_per_train or 1
        nodes = _node_cpus()
        if wanted > max(nodes, default=0) and sum(nodes) > 0:
            raise ExecutorError(
                f"runner.cpus_per_train: each training asks for {wanted} cores, but the largest of {len(nodes)} nodes "
                f"has {max(nodes):g}; ask for fewer"
            )

    @property
    def n_slots(self) -> int:
        """How many tasks the cluster's cores, or ``runner.num_cpus`` of them, can run at once."""
        if time.monotonic() - self._counted_at > COUNT_EVERY_S:
            self._counted_at, self._n_cpus = time.monotonic(), ray.cluster_resources().get("CPU", 0)
        n_cpus = self._n_cpus
        if self._runner.num_cpus is not None:
            n_cpus = min(n_cpus, self._runner.num_cpus)
        return int(n_cpus)

    @property
    def largest_node_cpus(self) -> int:
        """Cores of the largest node, or ``runner.num_cpus`` of them."""
        largest = int(max(_node_cpus(), default=0))
        return min(largest, self._runner.num_cpus or largest)

    @property
    def max_in_flight(self) -> int:
        """Enough to keep the slots busy; no more than asked for on a cluster that others use."""
        if self._address is not None and self._runner.num_cpus is not None:
            return self._runner.num_cpus
        return super().max_in_flight + (0 if self._address is None else LOOKAHEAD_TASKS)

    @property
    def description(self) -> str:
        """Where the tasks run."""
        n_nodes = sum(node["Alive"] for node in ray.nodes())
        where = f"the Ray cluster at {self._address}" if self._address else "a local Ray"
        return f"{where}: {counted(n_nodes, 'node')}, {counted(self.n_slots, 'task')} at once"

    def put(self, value: Any) -> Any:
        """Put a value into the object store."""
        return ray.put(value)

    def submit(self, *batch: Task) -> Any:
        """Submit tasks to Ray, as one of its own."""
        function = self._function.options(num_cpus=max(task.n_cpus for task in batch))
        kinds = [(task.key.kind, len(task.arguments)) for task in batch]
        # Handles are exchanged for what they stand for only where they are arguments themselves.
        arguments = itertools.chain.from_iterable(task.arguments for task in batch)
        value, outcomes = function.remote(kinds, self._runner.task_timeout_s, *arguments)
        self._running[outcomes] = batch
        return value

    def next_completed(self) -> list[Completed]:
        """Wait for any batch to complete; where its process was lost for good, its tasks are failures."""
        (ready,), _ = ray.wait(list(self._running), num_returns=1)
        batch = self._running.pop(ready)
        try:
            outcomes: list[Outcome] = ray.get(ready)
        except RayError as error:
            outcomes = [Outcome({}, describe_failure(error), {})] * len(batch)
        return [Completed(task, outcome) for task, outcome in zip(batch, outcomes, strict=True)]

    def close(self) -> None:
        """Leave the cluster; a local Ray ends, with whatever still runs on it.

        That takes a second or two of waiting, in which figures can be drawn; Python exits when it is done.
        """
        for outcomes in self._running:
            ray.cancel(outcomes, force=True)
        self._running.clear()
        threading.Thread(target=ray.shutdown, name="end of Ray").start()


def _node_cpus() -> list[float]:
    """Return the cores of each node that is alive."""
    return [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]


def _execute(kinds: list[tuple[TaskKind, int]], timeout_s: float | None, *arguments: Any) -> tuple[Any, list[Outcome]]:
    """Run a batch in a Ray worker: the kind of each task, and how many of the arguments are its own."""
    node_id, attempt = ray.get_runtime_context().get_node_id(), _attempt()
    remaining = iter(arguments)
    value, outcomes = None, []
    for kind, n_arguments in kinds:
        own = tuple(itertools.islice(remaining, n_arguments))
        value, outcome = execute(kind, own, timeout_s, node_id=node_id, attempt=attempt)
        outcomes.append(outcome)
    return value, outcomes


def _attempt() -> int | None:
    """Return how often Ray has tried the running task before; None if this Ray does not tell.

    The number has no public name (Ray 2.52 to 2.60), hence the look behind the scenes.
    """
    worker = getattr(ray._private.worker.global_worker, "core_worker", None)
    attempt = getattr(worker, "get_current_task_attempt_number", None)
    return None if attempt is None else int(attempt())
