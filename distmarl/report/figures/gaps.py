"""Figures of Nash gaps: pure functions of the table ``nash_gaps``, a panel for each setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import figure_of, fitting_columns
from distmarl.report.figures.drawing.frames import check_frame
from distmarl.report.figures.drawing.panels import are_comparable, panels_of
from distmarl.report.figures.drawing.style import BAND_ALPHA, NOTE_COLOUR, PALETTE, paper_style
from distmarl.report.figures.trainings import INTERVAL_NOTE, draw_each, draw_interval
from distmarl.report.numbers import Numbers
from distmarl.results.summary.over_trainings import OverTrainings, over_trainings

SOURCE = "dm.open(...).nash_gaps"
COLUMNS = ("setting_id", "k", "method", "quantity", "n_agents", "value", "error")

SHIFT_PT = 1.5
GAIN_LABEL = "gain by deviating (reward)"
REFERENCE_POINTS = 200
GAINS = ("global_lower", "global_upper", "local_lower", "local_upper")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Bracket:
    """A gap of which a lower and, at times, an upper bound is known."""

    label: str
    lower: str
    upper: str
    colour: str
    marker: str


BRACKETS = (
    _Bracket("global agent", "global_lower", "global_upper", PALETTE[0], "o"),
    _Bracket("one local agent", "local_lower", "local_upper", PALETTE[1], "s"),
)


def _gaps(numbers: Numbers) -> dict[str, Any]:
    return {"gaps": numbers.nash_gaps, "bounds": numbers.bounds}


def _has_gaps(numbers: Numbers) -> bool:
    return len(numbers.nash_gaps) > 0


def nash_gap_vs_k(
    gaps: pd.DataFrame,
    *,
    bounds: pd.DataFrame | None = None,
    unfinished: str | None = None,
    width: float | None = None,
) -> Figure | None:
    """Draw what deviating would gain against k, as brackets, beside the rates of the theory.

    A bracket is a band from a lower bound (markers) to an upper bound. The rates are 1/sqrt(k) and
    sqrt((n - k + 1) / (n k)), through the first upper bound of the global agent's gain.

    Parameters
    ----------
    gaps : DataFrame
        Rows of the table ``nash_gaps`` of one method; panels are named by ``label`` where there is such a column.
    bounds : DataFrame, optional
        The table ``bounds``: what no other policies can gain more than is drawn where it is over as many steps.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column for each column of panels.

    Returns
    -------
    Figure or None
        None when there are no gaps.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(gaps, "gaps", SOURCE, COLUMNS)
    if gaps.empty:
        return None
    with paper_style():
        figure, panels = panels_of(gaps, _notes(gaps), unfinished, width, has_one_axis=_has_one_axis(gaps, GAINS))
        for axes, rows in panels:
            for bracket in BRACKETS:
                _draw_bracket(axes, rows, bracket)
            k, value, _ = _column(rows, "joint_value")
            for ceiling in _ceilings(rows, bounds):
                axes.plot(k, ceiling - value.median, "-", color=NOTE_COLOUR, linewidth=0.9, label="most by any change")
            _draw_rates(axes, rows)
        for axes, _ in panels:
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        figure.supylabel(GAIN_LABEL, fontsize=8)
        _add_legend(figure, panels[0][0])
    return figure


NASH_GAP = ReportFigure(
    nash_gap_vs_k,
    _gaps,
    Caption(
        "Nash gap against k",
        "What deviating alone would gain: the global agent with a better policy, or one local agent with another one. "
        "Zero is an equilibrium. Broken grey lines are the rates of the theory, scaled to the first point; a solid one "
        "is what no change of all policies can gain more than.",
        "Exact gaps are brackets: the band reaches from a certified lower to a certified upper bound. Estimates come "
        "from paired rollouts, with 95 % intervals. Infinite horizon where the table nash_gaps says so. Of several "
        "trainings, each is a thin line, the bracket is that of the medians, and bars are 95 % intervals of the mean "
        "over trainings (Student's t).",
        "Chart of the gain by deviating, of the global agent and of one local agent, against the subsample size k",
    ),
    absent="no gap is known",
    is_asked_for=_has_gaps,
)


