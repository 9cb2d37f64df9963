"""The figure of what was learnt: a pure function of the tables ``local_policies`` and ``global_policies``."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import add_notes, characters, fitting_columns
from distmarl.report.figures.drawing.blocks import name_types
from distmarl.report.figures.drawing.crowds import Ints, crowd_actions
from distmarl.report.figures.drawing.frames import check_frame, first_setting, first_training, setting_note, spread
from distmarl.report.figures.drawing.style import (
    MANY_COLOURS,
    NOTE_COLOUR,
    NOTE_SIZE_PT,
    PALETTE,
    WARNING_COLOUR,
    PaperFigure,
    figure_width,
    luminance,
    paper_style,
    series_styles,
)
from distmarl.report.numbers import Numbers
from distmarl.results.tables import GLOBAL_POLICIES, LOCAL_POLICIES, TRAININGS

LOCAL_SOURCE, GLOBAL_SOURCE = "dm.open(...).local_policies", "dm.open(...).global_policies"
LOCAL_COLUMNS = ("setting_id", "s_g", "s_l", "a_l", "probability")
GLOBAL_COLUMNS = ("setting_id", "k", "s_g", "actions")

PROBABILITIES = "Greys"
MAX_STATES = 6  # panels in a row
MAX_TICKS = 8
MAX_NUMBERED = 40  # cells of a panel that have room for a number
WIDTH_PER_STATE_IN, REST_WIDTH_IN, MIN_WIDTH_IN = 1.15, 0.9, 4.4
HEIGHTS_IN = (1.3, 1.5, 1.55)
NARROW_HEIGHT_IN = 0.35  # that the last panel takes more where its legend stands below it
NOTE_HEIGHT_IN = 0.13
EMPTY_HEIGHT_IN = 0.02
GAP = 0.18  # between matrices, in shares of their width
N_COUNT_TICKS = 4
NUMBER_SIZE_PT = 4.5
DARK_FROM = 0.55  # probability from which a number is written in white
DARK_BELOW = 0.26  # luminance below which one is
MAX_MARKERS = 12
VIEWS_NOTE = "views: count vectors with a single largest entry, all weighted alike"

Array = NDArray[np.float64]


def policy(
    local_policies: pd.DataFrame,
    global_policies: pd.DataFrame,
    *,
    is_steered: bool | None = None,
    observation: Sequence[int] | None = None,
    local_types: Sequence[str] | None = None,
    setting: str | None = None,
    unfinished: str | None = None,
    width: float | None = None,
) -> Figure | None:
    """Draw what one setting has learnt: the local policy, and what the global policy does as a crowd grows.

    The first row is pi_l(a_l | s_g, s_l), a panel for each global state. The second row is the global policy of the
    largest k: in each panel, the commonest action where so many of the k agents seen (across) are in
    the most populated state (up). The last panel, where global actions are local states, compares at most four
    k: the share of views at which the action is the most populated state, against the share of agents there. Views
    are count vectors with a single most populated state, all of them weighted alike.

    Parameters
    ----------
    local_policies, global_policies : DataFrame
        Rows of these tables; the first setting and training of the global policies is drawn.
    is_steered : bool, optional
        Whether global actions are local states; by default if as many occur as there are local states.
    observation : sequence of int, optional
        Class of each local state (column ``observation`` of the table ``settings``), where the global agent sees
        classes: they take the place of states in the global policy's panels.
    local_types : sequence of str, optional
        Type of agents of each local state (column ``local_types``), where there are several.
    setting : str, optional
        What to write above the panels of the setting; by default its label, where there are rows of others.
    unfinished : str, optional
        What to write above the panels of an unfinished sweep.
    width : float, optional
        Width of the figure in inches, which shows as many global states as fit; by default what six of them need.

    Returns
    -------
    Figure or None
        None when no setting has both policies.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(local_policies, "local_policies", LOCAL_SOURCE, LOCAL_COLUMNS)
    check_frame(global_policies, "global_policies", GLOBAL_SOURCE, GLOBAL_COLUMNS, ("actions",))
    both = global_policies[global_policies["setting_id"].isin(local_policies["setting_id"])]
    if both.empty:
        return None
    chosen, note = first_setting(both)
    chosen, others = first_training(chosen)
    own = local_policies[local_policies["setting_id"] == chosen["setting_id"].iloc[0]]
    table = _local_table(first_training(own)[0])
    by_k = {int(rows["k"].iloc[0]): _actions(rows) for _, rows in chosen.groupby("k")}
    n_states = table.shape[1] if observation is None else max(observation) + 1
    crowds = {k: crowd_actions(by_k[k], k, n_states) for k in spread(sorted(by_k))}
    n_actions = 1 + max(int(actions.max()) for actions in by_k.values())
    n_fitting = MAX_STATES if width is None else round((figure_width(width) - REST_WIDTH_IN) / WIDTH_PER_STATE_IN)
    n_shown = max(1, min(MAX_STATES, n_fitting, len(table)))
    states = np.unique(np.linspace(0, len(table) - 1, n_shown).round().astype(int))
    with paper_style():
        width = figure_width(width, max(MIN_WIDTH_IN, WIDTH_PER_STATE_IN * len(states) + REST_WIDTH_IN))
        notes = textwrap.wrap(setting or note or "", characters(width))
        notes += others
        notes += [f"{len(states)} of {len(table)} global states shown"] if len(states) < len(table) else []
        has_shares = n_actions == n_states if is_steered is None else is_steered
        rows = [NOTE_HEIGHT_IN * (len(notes) + bool(unfinished)) or EMPTY_HEIGHT_IN, *HEIGHTS_IN[: 2 + has_shares]]
        is_narrow = width < MIN_WIDTH_IN
        rows[3:] = [height + NARROW_HEIGHT_IN * is_narrow for height in rows[3:]]
        figure = PaperFigure(figsize=(width, sum(rows)))
        head, top, middle, *bottom = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
        _write_notes(head, notes, unfinished)
        _draw_local_policy(top, table, states, local_types)
        what = "state" if observation is None else "class"
        _draw_crowds(middle, crowds, states, n_actions, what)
        if has_shares:
            _draw_shares(bottom[0], crowds, what, is_narrow=is_narrow)
    return figure


