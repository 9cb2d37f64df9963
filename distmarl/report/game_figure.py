"""The tables of a game as a figure: a panel for each kernel, and for the rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distmarl.errors import ConfigError
from distmarl.model.arrays import Array
from distmarl.model.environment import Environment
from distmarl.report.figures.drawing.style import FILE_METADATA, PaperFigure, paper_style

PANEL_IN = 1.15
# Panels beside each other, and rows of them, at most.
MAX_PANELS, MAX_ROWS = 8, 5
# Entries of larger tables are not all numbered, but so few that numbers of several digits stand apart.
MAX_NUMBERED, MAX_TICKS = 10, 5
KERNEL_COLOURS, REWARD_COLOURS = "Blues", "viridis"
ENDINGS = (".png", ".pdf", ".svg")


def game_figure(env: Environment, name: str) -> Figure:
    """Draw the transitions and rewards of a game.

    The first row has P_g, a panel for each global action, and the rewards r_g. Below, a row for each local action has
    P_l, a panel for each global state, and the rewards r_l. Of very large games the first panels are drawn.

    Parameters
    ----------
    env : Environment
        The game.
    name : str
        What it is called.
    """
    n_beside = min(MAX_PANELS, max(env.n_global_actions, env.n_global_states))
    n_rows = 1 + min(MAX_ROWS - 1, env.n_local_actions)
    with paper_style():
        figure = PaperFigure(figsize=(PANEL_IN * (n_beside + 1.5), PANEL_IN * (n_rows + 0.35)))
        panels = figure.subplots(n_rows, n_beside + 1, squeeze=False)
        figure.suptitle(f"{name}: transitions (blue, from 0 to 1) and rewards", fontsize=8)
        for axes in panels.ravel():
            axes.set_axis_off()
        for a_g in range(min(n_beside, env.n_global_actions)):
            _heatmap(panels[0, a_g], env.transition_global[:, a_g], f"P_g, a_g={a_g}", ("s_g", "s_g'"))
        _rewards(figure, panels[0, -1], env.reward_global, "r_g", ("s_g", "a_g"))
        limits = {"vmin": float(env.reward_local.min()), "vmax": float(env.reward_local.max())}
        for a_l in range(n_rows - 1):
            row = panels[1 + a_l]
            for s_g in range(min(n_beside, env.n_global_states)):
                title = f"P_l, s_g={s_g}, a_l={a_l}"
                _heatmap(row[s_g], env.transition_local[s_g, :, a_l], title, ("s_l", "s_l'"))
            _rewards(figure, row[-1], env.reward_local[:, :, a_l], f"r_l, a_l={a_l}", ("s_g", "s_l"), **limits)
        if note := _left_out(env, n_beside, n_rows - 1):
            figure.supxlabel(note, fontsize=6.5)
    return figure


def save_game_figure(env: Environment, name: str, path: Path) -> None:
    """Write the figure of a game to a file.

    Raises
    ------
    ConfigError
        When the file's name does not end like an image, or it cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out: must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, got {str(path)!r}")
    figure = game_figure(env, name)
    metadata: Any = FILE_METADATA.get(path.suffix[1:].lower())
    try:
        with paper_style():
            figure.savefig(path, metadata=metadata)
    except OSError as error:
        raise ConfigError(f"--out: {path}: cannot be written: {error.strerror}") from None


def _heatmap(axes: Axes, table: Array, title: str, names: tuple[str, str], **look: Any) -> Any:
    """Draw a table, its rows downwards."""
    axes.set_axis_on()
    colours: dict[str, Any] = {"cmap": KERNEL_COLOURS, "vmin": 0.0, "vmax": 1.0} | look
    image = axes.imshow(table, aspect="auto", interpolation="nearest", **colours)
    axes.grid(visible=False)
    axes.set_title(title, fontsize=6.5, loc="left")
    axes.set_ylabel(names[0], fontsize=6.5, labelpad=3)
    axes.set_xlabel(names[1], fontsize=6.5, labelpad=3)
    axes.tick_params(labelsize=5.5, length=1.5, pad=1)
    for size, set_ticks in ((table.shape[1], axes.set_xticks), (table.shape[0], axes.set_yticks)):
        set_ticks(np.arange(0, size, 1 if size <= MAX_NUMBERED else 1 + (size - 1) // MAX_TICKS))
    return image


def _rewards(figure: Figure, axes: Axes, table: Array, title: str, names: tuple[str, str], **limits: float) -> None:
    """Draw rewards, with a scale of their own."""
    span = limits or {"vmin": float(table.min()), "vmax": float(table.max())}
    image = _heatmap(axes, table, title, names, cmap=REWARD_COLOURS, **span)
    bar = figure.colorbar(image, ax=axes, fraction=0.08, pad=0.04)
    bar.ax.tick_params(labelsize=5.5, length=1.5, pad=1)


def _left_out(env: Environment, n_beside: int, n_actions: int) -> str:
    """Return what is not drawn, if anything."""
    parts = [
        f"the first {shown} of {size:,} {what}"
        for shown, size, what in (
            (n_beside, env.n_global_actions, "a_g"),
            (n_beside, env.n_global_states, "s_g"),
            (n_actions, env.n_local_actions, "a_l"),
        )
        if size > shown
    ]
    return f"drawn: {', '.join(parts)}" if parts else ""
