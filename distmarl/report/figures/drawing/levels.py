"""What pairs are compared with: baselines and the ceiling as levels, and pairs from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from distmarl.report.figures.drawing.axes import LEGEND_LINE_IN, add_legend, figure_of
from distmarl.report.figures.drawing.style import NOTE_COLOUR, PALETTE, series_styles

LEVEL_DASHES = ((0, (6, 2)), (0, (3, 1.5)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
CEILING = "nobody earns more"
# Of pairs from elsewhere: the trained pairs' line is whole, and learners have the next two colours.
FIRST_OTHER = 3
OTHER_DASHES = (0, (4, 1.5))


def levels_of(setting_id: str, baselines: pd.DataFrame | None, bounds: pd.DataFrame | None) -> pd.Series[float]:
    """Return what a setting's pairs are compared with, by name: the ceiling, then the baselines from the best on."""
    parts = []
    if bounds is not None:
        ceilings = bounds[(bounds["setting_id"] == setting_id) & bounds["horizon"].notna()]
        parts.append(pd.Series(ceilings["ceiling"].to_numpy(), index=[CEILING] * len(ceilings), dtype="float64"))
    if baselines is not None:
        own = baselines[baselines["setting_id"] == setting_id].sort_values("method")  # an exact one first
        parts.append(own.groupby("baseline", sort=False)["value"].first().sort_values(ascending=False))
    return pd.concat(parts) if parts else pd.Series(dtype="float64")


def shared_ceiling(setting_ids: Collection[str], bounds: pd.DataFrame | None) -> pd.Series[float]:
    """Return the ceiling of several settings, by name, where it is one and the same; else nothing."""
    nothing: pd.Series[float] = pd.Series(dtype="float64")
    if bounds is None:
        return nothing
    own = bounds[bounds["setting_id"].isin(setting_ids) & bounds["horizon"].notna()]
    is_shared = own["setting_id"].nunique() == len(setting_ids) and own["ceiling"].nunique() == 1
    return pd.Series(own["ceiling"].iloc[:1].to_numpy(), index=[CEILING]) if is_shared else nothing


def draw_other_pairs(axes: Axes, ax: Axes | None, setting_id: str, policies: pd.DataFrame | None) -> None:
    """Draw what a setting's pairs from elsewhere earn against k, the mean over trainings, and name them."""
    if policies is None or policies.empty:
        return
    own = policies[policies["setting_id"] == setting_id]
    groups = [(str(name), rows.groupby("k")["value"].mean()) for name, rows in own.groupby("policy", sort=False)]
    handles = [
        axes.plot(values.index, values, color=style.colour, marker=style.marker, linestyle=OTHER_DASHES, zorder=2)[0]
        for (_, values), style in zip(groups, itertools.cycle(series_styles(len(PALETTE))[FIRST_OTHER:]), strict=False)
    ]
    n_lines = add_legend(axes, ax, handles, [name for name, _ in groups], 2)
    figure = figure_of(axes)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE_IN * n_lines)


def draw_levels(axes: Axes, ax: Axes | None, levels: pd.Series[float], *, is_named: bool = True) -> None:
    """Draw each of some values as a level, the ceiling solid, and name it below the axes unless that is done."""
    if levels.empty:
        return
    dashes = iter(LEVEL_DASHES)
    look: dict[str, Any] = {"color": NOTE_COLOUR, "linewidth": 0.9, "zorder": 1}
    handles = []
    for name, value in levels.items():
        handles.append(axes.axhline(value, linestyle="-" if name == CEILING else next(dashes), **look))
    if not is_named:
        return
    names = [str(name).replace("_", " ") for name in levels.index]
    n_lines = add_legend(axes, ax, handles, names, 2)
    figure = figure_of(axes)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE_IN * n_lines)
