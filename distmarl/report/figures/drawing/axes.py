"""The parts that figures share: axes to draw on, the k axis, plain numbers, notes above and a legend below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.drawing.style import (
    HEIGHT_IN,
    NOTE_COLOUR,
    NOTE_SIZE_PT,
    PALETTE,
    WARNING_COLOUR,
    WIDTH_IN,
    PaperFigure,
    SeriesStyle,
    figure_width,
)

K_LABEL = "subsample size k (agents)"
RETURN_LABEL = "discounted return (reward)"
LOG_SCALE_FROM = 10.0  # ratio of the largest to the smallest value
K_MARGIN = 0.03
NOTE_LINE_PT = 8.5
NOTE_CHARACTER_PT, NOTE_OVERHANG_PT = 3.4, 16.0  # about; notes may reach into the margin
LEGEND_LINE_IN = 0.15
LINE_CHARACTERS = 54  # about what fits into a line as wide as a column
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
    axis.set_major_formatter(FuncFormatter(_plainly))
    axis.set_minor_formatter(NullFormatter())


def _plainly(value: float, _position: int | None) -> str:
    return f"{value:g}"


def characters(width_in: float) -> int:
    """Return about how many characters fit into a line."""
    return max(1, round(LINE_CHARACTERS * width_in / WIDTH_IN))


def axes_to_draw_on(width: float | None, ax: Axes | None, height_in: float = HEIGHT_IN) -> Axes:
    """Return the given axes, or else those of a new figure.

    Raises
    ------
    InvalidArgumentError
        When the width is not positive, or given beside axes, whose figure has one; or ``ax`` is no axes.
    """
    if ax is None:
        return PaperFigure(figsize=(figure_width(width), height_in)).add_subplot()
    if not isinstance(ax, Axes):
        hint = "; pass one of them, as ax=axes[0]" if isinstance(ax, np.ndarray | list | tuple) else ""
        raise InvalidArgumentError(f"ax: must be the axes of a matplotlib figure, got {type(ax).__name__}{hint}")
    if width is not None:
        raise InvalidArgumentError("width: must be left out beside ax, whose figure has a width of its own")
    return ax


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes belong to."""
    figure = axes.figure
    return figure.figure if isinstance(figure, SubFigure) else figure


def fitting_columns(n_columns: int, width_in: float) -> int:
    """Return how many columns of a legend fit, of those that a figure as wide as a column has room for."""
    return max(1, min(n_columns, round(n_columns * width_in / WIDTH_IN)))


def add_notes(axes: Axes, notes: Sequence[str], unfinished: str | None, *, above_pt: float = 0.0) -> int:
    """Write small lines above the axes, the one of an unfinished sweep on top, and return their number.

    Parameters
    ----------
    axes : Axes
        Where.
    notes : sequence of str
        The lines, from the top down; one that does not fit is folded.
    unfinished : str, optional
        What to say of an unfinished sweep.
    above_pt : float
        Points that a title takes below them.
    """
    width_pt = 72 * axes.bbox.width / axes.figure.dpi
    room = max(1, int((width_pt + NOTE_OVERHANG_PT) / NOTE_CHARACTER_PT))
    texts = [(unfinished or "", WARNING_COLOUR), *((note, NOTE_COLOUR) for note in notes)]
    lines = [(line, colour) for text, colour in texts for line in textwrap.wrap(text, room)]
    for number, (text, colour) in enumerate(reversed(lines)):
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


def add_legend(axes: Axes, ax: Axes | None, handles: Sequence[Artist], labels: Sequence[str], n_columns: int) -> int:
    """Name what was drawn and return the number of lines that takes; none within axes that were given.

    It stands below a figure of ours, where no data are, and in the emptiest place of axes that were given. What was
    named there before stays, and comes first; lines are those that it did not take.
    """
    if not handles:
        return 0
    figure = figure_of(axes)
    before = [ax.get_legend()] if ax is not None else figure.legends
    old_labels: list[str] = []
    for legend in [each for each in before if each is not None]:
        handles = [*legend.legend_handles, *handles]  # type: ignore[list-item]
        old_labels += [text.get_text() for text in legend.get_texts()]
        legend.remove()
    labels = [*old_labels, *labels]
    if ax is not None:
        ax.legend(handles, labels, fontsize=NOTE_SIZE_PT)
        return 0
    width_in, n_lines = figure.get_figwidth(), 0
    if old_labels:
        n_lines = -_n_lines(old_labels, fitting_columns(_columns_for(old_labels), width_in))
        n_columns = _columns_for(labels)
    n_columns = fitting_columns(n_columns, width_in)
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns)
    return n_lines + _n_lines(labels, n_columns)


def _n_lines(labels: Sequence[str], n_columns: int) -> int:
    """Return the number of lines of a legend."""
    return max(label.count("\n") + 1 for label in labels) * -(-len(labels) // n_columns)


def _columns_for(labels: Sequence[str]) -> int:
    """Return how many columns of a legend a figure as wide as a column has room for."""
    return max(1, min(len(labels), LINE_CHARACTERS // (max(map(len, labels)) + 6)))


def add_series_legend(axes: Axes, ax: Axes | None, labels: Sequence[str], styles: Sequence[SeriesStyle]) -> int:
    """Name series, and return the number of lines that takes.

    Of more than ``MAX_NAMED`` some are named, from the first to the last.
    """
    if not labels:
        return 0
    room = characters(figure_of(axes).get_figwidth())
    named = np.linspace(0, len(labels) - 1, min(len(labels), MAX_NAMED)).round().astype(int)
    texts = [textwrap.fill(labels[index], room) for index in named]
    n_columns = _columns_for([labels[index] for index in named])
    handles = [Line2D([], [], color=styles[index].colour, marker=styles[index].marker) for index in named]
    return add_legend(axes, ax, handles, texts, n_columns)


def set_height(axes: Axes, ax: Axes | None, height_in: float, *, n_legend_lines: int, n_notes: int) -> None:
    """Make a figure of ours higher by what stands above and below its axes."""
    if ax is None:
        height_in = height_in + LEGEND_LINE_IN * n_legend_lines + NOTE_LINE_PT / 72 * n_notes
        figure_of(axes).set_figheight(height_in)


def named_note(n_series: int) -> list[str]:
    """Return what to write above axes whose legend does not name all series."""
    return [f"{MAX_NAMED} of {n_series} settings named; colours in the grid's order"] if n_series > MAX_NAMED else []
