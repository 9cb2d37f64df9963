"""What tables of the page are made of: cells with the text to show and the value to sort by.

The frames that tables are made from have the columns ``label`` and ``place`` of
:func:`distmarl.report.page.render.setting_places`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from distmarl.report.text import MISSING

MAX_ROWS = 2000  # of one table; a browser still scrolls and sorts them at once

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what it shows, and what it is sorted by; an unknown value comes last."""

    text: str
    order: float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, what it means, and whether it holds numbers."""

    head: str
    meaning: str
    is_number: bool = True


SETTING = Column("Setting", "the grid's values in short; sorted in the grid's order", False)


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table to show.

    Attributes
    ----------
    name : str
        Its id in the page.
    caption : str
        What a row is.
    source : str
        The Parquet table that it comes from, and that has all of it.
    columns : list of Column
    rows : list of list of Cell
        At most ``MAX_ROWS``.
    n_rows : int
        How many there are.
    settings : list of int
        The place of each row's setting in the grid; none where there is one setting.
    """

    name: str
    caption: str
    source: str
    columns: list[Column]
    rows: list[list[Cell]]
    n_rows: int
    settings: list[int] = field(default_factory=list)

    @property
    def label_characters(self) -> int:
        """Length of the longest text in the first column."""
        return max((len(row[0].text) for row in self.rows), default=0)


def number(value: Any, decimals: int, *, unit: str = "", signed: bool = False) -> Cell:
    """Return a number with so many decimals."""
    key = sort_value(value)
    return Cell(MISSING if key is None else f"{key:{'+' if signed else ''}.{decimals}f}{unit}", key)


def scientific(value: Any) -> Cell:
    """Return a small number."""
    key = sort_value(value)
    return Cell(MISSING if key is None else f"{key:.1e}", key)


def words(value: Any) -> Cell:
    """Return a text; a missing one is empty."""
    return Cell("", None) if pd.isna(value) else Cell(str(value), str(value))


def yes_or_no(value: Any) -> Cell:
    """Return a boolean."""
    return words(value) if pd.isna(value) else words("yes" if value else "no")


def interval(low: float, high: float, decimals: int) -> str:
    """Return an interval as text."""
    return f"{low:.{decimals}f} to {high:.{decimals}f}" if math.isfinite(low) else MISSING


def sort_value(value: Any) -> float | None:
    """Return what a number is sorted by; None for a missing one."""
    return None if pd.isna(value) else float(value)


def page_table(
    name: str,
    caption: str,
    source: str,
    columns: list[Column],
    rows: pd.DataFrame,
    cells: Callable[[Row], list[Cell]],
) -> PageTable:
    """Return a table of the first rows, with a column for the setting where settings have labels.

    Parameters
    ----------
    name, caption, source, columns
        As in :class:`PageTable`.
    rows : DataFrame
        All rows.
    cells : callable
        Returns a row's cells.
    """
    shown = rows.head(MAX_ROWS).to_dict("records")
    if not rows["label"].any():
        return PageTable(name, caption, source, columns, [cells(row) for row in shown], len(rows))
    found = [[Cell(row["label"], row["place"]), *cells(row)] for row in shown]
    return PageTable(name, caption, source, [SETTING, *columns], found, len(rows), [row["place"] for row in shown])
