"""From numbers to figures: pure functions of a summary, which return figures and save nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform, offset_copy
from numpy.typing import NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.axes import (
    LEGEND_LINE_IN,
    LOG_SCALE_FROM,
    MAX_NAMED,
    NOTE_LINE_PT,
    RETURN_LABEL,
    add_notes,
    add_series_legend,
    is_geometric,
    named_note,
    set_k_axis,
    use_plain_numbers,
)
from distmarl.report.figures.frames import check_frame
from distmarl.report.figures.style import (
    HEIGHT_IN,
    NOTE_COLOUR,
    WIDTH_IN,
    PaperFigure,
    SeriesStyle,
    paper_style,
    series_styles,
)
from distmarl.report.numbers import is_unconverged

SUMMARY_SOURCE = "dm.open(...).points()"
POINT_COLUMNS = ("setting_id", "label", "k", "converged")
RANGE_COLUMNS = ("min_return", "max_return", "ci95_low", "ci95_high")
DIFFERENCE_COLUMNS = ("difference", "difference_ci95_low", "difference_ci95_high")

DIFFERENCE_LABEL = "gain over the next smaller k (reward)"
SECONDS_LABEL = "G-LEARN wall-clock time (s)"
ACCURACY_LABEL = "mode accuracy (% of steps)"
UNCONVERGED_NOTE = "open markers: training has not converged"
BAND_NOTE = "band: 95 % interval of the mean"
LINE_NOTE = "line: exact return"
DIFFERENCE_NOTE = "differences on the same random numbers; bars: 95 % interval"

FEW_DECADES = 2
BARS_SPREAD = 0.6  # share of the distance between two k that the bars of all settings take
MAX_SHIFT_PT = 2.2
AXES_WIDTH_PT = 190.0  # about
BAR_ALPHA = 0.7
BAND_ALPHA = 0.2
LONE_MARKER_PT = 2.0
LEVEL_DASHES = ((0, (6, 2)), (0, (3, 1.5)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))


# The columns of the lower and of the upper end.
Columns: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class _Series:
    """One setting's points, and how they are drawn."""

    label: str
    style: SeriesStyle
    points: pd.DataFrame


def reward_vs_k(
    summary: pd.DataFrame, *, baselines: pd.DataFrame | None = None, unfinished: str | None = None
) -> Figure:
    """Draw the mean discounted return against k, with bars from the seeds' minimum to their maximum and its interval.

    The bars of several settings stand side by side; bars and bands are left out where more than eight would hide
    one another. The band is the 95 % interval over all rollouts. Exact returns are a line through the markers.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns; every setting is a series.
    baselines : DataFrame, optional
        The table ``baselines``, drawn as levels where there is one setting.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.

    Raises
    ------
    InvalidArgumentError
        When columns are missing, or there are no rows.
    """
    needed = (*POINT_COLUMNS, "n_seeds", "mean_return", "exact_return", *RANGE_COLUMNS)
    check_frame(summary, "summary", SUMMARY_SOURCE, needed)
    if summary.empty:
        raise InvalidArgumentError("summary: must have a row for each setting and k, got none")
    is_clear = summary["setting_id"].nunique() <= MAX_NAMED
    has_bars = is_clear and summary["n_seeds"].max() > 1
    has_band = is_clear and summary["ci95_low"].notna().any()
    has_line = summary["exact_return"].notna().any() and summary["n_seeds"].max() > 0
    notes = [_seeds_note(summary, has_bars), *([BAND_NOTE] if has_band else []), *([LINE_NOTE] if has_line else [])]
    with paper_style():
        figure, axes = _new_figure(
            summary,
            "mean_return",
            notes,
            unfinished,
            bars=("min_return", "max_return") if has_bars else None,
            band=("ci95_low", "ci95_high") if has_band else None,
            is_joined=not has_line,
        )
        axes.set_ylabel(RETURN_LABEL)
        if has_line:
            for one in _series(summary, "exact_return"):
                axes.plot(one.points["k"], one.points["exact_return"], color=one.style.colour, zorder=2)
        if baselines is not None and summary["setting_id"].nunique() == 1:
            _draw_levels(figure, axes, baselines[baselines["setting_id"] == summary["setting_id"].iloc[0]])
    return figure


def difference_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    """Draw what each k gains over the next smaller one, with 95 % intervals; None where nothing can be compared.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, *DIFFERENCE_COLUMNS))
    if summary["difference"].isna().all():
        return None
    has_bars = summary["setting_id"].nunique() <= MAX_NAMED and summary["difference_ci95_low"].notna().any()
    bars = ("difference_ci95_low", "difference_ci95_high") if has_bars else None
    with paper_style():
        notes = [DIFFERENCE_NOTE] if has_bars else []
        figure, axes = _new_figure(summary, "difference", notes, unfinished, bars=bars, is_joined=False)
        axes.set_ylabel(DIFFERENCE_LABEL)
        axes.axhline(0, color=NOTE_COLOUR, linewidth=0.6, zorder=1)
    return figure


def runtime_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    """Draw the wall-clock time of G-LEARN against k; None when no time was stored.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, "train_seconds"))
    seconds = summary["train_seconds"].dropna()
    if seconds.empty:
        return None
    with paper_style():
        figure, axes = _new_figure(summary, "train_seconds", [], unfinished)
        axes.set_ylabel(SECONDS_LABEL)
        if seconds.min() > 0 and seconds.max() / seconds.min() > LOG_SCALE_FROM:
            axes.set_yscale("log")
            has_few_decades = seconds.max() / seconds.min() < 10**FEW_DECADES
            use_plain_numbers(axes.yaxis, subs=(1.0, 2.0, 5.0) if has_few_decades else (1.0,))
        else:
            axes.set_ylim(bottom=0)
    return figure


