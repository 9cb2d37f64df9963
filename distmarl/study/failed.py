"""The tasks that have failed and have not succeeded since: the table ``failures``."""

from __future__ import annotations

from collections.abc import Collection

from distmarl.results.snapshot import Snapshot
from distmarl.results.store import Store
from distmarl.results.tables import FAILURES
from distmarl.study.kinds.kind import TaskKey, key_of
from distmarl.study.pending import Pending


class FailedTasks:
    """Keeps the table free of tasks that succeeded later, or that the sweep no longer has.

    Parameters
    ----------
    store : Store
        The tables.
    pending : Pending
        What is missing of the sweep.
    """

    def __init__(self, store: Store, pending: Pending) -> None:
        self._store = store
        rows = store.rows(FAILURES)
        missing = [row for row in rows if pending.has(key_of(row))]
        self._earlier = {key_of(row) for row in missing}
        self._succeeded: set[TaskKey] = set()
        if len(missing) < len(rows):
            store.replace(FAILURES, missing)

    @property
    def keys(self) -> Collection[TaskKey]:
        """The tasks that earlier sessions have left failed."""
        return self._earlier

    def forget(self, key: TaskKey) -> None:
        """Learn that a task has succeeded."""
        if key in self._earlier:
            self._succeeded.add(key)

    def save(self) -> None:
        """Take the tasks that have succeeded out of the table."""
        if self._succeeded:
            rows = self._store.rows(FAILURES)
            self._store.replace(FAILURES, [row for row in rows if key_of(row) not in self._succeeded])


def failed_keys(store: Snapshot, pending: Pending) -> set[TaskKey]:
    """Return the missing tasks that have failed, without changing anything."""
    return {key for row in store.rows(FAILURES) if pending.has(key := key_of(row))}
