"""The figure of a grid over n_agents: a pure function of the summary and of the table ``settings``."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from distmarl.config.grids import varied_keys
from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import (
    LOG_SCALE_FROM,
    NOTE_LINE_PT,
    RETURN_LABEL,
    add_notes,
    characters,
    figure_of,
    use_plain_numbers,
)
from distmarl.report.figures.drawing.frames import check_frame, spread
from distmarl.report.figures.drawing.style import (
    BAR_ALPHA,
    WIDTH_IN,
    PaperFigure,
    figure_width,
    paper_style,
    series_styles,
)
from distmarl.report.figures.trainings import BESIDE_PT, INTERVAL_NOTE, by_training, draw_each, draw_interval
from distmarl.report.numbers import Numbers
from distmarl.report.returns import has_trainings, known_returns
from distmarl.results.summary.over_trainings import over_trainings

SUMMARY_SOURCE, SETTINGS_SOURCE = "dm.open(...).points()", "dm.open(...).settings"
SUMMARY_COLUMNS = ("setting_id", "k", "mean_return", "exact_return", "ci95_low", "ci95_high")
SETTINGS_COLUMNS = ("setting_id", "in_sweep", "label")
TRAININGS_COLUMNS = ("training_returns", "train_seeds")
N_AGENTS = "environment.n_agents"

MAX_ROWS = 4
ROW_HEIGHT_IN = 1.6
MAX_SHIFT_PT, BARS_SPREAD, AXES_WIDTH_PT = 5.0, 0.7, 190.0  # between two k, of the distance of two n, about
REST_HEIGHT_IN = 0.7
N_AGENTS_LABEL = "number of local agents n"
PRICE_NOTES = {"exact": "difference of exact returns", "paired": "same seeds of the rollouts for every k"}


def scaling(
    summary: pd.DataFrame,
    settings: pd.DataFrame,
    *,
    unfinished: str | None = None,
    width: float | None = None,
) -> Figure | None:
    """Draw the return against the size n of the population, for a few k, and what seeing only k agents costs there.

    On the left the return (exact where it is known; bars are the 95 % interval of rollouts), on the right how much
    less it is than at the row's largest k, for the populations that have been evaluated there. A row for each
    combination of the grid's other values.

    Where each setting was trained several times, each training is a dot, lines are means over trainings and bars their
    95 % intervals (Student's t); what is lost is taken within each training first.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``.
    settings : DataFrame
        The table ``settings``, with the grid's columns.
    unfinished : str, optional
        What to write above the panels of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of two columns of a paper.

    Returns
    -------
    Figure or None
        None where no grid varies ``environment.n_agents``, and so no two populations can be compared.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, SUMMARY_COLUMNS)
    if has_trainings(summary):
        check_frame(summary, "summary", SUMMARY_SOURCE, TRAININGS_COLUMNS, TRAININGS_COLUMNS)
    check_frame(settings, "settings", SETTINGS_SOURCE, SETTINGS_COLUMNS)
    points = _points(summary, settings)
    groups = [rows for _, rows in points.groupby("group", sort=False) if rows["n_agents"].nunique() > 1]
    if not groups:
        return None
    shown = groups[:MAX_ROWS]
    chosen = spread(sorted(int(k) for k in pd.concat(shown)["k"].unique()))
    styles = dict(zip(chosen, series_styles(len(chosen)), strict=True))
    several, sizes = has_trainings(points), np.unique(points["n_agents"])
    shifts = _shifts_pt(sizes, len(chosen))
    with paper_style():
        width = figure_width(width, 2 * WIDTH_IN)
        figure = PaperFigure(figsize=(width, ROW_HEIGHT_IN * len(shown) + REST_HEIGHT_IN))
        panels = figure.subplots(len(shown), 2, squeeze=False, sharex=True)
        for (left, right), rows in zip(panels, shown, strict=True):
            for (k, style), shift in zip(styles.items(), shifts, strict=True):
                look = {"color": style.colour, "marker": style.marker, "label": f"k = {k}"}
                own = rows[rows["k"] == k].sort_values("n_agents")
                if several:
                    _draw_trainings(left, right, own, rows[rows["is_largest"]], look, shift)
                else:
                    _draw(left, right, own, look)
            right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
            left.set_title(textwrap.fill(rows["group"].iloc[0], characters(width / 2)), fontsize=7, loc="left", pad=2)
            left.set_ylabel(RETURN_LABEL, fontsize=7)
            right.set_ylabel(f"lost against k = {rows['k'].max()}", fontsize=7)
        for axes in panels[-1]:
            axes.set_xlabel(N_AGENTS_LABEL)
        _set_n_axis(panels[0, 0], sizes)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(chosen))
        above_pt = NOTE_LINE_PT * len(panels[0, 0].get_title(loc="left").splitlines())
        notes = [f"{MAX_ROWS} of {len(groups)} groups of settings shown"] if len(groups) > MAX_ROWS else []
        add_notes(panels[0, 0], [*_interval_note(points), *notes], unfinished, above_pt=above_pt)
        add_notes(panels[0, 1], _price_note(pd.concat(shown), unfinished), None)
    return figure


def _varies_n_agents(numbers: Numbers) -> bool:
    return N_AGENTS in varied_keys(numbers.sweep.grid)


