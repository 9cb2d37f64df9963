"""Merging the files of a table by key, a few rows at a time.

Of rows with the same key the newest counts. Of a published file only the key columns are ever
held whole: a table of long lists is merged in little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from distmarl.results.fields import Table
from distmarl.results.parquet_files import PublishedFile
from distmarl.results.storage.location import Version

ROW = "row"
MAX_GROWTH = 8  # from one chunk to the next, since its rows may be longer


class MergedTable:
    """The newest rows of a table, sorted by key.

    Parameters
    ----------
    table : Table
        The table.
    published : PublishedFile, optional
        Its published file, if there is one.
    parts : mapping of str to pyarrow.Table
        Its parts by their names, the newest last; all of them are newer than what is published.
    """

    def __init__(self, table: Table, published: PublishedFile | None, parts: Mapping[str, pa.Table]) -> None:
        self.published = published
        self.part_names = list(parts)
        self._table = table
        self._parts = pa.concat_tables([table.schema.empty_table(), *parts.values()]).combine_chunks()
        self._n_published = published.n_rows if published else 0

    @property
    def column_names(self) -> list[str]:
        """Names of the table's own columns."""
        return list(self._table.schema.names)

    @property
    def version(self) -> Version | None:
        """Which version of the published file was merged; None where there was none."""
        return self.published.version if self.published is not None else None

    def read(self, columns: Sequence[str], **key: Any) -> pa.Table:
        """Return some columns of the rows with the given values in key columns.

        Parameters
        ----------
        columns : sequence of str
            Columns to return.
        **key
            Values of key columns; a list stands for any of its values.
        """
        if set(columns) <= set(self._table.key) and not key:
            return self._newest.select(list(columns))
        return self._at(self._rows(key), columns)

    def chunks(self, columns: Sequence[str], n_bytes: int = 0) -> Iterator[pa.Table]:
        """Yield some columns of all rows, ``rows_per_chunk`` at a time; one empty chunk if there are none.

        Parameters
        ----------
        columns : sequence of str
            Columns to yield.
        n_bytes : int
            Yield more rows at a time where, by the rows before, they fit into so many bytes.
        """
        rows, size, start = self._rows({}), self._table.rows_per_chunk, 0
        while start < max(1, len(rows)):
            chunk = self._at(rows[start : start + size], columns).combine_chunks()
            yield chunk
            start += size
            fitting = n_bytes * len(chunk) // max(1, chunk.nbytes)
            size = max(self._table.rows_per_chunk, min(fitting, MAX_GROWTH * size))

    @cached_property
    def _newest(self) -> pa.Table:
        """The keys, sorted, each with the place of its newest row among all rows: column ``row``."""
        names = list(self._table.key)
        pieces = [self.published.read(names)] if self.published else []
        keyed = pa.concat_tables([*pieces, self._parts.select(names)])
        numbered = keyed.append_column(ROW, pa.array(np.arange(len(keyed))))
        newest = numbered.group_by(names).aggregate([(ROW, "max")]).sort_by([(name, "ascending") for name in names])
        return newest.select([*names, f"{ROW}_max"]).rename_columns([*names, ROW])

    @cached_property
    def _places(self) -> dict[str, slice]:
        """Where the rows with each value of the first key column stand among the newest."""
        values = self._newest.column(0)
        if not len(values):
            return {}
        runs = pc.run_end_encode(values.combine_chunks())
        ends = runs.run_ends.to_pylist()
        return {
            value: slice(start, end)
            for value, start, end in zip(runs.values.to_pylist(), [0, *ends], ends, strict=False)
        }

    def _rows(self, key: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the places of the newest rows with the given values in key columns."""
        chosen, first = self._newest, self._table.key[0]
        if isinstance(key.get(first), str):  # most often a setting's id: no look at the rows of all others
            place = self._places.get(key[first], slice(0, 0))
            chosen = chosen.slice(place.start, place.stop - place.start)
            key = {name: value for name, value in key.items() if name != first}
        for name, value in key.items():
            values = pa.array(value if isinstance(value, list) else [value], self._table.schema.field(name).type)
            chosen = chosen.filter(pc.field(name).isin(values))
        return chosen.column(ROW).to_numpy()

    def _at(self, rows: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Return some columns of rows by their places, in the given order."""
        is_part = rows >= self._n_published
        parts = self._parts.select(columns).take(pa.array(rows[is_part] - self._n_published))
        if self.published is None or is_part.all():
            return parts
        published = self.published.rows(rows[~is_part], columns)
        if not is_part.any():
            return published
        order = np.argsort(np.concatenate([np.flatnonzero(~is_part), np.flatnonzero(is_part)]))
        return pa.concat_tables([published, parts]).take(pa.array(order))
