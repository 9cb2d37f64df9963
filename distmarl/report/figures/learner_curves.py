"""Model-free learners as curves against k, beside the pairs that were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from distmarl.report.figures.drawing.axes import LEGEND_LINE_IN, add_legend, figure_of
from distmarl.report.figures.drawing.style import PALETTE
from distmarl.report.returns import known_returns

LINE_STYLES = ((0, (4, 1.5)), (0, (1.5, 1)))
LEARNER_MARKERS = ("s", "D")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_learners(axes: Axes, ax: Axes | None, setting_ids: Sequence[str], learners: pd.DataFrame | None) -> None:
    """Draw what learners earn at their largest budget, as means over trainings, where there is one setting."""
    if learners is None or learners.empty or len(setting_ids) > 1:
        return
    rows = learners[learners["setting_id"].isin(setting_ids) & (learners["budget"] == learners["budget"].max())]
    rows = rows.assign(value=known_returns(rows))
    handles, names = [], []
    for (name, own), look in zip(rows.groupby("learner"), _looks(), strict=False):
        means = own.groupby("k")["value"].mean()
        handles += axes.plot(means.index, means, zorder=2, markersize=2.6, linewidth=0.9, **look)
        names.append(f"{str(name).replace('_', ' ')}, {in_powers(own['budget'].iloc[0])} samples")
    n_lines = add_legend(axes, ax, handles, names, 2)
    figure = figure_of(axes)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE_IN * n_lines)


def _looks() -> list[dict[str, Any]]:
    return [
        {"color": colour, "linestyle": style, "marker": marker, "markerfacecolor": "white"}
        for colour, style, marker in zip(PALETTE[1:], LINE_STYLES, LEARNER_MARKERS, strict=False)
    ]


def in_powers(value: float) -> str:
    """Return a number with its power of ten: ``10⁵``, ``2·10⁶``."""
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    digits = f"{float(mantissa):g}"
    return power if digits == "1" else f"{digits}·{power}"