def _first_policies(numbers: Numbers) -> dict[str, Any] | None:
    """Read the policies of the first setting that has some; of long global policies only those that are shown."""
    chosen = numbers.first_with(TRAININGS)
    if chosen is None:
        return None
    points = numbers.summary[numbers.summary["setting_id"] == chosen.setting_id]
    shown = spread(chosen.k_values)
    return {
        "local_policies": numbers.read(LOCAL_POLICIES, setting_id=chosen.setting_id),
        "global_policies": numbers.read(GLOBAL_POLICIES, setting_id=chosen.setting_id, k=shown),
        # The mode accuracy is null where global actions are no local states; without rollouts it is not known.
        "is_steered": bool(points["mode_accuracy"].notna().any()) if points["n_seeds"].max() > 0 else None,
        "observation": numbers.observation(chosen.setting_id),
        "local_types": numbers.local_types(chosen.setting_id),
        "setting": setting_note(chosen.n_settings, chosen.label),
    }


POLICY = ReportFigure(
    policy,
    _first_policies,
    Caption(
        "The learnt policies",
        "Top: the probability of each local action in each local state, a panel for each global state. Below: the "
        "commonest global action by which state is the most populated of the agents seen, and by how many of them are "
        "in it. Bottom, where global actions are local states: the share of views in which the action is the most "
        "populated state, against the share of the agents seen that are there, a line for each of at most four k.",
        "Of the first setting that has policies, from the tables local_policies and global_policies; the second row "
        "is that of the largest k. Views are count vectors with a single largest entry, all weighted alike, however "
        "often they are met; the bottom row takes all global states together.",
        "Panels of the local policy's action probabilities, of the commonest global action by the most populated "
        "state seen and its count and, where it is defined, of the share of views in which the action is that state",
    ),
    absent="no policy is stored",
)


