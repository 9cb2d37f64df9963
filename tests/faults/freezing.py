"""Two drivers of one folder, of which one is frozen at any of its requests while the other takes over.

The first is held at its n-th request to the store (before it is done, or before its answer comes), or at its n-th
operation on a disk that cannot lock; with it, its beats. The second, of the same sweep with more seeds, takes the
lock over, and ends before the first goes on, or is held itself at its m-th while the first ends.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import io
import itertools
import os
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage import lock, opening
from distmarl.results.storage.lock import Lock, LostLockError
from distmarl.results.store import Store
from distmarl.results.tables import EVALUATIONS, TABLES, TRAININGS
from distmarl.sweep.stopping import Stop
from tests.object_store import ObjectStore
from tests.places import snapshot_of
from tests.sweep.sweeps import TINY, changed, run

FEW, MORE = TINY, changed(TINY, experiment={"n_eval_seeds": 3})
FIRST, SECOND = "first driver", "second driver"
NEVER = 10**9
WAIT_S = 120.0

# What Python tells of what is done to files.
OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.listdir", "os.scandir"}


class Freezer:
    """Holds one driver from its n-th step on.

    Parameters
    ----------
    at : int or str
        Which step; or a pattern of what the first such step is called.
    how : str
        ``before`` it is done, ``after``, when only its end is not heard of, or ``late``: the driver goes on at once,
        as if nothing had come of it, and it is done when all is over.
    """

    def __init__(self, at: int | str = NEVER, how: str = "before") -> None:
        self.frozen, self.thawed = threading.Event(), threading.Event()
        self.late: Callable[[], Any] | None = None
        self._at, self._how = at, how
        self._count = itertools.count()

    def step(self, what: str, do: Callable[[], Any], drop: Callable[[], Any] = lambda: None) -> Any:
        """Make a step, when it is time."""
        if self._is_it(what):
            return self._hold(do, drop)
        if self.frozen.is_set():
            self.thawed.wait(WAIT_S)
        return do()

    def _is_it(self, what: str) -> bool:
        if isinstance(self._at, int):
            return next(self._count) == self._at
        return re.search(self._at, what) is not None and next(self._count) == 0

    def _hold(self, do: Callable[[], Any], drop: Callable[[], Any]) -> Any:
        if self._how == "late":
            self.late = do
            return drop()
        done = do() if self._how == "after" else None
        self.frozen.set()
        self.thawed.wait(WAIT_S)
        return done if self._how == "after" else do()


@dataclass
class Driver:
    """What became of a driver.

    Attributes
    ----------
    name : str
        Which.
    freezer : Freezer
        What holds it.
    committed : dict
        The keys that it was told are committed, by table.
    error : Exception or None
        What it ended with.
    """

    name: str
    freezer: Freezer
    committed: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    error: Exception | None = None
    thread: threading.Thread | None = None

    def start(self, place: Any, sweep: dict[str, Any]) -> None:
        def drive() -> None:
            try:
                run(place, sweep)
            except Exception as error:  # looked at below
                self.error = error

        self.thread = threading.Thread(target=drive, name=self.name)
        self.thread.start()

    def wait_until_frozen(self) -> None:
        """Wait until it is held, or has ended."""
        assert self.thread is not None
        while self.thread.is_alive() and not self.freezer.frozen.wait(0.002):
            pass

    def finish(self) -> None:
        assert self.thread is not None
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive(), self.name


class Duel:
    """The two drivers and the order of what they did.

    Parameters
    ----------
    places : list
        Where each of them finds the folder.
    published : callable
        Returns a file's content.
    first, second : Freezer
        What holds them.
    """

    def __init__(self, places: list[Any], published: Callable[[str], bytes], first: Freezer, second: Freezer) -> None:
        self.places, self._published = places, published
        self.first, self.second = Driver(FIRST, first), Driver(SECOND, second)
        self.events: list[tuple[str, str]] = []

    def fight(self) -> None:
        """Let the first freeze, the second take over, and each end."""
        first, second = self.first, self.second
        with self._noting():
            first.start(self.places[0], FEW)
            first.wait_until_frozen()
            second.start(self.places[1], MORE)
            second.wait_until_frozen()
            first.freezer.thawed.set()
            first.finish()
            second.freezer.thawed.set()
            second.finish()
            for driver in (first, second):
                if driver.freezer.late is not None:
                    driver.freezer.late()

    def check(self, expected: dict[str, bytes]) -> None:
        """Check that nothing that was committed is lost or doubled, and that who lost the lock has said so."""
        for driver in (self.first, self.second):
            assert driver.error is None or isinstance(driver.error, ResultsError), driver.error
        assert self.first.error is None or self.second.error is None
        for loser, winner in ((self.first, self.second), (self.second, self.first)):
            if self._was_taken_over(loser.name, winner.name):
                assert isinstance(loser.error, LostLockError), self.events
                assert "was taken over by" in str(loser.error)
        snapshot = snapshot_of(self.places[0])
        for driver in (self.first, self.second):
            for table, keys in driver.committed.items():
                assert keys <= snapshot.keys(TABLES[table]), (driver.name, table)
            if driver.error is None:  # which it said after it had published
                published = pd.read_parquet(io.BytesIO(self._published(f"{EVALUATIONS.name}/data.parquet")))
                keys = list(published[list(EVALUATIONS.key)].itertuples(index=False, name=None))
                assert driver.committed.get(EVALUATIONS.name, set()) <= set(keys), driver.name
                assert len(keys) == len(set(keys))
        run(self.places[0], MORE)
        for name, content in expected.items():
            assert self._published(f"{name}/data.parquet") == content, name

    def _was_taken_over(self, loser: str, winner: str) -> bool:
        """Return whether one took the lock before the other, who held it, began to give it back."""
        mine = [what for who, what in self.events if who == loser]
        if "locked" not in mine or (winner, "locked") not in self.events:
            return False
        held, taken = self.events.index((loser, "locked")), self.events.index((winner, "locked"))
        given_back = self.events.index((loser, "gives back")) if "gives back" in mine else len(self.events)
        return held < taken < given_back

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what the drivers commit, and when they take the lock and give it back."""
        commit, take, release = Store.commit, Lock.__init__, Lock.release
        events = self.events

        def who() -> str:
            return threading.current_thread().name

        def noted_commit(store: Store, task: str, rows: Any) -> None:
            commit(store, task, rows)
            driver = self.first if who() == FIRST else self.second
            for table, table_rows in rows:
                if table in (EVALUATIONS, TRAININGS):
                    keys = driver.committed.setdefault(table.name, set())
                    keys |= {tuple(row[name] for name in table.key) for row in table_rows}

        def noted_take(held: Lock, *arguments: Any) -> None:
            take(held, *arguments)
            events.append((who(), "locked"))

        def noted_release(held: Lock) -> None:
            events.append((who(), "gives back"))
            release(held)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "commit", noted_commit)
            patch.setattr(Lock, "__init__", noted_take)
            patch.setattr(Lock, "release", noted_release)
            yield