def price_of_subsampling(
    gaps: pd.DataFrame,
    *,
    bounds: pd.DataFrame | None = None,
    unfinished: str | None = None,
    width: float | None = None,
) -> Figure | None:
    """Draw what the pairs are worth against k, beside the best answer that sees all agents.

    Parameters
    ----------
    gaps : DataFrame
        Rows of the table ``nash_gaps``; panels are named by ``label`` where there is such a column.
    bounds : DataFrame, optional
        The table ``bounds``: what nobody earns more than is drawn where it is over all steps.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column for each column of panels.

    Returns
    -------
    Figure or None
        None when no value with full information is known.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(gaps, "gaps", SOURCE, COLUMNS)
    exact = gaps[gaps["method"] == "exact"]
    if exact.empty:
        return None
    with paper_style():
        has_one_axis = _has_one_axis(exact, ("joint_value",))
        figure, panels = panels_of(exact, _notes(exact), unfinished, width, has_one_axis=has_one_axis)
        for axes, rows in panels:
            k, value, _ = _column(rows, "joint_value")
            _, seeing_all, _ = _column(rows, "joint_value", "global_upper")
            axes.plot(k, value.median, "o-", color=PALETTE[0], label="sees k agents", zorder=3)
            axes.plot(k, seeing_all.median, "--", color=NOTE_COLOUR, label="sees all agents")
            axes.fill_between(k, value.median, seeing_all.median, color=PALETTE[0], alpha=BAND_ALPHA, linewidth=0)
            _draw_trainings(axes, k, value, PALETTE[0])
            _draw_trainings(axes, k, seeing_all, NOTE_COLOUR, is_upper=True)
            for ceiling in _ceilings(rows, bounds):
                axes.axhline(ceiling, color=NOTE_COLOUR, linewidth=0.9, zorder=1, label="nobody earns more")
        figure.supylabel("discounted return, over all steps (reward)", fontsize=8)
        _add_legend(figure, panels[0][0])
    return figure


PRICE = ReportFigure(
    price_of_subsampling,
    _gaps,
    Caption(
        "The price of subsampling",
        "What the pair is worth with k agents in view, and what it would be worth if the global agent answered with "
        "all agents in view. The shaded distance is the price of seeing k only. A solid grey line is what no policies "
        "whatever earn more than.",
        "Exact values over all steps to come: the pair's joint value, and that value plus the certified upper bound of "
        "the global agent's gain, from the table nash_gaps. Of several trainings, each is a thin line, the others are "
        "medians, and bars are 95 % intervals of the mean over trainings (Student's t).",
        "Chart of the exact value with k agents in view and with all agents in view, against k",
    ),
    absent="it needs exact Nash gaps",
    is_asked_for=_has_gaps,
)


def _column(rows: pd.DataFrame, *quantities: str) -> tuple[Array, OverTrainings, Array]:
    """Return k in its order, the value of a quantity or the sum of several, over the trainings, and its error."""
    columns = ("value", "error")
    trainings = rows["train_seed"] if "train_seed" in rows.columns else pd.Series(0, index=rows.index)
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in columns}
    for quantity in quantities:
        chosen = rows.assign(train_seed=trainings)[rows["quantity"] == quantity].dropna(subset="value")
        for name in columns:
            found[name].append(chosen.pivot_table(index="k", columns="train_seed", values=name, aggfunc="last"))
    value, error = (sum(parts[1:], start=parts[0]).dropna(how="all") for parts in found.values())
    of_k = error.max(axis=1).reindex(value.index).to_numpy(dtype=np.float64)
    return value.index.to_numpy(dtype=np.float64), over_trainings(value.to_numpy(dtype=np.float64)), of_k


def _has_one_axis(gaps: pd.DataFrame, quantities: Sequence[str]) -> bool:
    """Return whether some quantities can be compared between settings."""
    shown = gaps[gaps["quantity"].isin(quantities)]
    return are_comparable(own["value"] for _, own in shown.groupby("setting_id"))


def _notes(gaps: pd.DataFrame) -> list[str]:
    """Return what to write of several trainings above the panels; nothing of a single one."""
    n_trainings = gaps["train_seed"].nunique() if "train_seed" in gaps.columns else 1
    if n_trainings == 1:
        return []
    return [f"thin: {n_trainings} trainings (upper: dotted); strong: medians", INTERVAL_NOTE]


def _ceilings(rows: pd.DataFrame, bounds: pd.DataFrame | None) -> list[float]:
    """Return what nobody earns more than in the setting of some gaps, over as many steps as these are: one, or none."""
    if bounds is None or bounds.empty:
        return []
    horizon = rows["horizon"].iloc[0]
    agrees = bounds["horizon"].isna() if pd.isna(horizon) else bounds["horizon"] == horizon
    return bounds.loc[agrees & (bounds["setting_id"] == rows["setting_id"].iloc[0]), "ceiling"].tolist()


def _draw_bracket(axes: Axes, rows: pd.DataFrame, bracket: _Bracket) -> None:
    """Draw a bracket as a band from its lower to its upper bound, if that is known; estimates with their intervals."""
    k, low, error = _column(rows, bracket.lower)
    if not len(k):
        return
    axes.plot(k, low.median, color=bracket.colour, marker=bracket.marker, label=bracket.label, zorder=3)
    _draw_trainings(axes, k, low, bracket.colour)
    _, high, _ = _column(rows, bracket.upper)
    if len(high.median) == len(k):
        axes.plot(k, high.median, linewidth=0.6, color=bracket.colour)
        axes.fill_between(k, low.median, high.median, color=bracket.colour, alpha=BAND_ALPHA, linewidth=0)
        _draw_trainings(axes, k, high, bracket.colour, is_upper=True)
    if (rows["method"] == "estimate").any() and low.each.shape[1] == 1:
        axes.vlines(k, low.median - error, low.median + error, colors=bracket.colour, linewidth=0.8)


def _draw_trainings(axes: Axes, k: Array, found: OverTrainings, colour: str, *, is_upper: bool = False) -> None:
    """Draw several trainings and the interval of their mean, beside that of the other end; nothing of a single one."""
    if found.each.shape[1] > 1:
        shift = offset_copy(axes.transData, figure_of(axes), x=SHIFT_PT * (1 if is_upper else -1), units="points")
        draw_each(axes, k, found, colour, axes.transData, dashes=":" if is_upper else "-")
        draw_interval(axes, k, found, colour, shift)


def _draw_rates(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the rates of the theory through the first upper bound of the global agent's gain, or its first estimate."""
    k, found, error = _column(rows, "global_upper")
    if not len(k):
        k, found, error = _column(rows, "global_lower")
    gap = found.median
    if len(k) < 2 or gap[0] <= max(0.0, error[0]):  # nothing to scale them by: the gap is 0 as far as is known
        return
    n_agents = float(rows["n_agents"].iloc[0])
    fine = np.linspace(k[0], k[-1], REFERENCE_POINTS)
    rates = {
        "1/√k, scaled": ("--", 1 / np.sqrt(fine)),
        "√((n - k + 1)/(n k)), scaled": (":", np.sqrt((n_agents - fine + 1) / (n_agents * fine))),
    }
    for label, (dashes, rate) in rates.items():
        axes.plot(fine, gap[0] * rate / rate[0], dashes, color=NOTE_COLOUR, linewidth=0.9, label=label)


def _add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(fitting_columns(2, figure.get_figwidth()), len(labels))
    )