def _local_table(rows: pd.DataFrame) -> Array:
    """Return the local policy, (G, L, A_l)."""
    ordered = rows.sort_values(["s_g", "s_l", "a_l"])
    shape = [int(ordered[name].max()) + 1 for name in ("s_g", "s_l", "a_l")]
    return ordered["probability"].to_numpy().reshape(shape)


def _actions(rows: pd.DataFrame) -> Ints:
    """Return a global policy, (G, C)."""
    return np.stack([np.asarray(actions) for actions in rows.sort_values("s_g")["actions"]])


def _write_notes(figure: SubFigure, notes: list[str], unfinished: str | None) -> None:
    lines = [(unfinished, WARNING_COLOUR)] if unfinished else []
    lines += [(note, NOTE_COLOUR) for note in notes]
    for number, (text, colour) in enumerate(lines):
        height = 1 - (number + 0.5) / len(lines)
        figure.text(0.01, height, text, fontsize=NOTE_SIZE_PT, color=colour, va="center", in_layout=False)


def _draw_local_policy(figure: SubFigure, table: Array, states: Ints, local_types: Sequence[str] | None) -> None:
    axes = figure.subplots()
    blocks = [table[s_g].T for s_g in states]
    image = _draw_blocks(axes, blocks, states, {"cmap": PROBABILITIES, "vmin": 0, "vmax": 1})
    n_local_states = table.shape[1]
    for start, block in zip(_starts(blocks), blocks, strict=True):
        for (a_l, s_l), probability in np.ndenumerate(block) if block.size <= MAX_NUMBERED else ():
            number = f"{probability:.2f}".removeprefix("0")
            _write(axes, start + s_l, a_l, number, is_dark=probability > DARK_FROM)
    _set_x_ticks(axes, blocks, _ticks(n_local_states), first=0)
    for start in _starts(blocks):
        name_types(axes, local_types, np.arange(n_local_states), "x", start)
    axes.set_yticks(_ticks(table.shape[2]))
    axes.set_ylabel("local action", fontsize=7)
    axes.set_xlabel("local state", fontsize=7)
    figure.colorbar(image, ax=axes, pad=0.01, aspect=12).set_label("probability", fontsize=7)


