"""Figures of recorded rollouts: pure functions of the table ``rollouts``."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import add_notes, characters, fitting_columns
from distmarl.report.figures.drawing.blocks import name_types
from distmarl.report.figures.drawing.frames import check_frame, first_setting, first_training, setting_note, spread
from distmarl.report.figures.drawing.style import (
    NOTE_COLOUR,
    NOTE_SIZE_PT,
    PALETTE,
    PaperFigure,
    figure_width,
    paper_style,
)
from distmarl.report.numbers import Numbers
from distmarl.results.tables import ROLLOUTS

SOURCE = "dm.open(...).rollouts"
COLUMNS = ("setting_id", "k", "seed", "n_global_actions", "global_actions", "populations", "modes")
LISTS = ("global_actions", "populations", "modes")

STEP_LABEL = "step"
STATE_LABEL = "local state"
CLASSES_LABEL = "local state, by the class that is seen"
SHARE_LABEL = "share of agents"
SHARES = "Blues"
HIT_COLOUR, MISS_COLOUR = PALETTE[4], PALETTE[1]
MODE_COLOUR = "#000000"

MAX_STEPS = 60  # as many as can be told apart in a column of a paper
MAX_TICKS = 10
PANEL_HEIGHT_IN = 0.95
PANEL_PAD_IN = 0.025
REST_HEIGHT_IN = 1.25
MODE_INSET = 0.06


def zone_heatmap(
    rollouts: pd.DataFrame,
    *,
    observation: Sequence[int] | None = None,
    local_types: Sequence[str] | None = None,
    setting: str | None = None,
    unfinished: str | None = None,
    width: float | None = None,
) -> Figure | None:
    """Draw how one rollout goes: the share of agents in each local state, the true mode and the global action.

    One panel for each of at most four k, from the smallest to the largest, all from the same start and on the same
    random numbers. Outlined is the most populated local state; a dot is a global action that is one, a cross
    one that is not. Where global actions are no local states, they are a line with an axis of its own. Where the global
    agent sees classes of local states, states are drawn class by class, with lines between classes; outlined is the
    most populated class, and global actions are compared with classes.

    Parameters
    ----------
    rollouts : DataFrame
        Rows of the table ``rollouts``; the first setting, training and evaluation seed are drawn.
    observation : sequence of int, optional
        Class of each local state (column ``observation`` of the table ``settings``), where classes are seen.
    local_types : sequence of str, optional
        Type of agents of each local state (column ``local_types``), where there are several.
    setting : str, optional
        What to write above the panels of the setting; by default its label, where there are rows of others.
    unfinished : str, optional
        What to write above the panels of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.

    Returns
    -------
    Figure or None
        None when there are no rollouts.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(rollouts, "rollouts", SOURCE, COLUMNS, LISTS)
    if rollouts.empty:
        return None
    chosen, note = first_setting(rollouts)
    chosen, others = first_training(chosen)
    by_k = chosen.sort_values("seed", kind="stable").groupby("k").first()
    shown = by_k.loc[spread([int(k) for k in by_k.index])]
    with paper_style():
        size = (figure_width(width), PANEL_HEIGHT_IN * len(shown) + REST_HEIGHT_IN)
        figure = PaperFigure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0, h_pad=PANEL_PAD_IN))
        panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        largest = max(float(_shares(row).max()) for _, row in shown.iterrows())
        n_states = len(shown["populations"].iloc[0][0])
        bands = Bands(range(n_states) if observation is None else observation)
        images = []
        for axes, (k, row) in zip(panels, shown.iterrows(), strict=True):
            images.append(_draw_shares(axes, row, largest, bands))
            _draw_modes(axes, row, bands)
            note_of_panel = _draw_actions(axes, row, bands)
            axes.set_title(f"k = {k}{note_of_panel}", fontsize=7, loc="left", pad=2)
            name_types(axes, local_types, bands.states, "y")
        panels[-1].set_xlabel(STEP_LABEL)
        figure.supylabel(STATE_LABEL if observation is None else CLASSES_LABEL, fontsize=8)
        look: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.02}
        figure.colorbar(images[0], ax=list(panels), label=SHARE_LABEL, **look)  # all have the same scale
        _add_legend(figure, _is_steered(shown.iloc[0], bands))
        notes = [_rollout_note(shown.iloc[0]), *_steps_note(shown.iloc[0]), *others]
        notes += textwrap.wrap(setting or note or "", characters(size[0]))
        add_notes(panels[0], notes, unfinished, above_pt=NOTE_SIZE_PT + 4)
    return figure


def _first_rollouts(numbers: Numbers) -> dict[str, Any] | None:
    """Read the rollouts of the first setting that has some, of the k that are shown."""
    chosen = numbers.first_with(ROLLOUTS)
    if chosen is None:
        return None
    return {
        "rollouts": numbers.read(ROLLOUTS, setting_id=chosen.setting_id, k=spread(chosen.k_values)),
        "observation": numbers.observation(chosen.setting_id),
        "local_types": numbers.local_types(chosen.setting_id),
        "setting": setting_note(chosen.n_settings, chosen.label),
    }


