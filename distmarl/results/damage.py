"""Tables of a results folder that are damaged, or have gone, and what becomes of them.

A table that follows from others is made again; what tasks have filled, the same tasks fill again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from distmarl.results.fields import Table
from distmarl.results.folder import read_provenance
from distmarl.results.snapshot import Snapshot, published_name
from distmarl.results.store import Store
from distmarl.results.tables import FAILURES, SETTINGS, SUMMARY, TABLES, TIMINGS

GONE = "has gone (deleted, or not copied)"
REMEDIES = {
    SUMMARY.name: "it is made again from evaluations and exact_returns",
    SETTINGS.name: "it is made again from the sweep file; settings that only earlier sweep files had are lost",
    TIMINGS.name: "when tasks have run so far, and for how long, is lost",
    FAILURES.name: "tasks that had failed run again",
}
TASKS = "the tasks that fill it run again"


class Damage(NamedTuple):
    """A table without its published file.

    Attributes
    ----------
    table : str
        Its name.
    file : str
        The file, for people.
    fault : str
        What is wrong with it.
    """

    table: str
    file: str
    fault: str

    @property
    def is_gone(self) -> bool:
        """Whether there is no such file."""
        return self.fault == GONE

    @property
    def remedy(self) -> str:
        """What becomes of the table when the sweep's command runs."""
        return REMEDIES.get(self.table, TASKS)

    def __str__(self) -> str:
        remedy = "" if self.is_gone else "it is kept aside, and "
        return f"{self.file}: {self.fault}; with the sweep's command {remedy}{self.remedy}"


def find_damage(snapshot: Snapshot) -> list[Damage]:
    """Return the tables of a folder whose published files are damaged, or have gone.

    On a disk, all files are opened. In an object store, where a file is whole or not there, a damaged one
    is found when it is read.
    """
    if snapshot.folder.may_tear_files:
        snapshot.check_version()
    faults = {**dict.fromkeys(deleted_tables(snapshot), GONE), **snapshot.damaged}
    return [_damage(snapshot, table, faults[name]) for name, table in TABLES.items() if name in faults]


def deleted_tables(snapshot: Snapshot) -> list[str]:
    """Return the tables that have gone: a session that ended left all of those that it noted."""
    ended = [session for session in read_provenance(snapshot.folder)["sessions"] if "ended_at" in session]
    left = {name for session in ended for name in session.get("tables", ())}  # earlier versions noted none
    return [name for name, table in TABLES.items() if name in left and not snapshot.has_files(table)]


def mend(store: Store, damages: Sequence[Damage]) -> Iterator[str]:
    """Keep damaged files aside, and yield what to say of each table: what was wrong, and what becomes of it."""
    kept = store.set_aside(damage.table for damage in damages if not damage.is_gone)
    for damage in damages:
        if damage.is_gone:
            yield f"{damage.file}: {damage.fault}; {damage.remedy}"
        elif damage.table in kept:
            yield f"{damage.file}: {damage.fault}; kept as {kept[damage.table]}; {damage.remedy}"


def _damage(snapshot: Snapshot, table: Table, fault: str) -> Damage:
    return Damage(table.name, snapshot.folder.describe(published_name(table)), fault)
