"""Several trainings against k: each a thin line, their median strong, and the interval of their mean as a bar.

The law of what trainings lead to may have two peaks, which no bar alone would show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Transform, offset_copy
from numpy.typing import NDArray

from distmarl.report.figures.drawing.axes import (
    add_notes,
    add_series_legend,
    axes_to_draw_on,
    figure_of,
    set_height,
    set_k_axis,
)
from distmarl.report.figures.drawing.panels import MAX_PANELS, are_comparable, panels_of
from distmarl.report.figures.drawing.series import UNCONVERGED_NOTE, Series, bar_shifts_pt, series_of
from distmarl.report.figures.drawing.style import HEIGHT_IN, NOTE_COLOUR
from distmarl.report.returns import is_unconverged
from distmarl.results.summary.over_trainings import OverTrainings, over_trainings

LINE_ALPHA, LINE_WIDTH_PT = 0.35, 0.5
DOT_PT, BESIDE_PT, MEAN_PT = 2.4, 3.0, 5.0
OTHERS_ALPHA = 0.5
INTERVAL_NOTE = "bars: mean and its 95 % interval, over trainings"

Array = NDArray[np.float64]


def with_numbers(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows with a number of any training in a column; their settings have panels, in the same order."""
    return summary[[bool(np.isfinite(numbers(values)).any()) for values in summary[column]]]


def trainings_note(summary: pd.DataFrame, mark: str = "thin") -> str:
    """Return what to write of the trainings above a figure."""
    most = int(summary["n_train_seeds"].max())
    up_to = "" if summary["n_train_seeds"].min() == most else "up to "
    return f"{mark}: {up_to}{most} trainings, min to max; strong: median"


def draw_trainings(
    summary: pd.DataFrame,
    column: str,
    notes: list[str],
    unfinished: str | None,
    *,
    label: str,
    width: float | None,
    ax: Axes | None,
    is_joined: bool = True,
) -> list[Axes]:
    """Draw what each training has at each k, a panel for each setting, and return the axes.

    On axes that are given, all settings stand side by side.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``.
    column : str
        What to draw: lists with a number for each of ``train_seeds``.
    notes : list of str
        Lines above the axes.
    unfinished : str, optional
        What to write above them of an unfinished sweep.
    label : str
        What the y axis says.
    width : float, optional
        Width of a new figure (inches).
    ax : Axes, optional
        Where to draw instead.
    is_joined : bool
        Whether lines join what belongs to a training, and the medians; else a training is a dot.
    """
    known = with_numbers(summary, column)
    series = series_of(known, column)
    notes = [trainings_note(known, "thin" if is_joined else "dots"), INTERVAL_NOTE, *notes]
    if any(is_unconverged(one.points).any() for one in series):
        notes.append(UNCONVERGED_NOTE)
    if len(series) > 1 and ax is None:
        return _draw_panels(known, series, column, notes, unfinished, label, width, is_joined)
    axes = axes_to_draw_on(width, ax)
    k_values = np.unique(known["k"])
    set_k_axis(axes, k_values)
    for one, shift in zip(series, bar_shifts_pt(k_values, len(series)), strict=True):
        _draw(axes, one, column, offset_copy(axes.transData, figure_of(axes), x=shift, y=0, units="points"), is_joined)
    axes.set_ylabel(label)
    named = series if len(series) > 1 else []
    n_lines = add_series_legend(axes, ax, [one.label for one in named], [one.style for one in named])
    set_height(axes, ax, HEIGHT_IN, n_legend_lines=n_lines, n_notes=add_notes(axes, notes, unfinished))
    return [axes]


def _draw_panels(
    summary: pd.DataFrame,
    series: list[Series],
    column: str,
    notes: list[str],
    unfinished: str | None,
    label: str,
    width: float | None,
    is_joined: bool,
) -> list[Axes]:
    """Draw a panel for each setting, with the medians of the others in grey."""
    shown = series[:MAX_PANELS]
    has_one_axis = are_comparable(_of(one, column).each.ravel() for one in shown)
    has_others = is_joined and has_one_axis
    if has_others:
        notes = [*notes, "grey: medians of the other settings"]
    figure, panels = panels_of(summary, notes, unfinished, width, has_one_axis=has_one_axis)
    medians = [_of(one, column).median for one in shown]
    for number, (axes, _) in enumerate(panels):
        for other, median in zip(shown, medians, strict=True):
            if has_others and other is not shown[number]:
                axes.plot(other.points["k"], median, "-", color=NOTE_COLOUR, linewidth=0.5, alpha=OTHERS_ALPHA)
        _draw(axes, shown[number], column, axes.transData, is_joined)
    figure.supylabel(label, fontsize=8)
    return [axes for axes, _ in panels]


def _draw(axes: Axes, series: Series, column: str, transform: Transform, is_joined: bool) -> None:
    """Draw one setting."""
    k, found, colour = series.points["k"].to_numpy(), _of(series, column), series.style.colour
    beside = offset_copy(transform, figure_of(axes), x=0 if is_joined else BESIDE_PT, y=0, units="points")
    draw_each(axes, k, found, colour, beside, is_joined=is_joined)
    draw_interval(axes, k, found, colour, transform)
    look: dict[str, Any] = {"color": colour, "marker": series.style.marker, "transform": transform, "zorder": 4}
    axes.plot(k, found.median, label=series.label, **look | ({} if is_joined else {"linestyle": "none"}))
    is_open = is_unconverged(series.points)
    if is_open.any():
        axes.plot(k[is_open], found.median[is_open], **look | {"linestyle": "none"}, markerfacecolor="white")
    y = np.concatenate([found.each.ravel(), found.low, found.high])
    axes.update_datalim(np.column_stack([y, y])[np.isfinite(y)], updatex=False)
    axes.autoscale_view(scalex=False)


def draw_each(
    axes: Axes,
    k: Array,
    found: OverTrainings,
    colour: str,
    transform: Transform,
    *,
    is_joined: bool = True,
    dashes: str = "-",
) -> None:
    """Draw each training, as a thin line or as dots."""
    look: dict[str, Any] = {"color": colour, "alpha": LINE_ALPHA, "zorder": 2}
    look |= {"linewidth": LINE_WIDTH_PT, "linestyle": dashes} if is_joined else {"linestyle": "none", "marker": "."}
    axes.plot(k, found.each, markersize=DOT_PT, transform=transform, **look)


def draw_interval(axes: Axes, k: Array, found: OverTrainings, colour: str, transform: Transform) -> None:
    """Draw the mean over trainings as a dash, and its interval as a bar."""
    axes.vlines(k, found.low, found.high, colors=colour, linewidth=0.9, zorder=3, transform=transform)
    mean: dict[str, Any] = {"marker": "_", "markersize": MEAN_PT, "linestyle": "none", "zorder": 3}
    axes.plot(k, found.mean, color=colour, transform=transform, **mean)


def numbers(values: Any) -> Array:
    """Return a list of a table as an array; NaN stands for what is not there."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def by_training(points: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return what each training has in a column of lists: a row for each point, a column for each ``train_seeds``."""
    rows = [
        pd.Series(numbers(values), index=[int(name) for name in names])
        for values, names in zip(points[column], points["train_seeds"], strict=True)
    ]
    return pd.DataFrame(rows, dtype=np.float64)


def _of(series: Series, column: str) -> OverTrainings:
    """Return what a setting's trainings have in a column, (sizes, trainings)."""
    return over_trainings(by_training(series.points, column).to_numpy())
