"""The tables of a results folder: committed in parts, published whole.

What a task yields is committed at once, as ``_parts/<table>/<task>.parquet``, in one step
(:mod:`distmarl.results.storage.location`): a part is there whole or not at all, and a
task that runs twice replaces its own part. ``<table>/data.parquet``, which readers read, is
made from the last one and the parts, by key, and replaced in one step; parts
that it has taken in are deleted after that. A crash at any moment loses no
part and counts none twice. (Readers of Parquet pass over names with a leading underscore.)

There is one writer, the driver of the sweep, which holds the folder's lock. One that has lost it without
noticing can do no harm: its parts have its number in their names, so nobody deletes another one's that has not been
published; and what it publishes replaces the version that it was made from, or nothing (:mod:`..storage.location`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from distmarl.results.fields import Table
from distmarl.results.grid_columns import GridColumns
from distmarl.results.parquet_files import DamagedTableError
from distmarl.results.snapshot import PART_ENDING, PARTS, Row, Snapshot, published_name, read_whole
from distmarl.results.storage.location import ANY, Location, ReplacedError, Version
from distmarl.results.storage.lock import Lock
from distmarl.results.tables import EVALUATIONS, EXACT_RETURNS, SETTINGS, SUMMARY, TABLES

DAMAGED = "_damaged-"
# So often somebody who has lost the lock may come between; it writes each file once at most.
WRITE_ATTEMPTS = 5


class Store(Snapshot):
    """Reads and writes the tables of one results folder, of which it is the only writer.

    Parameters
    ----------
    folder : Location
        The results folder.
    lock : Lock, optional
        The folder's lock; once another process has taken it over, nothing is written any more.
    """

    def __init__(self, folder: Location, lock: Lock | None = None) -> None:
        super().__init__(folder, strict=True)
        self._lock = lock
        self._set_aside: dict[str, Version] = {}
        self._has_unpublished_parts = True

    def commit(self, task: str, rows: Sequence[tuple[Table, Sequence[Row]]]) -> None:
        """Write what a task yielded; the last table's part makes the task done.

        Parameters
        ----------
        task : str
            Name of the task, which names its parts.
        rows : sequence of (Table, rows)
            Rows of each table. They are written in this order.
        """
        number = self._lock.number if self._lock is not None else 0
        for table, table_rows in rows:
            self._write([_typed(table, table_rows)], f"{PARTS}/{table.name}/{number:06d}-{task}.parquet", ANY)
        self._forget(*(table for table, _ in rows))
        self._has_unpublished_parts = True

    def publish(self, *, force: bool = False) -> None:
        """Bring every table up to date, then delete the parts that they have taken in.

        Parameters
        ----------
        force : bool
            Look also at tables that nothing was added to: their grid's columns may be others by now.
        """
        if not (self._has_unpublished_parts or force):
            return
        self._settle(lambda: self._publish_stale(force))
        self._has_unpublished_parts = False

    def clear(self) -> None:
        """Leave no row in any table.

        Published files are replaced by empty ones: who has lost the lock could delete a file that came meanwhile.
        """

        def clear() -> None:
            self.folder.delete([name for table in TABLES.values() for name in self._part_names(table)])
            for table in TABLES.values():
                version = self.folder.version(published_name(table))
                if version is not None:
                    self._publish(table, [table.schema.empty_table()], version)
            self._forget(*TABLES.values())

        self._settle(clear)

    def tidy(self) -> None:
        """Remove the folder that only a running session needs, once there is no part in it."""
        self.folder.delete_empty_folder(PARTS)

    def replace(self, table: Table, rows: Sequence[Row]) -> None:
        """Replace a whole table; for the small ones that the driver keeps itself."""

        def replace() -> None:
            merged = self._merged(table)
            self._publish(table, self._completed(table, [_typed(table, rows)]), self._version(table))
            self.folder.delete(merged.part_names)
            self._forget(table)

        self._settle(replace)

    def add_settings(self, settings: Iterable[Row], grid_keys: Iterable[str]) -> None:
        """Note the settings of the sweep that runs now; older ones are kept, out of the sweep.

        Parameters
        ----------
        settings : iterable of rows
            Rows of the ``settings`` table, all of them in the sweep.
        grid_keys : iterable of str
            Dotted keys that the sweep's grid varies.
        """
        added, varied = {row["setting_id"]: dict(row) for row in settings}, list(grid_keys)

        def add() -> None:
            rows = {row["setting_id"]: {**row, "in_sweep": False} for row in self.rows(SETTINGS)} | added
            ordered = [rows[setting_id] for setting_id in sorted(rows)]
            grid = GridColumns(ordered, dict.fromkeys([*varied, *self.grid_keys()]))
            self._publish(SETTINGS, [grid.added_to(_typed(SETTINGS, ordered))], self._version(SETTINGS))
            self._forget(SETTINGS)

        self._settle(add)

    def set_aside(self, names: Iterable[str]) -> dict[str, str]:
        """Keep the published files of some tables aside, those that cannot be read; return where, for people.

        Readers of a table's whole folder pass over such a file. In its place it stays until it is replaced.
        """
        kept: dict[str, str] = {}
        for table in (TABLES[name] for name in names):
            try:
                self._read(table, read_whole)
            except DamagedTableError as error:
                there = self.folder.names(table.name)
                aside = next(each for each in _names_aside() if each not in there)
                content, self._set_aside[table.name] = self.folder.read_version(published_name(table))
                self._check_lock()
                with self.folder.writing(f"{table.name}/{aside}", guard=self._lock) as stream:
                    stream.write(content)
                self.damaged[table.name] = error.fault
                kept[table.name] = self.folder.describe(f"{table.name}/{aside}")
            self._forget(table)
        return kept

    def _publish_stale(self, force: bool) -> None:
        stale = [table for table in TABLES.values() if self._is_stale(table) or (force and self._has_old_grid(table))]
        if EXACT_RETURNS in stale and EVALUATIONS not in stale:
            stale.append(EVALUATIONS)  # which has their columns
        has_old_summary = SUMMARY in stale or EVALUATIONS in stale
        # Known before the tables that it follows from are, or are found to be as they were read.
        summary = self.folder.version(published_name(SUMMARY)) if has_old_summary else None
        if has_old_summary and EVALUATIONS not in stale:
            self._forget(EVALUATIONS, EXACT_RETURNS)
        taken_in: list[str] = []
        for table in stale:
            if table is not SUMMARY:
                merged = self._merged(table)
                self._publish(table, self._completed(table, merged.chunks(table.schema.names)), self._version(table))
                taken_in += merged.part_names
        if has_old_summary:  # the summary last, before the parts that it follows from are deleted
            self._publish(SUMMARY, [self._summary()], summary)
        self.folder.delete(taken_in)
        self._forget(*stale)

    def _settle(self, publish: Callable[[], None]) -> None:
        """Publish; do it once more from what is there now, where somebody else, without the lock, came between."""
        for _ in range(WRITE_ATTEMPTS - 1):
            try:
                return publish()
            except (ReplacedError, FileNotFoundError):
                if self._lock is not None:
                    self._lock.look()
                self._forget(*TABLES.values())
                self.damaged.clear()
                self._set_aside.clear()
        return publish()

    def _is_stale(self, table: Table) -> bool:
        """Return whether a table's published file is missing or damaged, or lacks what is in its parts."""
        is_damaged = table.name in self._set_aside
        return is_damaged or bool(self._part_names(table)) or not self.folder.exists(published_name(table))

    def _has_old_grid(self, table: Table) -> bool:
        """Return whether a table's published file lacks columns that the grid has now, or has them of another type."""
        published = self._merged(table).published
        (now,) = self._completed(table, [table.schema.empty_table()])
        return published is None or not published.has_columns(now.schema)

    def _publish(self, table: Table, chunks: Iterable[pa.Table], replaces: Version | None) -> None:
        """Replace the version of a table's published file that the rows were made from."""
        self._write(chunks, published_name(table), replaces)
        self.damaged.pop(table.name, None)
        self._set_aside.pop(table.name, None)

    def _version(self, table: Table) -> Version | None:
        """Return which version of a table's published file was read, or set aside; None where there was none."""
        return self._set_aside[table.name] if table.name in self._set_aside else self._merged(table).version

    def _write(self, chunks: Iterable[pa.Table], name: str, replaces: Version | None) -> None:
        """Write a table's file in one step."""
        self._check_lock()
        with self.folder.writing(name, replaces=replaces, guard=self._lock) as stream:
            _write_chunks(chunks, stream)

    def _check_lock(self) -> None:
        """Stop if another process has taken the folder over."""
        if self._lock is not None:
            self._lock.check()


def _names_aside() -> Iterator[str]:
    """Yield names for a damaged file."""
    now = datetime.now(timezone.utc)
    yield f"{DAMAGED}{now:%Y%m%d-%H%M%S}{PART_ENDING}"
    yield from (f"{DAMAGED}{now:%Y%m%d-%H%M%S}-{number}{PART_ENDING}" for number in itertools.count(2))


def _typed(table: Table, rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=table.schema)


def _write_chunks(chunks: Iterable[pa.Table], stream: BinaryIO) -> None:
    """Write tables of one schema, at least one of them, as the row groups of a Parquet file with checksums."""
    remaining = iter(chunks)
    first = next(remaining)
    with pq.ParquetWriter(stream, first.schema, write_page_checksum=True) as writer:
        for chunk in itertools.chain([first], remaining):
            writer.write_table(chunk, row_group_size=max(1, len(chunk)))
