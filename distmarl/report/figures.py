"""From numbers to figures: pure functions of a summary, which return figures and save nothing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Transform, offset_copy
from numpy.typing import NDArray

from distmarl.report.style import (
    HEIGHT_IN,
    NOTE_COLOUR,
    NOTE_SIZE_PT,
    PALETTE,
    WARNING_COLOUR,
    WIDTH_IN,
    PaperFigure,
    SeriesStyle,
    paper_style,
    series_styles,
)
from distmarl.report.summary import is_unconverged

K_LABEL = "subsample size k (agents)"
RETURN_LABEL = "discounted return (reward)"
SECONDS_LABEL = "G-LEARN wall-clock time (s)"
ACCURACY_LABEL = "mode accuracy (% of steps)"
UNCONVERGED_NOTE = "open markers: training has not converged"

LOG_SCALE_FROM = 10.0  # ratio of the largest to the smallest value
FEW_DECADES = 2
MAX_NAMED = len(PALETTE)
BARS_SPREAD = 0.6  # share of the distance between two k that the bars of all settings take
MAX_SHIFT_PT = 2.2
AXES_WIDTH_PT = 190.0  # about
BAR_ALPHA = 0.7
K_MARGIN = 0.03
NOTE_LINE_PT = 8.5
LEGEND_LINE_IN = 0.15
LEGEND_CHARACTERS = 54  # about what fits below a figure in one line


@dataclass(frozen=True)
class _Series:
    """One setting's points, and how they are drawn."""

    label: str
    style: SeriesStyle
    points: pd.DataFrame


def reward_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure:
    """Draw the mean discounted return over evaluation seeds against k, with bars from minimum to maximum.

    The bars of several settings stand side by side; they are left out where more than eight would hide one another.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    """
    has_bars = summary["n_seeds"].max() > 1 and summary["setting_id"].nunique() <= MAX_NAMED
    with paper_style():
        figure, axes = _new_figure(summary, "mean_return", [_seeds_note(summary, has_bars)], unfinished, has_bars)
        axes.set_ylabel(RETURN_LABEL)
    return figure


def runtime_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    """Draw the wall-clock time of G-LEARN against k; None when no time was stored.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    """
    seconds = summary["train_seconds"].dropna()
    if seconds.empty:
        return None
    with paper_style():
        figure, axes = _new_figure(summary, "train_seconds", [], unfinished)
        axes.set_ylabel(SECONDS_LABEL)
        if seconds.min() > 0 and seconds.max() / seconds.min() > LOG_SCALE_FROM:
            axes.set_yscale("log")
            has_few_decades = seconds.max() / seconds.min() < 10**FEW_DECADES
            _use_plain_numbers(axes.yaxis, subs=(1.0, 2.0, 5.0) if has_few_decades else (1.0,))
        else:
            axes.set_ylim(bottom=0)
    return figure


def mode_accuracy_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    """Draw the share of steps at which the global action is a most populated local state, against k.

    None where no setting defines it: it needs as many global actions as local states.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    """
    if summary["mode_accuracy"].isna().all():
        return None
    with paper_style():
        percent = summary.assign(mode_accuracy=100 * summary["mode_accuracy"])
        figure, axes = _new_figure(percent, "mode_accuracy", [], unfinished)
        axes.set_ylabel(ACCURACY_LABEL)
    return figure


def _new_figure(
    summary: pd.DataFrame, column: str, notes: list[str], unfinished: str | None, has_bars: bool = False
) -> tuple[Figure, Axes]:
    """Return a figure with a line per setting, notes above the axes and a legend below them."""
    figure = PaperFigure()
    axes = figure.add_subplot()
    _set_k_axis(axes, np.unique(summary["k"]))
    series = _series(summary, column)
    shifts = _bar_shifts_pt(np.unique(summary["k"]), len(series)) if has_bars else [0.0] * len(series)
    for one, shift in zip(series, shifts, strict=True):
        transform = offset_copy(axes.transData, figure, x=shift, y=0, units="points")
        _draw_line(axes, one, column, transform)
        if has_bars:
            _draw_bars(axes, one, transform)
        _make_room(axes, one.points[[column, "min_return", "max_return"] if has_bars else [column]])
    if any(is_unconverged(one.points).any() for one in series):
        notes = [*notes, UNCONVERGED_NOTE]
    if len(series) > MAX_NAMED:
        notes = [*notes, f"{MAX_NAMED} of {len(series)} settings named; colours in the grid's order"]
    n_legend_lines = _add_legend(figure, series) if summary["setting_id"].nunique() > 1 else 0
    n_notes = _add_notes(axes, notes, unfinished)
    figure.set_size_inches(WIDTH_IN, HEIGHT_IN + LEGEND_LINE_IN * n_legend_lines + NOTE_LINE_PT / 72 * n_notes)
    return figure, axes


def _seeds_note(summary: pd.DataFrame, has_bars: bool) -> str:
    n_seeds = int(summary["n_seeds"].max())
    if n_seeds == 1:
        return "one evaluation seed"
    up_to = "" if summary["n_seeds"].min() == n_seeds else "up to "
    return f"mean of {up_to}{n_seeds} evaluation seeds" + ("; bars: min to max" if has_bars else "")


