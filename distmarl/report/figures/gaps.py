"""Figures of Nash gaps: pure functions of the table ``nash_gaps``, a panel for each setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.axes import K_LABEL, add_notes, fitting_columns, set_k_axis
from distmarl.report.figures.frames import check_frame, label_of
from distmarl.report.figures.style import (
    BAND_ALPHA,
    HEIGHT_IN,
    NOTE_COLOUR,
    PALETTE,
    WIDTH_IN,
    PaperFigure,
    figure_width,
    paper_style,
)
from distmarl.report.numbers import Numbers

SOURCE = "dm.open(...).nash_gaps"
COLUMNS = ("setting_id", "k", "method", "quantity", "n_agents", "value", "error")

GAIN_LABEL = "gain by deviating (reward)"
MAX_PANELS = 12
N_COLUMNS = 2
MIN_PANEL_IN = 2.2
PANEL_HEIGHT_IN = 1.9
REFERENCE_POINTS = 200

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
        figure, panels = _panels(gaps, unfinished, width)
        for axes, rows in panels:
            for bracket in BRACKETS:
                _draw_bracket(axes, rows, bracket)
            k, value, _ = _column(rows, "joint_value")
            for ceiling in _ceilings(rows, bounds):
                axes.plot(k, ceiling - value, "-", color=NOTE_COLOUR, linewidth=0.9, label="most by any change")
            _draw_rates(axes, rows)
        first = panels[0][0]  # they share their y axis
        first.set_ylim(bottom=min(0.0, first.get_ylim()[0]))
        figure.supylabel(GAIN_LABEL, fontsize=8)
        _add_legend(figure, first)
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
        "from paired rollouts, with 95 % intervals. Infinite horizon where the table nash_gaps says so.",
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
        figure, panels = _panels(exact, unfinished, width)
        for axes, rows in panels:
            k, value, _ = _column(rows, "joint_value")
            _, gain, _ = _column(rows, "global_upper")
            axes.plot(k, value, "o-", color=PALETTE[0], label="sees k agents", zorder=3)
            axes.plot(k, value + gain, "--", color=NOTE_COLOUR, label="sees all agents")
            axes.fill_between(k, value, value + gain, color=PALETTE[0], alpha=BAND_ALPHA, linewidth=0)
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
        "the global agent's gain, from the table nash_gaps.",
        "Chart of the exact value with k agents in view and with all agents in view, against k",
    ),
    absent="it needs exact Nash gaps",
    is_asked_for=_has_gaps,
)


def _panels(
    gaps: pd.DataFrame, unfinished: str | None, width: float | None
) -> tuple[Figure, list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure with an empty panel for each setting, and the setting's rows."""
    settings = list(gaps.groupby("setting_id", sort=False))
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
    for axes, (_, rows) in zip(grid, shown, strict=False):
        set_k_axis(axes, np.unique(rows["k"]))
        axes.set_xlabel(K_LABEL)
        if len(settings) > 1:
            axes.set_title(label_of(rows), fontsize=7)
        panels.append((axes, rows))
    notes = [f"{MAX_PANELS} of {len(settings)} settings shown"] if len(settings) > MAX_PANELS else []
    add_notes(grid[0], notes, unfinished)
    return figure, panels


def _column(rows: pd.DataFrame, quantity: str) -> tuple[Array, Array, Array]:
    """Return k, value and error of a quantity, in the order of k."""
    chosen = rows[(rows["quantity"] == quantity)].dropna(subset="value").sort_values("k")
    k, value, error = (chosen[name].to_numpy(dtype=np.float64) for name in ("k", "value", "error"))
    return k, value, error


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
    axes.plot(k, low, color=bracket.colour, marker=bracket.marker, label=bracket.label, zorder=3)
    _, high, _ = _column(rows, bracket.upper)
    if len(high) == len(k):
        axes.plot(k, high, linewidth=0.6, color=bracket.colour)
        axes.fill_between(k, low, high, color=bracket.colour, alpha=BAND_ALPHA, linewidth=0)
    if (rows["method"] == "estimate").any():
        axes.vlines(k, low - error, low + error, colors=bracket.colour, linewidth=0.8)


def _draw_rates(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the rates of the theory through the first upper bound of the global agent's gain, or its first estimate."""
    k, gap, error = _column(rows, "global_upper")
    if not len(k):
        k, gap, error = _column(rows, "global_lower")
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
