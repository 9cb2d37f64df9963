"""What all figures ask of the frames that they are drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from distmarl.errors import InvalidArgumentError
from distmarl.wording import harmless, shortened

MAX_CHOSEN = 4
MAX_SHOWN = 20
MAX_LABEL = 200  # characters of a setting's name
MAX_LINES = 50  # of settings in one figure: more are a blot, and take minutes and megabytes


def check_frame(frame: pd.DataFrame, name: str, source: str, columns: Sequence[str], lists: Sequence[str] = ()) -> None:
    """Refuse what is not a frame with the columns that a figure needs.

    Parameters
    ----------
    frame : DataFrame
        What was given.
    name : str
        The parameter's name.
    source : str
        Where such a frame comes from, for the message.
    columns : sequence of str
        What it must have.
    lists : sequence of str
        Those of them that must hold lists, which become text in a CSV file.

    Raises
    ------
    InvalidArgumentError
        Naming the parameter, the missing columns and the source.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InvalidArgumentError(f"{name}: must be a pandas DataFrame such as {source}, got {type(frame).__name__}")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InvalidArgumentError(f"{name}: must be a frame such as {source}; it has no column {', '.join(missing)}")
    for column in lists:
        texts = [value for value in frame[column].head(1) if isinstance(value, str)]
        if texts:
            raise InvalidArgumentError(
                f"{name}: the column {column} must hold lists, got text ({shortened(texts[0], MAX_SHOWN)!r}), as of a "
                f"CSV file; it must be a frame such as {source}, or of its Parquet file"
            )


def first_setting(rows: pd.DataFrame) -> tuple[pd.DataFrame, str | None]:
    """Return the rows of the setting that comes first, and a note that names it where there are others."""
    names = rows["setting_id"].unique()
    chosen = rows[rows["setting_id"] == names[0]]
    return chosen, setting_note(len(names), label_of(chosen))


def first_training(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the training that comes first, and a note that says so where there are others."""
    if "train_seed" not in rows.columns:  # of an earlier version
        return rows, []
    numbers = rows["train_seed"].unique()
    note = [f"1 of {len(numbers)} trainings: train_seed {numbers.min()}"] if len(numbers) > 1 else []
    return rows[rows["train_seed"] == numbers.min()], note


def setting_note(n_settings: int, label: str) -> str | None:
    """Return what to write above a figure that shows but one of several settings."""
    return f"1 of {n_settings} settings: {fit_to_draw(label)}" if n_settings > 1 else None


def settings_to_draw(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of at most ``MAX_LINES`` settings, from all over the grid, and a note where that is not all."""
    names = rows["setting_id"].unique()
    if len(names) <= MAX_LINES:
        return rows, []
    chosen = names[np.linspace(0, len(names) - 1, MAX_LINES).round().astype(int)]
    note = f"{MAX_LINES} of {len(names):,} settings drawn, from all over the grid"
    return rows[rows["setting_id"].isin(chosen)], [note]


def label_of(rows: pd.DataFrame) -> str:
    """Return the name of the setting that rows belong to, to be drawn: its label where they have one."""
    return fit_to_draw(str(rows["label" if "label" in rows.columns else "setting_id"].iloc[0]))


def fit_to_draw(label: str) -> str:
    """Return a label as figures show it: of a very long one its two ends, and control characters spelt out.

    A figure takes minutes to lay out a text of a hundred thousand characters, and no SVG may hold a control character.
    """
    return shortened(harmless(label), MAX_LABEL)


def spread(values: Sequence[int], number: int = MAX_CHOSEN) -> list[int]:
    """Return at most so many of some sorted positive numbers, among them the first and the last, in equal ratios."""
    aims = np.geomspace(values[0], values[-1], min(number, len(values)))
    array = np.asarray(values)
    nearest = [int(array[np.abs(np.log(array / aim)).argmin()]) for aim in aims]
    return sorted(set(nearest))