ZONE_HEATMAP = ReportFigure(
    zone_heatmap,
    _first_rollouts,
    Caption(
        "One rollout, step by step",
        "The share of agents in each local state over time, a panel for each of at most four k. Lines above and below "
        "a state mark it as the most populated one; of several that tie, each. A dot is a global action that is a most "
        "populated state, a cross one that is not; where global actions are no local states, they are a line with an "
        "axis of its own. Where classes of local states are seen, the states are in the order of their classes, with "
        "lines between them, and the most populated one is a class.",
        "The first rollout of the first evaluation seed for each k, from the same start and on the same random "
        "numbers, of the first setting that has one; the shares are those of all n agents. From the table rollouts. "
        "It illustrates; the other figures measure.",
        "Heat maps of the share of agents per local state over time, one for each k, with the most populated states "
        "outlined and the global actions marked",
    ),
    absent="no rollout is recorded (evaluation.method: exact has none)",
)


def _array(column: Any) -> NDArray[Any]:
    """Return a column's nested lists, at most the steps that are shown, as an array."""
    return np.array([np.asarray(step) for step in column[:MAX_STEPS]])


def _shares(row: pd.Series) -> NDArray[np.float64]:
    """Return the shares of agents, (steps, L)."""
    populations = _array(row["populations"])
    return populations / populations.sum(axis=1, keepdims=True)


class Bands:
    """The classes of local states that are seen, as bands of rows: the states are drawn class by class.

    Parameters
    ----------
    observation : sequence of int
        Class of each local state.
    """

    def __init__(self, observation: Sequence[int]) -> None:
        sizes = np.bincount(observation)
        self.states = np.argsort(observation, kind="stable")
        self.upper = sizes.cumsum() - 0.5
        self.lower = self.upper - sizes
        self.middle = (self.lower + self.upper) / 2
        self.has_many = len(sizes) < len(self.states)

    def __len__(self) -> int:
        return len(self.middle)


def _is_steered(row: pd.Series, bands: Bands) -> bool:
    """Return whether global actions are classes of local states."""
    return bool(row["n_global_actions"] == len(bands))


def _draw_shares(axes: Axes, row: pd.Series, largest: float, bands: Bands) -> AxesImage:
    shares = _shares(row)[:, bands.states]
    # Among many states the few agents of most of them would not be seen.
    norm = PowerNorm(0.5, 0, largest) if bands.has_many else Normalize(0, largest)
    image = axes.imshow(shares.T, aspect="auto", origin="lower", cmap=SHARES, norm=norm, interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=MAX_TICKS, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return image


def _draw_modes(axes: Axes, row: pd.Series, bands: Bands) -> None:
    """Outline the most populated classes, from above and from below."""
    steps = np.concatenate([np.full(len(modes), step) for step, modes in enumerate(row["modes"][:MAX_STEPS])])
    modes = np.concatenate([np.asarray(modes) for modes in row["modes"][:MAX_STEPS]])
    for edges in (bands.lower + MODE_INSET, bands.upper - MODE_INSET):
        axes.hlines(edges[modes], steps - 0.5, steps + 0.5, colors=MODE_COLOUR, linewidth=0.9)
    if bands.has_many:
        for edge in bands.lower[1:]:
            axes.axhline(edge, color=NOTE_COLOUR, linewidth=0.4)


def _draw_actions(axes: Axes, row: pd.Series, bands: Bands) -> str:
    """Draw the global actions and return what the panel's title says of them."""
    actions = np.asarray(row["global_actions"])
    shown = actions[:MAX_STEPS]
    steps = np.arange(len(shown))
    if not _is_steered(row, bands):
        beside = axes.twinx()
        beside.step(steps, shown, where="mid", color=MISS_COLOUR)
        beside.set_ylim(-0.5, row["n_global_actions"] - 0.5)
        beside.yaxis.set_major_locator(MaxNLocator(nbins=MAX_TICKS, integer=True))
        beside.set_ylabel("global action")
        beside.grid(visible=False)
        return ""
    is_hit = np.array([action in modes for action, modes in zip(actions, row["modes"], strict=True)])
    hits, misses = (steps[found[: len(shown)]] for found in (is_hit, ~is_hit))
    axes.plot(hits, bands.middle[shown[hits]], **_look(is_hit=True))
    axes.plot(misses, bands.middle[shown[misses]], **_look(is_hit=False))
    return f": at the mode in {is_hit.sum()} of {len(actions)} steps"


def _look(*, is_hit: bool) -> dict[str, Any]:
    if is_hit:
        return {"linestyle": "none", "marker": "o", "color": HIT_COLOUR, "markersize": 2.2, "markeredgewidth": 0}
    return {"linestyle": "none", "marker": "x", "color": MISS_COLOUR, "markersize": 3.0, "markeredgewidth": 0.9}


def _add_legend(figure: Figure, is_steered: bool) -> None:
    mode = Line2D([], [], color=MODE_COLOUR, linewidth=0.9)
    if is_steered:
        handles = [mode, Line2D([], [], **_look(is_hit=True)), Line2D([], [], **_look(is_hit=False))]
        labels = ["most populated", "global action: there", "elsewhere"]
    else:
        handles, labels = [mode, Line2D([], [], color=MISS_COLOUR)], ["most populated", "global action"]
    figure.legend(
        handles, labels, loc="outside lower center", ncols=fitting_columns(len(labels), figure.get_figwidth())
    )


def _rollout_note(row: pd.Series) -> str:
    return f"first rollout of evaluation seed {int(row['seed'])}; the same start for every k"


def _steps_note(row: pd.Series) -> list[str]:
    n_steps = len(row["populations"])
    return [f"the first {MAX_STEPS} of {n_steps} steps"] if n_steps > MAX_STEPS else []
