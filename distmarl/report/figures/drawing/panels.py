"""Small multiples against k: a panel for each setting, with one y axis where their values can be compared."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from distmarl.report.figures.drawing.axes import K_LABEL, NOTE_LINE_PT, add_notes, set_k_axis
from distmarl.report.figures.drawing.frames import label_of
from distmarl.report.figures.drawing.style import HEIGHT_IN, WIDTH_IN, PaperFigure, figure_width
from distmarl.wording import shortened

MAX_PANELS = 12
N_COLUMNS = 2
MIN_PANEL_IN = 2.2
PANEL_HEIGHT_IN = 1.9
TITLE_PT, TITLE_LINE_PT, LETTER_PT = 13.0, 8.5, 4.3  # of a title of one line, each more, and a letter of it
MAX_TITLE_LINES = 3
BESIDE_PANEL_IN = 0.45
MAX_HEIGHT_IN = 12.0
# Where all settings together span so many times as much as most of them, one axis would show those as flat lines.
MOST_SPANS = 6.0


def are_comparable(values: Iterable[ArrayLike]) -> bool:
    """Return whether the values of several settings are near enough for one y axis; of other games they need not be."""
    known = [found[np.isfinite(found)] for found in (np.asarray(each, dtype=np.float64) for each in values)]
    known = [each for each in known if len(each)]
    spans = sorted(float(np.ptp(each)) for each in known)
    return not known or bool(np.ptp(np.concatenate(known)) <= MOST_SPANS * spans[(len(spans) - 1) // 2])


def panels_of(
    rows: pd.DataFrame, notes: list[str], unfinished: str | None, width: float | None, *, has_one_axis: bool = True
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure with an empty panel for each setting, and the setting's rows.

    Parameters
    ----------
    rows : DataFrame
        With ``setting_id``, ``k`` and, to name the panels by, ``label``.
    notes : list of str
        Lines above the first panel.
    unfinished : str, optional
        What to write above them of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column for each column of panels.
    has_one_axis : bool
        Whether the panels share their y axis.
    """
    settings = list(rows.groupby("setting_id", sort=False))
    shown = settings[:MAX_PANELS]
    width = figure_width(width, WIDTH_IN * min(N_COLUMNS, len(shown)))
    n_columns = max(1, min(N_COLUMNS, len(shown), int(width / MIN_PANEL_IN)))
    n_rows = -(-len(shown) // n_columns)
    titles = [
        _folded(label_of(own), width / n_columns - BESIDE_PANEL_IN) if len(settings) > 1 else "" for _, own in shown
    ]
    folded_pt = TITLE_LINE_PT * max((title.count("\n") for title in titles), default=0)
    height = HEIGHT_IN + 0.2 if n_rows == 1 else PANEL_HEIGHT_IN * n_rows + 0.4
    height += n_rows * folded_pt / 72
    figure = PaperFigure(figsize=(width, height))
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=has_one_axis).ravel()
    for axes in grid[len(shown) :]:
        axes.remove()
    panels = []
    for axes, (_, own), title in zip(grid, shown, titles, strict=False):
        set_k_axis(axes, np.unique(own["k"]))
        axes.set_xlabel(K_LABEL)
        axes.set_title(title, fontsize=7)
        panels.append((axes, own))
    left_out = [f"{MAX_PANELS} of {len(settings)} settings shown"] if len(settings) > MAX_PANELS else []
    above_pt = TITLE_PT + folded_pt if len(settings) > 1 else 0.0
    n_notes = add_notes(grid[0], [*notes, *left_out], unfinished, above_pt=above_pt)
    figure.set_figheight(min(MAX_HEIGHT_IN, height + NOTE_LINE_PT / 72 * n_notes))
    return figure, panels


def _folded(label: str, width_in: float) -> str:
    """Return a label in lines that fit above a panel; of one that needs too many, its two ends."""
    n_letters = max(1, int(72 * width_in / LETTER_PT))
    lines = textwrap.wrap(label, n_letters)
    if len(lines) > MAX_TITLE_LINES:
        lines = textwrap.wrap(shortened(label, (MAX_TITLE_LINES - 1) * n_letters), n_letters)[:MAX_TITLE_LINES]
    return "\n".join(lines)