def _draw_crowds(figure: SubFigure, crowds: dict[int, Ints], states: Ints, n_actions: int, what: str) -> None:
    """Draw the commonest action by leading state and count, for the largest k."""
    axes = figure.subplots()
    k = max(crowds)
    smallest = int(np.flatnonzero(crowds[k].sum(axis=(0, 1, 3)))[0])
    counts = crowds[k][states, :, smallest:]
    commonest = np.where(counts.sum(axis=-1) > 0, counts.argmax(axis=-1), np.nan)
    colours = _action_colours(n_actions)
    norm = BoundaryNorm(np.arange(n_actions + 1) - 0.5, n_actions)
    blocks = list(commonest)
    image = _draw_blocks(axes, blocks, states, {"cmap": colours, "norm": norm})
    n_columns = commonest.shape[2]
    for start, block in zip(_starts(blocks), blocks, strict=True):
        for leader, row in enumerate(block):
            for action, first, last in _runs(row):
                if last > first or n_columns <= MAX_TICKS:
                    is_dark = luminance(colours(action)) < DARK_BELOW
                    _write(axes, start + (first + last) / 2, leader, str(action), is_dark=is_dark)
    round_counts = [count for count in range(smallest, k + 1) if count % -(-n_columns // N_COUNT_TICKS) == 0]
    _set_x_ticks(axes, blocks, round_counts, first=smallest)
    axes.set_yticks(_ticks(commonest.shape[1]))
    axes.set_ylabel(f"most populated {what}", fontsize=7)
    axes.set_xlabel(f"agents seen there, of k = {k}", fontsize=7)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=12, ticks=_ticks(n_actions))
    bar.set_label("global action", fontsize=7)
    bar.ax.minorticks_off()


def _draw_blocks(axes: Axes, blocks: list[Array], states: Ints, look: dict[str, Any]) -> AxesImage:
    """Draw matrices side by side, each below the name of its global state.

    In one pair of axes: many pairs, as subplots are, take seconds to lay out.
    """
    n_rows, n_columns = blocks[0].shape
    cells = np.full((n_rows, _starts(blocks)[-1] + n_columns), np.nan)
    for start, block in zip(_starts(blocks), blocks, strict=True):
        cells[:, start : start + n_columns] = block
    image = axes.imshow(cells, aspect="auto", origin="lower", **look)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for start, s_g in zip(_starts(blocks), states, strict=True):
        frame = Rectangle((start - 0.5, -0.5), n_columns, n_rows, fill=False, linewidth=0.6, clip_on=False)
        axes.add_patch(frame)
        middle = start + (n_columns - 1) / 2
        axes.annotate(
            f"global state {s_g}",
            xy=(middle, n_rows - 0.5),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    return image


def _starts(blocks: list[Array]) -> list[int]:
    """Return the first column of each matrix."""
    n_columns = blocks[0].shape[1]
    return [number * (n_columns + max(1, round(GAP * n_columns))) for number in range(len(blocks))]


def _set_x_ticks(axes: Axes, blocks: list[Array], values: list[int], *, first: int) -> None:
    """Name the same columns of every matrix; the first column stands for ``first``."""
    starts = _starts(blocks)
    axes.set_xticks([start + value - first for start in starts for value in values], [*map(str, values)] * len(starts))


def _draw_shares(figure: SubFigure, crowds: dict[int, Ints], what: str, *, is_narrow: bool) -> None:
    """Draw how often the action is the most populated state (or class), against the share of agents there."""
    axes = figure.subplots()
    for (k, counts), style in zip(crowds.items(), series_styles(len(crowds)), strict=True):
        n_views = counts.sum(axis=(0, 1, 3))
        there = np.arange(min(counts.shape[1], counts.shape[3]))
        n_there = counts[:, there, :, there].sum(axis=(0, 1))
        known = np.flatnonzero(n_views)
        look: dict[str, Any] = {"color": style.colour, "marker": style.marker}
        look["markevery"] = max(1, len(known) // MAX_MARKERS)
        axes.plot(known / k, 100 * n_there[known] / n_views[known], label=f"k = {k}", **look)
    label = f"share of the agents seen in the most populated {what}"
    axes.set_xlabel(label.replace(" in ", "\nin ") if is_narrow else label, fontsize=7)
    axes.set_ylabel(f"action is that\n{what} (% of views)", fontsize=7)
    axes.set_xlim(right=1.02)
    axes.set_ylim(-3, 103)
    width = figure.figure.get_figwidth()
    add_notes(axes, textwrap.wrap(VIEWS_NOTE, characters(width)), None)
    below: dict[str, Any] = {"loc": "outside lower center", "ncols": fitting_columns(len(crowds), width)}
    figure.legend(**(below if is_narrow else {"loc": "outside right center"}))


def _write(axes: Axes, x: float, y: float, text: str, *, is_dark: bool) -> None:
    colour = "white" if is_dark else "black"
    axes.text(x, y, text, ha="center", va="center", fontsize=NUMBER_SIZE_PT, color=colour, in_layout=False)


def _runs(row: Array) -> Iterator[tuple[int, int, int]]:
    """Yield the action, the first and the last place of each run of equal actions."""
    edges = np.flatnonzero(np.diff(np.nan_to_num(row, nan=-1))) + 1
    for first, end in itertools.pairwise([0, *edges.tolist(), len(row)]):
        if not np.isnan(row[first]):
            yield int(row[first]), first, end - 1


def _action_colours(number: int) -> ListedColormap:
    if number <= len(PALETTE):
        return ListedColormap(list(PALETTE[:number]))
    return ListedColormap(matplotlib.colormaps[MANY_COLOURS](np.linspace(0, 1, number)))


def _ticks(number: int) -> list[int]:
    return list(range(0, number, -(-number // MAX_TICKS)))
