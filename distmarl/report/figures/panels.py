"""Small multiples against k: a panel for each setting, with one y axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distmarl.report.figures.axes import K_LABEL, NOTE_LINE_PT, add_notes, set_k_axis
from distmarl.report.figures.frames import label_of
from distmarl.report.figures.style import HEIGHT_IN, WIDTH_IN, PaperFigure, figure_width

MAX_PANELS = 12
N_COLUMNS = 2
MIN_PANEL_IN = 2.2
PANEL_HEIGHT_IN = 1.9
TITLE_PT = 13.0
MAX_HEIGHT_IN = 12.0


def panels_of(
    rows: pd.DataFrame, notes: list[str], unfinished: str | None, width: float | None
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
    """
    settings = list(rows.groupby("setting_id", sort=False))
    shown = settings[:MAX_PANELS]
    width = figure_width(width, WIDTH_IN * min(N_COLUMNS, len(shown)))
    n_columns = max(1, min(N_COLUMNS, len(shown), int(width / MIN_PANEL_IN)))
    n_rows = -(-len(shown) // n_columns)
    height = HEIGHT_IN + 0.2 if n_rows == 1 else PANEL_HEIGHT_IN * n_rows + 0.4
    figure = PaperFigure(figsize=(width, height))
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for axes in grid[len(shown) :]:
        axes.remove()
    panels = []
    for axes, (_, own) in zip(grid, shown, strict=False):
        set_k_axis(axes, np.unique(own["k"]))
        axes.set_xlabel(K_LABEL)
        if len(settings) > 1:
            axes.set_title(label_of(own), fontsize=7)
        panels.append((axes, own))
    left_out = [f"{MAX_PANELS} of {len(settings)} settings shown"] if len(settings) > MAX_PANELS else []
    above_pt = TITLE_PT if len(settings) > 1 else 0.0
    n_notes = add_notes(grid[0], [*notes, *left_out], unfinished, above_pt=above_pt)
    figure.set_figheight(min(MAX_HEIGHT_IN, height + NOTE_LINE_PT / 72 * n_notes))
    return figure, panels
