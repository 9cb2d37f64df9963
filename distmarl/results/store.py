"""The tables of a results folder: committed in parts, published whole.

What a task yields is committed at once, as ``_parts/<table>/<task>.parquet``, in one step
(:mod:`distmarl.results.storage.location`): a part is there whole or not at all, and a
task that runs twice replaces its own part. ``<table>/data.parquet``, which readers read, is
made from the last one and the parts, by key, and replaced in one step; parts
that it has taken in are deleted after that. A crash at any moment loses no
part and counts none twice. (Readers of Parquet pass over names with a leading underscore.)

There is one writer, the driver of the sweep, which holds the folder's lock.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distmarl.errors import ResultsError
from distmarl.results.merging import (
    UnreadableFileError,
    is_whole,
    merged_chunks,
    published_chunks,
    read_merged,
    read_schema,
)
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import Lock
from distmarl.results.storage.opening import Place, open_location
from distmarl.results.summary_rows import EVALUATION_COLUMNS, IsWanted, summary_rows
from distmarl.results.tables import (
    EVALUATIONS,
    EXACT_BOUND,
    EXACT_RETURN,
    EXACT_RETURNS,
    SCHEMA_VERSION,
    SETTINGS,
    SUMMARY,
    TABLES,
    VERSION_KEY,
    Table,
)

PARTS = "_parts"
DATA_FILE = "data.parquet"
READ_ATTEMPTS = 5

Row = Mapping[str, Any]
_T = TypeVar("_T")


class Store:
    """Reads and writes the tables of one results folder.

    Parameters
    ----------
    folder : str, Path or Location
        The results folder.
    lock : Lock, optional
        The folder's lock; once another process has taken it over, nothing is written any more.
    """

    def __init__(self, folder: Place, lock: Lock | None = None) -> None:
        self.folder = open_location(folder)
        self._lock = lock
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
        for table, table_rows in rows:
            part = pa.Table.from_pylist([dict(row) for row in table_rows], schema=table.schema)
            self._write([part], f"{PARTS}/{table.name}/{task}.parquet")
        self._has_unpublished_parts = True

    def keys(self, table: Table) -> set[tuple[Any, ...]]:
        """Return the keys of all rows, committed or published."""
        data = self._merged(table, columns=table.key)
        return set(zip(*(data.column(name).to_pylist() for name in table.key), strict=True))

    def read(self, table: Table, without: Sequence[str] = (), **key: Any) -> pd.DataFrame:
        """Return a table as it would be published now, without writing anything.

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
        (data,) = self._completed(table, [self._merged(table, columns=columns, where=_where(table, key))])
        return data.to_pandas()

    def summary(self, is_wanted: IsWanted | None = None, exact_k: Collection[int] | None = None) -> pd.DataFrame:
        """Return the table ``summary`` of what is wanted, without writing anything.

        Parameters
        ----------
        is_wanted : callable, optional
            Which evaluations count, by their k and seed; all by default.
        exact_k : collection of int, optional
            Every k whose exact returns count; all by default.
        """
        return self._summary(is_wanted, exact_k).to_pandas()

    def rows(self, table: Table, **key: Any) -> list[dict[str, Any]]:
        """Return the rows with the given values in key columns; a list stands for any of its values."""
        return self._merged(table, where=_where(table, key)).to_pylist()

    def publish(self, *, force: bool = False) -> None:
        """Bring every table up to date, then delete the parts that it has taken in."""
        if not (self._has_unpublished_parts or force):
            return
        for table in TABLES.values():
            if table is SUMMARY:
                continue  # follows from the evaluations, below
            parts, published = self._parts(table), _published(table)
            is_published = self.folder.exists(published)
            if not parts and is_published and not force:
                continue
            files = self.folder.files([published] * is_published + parts)
            self._write(self._completed(table, merged_chunks(files, table)), published)
            self.folder.delete(parts)
        self._write([self._summary()], _published(SUMMARY))
        self._has_unpublished_parts = False

    def torn_parts(self) -> list[str]:
        """Return the parts of which a loss of power has left only a piece; no table takes them in."""
        if not self.folder.may_tear_files:
            return []
        names = [name for table in TABLES.values() for name in _all_parts(self.folder, table)]
        files = self.folder.files(names)
        # One that another driver has taken in by now is not there any more.
        return [
            name for name, file in zip(names, files, strict=True) if not is_whole(file) and self.folder.exists(name)
        ]

    def tidy(self) -> None:
        """Remove the folder that only a running session needs, once there is no part in it."""
        self.folder.delete_folder(PARTS, only_empty=True)

    def replace(self, table: Table, rows: Sequence[Row]) -> None:
        """Replace a whole table; for the small ones that the driver keeps itself."""
        parts = self._parts(table)
        data = pa.Table.from_pylist([dict(row) for row in rows], schema=table.schema)
        self._write(self._completed(table, [data]), _published(table))
        self.folder.delete(parts)

    def grid_keys(self) -> list[str]:
        """Return the dotted keys that have been varied in this folder."""
        published = _published(SETTINGS)
        if not self.folder.exists(published):
            return []
        (file,) = self.folder.files([published])
        return [name for name in read_schema(file).names if "." in name]

    def add_settings(self, settings: Iterable[Row], grid_keys: Iterable[str]) -> None:
        """Note the settings of the sweep that runs now; older ones are kept, out of the sweep.

        Parameters
        ----------
        settings : iterable of rows
            Rows of the ``settings`` table, all of them in the sweep.
        grid_keys : iterable of str
            Dotted keys that the sweep's grid varies.
        """
        rows = {row["setting_id"]: {**row, "in_sweep": False} for row in self.rows(SETTINGS)}
        rows |= {row["setting_id"]: dict(row) for row in settings}
        keys = list(dict.fromkeys([*grid_keys, *self.grid_keys()]))
        ordered = [rows[setting_id] for setting_id in sorted(rows)]
        data = pa.Table.from_pylist(ordered, schema=SETTINGS.schema)
        self._write([_with_grid_columns(SETTINGS, data, ordered, keys)], _published(SETTINGS))

    def _summary(self, is_wanted: IsWanted | None = None, exact_k: Collection[int] | None = None) -> pa.Table:
        def read() -> list[dict[str, Any]]:
            names = self._names(EVALUATIONS)
            files = self.folder.files(names)
            if names == [_published(EVALUATIONS)]:
                chunks = published_chunks(files[0], EVALUATION_COLUMNS)
            else:  # of a sweep that runs, or has not started
                chunks = iter([read_merged(files, EVALUATIONS, EVALUATION_COLUMNS)])
            exact = [row for row in self.rows(EXACT_RETURNS) if exact_k is None or row["k"] in exact_k]
            return summary_rows(chunks, exact, is_wanted)

        rows = _until_undisturbed(read)
        (data,) = self._completed(SUMMARY, [pa.Table.from_pylist(rows, schema=SUMMARY.schema)])
        return data

    def _completed(self, table: Table, chunks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the rows of a table with the columns that come from other tables."""
        settings, keys = (self.rows(SETTINGS), self.grid_keys()) if table.has_grid else ([], [])
        exact = {(row["setting_id"], row["k"]): row for row in self.rows(EXACT_RETURNS)} if table is EVALUATIONS else {}
        for chunk in chunks:
            if table is EVALUATIONS:
                chunk = _with_exact_columns(chunk, exact)
            yield _with_grid_columns(table, chunk, settings, keys) if table.has_grid else chunk

    def _merged(
        self, table: Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None
    ) -> pa.Table:
        """Return a table's rows, even while a running sweep publishes."""
        return _until_undisturbed(lambda: read_merged(self.folder.files(self._names(table)), table, columns, where))

    def _names(self, table: Table) -> list[str]:
        """Return the names of a table's files, oldest first."""
        parts = self._parts(table)  # first: one that is published after this is missed when it is read, not before
        published = _published(table)
        return [published] * self.folder.exists(published) + parts

    def _parts(self, table: Table) -> list[str]:
        """Return the names of a table's parts."""
        return _parts(self.folder, table)

    def _write(self, chunks: Iterable[pa.Table], name: str) -> None:
        """Write a table's file in one step."""
        if self._lock is not None:
            self._lock.check()
        with self.folder.writing(name) as stream:
            _write_chunks(chunks, stream)


def _where(table: Table, key: Row) -> pc.Expression | None:
    """Return which rows have the given values in key columns; None for all."""
    selected = None
    for name, value in key.items():
        values = pa.array(value if isinstance(value, list) else [value], table.schema.field(name).type)
        matches = pc.field(name).isin(values)
        selected = matches if selected is None else selected & matches
    return selected


def _published(table: Table) -> str:
    return f"{table.name}/{DATA_FILE}"


def _parts(folder: Location, table: Table) -> list[str]:
    """Return the names of a table's parts, but for torn ones, which are no more than tasks to run again."""
    names = _all_parts(folder, table)
    if not folder.may_tear_files:
        return names
    return [name for name, file in zip(names, folder.files(names), strict=True) if is_whole(file)]


def _all_parts(folder: Location, table: Table) -> list[str]:
    found = folder.names(f"{PARTS}/{table.name}")
    return [f"{PARTS}/{table.name}/{name}" for name in found if name.endswith(".parquet")]


def _until_undisturbed(read: Callable[[], _T]) -> _T:
    """Read again what a running sweep has replaced or deleted meanwhile."""
    for _ in range(READ_ATTEMPTS - 1):
        with suppress(FileNotFoundError, UnreadableFileError):
            return read()
    return read()


def _write_chunks(chunks: Iterable[pa.Table], stream: BinaryIO) -> None:
    """Write tables of one schema, at least one of them, as the row groups of a Parquet file."""
    remaining = iter(chunks)
    first = next(remaining)
    with pq.ParquetWriter(stream, first.schema) as writer:
        for chunk in itertools.chain([first], remaining):
            writer.write_table(chunk, row_group_size=max(1, len(chunk)))


def check_schema_version(folder: Place) -> None:
    """Refuse a folder whose tables were written by another version of the schemas.

    Raises
    ------
    ResultsError
        Naming the file and both versions.
    """
    location = open_location(folder)
    for table in TABLES.values():
        _until_undisturbed(partial(_check_table_version, location, table))


def _check_table_version(folder: Location, table: Table) -> None:
    published = _published(table)
    for file in folder.files([published] * folder.exists(published) + _parts(folder, table)[:1]):
        found = (read_schema(file).metadata or {}).get(VERSION_KEY, b"none").decode()
        if found != SCHEMA_VERSION:
            raise ResultsError(
                f"{file.name}: was written with schema version {found}, this distmarl uses version {SCHEMA_VERSION}; "
                "choose another folder with --out, or start afresh with --overwrite"
            )


def _with_grid_columns(table: Table, data: pa.Table, settings: Sequence[Row], keys: Sequence[str]) -> pa.Table:
    """Return a table with a column for each grid key, right behind ``setting_id``."""
    contents = {row["setting_id"]: json.loads(row["content"]) for row in settings}
    place = data.schema.get_field_index("setting_id") + 1
    for number, key in enumerate(keys):
        section, _, name = key.partition(".")
        values = {setting_id: content.get(section, {}).get(name) for setting_id, content in contents.items()}
        kind = _column_type(list(values.values()))
        column = [values.get(setting_id) for setting_id in data.column("setting_id").to_pylist()]
        if kind == pa.string():
            column = [value if value is None or isinstance(value, str) else json.dumps(value) for value in column]
        field = pa.field(key, kind, metadata={"description": f"the setting's {key}", "unit": "as in the sweep file"})
        data = data.add_column(place + number, field, pa.array(column, kind))
    return data.replace_schema_metadata(table.schema.metadata)


def _with_exact_columns(data: pa.Table, exact: Mapping[tuple[str, int], Row]) -> pa.Table:
    """Return evaluations with the exact return of each row's pair, null where it is not known."""
    keys = list(zip(data.column("setting_id").to_pylist(), data.column("k").to_pylist(), strict=True))
    for field in (EXACT_RETURN, EXACT_BOUND):
        column = [exact[key][field.name] if key in exact else None for key in keys]
        data = data.append_column(field, pa.array(column, field.type))
    return data


def _column_type(values: list[Any]) -> pa.DataType:
    """Return the type of a grid column; whatever is not all numbers or all booleans is text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {bool}:
        return pa.bool_()
    if kinds and kinds <= {int} and all(abs(value) < 2**63 for value in values if value is not None):
        return pa.int64()
    if float in kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string()
