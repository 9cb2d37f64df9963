"""Reading Parquet files: each is opened once, and checked when it is."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from distmarl.errors import ResultsError
from distmarl.results.fields import BEFORE_KEY, EARLIER_VERSIONS, SCHEMA_VERSION, VERSION_KEY, Table
from distmarl.results.storage.location import File, Version
from distmarl.results.storage.reasons import reason_of

# A Parquet file ends with its metadata, their length, and these letters, which it also starts with.
MAGIC = b"PAR1"
FOOTER_BYTES = 8
# A file is checked so much at a time, as it is in memory.
CHECKED_BYTES = 2**25
# What to do about a file that cannot be read.
RESTORE = "restore it from a copy, or move it away and run the sweep's command again, which makes it again"
DELETE = "delete it and run the sweep's command again, which runs what is missing"
NOT_READABLE = "is not a readable Parquet file of distmarl"


class UnreadableFileError(ResultsError):
    """A file is no Parquet file, or was replaced by a longer one while it was read.

    Attributes
    ----------
    fault : str
        What is wrong with it, in a few words.
    """

    def __init__(self, file: File, fault: str, remedy: str) -> None:
        self.fault = fault
        super().__init__(f"{file.name}: {fault}; {remedy}")


class DamagedTableError(UnreadableFileError):
    """A table's published file cannot be read."""


class PublishedFile:
    """A table's published file, which stays open: what replaces it meanwhile is not seen.

    Parameters
    ----------
    file : File
        The file.
    table : Table
        The table.

    Raises
    ------
    FileNotFoundError
        When it has gone.
    DamagedTableError
        When it is no readable file of the table.
    ResultsError
        When it was written by another version of the schemas.
    """

    def __init__(self, file: File, table: Table) -> None:
        self._file, self._table = file, table
        with _published(file):
            self._parquet = _opened(file, table, RESTORE)

    @property
    def version(self) -> Version:
        """Its version, where there are any."""
        return self._file.version

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._parquet.metadata.num_rows)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, those of the grid among them."""
        return list(self._parquet.schema_arrow.names)

    def has_columns(self, schema: pa.Schema) -> bool:
        """Return whether the columns are just those of a schema, descriptions aside."""
        return bool(self._parquet.schema_arrow.equals(schema, check_metadata=False))

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows."""
        return self._read(range(self._parquet.num_row_groups), columns)

    def check(self) -> None:
        """Read all of it, about so many bytes at a time, and keep nothing."""
        metadata, groups, n_bytes = self._parquet.metadata, list[int](), 0
        for group in range(metadata.num_row_groups):
            groups.append(group)
            n_bytes += metadata.row_group(group).total_byte_size
            if n_bytes > CHECKED_BYTES or group == metadata.num_row_groups - 1:
                with _published(self._file), _explained(self._file, RESTORE):
                    self._parquet.read_row_groups(groups)
                groups, n_bytes = [], 0

    def rows(self, rows: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Return some columns of some rows, reading only the row groups that hold them."""
        bounds = self._bounds
        groups, inverse = np.unique(np.searchsorted(bounds, rows, side="right") - 1, return_inverse=True)
        starts = bounds[groups]
        offsets = np.cumsum([0, *(bounds[groups + 1] - starts)])
        data = self._read(groups.tolist(), columns)
        return data.take(pa.array(offsets[inverse] + rows - starts[inverse]))

    @cached_property
    def _bounds(self) -> NDArray[np.int64]:
        """The first row of each row group, and the number of rows; a table of long lists has thousands of groups."""
        metadata = self._parquet.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        return np.cumsum([0, *sizes])

    def _read(self, groups: Sequence[int], columns: Sequence[str]) -> pa.Table:
        with _published(self._file), _explained(self._file, RESTORE):
            there = [name for name in columns if name in self._parquet.schema_arrow.names]
            data = self._parquet.read_row_groups(groups, columns=there)
        return _typed(data, columns, self._table)


def read_part(file: File, table: Table, *, may_be_torn: bool) -> pa.Table | None:
    """Return all rows of a part, which is opened no longer than that; None for one that is torn or gone.

    A part has gone when it has been published, and a torn one is no more than a task to run again.
    """
    with suppress(FileNotFoundError), _explained(file, DELETE):
        with file.open() as source:
            content = source.read_buffer()
        if may_be_torn and not _has_end(pa.BufferReader(content)):
            return None
        parquet = _opened(File(file.name, lambda: pa.BufferReader(content)), table, DELETE)
        return _typed(parquet.read(use_threads=False), table.schema.names, table)  # a few rows: threads take longer
    return None


def is_whole(file: File) -> bool:
    """Return whether a Parquet file has its end; False when it has gone, too."""
    with suppress(FileNotFoundError), _explained(file, DELETE), file.open() as source:
        return _has_end(source)
    return False


def _has_end(source: pa.NativeFile) -> bool:
    size = source.size()
    if size <= len(MAGIC) + FOOTER_BYTES:
        return False
    source.seek(size - FOOTER_BYTES)
    length, magic = struct.unpack("<I4s", source.read(FOOTER_BYTES))
    return bool(magic == MAGIC and length <= size - FOOTER_BYTES - len(MAGIC))


def _opened(file: File, table: Table, remedy: str) -> pq.ParquetFile:
    """Return a file of a table, open; refuse one of another version of the schemas, or of another table."""
    with _explained(file, remedy):
        parquet = pq.ParquetFile(file.open(), page_checksum_verification=True)
    schema = parquet.schema_arrow  # made anew each time that it is asked for
    found = (schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if found not in (SCHEMA_VERSION, *EARLIER_VERSIONS):
        raise ResultsError(
            f"{file.name}: was written with schema version {found}, this distmarl uses version {SCHEMA_VERSION}; "
            "choose another folder with --out, or start afresh with --overwrite"
        )
    missing = [name for name in table.schema.names if name not in schema.names]
    if found != SCHEMA_VERSION:
        missing = [
            name for name in missing if name in table.key and BEFORE_KEY not in table.schema.field(name).metadata
        ]
    if missing:
        raise UnreadableFileError(file, f"{NOT_READABLE}: it has no column {missing[0]}", remedy)
    return parquet


def _typed(data: pa.Table, columns: Sequence[str], table: Table) -> pa.Table:
    """Return some columns of a table as its schema has them."""
    if data.schema.equals(table.schema, check_metadata=True) and list(columns) == table.schema.names:
        return data
    schema = pa.schema([table.schema.field(name) for name in columns], metadata=table.schema.metadata)
    for new in (each for each in schema if each.name not in data.schema.names):
        before = new.metadata[BEFORE_KEY].decode() if BEFORE_KEY in new.metadata else None
        data = data.append_column(new, pa.repeat(pa.scalar(before, pa.string()).cast(new.type), len(data)))
    return data.select(list(columns)).cast(schema)


@contextmanager
def _explained(file: File, remedy: str) -> Iterator[None]:
    """Name a file that cannot be read, and what to do; that there is none any more is left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        if isinstance(error, PermissionError):
            raise ResultsError(f"{file.name}: cannot be read: you have no permission; ask its owner for it") from error
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the file's
            raise ResultsError(f"{file.name}: cannot be read: {reason_of(error)}") from error
        raise UnreadableFileError(file, f"{NOT_READABLE}: {reason}", remedy) from error


@contextmanager
def _published(file: File) -> Iterator[None]:
    """Tell a table's published file that cannot be read from a part."""
    try:
        yield
    except UnreadableFileError as error:
        raise DamagedTableError(file, error.fault, RESTORE) from error
