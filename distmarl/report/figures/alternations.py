"""The figure of how the shared local policies were trained: a pure function of the table ``alternations``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import (
    add_notes,
    add_series_legend,
    axes_to_draw_on,
    figure_of,
    named_note,
    set_height,
)
from distmarl.report.figures.drawing.frames import check_frame, label_of, settings_to_draw
from distmarl.report.figures.drawing.style import HEIGHT_IN, paper_style, series_styles

SOURCE = "dm.open(...).alternations"
COLUMNS = ("setting_id", "iteration", "proposal", "joint_value", "accepted", "stopped_because")

# Where a proposal stands between its iteration and the next one.
OFFSETS = {"start": -1.0, "ascent": -0.5, "pair": 0.0, "global": 0.0, "local": 0.5}
EACH_NOTE = " (global policy, then local)"
REVERTED_PT = 4.5


def alternation(
    alternations: pd.DataFrame, *, unfinished: str | None = None, width: float | None = None, ax: Axes | None = None
) -> Figure | None:
    """Draw what each proposal of the alternation was worth, a line for each start and training through what was kept.

    A cross is a proposal that was reverted. Where each policy is proposed by itself, the global one stands at
    its outer iteration and the local one half a step further. A start that was valued itself stands one step before
    the first iteration, where an ascent from it ended half a step.

    Parameters
    ----------
    alternations : DataFrame
        Rows of the table ``alternations``, with ``label`` of the settings if they are to be named by it.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Returns
    -------
    Figure or None
        None when nothing was proposed.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(alternations, "alternations", SOURCE, COLUMNS)
    if alternations.empty:
        return None
    said = _notes(alternations)
    alternations, left_out = settings_to_draw(alternations)
    groups = [rows for _, rows in alternations.groupby("setting_id", sort=False)]
    styles = series_styles(len(groups))
    with paper_style():
        axes = axes_to_draw_on(width, ax)
        for rows, style in zip(groups, styles, strict=True):
            for number, (_, own) in enumerate(_by_start(rows)):
                own = own.assign(place=own["iteration"] + own["proposal"].map(OFFSETS)).sort_values(
                    "place", kind="stable"
                )
                kept = own["accepted"].to_numpy(dtype=bool)
                look: dict[str, Any] = {"color": style.colour, "label": "_" if number else label_of(rows)}
                axes.plot(own["place"][kept], own["joint_value"][kept], marker=style.marker, **look)
                cross: dict[str, Any] = {"marker": "x", "linestyle": "none", "markersize": REVERTED_PT, "zorder": 4}
                axes.plot(own["place"][~kept], own["joint_value"][~kept], **look | cross | {"label": "_"})
        axes.set_xlabel("outer iteration" + (EACH_NOTE if (alternations["proposal"] == "local").any() else ""))
        axes.set_ylabel("joint value (reward)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        labels = [label_of(rows) for rows in groups] if len(groups) > 1 else []
        n_lines = add_series_legend(axes, ax, labels, styles)
        n_notes = add_notes(axes, [*said, *left_out, *named_note(len(labels))], unfinished)
        set_height(axes, ax, HEIGHT_IN, n_legend_lines=n_lines, n_notes=n_notes)
    return figure_of(axes)


ALTERNATION = ReportFigure(
    alternation,
    lambda numbers: {"alternations": numbers.alternations},
    Caption(
        "Convergence of the alternation",
        "The joint value of what each outer iteration proposed while the shared local policy was trained. The line "
        "goes through the proposals that were kept; a cross was reverted, because it fell more than "
        "alternating.convergence_rtol, relatively, below the best value so far. The policy that is used is that of "
        "the best proposal.",
        "From the table alternations: the mean over the alternation's own rollouts, on the same random numbers in "
        "each iteration, or the exact value where the sweep asks for it. Evaluation never uses these rollouts.",
        "Line chart of the joint value of the kept proposals per outer iteration, with crosses for reverted ones",
    ),
    absent="no outer iteration is stored",
)


def _by_start(rows: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    """Return the proposals of a setting from each start of each of its trainings."""
    names = [name for name in ("train_seed", "start") if name in rows]
    return rows.groupby(names, sort=False, dropna=False) if names else [("", rows)]


def _notes(alternations: pd.DataFrame) -> list[str]:
    """Return how many proposals were kept, and why the alternations ended."""
    kept = alternations["accepted"].to_numpy(dtype=bool)
    reverted = f"; cross: reverted ({(~kept).sum()})" if not kept.all() else "; none was reverted"
    reasons = alternations["stopped_because"].dropna().value_counts()
    counts = [f"{name} ({number})" if len(reasons) > 1 else str(name) for name, number in reasons.items()]
    ended = f"stopped because: {', '.join(counts).replace('_', ' ')}"
    several = alternations["train_seed"].nunique() > 1 if "train_seed" in alternations.columns else False
    line = "a line for each training: kept proposals" if several else "line: kept proposals"
    return [f"{line}{reverted}", *([ended] if counts else [])]