SCALING = ReportFigure(
    scaling,
    lambda numbers: {"summary": numbers.summary, "settings": numbers.settings},
    Caption(
        "Return against the size of the population",
        "Left: the return against the number n of local agents, a line for each of at most four k. Right: how much "
        "less it is than at the largest k. A row for each combination of the grid's other values.",
        "Returns are exact where they are known, else means over rollouts with their 95 % interval (Student's t) as "
        "a bar. Of several trainings each is a dot, and lines and bars are the mean over trainings and its interval. "
        "What is lost is the difference of these returns for the same n, of several trainings within each first; "
        "settings that lack the row's largest k have none.",
        "Line charts, for several k, of the return and of what it lacks against the largest k, over the number of "
        "local agents",
    ),
    absent="no two sizes of the population have been evaluated",
    is_asked_for=_varies_n_agents,
)


def _points(summary: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Return the summary with n, the other grid values in short, the best known return and its price."""
    columns = [name for name in settings.columns if "." in name]
    now = settings[settings["in_sweep"]]
    if N_AGENTS not in columns:
        return summary.iloc[:0].assign(group="", n_agents=0, has_bar=False)
    varied = [name for name in columns if name != N_AGENTS and now[name].nunique(dropna=False) > 1]
    names = [", ".join(f"{name.rpartition('.')[2]}={row[name]}" for name in varied) for _, row in now.iterrows()]
    known = now[["setting_id"]].assign(n_agents=now[N_AGENTS], group=names).dropna(subset="n_agents")
    points = summary.drop(columns=["n_agents", "group"], errors="ignore").merge(known, on="setting_id")
    points["value"] = known_returns(points)
    points["has_bar"] = points["exact_return"].isna() & points["ci95_low"].notna()
    is_largest = points["k"] == points.groupby("group")["k"].transform("max")
    at_largest = points[is_largest].set_index("setting_id")["value"]
    return points.assign(price=points["setting_id"].map(at_largest) - points["value"], is_largest=is_largest)


def _draw(left: Axes, right: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw one k: its returns on the left, what it lacks on the right."""
    left.plot(rows["n_agents"], rows["value"], **look)
    estimates = rows[rows["has_bar"]]
    ends = (estimates["ci95_low"], estimates["ci95_high"])
    left.vlines(estimates["n_agents"], *ends, colors=look["color"], linewidth=0.8, alpha=BAR_ALPHA)
    less = rows[~rows["is_largest"] & rows["price"].notna()]
    right.plot(less["n_agents"], less["price"], **look)


def _draw_trainings(
    left: Axes, right: Axes, rows: pd.DataFrame, largest: pd.DataFrame, look: dict[str, Any], shift: float
) -> None:
    """Draw one k of several trainings: each as a dot, and the mean with its interval over them.

    What k lacks is taken within each training first: trainings may differ by more than what they lack.
    """
    n_agents, returns = rows["n_agents"].to_numpy(), by_training(rows, "training_returns")
    at_largest = by_training(largest, "training_returns").set_index(largest["setting_id"])
    prices = at_largest.reindex(rows["setting_id"]).set_index(returns.index) - returns
    is_compared = prices.notna().any(axis=1).to_numpy() & ~rows["is_largest"].to_numpy()
    for axes, each, is_shown in ((left, returns, returns.notna().any(axis=1).to_numpy()), (right, prices, is_compared)):
        n, found = n_agents[is_shown], over_trainings(each.to_numpy()[is_shown])
        at, beside = (
            offset_copy(axes.transData, figure_of(axes), x=shift + more, y=0, units="points") for more in (0, BESIDE_PT)
        )
        axes.plot(n, found.mean, transform=at, zorder=4, **look)
        if not len(n):
            continue
        draw_each(axes, n, found, look["color"], beside, is_joined=False)
        draw_interval(axes, n, found, look["color"], at)
        # Axes do not look through a transformation of lines' own.
        heights = np.column_stack([found.each, found.low, found.high])
        reached = np.column_stack([np.repeat(n, heights.shape[1]), heights.ravel()])
        axes.update_datalim(reached[np.isfinite(heights.ravel())])
        axes.autoscale_view()


def _shifts_pt(n_agents: Any, n_series: int) -> list[float]:
    """Return how far each k is moved sideways, so that no bars or dots of one hide another's."""
    places = np.log(n_agents) if _is_log(n_agents) else n_agents
    share = np.diff(places).min() / np.ptp(places)
    shift = min(MAX_SHIFT_PT, BARS_SPREAD * share * AXES_WIDTH_PT / n_series)
    return [float(shift * (number - (n_series - 1) / 2)) for number in range(n_series)]


def _interval_note(points: pd.DataFrame) -> list[str]:
    if has_trainings(points):
        return [f"dots: {int(points['n_train_seeds'].max())} trainings; {INTERVAL_NOTE}"]
    return ["bars: 95 % interval of the mean, not of other trainings"] if points["has_bar"].any() else []


def _price_note(points: pd.DataFrame, unfinished: str | None) -> list[str]:
    """Return how returns compare where that holds for all of them; of an unfinished sweep, seeds may be missing."""
    within = ["within each training first, then its mean and interval"] if has_trainings(points) else []
    is_exact = points["exact_return"].notna()
    if is_exact.all():
        return [*within, PRICE_NOTES["exact"]]
    return within if is_exact.any() or unfinished else [*within, PRICE_NOTES["paired"]]


def _set_n_axis(axes: Axes, n_agents: Any) -> None:
    """Put the populations on a logarithmic axis when they span more than a decade; panels share it."""
    if _is_log(n_agents):
        axes.set_xscale("log")
        use_plain_numbers(axes.xaxis, subs=(1.0, 2.0, 5.0) if n_agents[-1] < 1000 * n_agents[0] else (1.0,))


def _is_log(n_agents: Any) -> bool:
    return bool(n_agents[-1] >= LOG_SCALE_FROM * n_agents[0])
