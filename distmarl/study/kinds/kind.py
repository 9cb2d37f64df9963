"""What a kind of task is: a record, which everything that handles tasks loops over.

A task is a pure function of its arguments. It returns what later tasks need (a policy) and the rows that it adds to
the tables. All random streams are keyed by the setting's seed and by what they are for, so a task gives the same
rows wherever, whenever and however often it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.model.environment import Environment
from distmarl.model.options import SweepFile
from distmarl.results.fields import Table
from distmarl.results.snapshot import Snapshot
from distmarl.study.job import Job

Rows: TypeAlias = dict[str, list[dict[str, Any]]]

# How many of the columns setting_id, k and seed tell the tasks of a kind apart.
PLACE_COLUMNS = {"setting": 1, "k": 2, "seed": 3}


class TaskGroup(NamedTuple):
    """The tasks of one kind, setting, training and, where they have one, k.

    One task, or one per evaluation seed or start.
    """

    kind: str
    setting_id: str
    k: int | None = None
    train_seed: int = 0

    def task(self, seed: int | None) -> TaskKey:
        """Return one of the tasks."""
        return TaskKey(self.kind, self.setting_id, self.k, seed, self.train_seed)


@dataclass(frozen=True, slots=True)
class TaskKey:
    """What a task is: its kind, its setting and, where it has them, its k and its evaluation seed or start's number.

    Besides, the number of the training that it is part of: 0 for what does not depend on the training.
    """

    kind: str
    setting_id: str
    k: int | None = None
    seed: int | None = None
    train_seed: int = 0

    def __str__(self) -> str:
        parts = [self.kind, self.setting_id]
        parts += [] if self.k is None else [f"k{self.k}"]
        parts += [f"train{self.train_seed}"] if self.train_seed else []
        parts += [] if self.seed is None else [f"{'seed' if self.k is not None else 'start'}{self.seed}"]
        return "-".join(parts)

    @property
    def group(self) -> TaskGroup:
        """The tasks that it is one of."""
        return TaskGroup(self.kind, self.setting_id, self.k, self.train_seed)

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """What tells it from others of its kind and setting: names and numbers; a first training is not named."""
        named = (
            ("k", self.k),
            ("train_seed", self.train_seed or None),
            ("start" if self.k is None else "seed", self.seed),
        )
        return [(name, number) for name, number in named if number is not None]

    def columns(self) -> dict[str, Any]:
        """Return the key as columns of the tables ``timings`` and ``failures``."""
        name = {"task": self.kind, "setting_id": self.setting_id, "k": self.k}
        return {**name, "train_seed": self.train_seed, "seed": self.seed}


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """What a task yields.

    Attributes
    ----------
    value : ndarray or None
        The policy that later tasks need.
    rows : dict of str to list of dict
        Rows by table, in the order in which they are to be written.
    """

    value: NDArray[Any] | None
    rows: Rows


class TaskPlace(NamedTuple):
    """What tells a task from the others of its kind."""

    setting_id: str
    k: int | None = None
    seed: int | None = None
    train_seed: int = 0


class Refusal(NamedTuple):
    """Why a task cannot be asked for: the key, what it must be instead, its value, and the reason."""

    key: str
    rule: str
    value: Any
    reason: InvalidArgumentError


class Asked(NamedTuple):
    """What a sweep asks for: its file, and of its settings, by their ids, the rollouts per evaluation seed.

    Besides, the digests of its pairs from elsewhere, by name and k, where these are known.
    """

    sweep: SweepFile
    n_rollouts: Mapping[str, int]
    policies: Mapping[str, Mapping[tuple[str, int], str]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of task.

    Attributes
    ----------
    name : str
        As in the tables ``timings`` and ``failures``.
    noun, plural : str
        What a task makes, in words: "global policy", "global policies".
    per : {"setting", "start", "k", "seed"}
        Whether there is one for each setting, one for each of its starts, one for each k, or one for each k and
        evaluation seed. Those of evaluation seeds are many and short: they run last, and travel together. What the
        starts yield is wanted all together, by those that need it and nobody after them.
    table : Table
        Its rows make a task done: what a task writes last.
    beside : tuple of Table
        Tables that each task fills, too: one whose rows have gone is not done any more.
    run : callable
        ``run(job, key, n_threads, *values)`` does the task. ``values`` are those of what it needs: first of what
        that needs in turn.
    seconds : callable
        ``seconds(job, k)`` predicts the time on a reference core.
    n_bytes : callable
        ``n_bytes(job, k, n_threads)`` estimates the memory that the task adds to its process.
    run_together : callable, optional
        ``run_together(job, keys, n_threads, *values)`` does several tasks of a group in less time than ``run`` would
        one after the other, and returns their results: the same ones, to the bit.
    needs : str, optional
        The kind of task whose value it needs, of the same setting and, where that has one, the same k.
    needs_in : callable, optional
        ``needs_in(sweep)`` returns the same for a sweep, where that depends on what it asks for.
    also_needs : str, optional
        A kind of task of the setting, whose value is given last, where the sweep asks for such tasks. It needs nothing
        itself.
    is_per_training : bool
        Whether each training has such tasks. What does not depend on the training runs once.
    is_extra : bool
        Whether it waits for the curve, the returns against k: it runs when nothing else is ready, even evaluations.
    grows_with : {"agents", "k", "rollouts"}
        What the memory of a task grows with.
    has_threads : bool
        Whether it uses the cores that ``runner.cpus_per_train`` gives to trainings.
    is_asked_for : callable
        Whether a sweep has such tasks at all.
    done : callable, optional
        ``done(store, asked)`` yields where tasks are done: by default wherever the table, and each of those beside it,
        has rows.
    load : callable, optional
        ``load(store, setting_id, train_seed, ks)`` returns the values of a training's tasks that are done, by k; needed
        where others need them.
    results : callable
        ``results(rows, seconds)`` yields what to tell of a task that has ended.
    unconverged : callable
        ``unconverged(key, rows)`` yields a sentence for everything that ended above its threshold.
    refusals : callable
        ``refusals(job)`` yields why a job's tasks could never run.
    """

    name: str
    noun: str
    plural: str
    per: Literal["setting", "start", "k", "seed"]
    table: Table
    run: Callable[..., TaskResult]
    seconds: Callable[[Job, int | None], float]
    n_bytes: Callable[[Job, int | None, int], int]
    beside: tuple[Table, ...] = ()
    run_together: Callable[..., list[TaskResult]] | None = None
    needs: str | None = None
    needs_in: Callable[[SweepFile], str | None] | None = None
    also_needs: str | None = None
    is_per_training: bool = True
    is_extra: bool = False
    grows_with: Literal["agents", "k", "rollouts"] = "agents"
    has_threads: bool = False
    is_asked_for: Callable[[SweepFile], bool] = lambda _sweep: True
    done: Callable[[Snapshot, Asked], Iterator[TaskPlace]] | None = None
    load: Callable[[Snapshot, str, int, Sequence[int | None]], Mapping[int | None, Any]] | None = None
    results: Callable[[Rows, float], Iterable[str]] = lambda _rows, _seconds: ()
    unconverged: Callable[[TaskKey, Rows], Iterable[str]] = lambda _key, _rows: ()
    refusals: Callable[[Job], Iterable[Refusal]] = lambda _job: ()

    @property
    def is_short(self) -> bool:
        """Whether its tasks are those of evaluation seeds: many and short, so that they fit in anywhere."""
        return self.per == "seed"

    def tasks_done(self, store: Snapshot, asked: Asked) -> set[TaskPlace]:
        """Return where tasks are done."""
        if self.done is not None:
            return set(self.done(store, asked))
        columns = [*("setting_id", "k", "seed")[: PLACE_COLUMNS[self.per]], *(["train_seed"] * self.is_per_training)]
        there = store.keys(self.table, columns).intersection(*(store.keys(each, columns) for each in self.beside))
        return {TaskPlace(**dict(zip(columns, key, strict=True))) for key in there}


def key_of(row: Mapping[Any, Any]) -> TaskKey:
    """Return the task that a row of the table ``timings`` or ``failures`` is about."""
    k, train_seed, seed = (
        None if row[name] is None or np.isnan(row[name]) else int(row[name]) for name in ("k", "train_seed", "seed")
    )
    return TaskKey(row["task"], row["setting_id"], k, seed, train_seed or 0)


def nan_as_null(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in which what does not exist is null."""
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}


def in_short(value: float | None) -> str:
    """Return a number as text, for a line about a task that has ended."""
    return "-" if value is None else f"{value:.4g}" if abs(value) < 1 else f"{value:,.2f}"


def required(number: int | None) -> int:
    """Return the k or the seed of a task, of a kind that has one."""
    if number is None:
        raise TypeError("this kind of task has a k, or a seed, of its own")
    return number


def refused_if(check: Callable[[Environment], None], job: Job, key: str, rule: str, value: Any) -> Iterator[Refusal]:
    """Yield why a job's tasks could never run, if a check of its game says so."""
    try:
        check(job.environment)
    except InvalidArgumentError as error:
        yield Refusal(key, rule, value, error)
