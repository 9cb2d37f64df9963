"""A table of the page: which rows it shows, what of them, and the words that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd

from distmarl.report.numbers import Numbers
from distmarl.report.page.cells import SETTING, Cell, Column
from distmarl.report.returns import decimals_of

# Of one table: a browser still scrolls and sorts them at once, and a page of six such tables is small enough to send.
MAX_ROWS = 1000

# Where on the page a table stands.
Section: TypeAlias = Literal["headline", "results", "certainty"]


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table of the page. One without rows is left out.

    Attributes
    ----------
    name : str
        Its id in the page.
    section : {"headline", "results", "certainty"}
        Where it stands.
    caption : str
        What a row is; ``{point}`` stands for a k, or for a setting and k where there are several settings.
    source : str
        The Parquet table that it comes from, and that has all of it.
    rows : callable
        Returns its rows, with ``label`` and ``place`` of the settings.
    columns : callable
        Returns its columns, from the rows and the decimals of returns. One that names the setting comes before
        them, where settings have labels.
    title : str
        What stands above it.
    introduction : callable
        Returns a paragraph above it.
    is_folded : bool
        Whether it is shown when its title is clicked on.
    """

    name: str
    section: Section
    caption: str
    source: str
    rows: Callable[[Numbers], pd.DataFrame]
    columns: Callable[[pd.DataFrame, int], list[Column]]
    title: str = ""
    introduction: Callable[[Numbers], str] = lambda _numbers: ""
    is_folded: bool = False


@dataclass(frozen=True, slots=True)
class FilledTable:
    """A table with its cells.

    Attributes
    ----------
    about : PageTable
        What it is.
    caption, introduction : str
        The words that go with it.
    columns : list of Column
    rows : list of list of Cell
        At most ``MAX_ROWS``.
    n_rows : int
        How many there are.
    settings : list of int
        The place of each row's setting in the grid; none where there is one setting.
    """

    about: PageTable
    caption: str
    introduction: str
    columns: list[Column]
    rows: list[list[Cell]]
    n_rows: int
    settings: list[int]

    @property
    def label_characters(self) -> int:
        """Length of the longest text in the first column."""
        return max((len(row[0].text) for row in self.rows), default=0)


def filled(table: PageTable, numbers: Numbers) -> FilledTable | None:
    """Return a table of the first rows; None where there are none."""
    rows = table.rows(numbers)
    if rows.empty:
        return None
    shown = rows.head(MAX_ROWS).to_dict("records")
    has_labels = bool(rows["label"].any())
    columns = [*([SETTING] if has_labels else []), *table.columns(rows, decimals_of(numbers.summary))]
    return FilledTable(
        table,
        table.caption.format(point="k" if numbers.summary["setting_id"].nunique() == 1 else "setting and k"),
        table.introduction(numbers),
        columns,
        [[column.cell(row) for column in columns] for row in shown],
        len(rows),
        [row["place"] for row in shown] if has_labels else [],
    )
