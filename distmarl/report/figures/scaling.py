"""The figure of a grid over n_agents: a pure function of the summary and of the table ``settings``."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distmarl.config.grids import varied_keys
from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import (
    LOG_SCALE_FROM,
    NOTE_LINE_PT,
    RETURN_LABEL,
    add_notes,
    characters,
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
from distmarl.report.numbers import Numbers
from distmarl.report.returns import has_trainings, known_returns

SUMMARY_SOURCE, SETTINGS_SOURCE = "dm.open(...).points()", "dm.open(...).settings"
SUMMARY_COLUMNS = ("setting_id", "k", "mean_return", "exact_return", "ci95_low", "ci95_high")
SETTINGS_COLUMNS = ("setting_id", "in_sweep", "label")
N_AGENTS = "environment.n_agents"

MAX_ROWS = 4
ROW_HEIGHT_IN = 1.6
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
    check_frame(settings, "settings", SETTINGS_SOURCE, SETTINGS_COLUMNS)
    points = _points(summary, settings)
    groups = [rows for _, rows in points.groupby("group", sort=False) if rows["n_agents"].nunique() > 1]
    if not groups:
        return None
    shown = groups[:MAX_ROWS]
    chosen = spread(sorted(int(k) for k in pd.concat(shown)["k"].unique()))
    styles = dict(zip(chosen, series_styles(len(chosen)), strict=True))
    with paper_style():
        width = figure_width(width, 2 * WIDTH_IN)
        figure = PaperFigure(figsize=(width, ROW_HEIGHT_IN * len(shown) + REST_HEIGHT_IN))
        panels = figure.subplots(len(shown), 2, squeeze=False, sharex=True)
        for (left, right), rows in zip(panels, shown, strict=True):
            for k, style in styles.items():
                look = {"color": style.colour, "marker": style.marker, "label": f"k = {k}"}
                _draw(left, right, rows[rows["k"] == k].sort_values("n_agents"), look)
            right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
            left.set_title(textwrap.fill(rows["group"].iloc[0], characters(width / 2)), fontsize=7, loc="left", pad=2)
            left.set_ylabel(RETURN_LABEL, fontsize=7)
            right.set_ylabel(f"lost against k = {rows['k'].max()}", fontsize=7)
        for axes in panels[-1]:
            axes.set_xlabel(N_AGENTS_LABEL)
        _set_n_axis(panels[0, 0], np.unique(points["n_agents"]))
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
        "a bar, of several trainings that of the mean over trainings. What is lost is the difference of these returns "
        "for the same n; settings that lack the row's "
        "largest k have none.",
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
    if has_trainings(points):  # what counts is how trainings differ, also in exact returns
        for end in ("ci95_low", "ci95_high"):
            points[end] = points[f"trainings_{end}"].fillna(points[end])
        points["has_bar"] = points["ci95_low"].notna()
    else:
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


def _interval_note(points: pd.DataFrame) -> list[str]:
    over = ", over trainings" if has_trainings(points) else ", not of other trainings"
    return [f"bars: 95 % interval of the mean{over}"] if points["has_bar"].any() else []


def _price_note(points: pd.DataFrame, unfinished: str | None) -> list[str]:
    """Return how returns compare where that holds for all of them; of an unfinished sweep, seeds may be missing."""
    is_exact = points["exact_return"].notna()
    if is_exact.all():
        return [PRICE_NOTES["exact"]]
    return [] if is_exact.any() or unfinished else [PRICE_NOTES["paired"]]


def _set_n_axis(axes: Axes, n_agents: Any) -> None:
    """Put the populations on a logarithmic axis when they span more than a decade; panels share it."""
    if n_agents[-1] >= LOG_SCALE_FROM * n_agents[0]:
        axes.set_xscale("log")
        use_plain_numbers(axes.xaxis, subs=(1.0, 2.0, 5.0) if n_agents[-1] < 1000 * n_agents[0] else (1.0,))
