"""Where tasks run, behind one interface in the words of ``concurrent.futures``.

A driver submits tasks and takes back what is completed; it cannot tell a cluster from a loop.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.executors.execution import Call, Outcome

MIN_IN_LINE = 14
SLOTS_PER_ONE_IN_LINE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A task to run.

    Attributes
    ----------
    key : TaskKey
        What it is.
    job : Job or handle
        Its setting, or the handle of it from ``put``.
    values : tuple
        What the tasks that it needs have yielded: handles from ``put`` and ``Completed``.
    n_cpus : int
        Cores that it asks for.
    memory_bytes : int
        Memory that it asks for; 0 where it is too little to matter.
    seconds : float
        What it would take on the reference core.
    """

    key: TaskKey
    job: Any
    values: tuple[Any, ...] = ()
    n_cpus: int = 1
    memory_bytes: int = 0
    seconds: float = math.inf

    @property
    def call(self) -> Call:
        """What is to be done for it."""
        kind = KINDS[self.key.kind]
        return Call(kind.run, (self.job, self.key, self.n_cpus, *self.values), kind.run_together)


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """A task that has run, and what became of it.

    Attributes
    ----------
    task : Task
        The task.
    outcome : Outcome
        Its rows, or why it failed.
    value : handle
        Stands for the value that later tasks need, as their argument.
    """

    task: Task
    outcome: Outcome
    value: Any = None


class Executor(abc.ABC):
    """Runs tasks, in any order and anywhere.

    Attributes
    ----------
    batch_seconds : float
        Short tasks are worth submitting together, as long as they take about this.
    runs_here : bool
        Whether waiting is working: tasks run in this process, where a signal can only break them off.
    """

    batch_seconds: float = 1.0
    runs_here: bool = False

    @property
    @abc.abstractmethod
    def n_slots(self) -> int:
        """How many tasks of one core can run at the same time."""

    @property
    def n_nodes(self) -> int:
        """How many nodes they run on."""
        return 1

    @property
    @abc.abstractmethod
    def largest_node_cpus(self) -> int:
        """How many cores a single task can get."""

    @property
    @abc.abstractmethod
    def largest_node_memory(self) -> int:
        """How many bytes of memory a single task can get."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the tasks run, for people."""

    @property
    def resources(self) -> dict[str, Any]:
        """What there is to run tasks with, for the provenance."""
        return {}

    @property
    def max_in_flight(self) -> int:
        """How many submitted batches keep every slot busy; what waits in line can no longer be overtaken."""
        return self.n_slots + max(MIN_IN_LINE, self.n_slots // SLOTS_PER_ONE_IN_LINE)

    @property
    @abc.abstractmethod
    def n_in_flight(self) -> int:
        """How many submitted batches have not been handed back."""

    @abc.abstractmethod
    def put(self, value: Any) -> Any:
        """Store a value once and return a handle that tasks take as an argument."""

    @abc.abstractmethod
    def submit(self, *batch: Task) -> None:
        """Start tasks that run one after the other."""

    @abc.abstractmethod
    def next_completed(self, timeout_s: float) -> list[Completed]:
        """Wait for submitted tasks, for ``timeout_s`` at most, and return those that are completed."""

    def why_nothing_starts(self) -> str | None:
        """Return why none of the submitted tasks is running, if none is."""
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Give up what still runs and free what was started."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