@contextmanager
def hasty() -> Iterator[None]:
    """Let beats and silence be short, threads hear no signals, and a store be waited for."""

    class Named(threading.Thread):
        """A thread that bears the name of the driver that started it."""

        def __init__(self, **options: Any) -> None:
            super().__init__(name=threading.current_thread().name, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "BEAT_EVERY_S", 0.1)
        patch.setattr(lock, "POLL_EVERY_S", 0.04)
        patch.setattr(lock, "SILENT_AFTER_S", 0.8)
        patch.setattr(lock, "threading", types.SimpleNamespace(Thread=Named, Event=threading.Event))
        patch.setattr(opening, "REQUEST_TIMEOUT_S", WAIT_S)
        patch.setattr(Stop, "on_signals", lambda _: nullcontext())
        yield


def duel_in_store(store: ObjectStore, first: Freezer, second: Freezer) -> Duel:
    """Let two drivers fight for a folder of an object store, each through a door of its own."""
    place = f"{store.new_bucket()}/tiny"
    with store.door(first.step) as one, store.door(second.step) as other:
        places = [store.uri(place, endpoint_override=door) for door in (one, other)]
        duel = Duel(places, lambda name: store.objects(place)[name], first, second)
        duel.fight()
    duel.places = [store.uri(place)]
    return duel


def duel_on_disk(folder: Path, first: Freezer, second: Freezer) -> Duel:
    """Let two drivers fight for a folder on a disk that cannot lock."""

    def cannot(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    duel = Duel([folder, folder], lambda name: (folder / name).read_bytes(), first, second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", cannot)
        _watched.update({FIRST: first, SECOND: second})
        _watch()
        duel.fight()
        _watched.clear()
    return duel


_watched: dict[str, Freezer] = {}


@functools.cache
def _watch() -> None:
    """Let what the drivers do to files be their steps; nothing can take back that Python tells of it."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in OPERATIONS and "results" in str(arguments[0]):
            freezer = _watched.get(threading.current_thread().name)
            if freezer is not None:
                freezer.step(" ".join(map(str, (event, *arguments))), lambda: None)

    sys.addaudithook(hear)
