"""Lines against k, one for each setting, with bars, bands and open markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

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
    is_geometric,
    named_note,
    set_height,
    set_k_axis,
)
from distmarl.report.figures.drawing.frames import label_of, settings_to_draw
from distmarl.report.figures.drawing.style import BAND_ALPHA, BAR_ALPHA, HEIGHT_IN, SeriesStyle, series_styles
from distmarl.report.returns import is_unconverged

UNCONVERGED_NOTE = "open markers: training has not converged"
BARS_SPREAD = 0.6  # share of the distance between two k that the bars of all settings take
MAX_SHIFT_PT = 2.2
AXES_WIDTH_PT = 190.0  # about
LONE_MARKER_PT = 2.0

# The columns of the lower and of the upper end.
Columns: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Series:
    """One setting's points, and how they are drawn."""

    label: str
    style: SeriesStyle
    points: pd.DataFrame


def draw_series(
    summary: pd.DataFrame,
    column: str,
    notes: list[str],
    unfinished: str | None,
    *,
    width: float | None,
    ax: Axes | None,
    bars: Columns | None = None,
    band: Columns | None = None,
    is_joined: bool = True,
) -> Axes:
    """Draw a line for each setting, with notes above the axes and a legend below them.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``.
    column : str
        What to draw.
    notes : list of str
        Lines above the axes.
    unfinished : str, optional
        What to write above them of an unfinished sweep.
    width : float, optional
        Width of a new figure (inches).
    ax : Axes, optional
        Where to draw instead.
    bars, band : pair of str, optional
        Columns that bars, or a band, reach from and to.
    is_joined : bool
        Whether lines join the markers.
    """
    axes = axes_to_draw_on(width, ax)
    summary, left_out = settings_to_draw(summary)
    set_k_axis(axes, np.unique(summary["k"]))
    series = series_of(summary, column)
    shifts = bar_shifts_pt(np.unique(summary["k"]), len(series)) if bars else [0.0] * len(series)
    for one, shift in zip(series, shifts, strict=True):
        transform = offset_copy(axes.transData, figure_of(axes), x=shift, y=0, units="points")
        _draw_line(axes, one, column, transform, is_joined)
        if bars:
            _draw_bars(axes, one, bars, transform)
        if band:
            _draw_band(axes, one, band, transform)
        _make_room(axes, one.points[[column, *(bars or ()), *(band or ())]])
    if any(is_unconverged(one.points).any() for one in series):
        notes = [*notes, UNCONVERGED_NOTE]
    named = series if summary["setting_id"].nunique() > 1 else []
    n_lines = add_series_legend(axes, ax, [one.label for one in named], [one.style for one in named])
    n_notes = add_notes(axes, [*notes, *left_out, *named_note(len(series))], unfinished)
    set_height(axes, ax, HEIGHT_IN, n_legend_lines=n_lines, n_notes=n_notes)
    return axes


def series_of(summary: pd.DataFrame, column: str) -> list[Series]:
    """Return the settings that have values in a column; each keeps its style in every figure."""
    groups = summary.groupby("setting_id", sort=False)
    series = []
    for (_, rows), style in zip(groups, series_styles(groups.ngroups), strict=True):
        points = rows[rows[column].notna()]
        if len(points):
            series.append(Series(label_of(points), style, points))
    return series


def bar_shifts_pt(k_values: NDArray[np.int64], n_series: int) -> list[float]:
    """Return how far each setting is moved sideways, so that no setting's bars hide another's."""
    places = np.log(k_values) if is_geometric(k_values) else k_values
    share = np.diff(places).min() / np.ptp(places) if len(places) > 1 else 1.0
    shift = min(MAX_SHIFT_PT, BARS_SPREAD * share * AXES_WIDTH_PT / n_series)
    return [float(shift * (number - (n_series - 1) / 2)) for number in range(n_series)]


def _draw_line(axes: Axes, series: Series, column: str, transform: Transform, is_joined: bool) -> None:
    """Draw one setting's points; those of trainings that have not converged get open markers."""
    k, values = series.points["k"].to_numpy(), series.points[column].to_numpy()
    look: dict[str, Any] = {"color": series.style.colour, "marker": series.style.marker, "transform": transform}
    if not is_joined:
        look |= {"linestyle": "none", "markersize": LONE_MARKER_PT}
    axes.plot(k, values, label=series.label, zorder=3, **look)
    is_open = is_unconverged(series.points)
    if is_open.any():
        axes.plot(k[is_open], values[is_open], **look | {"linestyle": "none"}, markerfacecolor="white", zorder=4)


def _draw_bars(axes: Axes, series: Series, ends: Columns, transform: Transform) -> None:
    """Draw a bar between two columns at each k."""
    k, lowest, highest = (series.points[name] for name in ("k", *ends))
    axes.vlines(k, lowest, highest, colors=series.style.colour, linewidth=0.8, alpha=BAR_ALPHA, transform=transform)


def _draw_band(axes: Axes, series: Series, ends: Columns, transform: Transform) -> None:
    """Fill the space between two columns."""
    k, lowest, highest = (series.points[name].to_numpy() for name in ("k", *ends))
    look: dict[str, Any] = {"color": series.style.colour, "alpha": BAND_ALPHA, "linewidth": 0, "transform": transform}
    axes.fill_between(k, lowest, highest, zorder=1, **look)


def _make_room(axes: Axes, values: pd.DataFrame) -> None:
    """Let the y axis hold values that are drawn with a transformation of their own, which axes do not look through."""
    y = values.to_numpy().ravel()
    axes.update_datalim(np.column_stack([y, y]), updatex=False)
    axes.autoscale_view(scalex=False)
