"""The tables of a results folder, read once.

``<table>/data.parquet`` is what readers of Parquet read; what a running sweep has committed since lies in parts
(:mod:`distmarl.results.store`). Both are merged here, so a table is complete at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from distmarl.paths import printable
from distmarl.results.fields import Table
from distmarl.results.grid_columns import GridColumns
from distmarl.results.merging import MergedTable
from distmarl.results.parquet_files import DamagedTableError, PublishedFile, UnreadableFileError, is_whole, read_part
from distmarl.results.storage.location import Location
from distmarl.results.summary.summary_points import EVALUATION_COLUMNS, IsWanted
from distmarl.results.summary.summary_rows import summary_rows
from distmarl.results.tables import (
    EVALUATIONS,
    EXACT_BOUND,
    EXACT_RETURN,
    EXACT_RETURNS,
    SETTINGS,
    SUMMARY,
    TABLES,
)

PARTS = "_parts"
PART_ENDING = ".parquet"
DATA_FILE = "data.parquet"
PASSED_OVER = ("_", ".")  # by readers of Parquet
READ_ATTEMPTS = 5
SUMMARY_BYTES = 2**22  # of evaluations that are summarised at a time, where one setting and k has no more

Row = Mapping[str, Any]
_T = TypeVar("_T")


class Snapshot:
    """The tables of a results folder as they are when they are first asked for.

    Each folder is listed at most once and each file opened at most once, unless a running sweep
    replaces or deletes it in that moment. Nothing is written.

    Parameters
    ----------
    folder : Location
        The results folder.
    strict : bool
        Whether a published file that cannot be read is an error. Otherwise it is passed over, and noted.

    Attributes
    ----------
    damaged : dict of str to str
        What is wrong with published files that have been passed over, by their tables.
    """

    def __init__(self, folder: Location, *, strict: bool = False) -> None:
        self.folder = folder
        self.damaged: dict[str, str] = {}
        self._strict = strict
        self._kept: dict[str, MergedTable] = {}
        self._grid: GridColumns | None = None
        self._listed: dict[str, list[str]] = {}

    def keys(self, table: Table, columns: Sequence[str] | None = None) -> set[tuple[Any, ...]]:
        """Return the keys of all rows, committed or published, or the values that they have in some columns."""
        names = list(table.key if columns is None else columns)
        data = self._read(table, lambda merged: merged.read(names))
        distinct = data if columns is None else data.group_by(names).aggregate([])
        return set(zip(*(distinct.column(name).to_pylist() for name in names), strict=True))

    def rows(self, table: Table, **key: Any) -> list[dict[str, Any]]:
        """Return the rows with the given values in key columns; a list stands for any of its values."""
        return self._read(table, lambda merged: merged.read(table.schema.names, **key)).to_pylist()

    def read(self, table: Table, without: Sequence[str] = (), **key: Any) -> pd.DataFrame:
        """Return a table as it would be published now.

        Parameters
        ----------
        table : Table
            The table.
        without : sequence of str
            Columns to leave out.
        **key
            Values of key columns; a list stands for any of its values. Other rows are left out.
        """
        columns = [name for name in table.schema.names if name not in without]
        (data,) = self._completed(table, [self._read(table, lambda merged: merged.read(columns, **key))])
        return data.to_pandas()

    def summary(
        self,
        is_wanted: IsWanted | None = None,
        exact_k: Collection[int] | None = None,
        n_train_seeds: int | None = None,
    ) -> pd.DataFrame:
        """Return the table ``summary`` of what is wanted.

        Parameters
        ----------
        is_wanted : callable, optional
            Which evaluations count, by arrays of their k and seeds; all by default.
        exact_k : collection of int, optional
            Every k whose exact returns count; all by default.
        n_train_seeds : int, optional
            How many trainings count, from the first on; all by default.
        """
        return self._summary(is_wanted, exact_k, n_train_seeds).to_pandas()

    def grid_keys(self) -> list[str]:
        """Return the dotted keys that have been varied in this folder."""
        columns = self._read(SETTINGS, lambda merged: merged.published.column_names if merged.published else [])
        return [name for name in columns if "." in name]

    def has_files(self, table: Table) -> bool:
        """Return whether a table has been published, or something committed to it."""
        return DATA_FILE in self._names_of_tables()[table.name] or bool(self._part_names(table))

    def check_version(self) -> None:
        """Open all tables; refuse a folder in which some were written by another version of the schemas.

        Raises
        ------
        ResultsError
            Naming the file and both versions.
        """
        for table in TABLES.values():
            self._read(table, lambda _: None)

    def check_whole(self) -> None:
        """Read all of all tables: of a file that is damaged in its middle, nothing is known until it is read."""
        for table in TABLES.values():
            self._read(table, read_whole)

    def strangers(self) -> list[str]:
        """Return the files in tables' folders that are not ours: who reads such a folder reads their rows, too."""
        return [
            printable(f"{table}/{name}")
            for table, names in self._names_of_tables().items()
            for name in names
            if name != DATA_FILE and not name.startswith(PASSED_OVER)
        ]

    def torn_parts(self) -> list[str]:
        """Return the parts of which a loss of power has left only a piece; no table takes them in."""
        if not self.folder.may_tear_files:
            return []
        names = [name for table in TABLES.values() for name in self._part_names(table)]
        files = self.folder.files(names)
        # One that another driver has taken in by now is not there any more.
        return [
            name for name, file in zip(names, files, strict=True) if not is_whole(file) and self.folder.exists(name)
        ]

    def _summary(
        self,
        is_wanted: IsWanted | None = None,
        exact_k: Collection[int] | None = None,
        n_train_seeds: int | None = None,
    ) -> pa.Table:
        exact = [row for row in self.rows(EXACT_RETURNS) if exact_k is None or row["k"] in exact_k]

        def summed_up(merged: MergedTable) -> list[dict[str, Any]]:
            return summary_rows(merged.chunks(EVALUATION_COLUMNS, SUMMARY_BYTES), exact, is_wanted, n_train_seeds)

        rows = self._read(EVALUATIONS, summed_up)
        (data,) = self._completed(SUMMARY, [pa.Table.from_pylist(rows, schema=SUMMARY.schema)])
        return data

    def _completed(self, table: Table, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the rows of a table with the columns that come from other tables."""
        exact = {_pair_of(row): row for row in self.rows(EXACT_RETURNS)} if table is EVALUATIONS else {}
        if self._grid is None and table.has_grid:
            self._grid = GridColumns(self.rows(SETTINGS), self.grid_keys())
        for chunk in chunks:
            if table is EVALUATIONS:
                chunk = _with_exact_columns(chunk, exact)
            yield self._grid.added_to(chunk) if self._grid is not None and table.has_grid else chunk

    def _read(self, table: Table, read: Callable[[MergedTable], _T]) -> _T:
        """Read something of a table; once more, from its start, what a running sweep has replaced meanwhile."""
        for _ in range(READ_ATTEMPTS - 1):
            with suppress(FileNotFoundError, UnreadableFileError):
                return read(self._merged(table))
            self._forget(table)
        try:
            return read(self._merged(table))
        except DamagedTableError as error:
            if self._strict:
                raise
            self.damaged[table.name] = error.fault
        self._forget(table)
        return read(self._merged(table))

    def _merged(self, table: Table) -> MergedTable:
        """Return a table's files, which are opened the first time."""
        if table.name not in self._kept:
            # The parts first: one that is published after this is missed when it is read, not before.
            names, may_be_torn = self._part_names(table), self.folder.may_tear_files
            parts = {
                name: read_part(file, table, may_be_torn=may_be_torn)
                for name, file in zip(names, self.folder.files(names), strict=True)
            }
            published = None
            with suppress(FileNotFoundError):
                if table.name not in self.damaged:
                    (file,) = self.folder.files([published_name(table)])
                    published = PublishedFile(file, table)
            there = {name: part for name, part in parts.items() if part is not None}
            self._kept[table.name] = MergedTable(table, published, there)
        return self._kept[table.name]

    def _forget(self, *tables: Table) -> None:
        """List and open files of tables again when they are needed."""
        self._listed.clear()
        for table in tables:
            self._kept.pop(table.name, None)
            if table is SETTINGS:
                self._grid = None

    def _part_names(self, table: Table) -> list[str]:
        """Return the names of a table's parts, torn ones among them."""
        folder = f"{PARTS}/{table.name}"
        found = self._names(folder) if table.name in self._names(PARTS) else []
        return [f"{folder}/{name}" for name in found if name.endswith(PART_ENDING)]

    def _names_of_tables(self) -> dict[str, list[str]]:
        """Return the names of what is in each table's folder; all are listed together, the first time."""
        if unlisted := [name for name in TABLES if name not in self._listed]:
            self._listed |= zip(unlisted, self.folder.names_in(unlisted), strict=True)
        return {name: self._listed[name] for name in TABLES}

    def _names(self, folder: str) -> list[str]:
        """Return the names of what is in a folder, which is listed the first time."""
        if folder not in self._listed:
            self._listed[folder] = self.folder.names(folder)
        return self._listed[folder]


def read_whole(merged: MergedTable) -> None:
    """Read all of a table: its parts have been."""
    if merged.published is not None:
        merged.published.check()


def published_name(table: Table) -> str:
    """Return the name of a table's published file."""
    return f"{table.name}/{DATA_FILE}"


def _pair_of(row: Row) -> tuple[Any, ...]:
    """Return what tells the pair of policies that a row is about from others."""
    return tuple(row[name] for name in EXACT_RETURNS.key)


def _with_exact_columns(data: pa.Table, exact: Mapping[tuple[Any, ...], Row]) -> pa.Table:
    """Return evaluations with the exact return of each row's pair, null where it is not known."""
    keys = list(zip(*(data.column(name).to_pylist() for name in EXACT_RETURNS.key), strict=True))
    for field in (EXACT_RETURN, EXACT_BOUND):
        column = [exact[key][field.name] if key in exact else None for key in keys]
        data = data.append_column(field, pa.array(column, field.type))
    return data
