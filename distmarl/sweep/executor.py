"""Where tasks run, behind one interface in the words of ``concurrent.futures``.

A driver submits tasks and takes back what is completed; it cannot tell a cluster from a loop.
"""

from __future__ import annotations

import abc
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from distmarl.sweep.execution import Outcome, execute
from distmarl.sweep.tasks import TaskKey


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A task to run.

    Attributes
    ----------
    key : TaskKey
        What it is.
    arguments : tuple
        Arguments of its function: plain values, or handles from ``put`` and ``submit``.
    n_cpus : int
        Cores that it asks for.
    """

    key: TaskKey
    arguments: tuple[Any, ...]
    n_cpus: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """A task that has run, and what became of it."""

    task: Task
    outcome: Outcome


class Executor(abc.ABC):
    """Runs tasks, in any order and anywhere.

    Attributes
    ----------
    batch_seconds : float
        Short tasks are worth submitting together, as long as they take about this.
    """

    batch_seconds: float = 1.0

    @property
    @abc.abstractmethod
    def n_slots(self) -> int:
        """How many tasks of one core can run at the same time."""

    @property
    @abc.abstractmethod
    def largest_node_cpus(self) -> int:
        """How many cores a single task can get."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """Where the tasks run, for people."""

    @property
    def max_in_flight(self) -> int:
        """How many submitted batches keep every slot busy."""
        return 2 * self.n_slots + 2

    @abc.abstractmethod
    def put(self, value: Any) -> Any:
        """Store a value once and return a handle that tasks take as an argument."""

    @abc.abstractmethod
    def submit(self, *batch: Task) -> Any:
        """Start tasks that run one after the other; return a handle of the value that the last one will yield."""

    @abc.abstractmethod
    def next_completed(self) -> list[Completed]:
        """Wait for any submitted batch to complete."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give up what still runs and free what was started."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SerialExecutor(Executor):
    """Runs tasks one after the other in this process.

    Parameters
    ----------
    task_timeout_s : float or None
        Deadline of each task.
    """

    batch_seconds = 0.0

    def __init__(self, task_timeout_s: float | None = None) -> None:
        self._task_timeout_s = task_timeout_s
        self._waiting: deque[tuple[tuple[Task, ...], _Value]] = deque()

    @property
    def n_slots(self) -> int:
        """One."""
        return 1

    @property
    def largest_node_cpus(self) -> int:
        """One: more threads would change nothing but the time."""
        return 1

    @property
    def max_in_flight(self) -> int:
        """One: the next task is chosen when the last is done."""
        return 1

    @property
    def description(self) -> str:
        """Where the tasks run."""
        return "this process, one task at a time"

    def put(self, value: Any) -> Any:
        """Return the value itself."""
        return value

    def submit(self, *batch: Task) -> Any:
        """Queue tasks."""
        value = _Value()
        self._waiting.append((batch, value))
        return value

    def next_completed(self) -> list[Completed]:
        """Run the batch that has waited longest."""
        batch, value = self._waiting.popleft()
        completed = []
        for task in batch:
            arguments = tuple(
                argument.content if isinstance(argument, _Value) else argument for argument in task.arguments
            )
            value.content, outcome = execute(task.key.kind, arguments, self._task_timeout_s)
            completed.append(Completed(task, outcome))
        return completed

    def close(self) -> None:
        """Forget what has not run."""
        self._waiting.clear()


@dataclass(slots=True, eq=False)
class _Value:
    """The value of a task, once it has run."""

    content: Any = None
