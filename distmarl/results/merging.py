"""Merging the files of a table by key, a few rows at a time.

Files are given oldest first; of rows with the same key the newest counts. Only the key columns are
ever held whole: a table of long lists is merged in little memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from distmarl.errors import ResultsError
from distmarl.results.storage.location import File
from distmarl.results.tables import Table

# A Parquet file ends with its metadata, their length, and these letters, which it also starts with.
MAGIC = b"PAR1"
FOOTER_BYTES = 8


class UnreadableFileError(ResultsError):
    """A file is no Parquet file, or was replaced by a longer one while it was read."""


def read_merged(
    files: Sequence[File], table: Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None
) -> pa.Table:
    """Return the newest rows of a table, sorted by key.

    Parameters
    ----------
    files : sequence of File
        The table's files, oldest first.
    table : Table
        The table.
    columns : sequence of str, optional
        Columns to return, among them the key; all by default.
    where : pyarrow expression, optional
        Rows to return, by their key columns; all by default.
    """
    names = list(columns or table.schema.names)
    schema = pa.schema([table.schema.field(name) for name in names], metadata=table.schema.metadata)
    pieces = [_read(file, names, where).cast(schema) for file in files]
    data = pa.concat_tables([schema.empty_table(), *pieces])
    return data.take(_newest(data, table)["row"]) if pieces else data


def merged_chunks(files: Sequence[File], table: Table) -> Iterator[pa.Table]:
    """Yield the newest rows of a table, sorted by key, ``table.rows_per_chunk`` at a time; one empty chunk if none."""
    keys, places = [], []
    for number, file in enumerate(files):
        keys.append(_read(file, list(table.key), None))
        places.append(np.column_stack([np.full(len(keys[-1]), number), np.arange(len(keys[-1]))]))
    if not sum(map(len, keys)):
        yield table.schema.empty_table()
        return
    rows = _newest(pa.concat_tables(keys, promote_options="permissive"), table)["row"].to_numpy()
    chosen = np.concatenate(places)[rows]
    for start in range(0, len(chosen), table.rows_per_chunk):
        yield _rows_at(files, chosen[start : start + table.rows_per_chunk], table)


def published_chunks(file: File, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield some columns of a published file, which is sorted by key, one row group at a time."""
    with _explained(file), file.open() as source, pq.ParquetFile(source) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=list(columns))


def _newest(keyed: pa.Table, table: Table) -> pa.Table:
    """Return the numbers of the last rows of each key, sorted by key, as column ``row``."""
    numbered = keyed.select(list(table.key)).append_column("number", pa.array(range(len(keyed)), pa.int64()))
    newest = numbered.group_by(list(table.key)).aggregate([("number", "max")])
    newest = newest.sort_by([(name, "ascending") for name in table.key])
    return newest.select(["number_max"]).rename_columns(["row"])


def _rows_at(files: Sequence[File], places: NDArray[np.int64], table: Table) -> pa.Table:
    """Return rows by their places, pairs of a file's and a row's number, in the given order."""
    pieces, order = [], []
    for number in np.unique(places[:, 0]):
        wanted = np.flatnonzero(places[:, 0] == number)
        pieces.append(_rows_of_file(files[number], places[wanted, 1], table))
        order.append(wanted)
    position = np.empty(len(places), dtype=np.int64)
    position[np.concatenate(order)] = np.arange(len(places))
    return pa.concat_tables(pieces).take(pa.array(position)).combine_chunks()


def _rows_of_file(file: File, rows: NDArray[np.int64], table: Table) -> pa.Table:
    """Return some rows of a file, reading only the row groups that hold them."""
    with file.open() as source, pq.ParquetFile(source) as parquet:
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        ends = np.cumsum(sizes)
        groups, inverse = np.unique(np.searchsorted(ends, rows, side="right"), return_inverse=True)
        offsets = np.cumsum([0, *(sizes[group] for group in groups)])
        starts = ends - sizes
        data = parquet.read_row_groups(groups.tolist(), columns=table.schema.names)
    local = offsets[inverse] + rows - starts[groups[inverse]]
    return data.select(table.schema.names).cast(table.schema).take(pa.array(local))


def read_schema(file: File) -> pa.Schema:
    """Return the schema of a Parquet file."""
    with _explained(file), file.open() as source:
        return pq.read_schema(source)


def is_whole(file: File) -> bool:
    """Return whether a Parquet file has its end; False when it has gone, too."""
    with suppress(FileNotFoundError), _explained(file), file.open() as source:
        size = source.size()
        if size > len(MAGIC) + FOOTER_BYTES:
            source.seek(size - FOOTER_BYTES)
            length, magic = struct.unpack("<I4s", source.read(FOOTER_BYTES))
            return bool(magic == MAGIC and length <= size - FOOTER_BYTES - len(MAGIC))
    return False


def _read(file: File, columns: list[str], where: pc.Expression | None) -> pa.Table:
    with _explained(file), file.open() as source:
        return pq.read_table(source, columns=columns, filters=where, partitioning=None).select(columns)


@contextmanager
def _explained(file: File) -> Iterator[None]:
    """Name a file that cannot be read; that there is none any more is left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UnreadableFileError(f"{file.name}: is not a readable Parquet file of distmarl: {reason}") from error
