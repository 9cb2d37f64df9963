"""What tables of the page are made of: cells with the text to show and the value to sort by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from distmarl.report.returns import MISSING
from distmarl.wording import fixed

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what it shows, and what it is sorted by; an unknown value comes last."""

    text: str
    order: float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its head, what it means, its cell of a row, and whether it holds numbers."""

    head: str
    meaning: str
    cell: Callable[[Row], Cell]
    is_number: bool = True


def number(value: Any, decimals: int, *, unit: str = "", signed: bool = False) -> Cell:
    """Return a number with so many decimals."""
    key = sort_value(value)
    return Cell(MISSING if key is None else f"{fixed(key, decimals, signed=signed)}{unit}", key)


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


def interval(low: float, high: float, decimals: int) -> Cell:
    """Return an interval, which is sorted by its width."""
    text = f"{fixed(low, decimals)} to {fixed(high, decimals)}" if math.isfinite(low) else MISSING
    return Cell(text, sort_value(high - low))


def sort_value(value: Any) -> float | None:
    """Return what a number is sorted by; None for a missing one."""
    return None if pd.isna(value) else float(value)


SETTING = Column(
    "Setting",
    "the grid's values in short; sorted in the grid's order",
    lambda row: Cell(row["label"], row["place"]),
    is_number=False,
)


def text_column(head: str, meaning: str, name: str) -> Column:
    """Return a column of words, as they are in the table."""
    return Column(head, meaning, lambda row: words(row[name]), is_number=False)


def number_column(head: str, meaning: str, name: str, decimals: int = 0) -> Column:
    """Return a column of numbers, as they are in the table."""
    return Column(head, meaning, lambda row: number(row[name], decimals))


def small_column(head: str, meaning: str, name: str) -> Column:
    """Return a column of small numbers, as they are in the table."""
    return Column(head, meaning, lambda row: scientific(row[name]))


def training_column(rows: pd.DataFrame) -> list[Column]:
    """Return a column with the number of the training, where there are several; none elsewhere."""
    several = "train_seed" in rows.columns and rows["train_seed"].nunique() > 1
    return [number_column("Training", "number of the training, from 0 on", "train_seed")] if several else []


K = number_column("k", "local agents that the global agent sees", "k")
