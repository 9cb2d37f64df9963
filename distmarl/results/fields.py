"""What the tables are made of: fields with units and descriptions, and the version of all schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = "9"
# What is read as well: these lack only columns, which are null for them or say what was the only way before.
EARLIER_VERSIONS = ("4", "5", "6", "7", "8")
VERSION_KEY = b"distmarl.schema_version"
BEFORE_KEY = b"before"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a results folder.

    Attributes
    ----------
    name : str
        Name of its folder.
    schema : pyarrow.Schema
        Columns, with ``unit`` and ``description`` in each field's metadata.
    key : tuple of str
        Columns that tell rows apart; rows are sorted by them.
    has_grid : bool
        Whether the grid's columns are added when it is published.
    rows_per_chunk : int
        Rows that are merged and written at a time; few where rows are long.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    has_grid: bool = True
    rows_per_chunk: int = 2**16


def field(name: str, kind: pa.DataType, description: str, unit: str = "1", *, before: str | None = None) -> pa.Field:
    """Return a column; ``before`` is its value in rows of earlier versions that do not have it, null by default."""
    metadata = {"description": description, "unit": unit}
    return pa.field(name, kind, metadata=metadata if before is None else {**metadata, BEFORE_KEY.decode(): before})


def table(name: str, key: tuple[str, ...], *fields: pa.Field, **options: Any) -> Table:
    """Return a table of this version of the schemas; the options are those of :class:`Table`."""
    return Table(name, pa.schema(fields, metadata={VERSION_KEY: SCHEMA_VERSION}), key, **options)
