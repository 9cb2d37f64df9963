"""What pairs are compared with: baselines and the ceiling as levels, and pairs from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from distmarl.report.figures.drawing.axes import LEGEND_LINE_IN, MAX_NAMED, add_legend, figure_of
from distmarl.report.figures.drawing.style import NOTE_COLOUR, PALETTE, series_styles

LEVEL_DASHES = ((0, (6, 2)), (0, (3, 1.5)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
CEILING = "nobody earns more"
# Of pairs from elsewhere: the trained pairs' line is whole, and learners have the next two colours.
FIRST_OTHER = 3
OTHER_DASHES = (0, (4, 1.5))
OTHER_COLOUR = "#000000"
LEVEL_LOOK: dict[str, Any] = {"color": NOTE_COLOUR, "linewidth": 0.9, "zorder": 1}
SHORT_LINE = 0.03  # share of the axes' width


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


def shared_ceiling(setting_ids: Sequence[str], bounds: pd.DataFrame | None) -> pd.Series[float]:
    """Return the ceiling of several settings, by name, where it is one and the same; else nothing."""
    nothing: pd.Series[float] = pd.Series(dtype="float64")
    if bounds is None:
        return nothing
    own = bounds[bounds["setting_id"].isin(setting_ids) & bounds["horizon"].notna()]
    is_shared = own["setting_id"].nunique() == len(setting_ids) and own["ceiling"].nunique() == 1
    return pd.Series(own["ceiling"].iloc[:1].to_numpy(), index=[CEILING]) if is_shared else nothing


def draw_other_pairs(
    panels: Sequence[Axes], ax: Axes | None, setting_ids: Sequence[str], policies: pd.DataFrame | None
) -> None:
    """Draw in each setting's panel what its pairs from elsewhere earn against k, the mean over trainings; name them.

    Where there are several panels, colours are those of the settings, and pairs from elsewhere are black.
    """
    if policies is None or policies.empty:
        return
    own = policies[policies["setting_id"].isin(setting_ids)]
    names = own["policy"].unique()
    styles = dict(zip(names, itertools.cycle(series_styles(len(PALETTE))[FIRST_OTHER:]), strict=False))
    handles: dict[str, Artist] = {}
    for axes, setting_id in zip(panels, setting_ids, strict=True):
        for name, rows in own[own["setting_id"] == setting_id].groupby("policy", sort=False):
            values, style = rows.groupby("k")["value"].mean(), styles[name]
            colour = style.colour if len(panels) == 1 else OTHER_COLOUR
            look: dict[str, Any] = {"color": colour, "marker": style.marker, "linestyle": OTHER_DASHES, "zorder": 2}
            handles.setdefault(str(name), axes.plot(values.index, values, **look)[0])
    _name(panels[0], ax, handles)


def draw_levels(panels: Sequence[Axes], ax: Axes | None, levels: Sequence[pd.Series[float]]) -> None:
    """Draw in each panel its values as levels, the ceiling solid, and name them below, each once."""
    names = dict.fromkeys(str(name) for each in levels for name in each.index)
    dashes = dict(zip((name for name in names if name != CEILING), LEVEL_DASHES, strict=False))
    handles: dict[str, Artist] = {}
    for axes, each in zip(panels, levels, strict=True):
        for name, value in each.items():
            line = axes.axhline(value, linestyle=dashes.get(str(name), "-"), **LEVEL_LOOK)
            handles.setdefault(str(name), line)
    _name(panels[0], ax, {name.replace("_", " "): handle for name, handle in handles.items()})


def draw_ceilings(axes: Axes, ax: Axes | None, setting_ids: Sequence[str], bounds: pd.DataFrame | None) -> None:
    """Draw the ceilings of several settings on the same axes.

    One that is the same for all is a level. Else each is a short line at the right, in its setting's colour, side by
    side; of more settings than have names there is none.
    """
    shared = shared_ceiling(setting_ids, bounds)
    if bounds is None or not shared.empty or len(setting_ids) > MAX_NAMED:
        draw_levels([axes], ax, [shared])
        return
    ceilings = [levels_of(setting_id, None, bounds) for setting_id in setting_ids]
    for place, (values, style) in enumerate(zip(ceilings, series_styles(len(setting_ids)), strict=True)):
        end = 1 - SHORT_LINE * (len(setting_ids) - 1 - place)
        for value in values:
            look: dict[str, Any] = LEVEL_LOOK | {"color": style.colour, "linewidth": 1.6, "solid_capstyle": "butt"}
            axes.plot([end - SHORT_LINE, end], [value] * 2, transform=axes.get_yaxis_transform(), marker="", **look)
    if any(len(values) for values in ceilings):
        _name(axes, ax, {f"{CEILING} (short, at the right)": Line2D([], [], **LEVEL_LOOK | {"linewidth": 1.6})})


def _name(axes: Axes, ax: Axes | None, handles: Mapping[str, Artist]) -> None:
    """Name what was drawn in a legend, for which a figure of ours grows."""
    n_lines = add_legend(axes, ax, [*handles.values()], [*handles], 2)
    figure = figure_of(axes)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE_IN * n_lines)
