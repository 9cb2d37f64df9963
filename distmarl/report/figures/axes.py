"""The parts that all figures share: the k axis, plain numbers, and notes above the axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from distmarl.report.figures.style import NOTE_COLOUR, NOTE_SIZE_PT, PALETTE, WARNING_COLOUR, SeriesStyle

K_LABEL = "subsample size k (agents)"
RETURN_LABEL = "discounted return (reward)"
LOG_SCALE_FROM = 10.0  # ratio of the largest to the smallest value
K_MARGIN = 0.03
NOTE_LINE_PT = 8.5
NOTE_CHARACTERS = 54  # about what fits above axes that are as wide as a column
LEGEND_LINE_IN = 0.15
LEGEND_CHARACTERS = 54  # about what fits below a figure in one line
MAX_NAMED = len(PALETTE)


def is_geometric(k_values: NDArray[np.int64]) -> bool:
    """Return whether the subsample sizes crowd at the small end, as 1, 2, 5, 10, 20, 50, 100 do."""
    first, last = k_values[0], k_values[-1]
    return bool(last > LOG_SCALE_FROM * first and np.median(k_values) < (first + last) / 4)


def set_k_axis(axes: Axes, k_values: NDArray[np.int64]) -> None:
    """Label the k axis, with ticks at the first k and at round ones."""
    axes.set_xlabel(K_LABEL)
    first, last = int(k_values[0]), int(k_values[-1])
    if is_geometric(k_values):
        axes.set_xscale("log")
        margin = (last / first) ** K_MARGIN
        axes.set_xlim(first / margin, last * margin)
        use_plain_numbers(axes.xaxis, subs=(1.0, 2.0, 5.0))
        return
    margin = max(0.5, K_MARGIN * (last - first))
    axes.set_xlim(first - margin, last + margin)
    locator = MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10])
    ticks = [int(tick) for tick in locator.tick_values(first, max(last, first + 1))]
    step = ticks[1] - ticks[0]
    axes.set_xticks([first, *(tick for tick in ticks if first + step / 2 <= tick <= last)])


def use_plain_numbers(axis: Axis, subs: tuple[float, ...]) -> None:
    """Label a logarithmic axis with plain numbers, at the given multiples of powers of ten."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def add_notes(axes: Axes, notes: list[str], unfinished: str | None, *, above_pt: float = 0.0) -> int:
    """Write small lines above the axes, the one of an unfinished sweep on top, and return their number.

    Parameters
    ----------
    axes : Axes
        Where.
    notes : list of str
        The lines, from the top down.
    unfinished : str, optional
        What to say of an unfinished sweep.
    above_pt : float
        Points that a title takes below them.
    """
    lines = [(note, NOTE_COLOUR) for note in reversed(notes)]
    if unfinished:
        lines.append((unfinished, WARNING_COLOUR))
    for number, (text, colour) in enumerate(lines):
        axes.annotate(
            text,
            xy=(0, 1),
            xytext=(0, 3 + above_pt + NOTE_LINE_PT * number),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=NOTE_SIZE_PT,
            color=colour,
        )
    return len(lines)


def add_series_legend(figure: Figure, labels: Sequence[str], styles: Sequence[SeriesStyle]) -> int:
    """Name series below the axes, where no data are, and return the number of lines that takes.

    Of more than ``MAX_NAMED`` some are named, from the first to the last.
    """
    if not labels:
        return 0
    named = np.linspace(0, len(labels) - 1, min(len(labels), MAX_NAMED)).round().astype(int)
    texts = [textwrap.fill(labels[index], LEGEND_CHARACTERS) for index in named]
    n_columns = max(1, min(len(texts), LEGEND_CHARACTERS // (max(len(labels[index]) for index in named) + 6)))
    handles = [Line2D([], [], color=styles[index].colour, marker=styles[index].marker) for index in named]
    figure.legend(handles, texts, loc="outside lower center", ncols=n_columns)
    n_lines = max(text.count("\n") + 1 for text in texts)
    return n_lines * -(-len(texts) // n_columns)


def named_note(n_series: int) -> list[str]:
    """Return what to write above axes whose legend does not name all series."""
    return [f"{MAX_NAMED} of {n_series} settings named; colours in the grid's order"] if n_series > MAX_NAMED else []
