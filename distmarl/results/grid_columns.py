"""The columns of a grid: what the settings are by the keys that have been varied.

They are not stored with the rows of a table but added when it is read or published, since a sweep's grid
may grow later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from distmarl.errors import ResultsError
from distmarl.paths import printable
from distmarl.results.storage.json_text import parse_json


def content_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return everything that a setting is, by its row in the table ``settings``.

    Raises
    ------
    ResultsError
        When somebody has written something else there.
    """
    try:
        content = parse_json(row["content"])
        fault = None if _is_content(content) else "must hold sections with keys"
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise ResultsError(
            f"the table settings is damaged (the content of {row['setting_id']} {fault}); restore it from a copy, "
            "or start afresh with --overwrite"
        )
    return content


def _is_content(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(section, dict) for section in content.values())


def value_at(content: Mapping[str, Any], key: str) -> Any:
    """Return a setting's value of a dotted key, as it stands in the sweep file; None where it has no such key."""
    section, _, name = key.partition(".")
    return content.get(section, {}).get(name)


class GridColumns:
    """The columns of a grid.

    Parameters
    ----------
    settings : iterable of rows
        The rows of the table ``settings``.
    keys : iterable of str
        Dotted keys that have been varied.
    """

    def __init__(self, settings: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> None:
        contents = {row["setting_id"]: content_of(row) for row in settings}
        self.keys = list(keys)
        self._ids = pa.array(contents, pa.string())
        self._columns = [_column([value_at(content, key) for content in contents.values()]) for key in self.keys]

    def added_to(self, data: pa.Table) -> pa.Table:
        """Return a table with these columns right behind ``setting_id``."""
        settings = pc.index_in(data.column("setting_id"), self._ids)
        place = data.schema.get_field_index("setting_id") + 1
        metadata = data.schema.metadata
        for number, (key, column) in enumerate(zip(self.keys, self._columns, strict=True)):
            about = {"description": f"the setting's {key}", "unit": "as in the sweep file"}
            field = pa.field(key, column.type, metadata=about)
            data = data.add_column(place + number, field, column.take(settings))
        return data.replace_schema_metadata(metadata)


def _column(values: list[Any]) -> pa.Array:
    """Return a grid column's values; whatever is not all numbers or all booleans is text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {bool}:
        return pa.array(values, pa.bool_())
    if kinds and kinds <= {int} and all(abs(value) < 2**63 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if float in kinds and kinds <= {int, float}:
        return pa.array(values, pa.float64())
    texts = [value if value is None else _text(value) for value in values]
    return pa.array(texts, pa.string())


def _text(value: Any) -> str:
    """Return a value as text that a table can hold."""
    return printable(value) if isinstance(value, str) else json.dumps(value)
