"""Types of local agents told apart where local states are drawn side by side."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from distmarl.report.figures.drawing.style import NOTE_COLOUR

NAME_SIZE_PT = 5
LINE_WIDTH = 0.8


def name_types(
    axes: Axes, types: Sequence[str] | None, states: NDArray[np.integer], along: Literal["x", "y"], first: int = 0
) -> None:
    """Draw a line between the types of agents along an axis, and write each one's name beside its states.

    Parameters
    ----------
    axes : Axes
        Where states are drawn, one after the other from ``first`` on.
    types : sequence of str or None
        Type of each local state; nothing is drawn without.
    states : ndarray of int
        The local states in the order in which they are drawn.
    along : {"x", "y"}
        The axis of the states.
    first : int
        Where the first state is drawn.
    """
    if types is None:
        return
    start = first - 0.5
    for name, group in itertools.groupby(types[state] for state in states):
        end = start + len(list(group))
        if along == "x":
            if start > first:
                axes.plot(
                    [start, start], [0, 1], transform=axes.get_xaxis_transform(), color=NOTE_COLOUR, lw=LINE_WIDTH
                )
            axes.annotate(
                name,
                xy=((start + end) / 2, 0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -12),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=NAME_SIZE_PT,
                color=NOTE_COLOUR,
            )
        else:
            if start > first:
                axes.axhline(start, color=NOTE_COLOUR, lw=LINE_WIDTH)
            axes.annotate(
                name,
                xy=(0, (start + end) / 2),
                xycoords=("axes fraction", "data"),
                xytext=(-17, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=NAME_SIZE_PT,
                color=NOTE_COLOUR,
                rotation=90,
            )
        start = end
