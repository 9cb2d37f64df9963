"""The figure of model-free learners against the samples that they drew: a pure function of frames."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import (
    RETURN_LABEL,
    add_legend,
    add_notes,
    axes_to_draw_on,
    figure_of,
    set_height,
)
from distmarl.report.figures.drawing.frames import check_frame, first_setting, spread
from distmarl.report.figures.drawing.style import BAR_ALPHA, HEIGHT_IN, NOTE_COLOUR, paper_style, series_styles
from distmarl.report.figures.learner_curves import LEARNER_MARKERS, LINE_STYLES, in_powers
from distmarl.report.numbers import Numbers
from distmarl.report.returns import known_returns

LEARNER_COLUMNS = ("setting_id", "k", "train_seed", "learner", "budget", "n_samples", "mean_return", "exact_return")
INTERVAL = ("ci95_low", "ci95_high")
SAMPLES_LABEL = "draws of an agent's next state"
FEW_DECADES = 100.0
OURS_ALPHA = 0.6


def return_vs_samples(
    learners: pd.DataFrame,
    *,
    summary: pd.DataFrame | None = None,
    trainings: pd.DataFrame | None = None,
    unfinished: str | None = None,
    width: float | None = None,
    ax: Axes | None = None,
) -> Figure | None:
    """Draw what model-free learners earn against how many samples they drew, for a few k of the first setting.

    Of several trainings, the line is their mean, and bars reach from the smallest to the largest; of a single one, a
    bar is the 95 % interval of the mean over rollouts. The trained pairs are thin levels, since they know the tables; a
    cross stands where G-LEARN drew samples besides.

    Parameters
    ----------
    learners : DataFrame
        The table ``learners``.
    summary : DataFrame, optional
        ``dm.open(...).points()``, for the pairs to compare with.
    trainings : DataFrame, optional
        The table ``trainings``, for what G-LEARN drew.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Returns
    -------
    Figure or None
        None where no learner has been looked at after two budgets.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(learners, "learners", "dm.open(...).learners", (*LEARNER_COLUMNS, *INTERVAL))
    if learners["budget"].nunique() < 2:
        return None
    rows, note = first_setting(learners)
    rows = rows.assign(value=known_returns(rows))
    ks = spread(sorted(int(k) for k in rows["k"].unique()))
    names = sorted(rows["learner"].unique())
    with paper_style():
        axes = axes_to_draw_on(width, ax)
        colours = {k: style.colour for k, style in zip(ks, series_styles(len(ks)), strict=True)}
        for k, colour in colours.items():
            for name, dashes, marker in zip(names, LINE_STYLES, LEARNER_MARKERS, strict=False):
                own = rows[(rows["k"] == k) & (rows["learner"] == name)]
                _draw(axes, own, {"color": colour, "linestyle": dashes, "marker": marker})
        ours = _pairs(rows["setting_id"].iloc[0], ks, summary, trainings)
        for k, value, drawn in zip(ours["k"], ours["value"], ours["n_samples"], strict=True):
            look: dict[str, Any] = {"color": colours[int(k)], "alpha": OURS_ALPHA}
            axes.axhline(value, linewidth=0.6, zorder=1, **look)
            if drawn > 0:
                axes.plot(drawn, value, marker="x", **look)
        _set_samples_axis(axes)
        axes.set_ylabel(RETURN_LABEL)
        handles, labels = _legend(colours, names, ours)
        n_lines = add_legend(axes, ax, handles, labels, 3)
        notes = [*([note] if note else []), _bars_note(rows)]
        set_height(axes, ax, HEIGHT_IN, n_legend_lines=n_lines, n_notes=add_notes(axes, notes, unfinished))
    return figure_of(axes)


def _draw(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Draw a learner at one k."""
    by_budget = rows.groupby("budget")
    samples, value = by_budget["n_samples"].first(), by_budget["value"]
    axes.plot(samples, value.mean(), markerfacecolor="white", **look)
    several = rows["train_seed"].nunique() > 1
    low, high = (value.min(), value.max()) if several else (by_budget[end].first() for end in INTERVAL)
    axes.vlines(samples, low, high, colors=look["color"], linewidth=0.8, alpha=BAR_ALPHA)


def _pairs(
    setting_id: str, ks: list[int], summary: pd.DataFrame | None, trainings: pd.DataFrame | None
) -> pd.DataFrame:
    """Return what the trained pairs of a setting earn at some k, and how many samples G-LEARN drew."""
    if summary is None:
        return pd.DataFrame(columns=["k", "value", "n_samples"])
    own = summary[(summary["setting_id"] == setting_id) & summary["k"].isin(ks)]
    pairs = pd.DataFrame({"k": own["k"], "value": known_returns(own), "n_samples": 0.0})
    if trainings is not None and "n_samples" in trainings:
        drawn = trainings[trainings["setting_id"] == setting_id].groupby("k")["n_samples"].max()
        pairs["n_samples"] = pairs["k"].map(drawn).fillna(0.0)
    return pairs


def _set_samples_axis(axes: Axes) -> None:
    axes.set_xlabel(SAMPLES_LABEL)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < FEW_DECADES * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(_in_powers))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _in_powers(value: float, _position: int | None) -> str:
    return in_powers(value)


def _legend(colours: dict[int, str], names: list[str], ours: pd.DataFrame) -> tuple[list[Line2D], list[str]]:
    handles = [Line2D([], [], color=colour) for colour in colours.values()]
    labels = [f"k = {k}" for k in colours]
    look: dict[str, Any] = {"color": NOTE_COLOUR, "markerfacecolor": "white"}
    for name, dashes, marker in zip(names, LINE_STYLES, LEARNER_MARKERS, strict=False):
        handles.append(Line2D([], [], linestyle=dashes, marker=marker, **look))
        labels.append(name.replace("_", " "))
    if not ours.empty:
        handles.append(Line2D([], [], linewidth=0.6, marker="x" if ours["n_samples"].max() > 0 else "", **look))
        labels.append("trained pair")
    return handles, labels


def _bars_note(rows: pd.DataFrame) -> str:
    n_trainings = rows["train_seed"].nunique()
    if n_trainings > 1:
        return f"mean of {n_trainings} trainings; bars: min to max"
    return "bars: 95 % interval of the mean, not of other trainings"


def _asks_for_budgets(numbers: Numbers) -> bool:
    asked = numbers.sweep.experiment
    names = set(asked.baselines) & {"independent_q", "subsampled_q"}
    return bool(names) and len(set(asked.baseline_samples)) > 1


RETURN_VS_SAMPLES = ReportFigure(
    return_vs_samples,
    lambda of: (
        None
        if of.learners.empty
        else {
            "learners": of.learners,
            "summary": of.summary,
            "trainings": of.trainings,
        }
    ),
    Caption(
        "Return against samples",
        "What model-free learners earn, against how many draws of an agent's next state they learnt from, for a few k. "
        "Thin levels are the trained pairs of the same k, which know the tables of the game. With sampled transitions "
        "G-LEARN draws, too: a cross stands at how many, without the training of the local policy.",
        "The same run of a learner is looked at after each budget, and its greedy pair evaluated in the game of n "
        "agents. Of several trainings the line is the mean, and bars reach from the smallest to the largest; of one, "
        "a bar is the 95 % interval over rollouts.",
        "Line chart of the discounted return of model-free learners against the number of samples, for several k",
    ),
    absent="no learner has been evaluated at two budgets of samples",
    is_asked_for=_asks_for_budgets,
)