def mode_accuracy_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    """Draw the share of steps at which the global action is a most populated local state, against k.

    None where no setting defines it: it needs as many global actions as local states.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, "mode_accuracy"))
    if summary["mode_accuracy"].isna().all():
        return None
    with paper_style():
        percent = summary.assign(mode_accuracy=100 * summary["mode_accuracy"])
        figure, axes = _new_figure(percent, "mode_accuracy", [], unfinished)
        axes.set_ylabel(ACCURACY_LABEL)
    return figure


def _new_figure(
    summary: pd.DataFrame,
    column: str,
    notes: list[str],
    unfinished: str | None,
    *,
    bars: Columns | None = None,
    band: Columns | None = None,
    is_joined: bool = True,
) -> tuple[Figure, Axes]:
    """Return a figure with a line per setting, notes above the axes and a legend below them."""
    figure = PaperFigure()
    axes = figure.add_subplot()
    set_k_axis(axes, np.unique(summary["k"]))
    series = _series(summary, column)
    shifts = _bar_shifts_pt(np.unique(summary["k"]), len(series)) if bars else [0.0] * len(series)
    for one, shift in zip(series, shifts, strict=True):
        transform = offset_copy(axes.transData, figure, x=shift, y=0, units="points")
        _draw_line(axes, one, column, transform, is_joined)
        if bars:
            _draw_bars(axes, one, bars, transform)
        if band:
            _draw_band(axes, one, band, transform)
        _make_room(axes, one.points[[column, *(bars or ()), *(band or ())]])
    if any(is_unconverged(one.points).any() for one in series):
        notes = [*notes, UNCONVERGED_NOTE]
    notes = [*notes, *named_note(len(series))]
    named = series if summary["setting_id"].nunique() > 1 else []
    n_legend_lines = add_series_legend(figure, [one.label for one in named], [one.style for one in named])
    n_notes = add_notes(axes, notes, unfinished)
    figure.set_size_inches(WIDTH_IN, HEIGHT_IN + LEGEND_LINE_IN * n_legend_lines + NOTE_LINE_PT / 72 * n_notes)
    return figure, axes


def _draw_levels(figure: Figure, axes: Axes, baselines: pd.DataFrame) -> None:
    """Draw what each baseline is worth as a level, exactly where that is known, and name it below the axes."""
    if baselines.empty:
        return
    levels = baselines.sort_values("method").groupby("baseline", sort=False)["value"].first()
    shown = list(zip(levels.sort_values(ascending=False).items(), LEVEL_DASHES, strict=False))
    look: dict[str, Any] = {"color": NOTE_COLOUR, "linewidth": 0.9, "zorder": 1}
    handles = [axes.axhline(value, linestyle=dashes, **look) for (_, value), dashes in shown]
    names = [str(name).replace("_", " ") for (name, _), _ in shown]
    figure.legend(handles, names, loc="outside lower center", ncols=2, handlelength=2.6)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND_LINE_IN * -(-len(shown) // 2))


def _seeds_note(summary: pd.DataFrame, has_bars: bool) -> str:
    n_seeds = int(summary["n_seeds"].max())
    if n_seeds == 0:
        return "exact returns"
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
    places = np.log(k_values) if is_geometric(k_values) else k_values
    share = np.diff(places).min() / np.ptp(places) if len(places) > 1 else 1.0
    shift = min(MAX_SHIFT_PT, BARS_SPREAD * share * AXES_WIDTH_PT / n_series)
    return [float(shift * (number - (n_series - 1) / 2)) for number in range(n_series)]


def _draw_line(axes: Axes, series: _Series, column: str, transform: Transform, is_joined: bool) -> None:
    """Draw one setting's points; those of trainings that have not converged get open markers."""
    k, values = series.points["k"].to_numpy(), series.points[column].to_numpy()
    look: dict[str, Any] = {"color": series.style.colour, "marker": series.style.marker, "transform": transform}
    if not is_joined:
        look |= {"linestyle": "none", "markersize": LONE_MARKER_PT}
    axes.plot(k, values, label=series.label, zorder=3, **look)
    is_open = is_unconverged(series.points)
    if is_open.any():
        axes.plot(k[is_open], values[is_open], **look | {"linestyle": "none"}, markerfacecolor="white", zorder=4)


def _draw_bars(axes: Axes, series: _Series, ends: Columns, transform: Transform) -> None:
    """Draw a bar between two columns at each k."""
    k, lowest, highest = (series.points[name] for name in ("k", *ends))
    axes.vlines(k, lowest, highest, colors=series.style.colour, linewidth=0.8, alpha=BAR_ALPHA, transform=transform)


def _draw_band(axes: Axes, series: _Series, ends: Columns, transform: Transform) -> None:
    """Fill the space between two columns."""
    k, lowest, highest = (series.points[name].to_numpy() for name in ("k", *ends))
    look: dict[str, Any] = {"color": series.style.colour, "alpha": BAND_ALPHA, "linewidth": 0, "transform": transform}
    axes.fill_between(k, lowest, highest, zorder=1, **look)


def _make_room(axes: Axes, values: pd.DataFrame) -> None:
    """Let the y axis hold values that are drawn with a transformation of their own, which axes do not look through."""
    y = values.to_numpy().ravel()
    axes.update_datalim(np.column_stack([y, y]), updatex=False)
    axes.autoscale_view(scalex=False)