def _series(summary: pd.DataFrame, column: str) -> list[_Series]:
    """Return the settings that have values in a column; each keeps its style in every figure."""
    ids = summary["setting_id"].unique()
    series = []
    for setting_id, style in zip(ids, series_styles(len(ids)), strict=True):
        points = summary[(summary["setting_id"] == setting_id) & summary[column].notna()]
        if len(points):
            series.append(_Series(str(points["label"].iloc[0]), style, points))
    return series


def _bar_shifts_pt(k_values: NDArray[np.int64], n_series: int) -> list[float]:
    """Return how far each setting is moved sideways, so that no setting's bars hide another's."""
    places = np.log(k_values) if _is_geometric(k_values) else k_values
    share = np.diff(places).min() / np.ptp(places) if len(places) > 1 else 1.0
    shift = min(MAX_SHIFT_PT, BARS_SPREAD * share * AXES_WIDTH_PT / n_series)
    return [float(shift * (number - (n_series - 1) / 2)) for number in range(n_series)]


def _draw_line(axes: Axes, series: _Series, column: str, transform: Transform) -> None:
    """Draw one setting's points; those of trainings that have not converged get open markers."""
    k, values = series.points["k"].to_numpy(), series.points[column].to_numpy()
    look: dict[str, Any] = {"color": series.style.colour, "marker": series.style.marker, "transform": transform}
    axes.plot(k, values, label=series.label, zorder=3, **look)
    is_open = is_unconverged(series.points)
    if is_open.any():
        axes.plot(k[is_open], values[is_open], linestyle="none", markerfacecolor="white", zorder=4, **look)


def _draw_bars(axes: Axes, series: _Series, transform: Transform) -> None:
    """Draw bars from the smallest to the largest seed's mean return."""
    k, lowest, highest = (series.points[name] for name in ("k", "min_return", "max_return"))
    axes.vlines(k, lowest, highest, colors=series.style.colour, linewidth=0.8, alpha=BAR_ALPHA, transform=transform)


def _make_room(axes: Axes, values: pd.DataFrame) -> None:
    """Let the y axis hold values that are drawn with a transformation of their own, which axes do not look through."""
    y = values.to_numpy().ravel()
    axes.update_datalim(np.column_stack([y, y]), updatex=False)
    axes.autoscale_view(scalex=False)


def _is_geometric(k_values: NDArray[np.int64]) -> bool:
    """Return whether the subsample sizes crowd at the small end, as 1, 2, 5, 10, 20, 50, 100 do."""
    first, last = k_values[0], k_values[-1]
    return bool(last > LOG_SCALE_FROM * first and np.median(k_values) < (first + last) / 4)


def _set_k_axis(axes: Axes, k_values: NDArray[np.int64]) -> None:
    """Label the k axis, with ticks at the first k and at round ones."""
    axes.set_xlabel(K_LABEL)
    first, last = int(k_values[0]), int(k_values[-1])
    if _is_geometric(k_values):
        axes.set_xscale("log")
        margin = (last / first) ** K_MARGIN
        axes.set_xlim(first / margin, last * margin)
        _use_plain_numbers(axes.xaxis, subs=(1.0, 2.0, 5.0))
        return
    margin = max(0.5, K_MARGIN * (last - first))
    axes.set_xlim(first - margin, last + margin)
    locator = MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10])
    ticks = [int(tick) for tick in locator.tick_values(first, max(last, first + 1))]
    step = ticks[1] - ticks[0]
    axes.set_xticks([first, *(tick for tick in ticks if first + step / 2 <= tick <= last)])


def _use_plain_numbers(axis: Axis, subs: tuple[float, ...]) -> None:
    """Label a logarithmic axis with plain numbers, at the given multiples of powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _add_legend(figure: Figure, series: list[_Series]) -> int:
    """Name the series below the axes, where no data are, and return the number of lines that takes."""
    if len(series) > MAX_NAMED:
        series = [series[index] for index in np.linspace(0, len(series) - 1, MAX_NAMED).round().astype(int)]
    labels = [textwrap.fill(one.label, LEGEND_CHARACTERS) for one in series]
    longest = max(len(one.label) for one in series)
    n_columns = max(1, min(len(series), LEGEND_CHARACTERS // (longest + 6)))
    handles = [Line2D([], [], color=one.style.colour, marker=one.style.marker) for one in series]
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns)
    n_lines = max(label.count("\n") + 1 for label in labels)
    return n_lines * -(-len(series) // n_columns)


def _add_notes(axes: Axes, notes: list[str], unfinished: str | None) -> int:
    """Write small lines above the axes, the one of an unfinished sweep on top, and return their number."""
    lines = [(note, NOTE_COLOUR) for note in reversed(notes)]
    if unfinished:
        lines.append((unfinished, WARNING_COLOUR))
    for number, (text, colour) in enumerate(lines):
        axes.annotate(
            text,
            xy=(0, 1),
            xytext=(0, 3 + NOTE_LINE_PT * number),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=NOTE_SIZE_PT,
            color=colour,
        )
    return len(lines)
