"""The figure of when the tasks ran: a pure function of the table ``timings``."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import LEGEND_LINE_IN, add_legend, add_notes, axes_to_draw_on, figure_of
from distmarl.report.figures.drawing.frames import check_frame
from distmarl.report.figures.drawing.style import NOTE_COLOUR, PALETTE, paper_style
from distmarl.report.numbers import session_cpus
from distmarl.study.kinds import KINDS
from distmarl.wording import TIME_UNITS, counted

SOURCE = "dm.open(...).timings"
COLUMNS = ("task", "seconds", "hostname", "started_at")

# In the order of the kinds of task; the first six are as far from one another as those of the palette are.
# The palette has eight; the last two are the wine and the olive of Paul Tol's muted colours.
KIND_COLOURS = (
    *(PALETTE[place] for place in (0, 5, 3, 2, 6, 4, 1, 7)),
    "#882255",
    "#999933",
    "#44AA99",
    "#661100",
    "#332288",
    "#AA4499",
)
PART_OF_A_TASK = "outer_iteration"
BREAK_FROM = 0.1  # share of the working time: a longer time in which nothing ran is cut out
BREAK_WIDTH = 0.02
SLACK_S = 1e-3  # clocks are set while tasks run
MERGE_BELOW = 5e-4  # share of the time that is too short to be seen
ROW_HEIGHT_IN, MIN_HEIGHT_IN, MAX_HEIGHT_IN = 0.14, 0.5, 3.0
REST_HEIGHT_IN = 1.1
MAX_NAMED_ROWS = 24
MIN_UNITS = 5  # that an axis is long
TINY_S = 1e-9
BAR_HALF_HEIGHT = 0.42


def timeline(
    timings: pd.DataFrame,
    *,
    n_cpus: float | None = None,
    unfinished: str | None = None,
    width: float | None = None,
    ax: Axes | None = None,
) -> Figure | None:
    """Draw when the tasks ran, which shows whether the cluster is used.

    A row is a slot of a host: tasks that ran at the same time lie in different rows, and as many rows are drawn as
    the host ever ran tasks at once. A task on several cores takes one slot, too; the share of the CPUs' time that was
    used is told where their number is known. Times in which nothing ran, as between two sessions, are cut out.

    Parameters
    ----------
    timings : DataFrame
        Rows of the table ``timings``.
    n_cpus : float, optional
        How many CPUs there were to run tasks on; not told of where more tasks than that ran at once.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Returns
    -------
    Figure or None
        None when no times were stored.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(timings, "timings", SOURCE, COLUMNS)
    known = timings[(timings["task"] != PART_OF_A_TASK) & timings["started_at"].notna() & timings["seconds"].notna()]
    if known.empty:
        return None
    bars, breaks = _without_breaks(_as_bars(known))
    bars = _in_slots(bars)
    hosts = bars.groupby("hostname", sort=False)["slot"].max() + 1
    firsts = hosts.cumsum() - hosts
    rows = bars["slot"].to_numpy() + bars["hostname"].map(firsts).to_numpy()
    n_rows = int(hosts.sum())
    scale, unit = _time_unit(float(bars["end"].max()))
    drawn = bars.assign(start=bars["start"] / scale, end=bars["end"] / scale)
    span = max(float(drawn["end"].max()), TINY_S)
    with paper_style():
        height = min(max(MIN_HEIGHT_IN, ROW_HEIGHT_IN * n_rows), MAX_HEIGHT_IN)
        axes = axes_to_draw_on(width, ax, height + REST_HEIGHT_IN)
        handles = []
        for kind, colour in kind_colours().items():
            of_kind = (bars["task"] == kind).to_numpy()
            if of_kind.any():
                _draw_bars(axes, drawn[of_kind], rows[of_kind], colour, span)
                handles.append(Patch(color=colour, label=KINDS[kind].noun))
        for place in breaks:
            axes.axvline(place / scale, color=NOTE_COLOUR, linestyle=":", linewidth=1.2)
        _name_rows(axes, hosts, firsts)
        axes.set_xlim(0, span)
        axes.set_xlabel(f"time since the first task started ({unit})")
        n_lines = add_legend(axes, ax, handles, [str(handle.get_label()) for handle in handles], 3)
        n_lines += add_notes(axes, _timeline_notes(bars, n_rows, len(hosts), breaks, n_cpus), unfinished)
        if ax is None:
            figure_of(axes).set_figheight(height + REST_HEIGHT_IN / 2 + LEGEND_LINE_IN * n_lines)
    return figure_of(axes)


TIMELINE = ReportFigure(
    timeline,
    lambda numbers: {"timings": numbers.timings, "n_cpus": session_cpus(numbers.provenance)},
    Caption(
        "Tasks over time",
        "When the tasks ran, coloured by their kind. A row is a slot of a host: it has as many as it ever ran tasks at "
        "once. Blank is a slot that waited; a long last bar is a task that the others had to wait for. Long times in "
        "which nothing ran, as between two sessions, are cut out at the dotted lines.",
        "Start and wall-clock time of every task of the sweep's settings in the table timings. Each task takes the "
        "first free slot of its host, also one that ran on several cores; tasks too close to be told apart are drawn "
        "as one bar. The CPUs are those that every session started with; they are busy by the tasks' processor time.",
        "Timeline of tasks as bars coloured by kind, in as many rows per host as it ever ran tasks at once",
    ),
    absent="no task's start is stored",
)


def kind_colours() -> dict[str, str]:
    """Return the colour of each kind of task."""
    return dict(zip(KINDS, itertools.cycle(KIND_COLOURS), strict=False))


def _as_bars(timings: pd.DataFrame) -> pd.DataFrame:
    """Return when each task started and ended, in seconds since the first started, in the order of their starts."""
    started = pd.to_datetime(timings["started_at"], utc=True)
    start = (started - started.min()).dt.total_seconds()
    # Tasks that a worker took together have one start, and each an equal share of the time: they ran in turn.
    together = [name for name in ("hostname", "pid", "task", "started_at") if name in timings.columns]
    if "pid" in together:
        start += timings.groupby(together, dropna=False).cumcount() * timings["seconds"]
    bars = pd.DataFrame({"task": timings["task"], "hostname": timings["hostname"].astype("string").fillna("unknown")})
    cpu_seconds = timings["cpu_seconds"] if "cpu_seconds" in timings.columns else np.nan
    bars = bars.assign(start=start, end=start + timings["seconds"], cpu_seconds=cpu_seconds)
    return bars.sort_values(["start", "end"], ignore_index=True)


def _without_breaks(bars: pd.DataFrame) -> tuple[pd.DataFrame, list[float]]:
    """Cut out the times in which nothing ran, if they are long; return the bars, and where they were cut."""
    start, end = bars["start"].to_numpy(), bars["end"].to_numpy()
    idle = np.maximum(start[1:] - np.maximum.accumulate(end)[:-1], 0)
    working = float(end.max() - idle.sum())
    is_break = idle > BREAK_FROM * working
    width = BREAK_WIDTH * working
    cut = np.concatenate([[0.0], np.cumsum(np.where(is_break, idle - width, 0))])
    places = (start[1:] - cut[1:] - width / 2)[is_break]
    return bars.assign(start=start - cut, end=end - cut), [float(place) for place in places]


def _in_slots(bars: pd.DataFrame) -> pd.DataFrame:
    """Give each task the first slot of its host that is free when it starts."""
    slots: list[int] = []
    busy: dict[str, list[tuple[float, int]]] = {}
    free: dict[str, list[int]] = {}
    for host, start, end in zip(*(bars[name].tolist() for name in ("hostname", "start", "end")), strict=True):
        ends, idle = busy.setdefault(host, []), free.setdefault(host, [])
        while ends and ends[0][0] <= start + SLACK_S:
            heapq.heappush(idle, heapq.heappop(ends)[1])
        slots.append(heapq.heappop(idle) if idle else len(ends))
        heapq.heappush(ends, (end, slots[-1]))
    return bars.assign(slot=slots).sort_values(["hostname", "start"], kind="stable", ignore_index=True)


def _draw_bars(axes: Axes, bars: pd.DataFrame, rows: NDArray[np.int64], colour: str, span: float) -> None:
    """Draw bars of one kind; those too close to be told apart become one."""
    order = np.lexsort((bars["start"], rows))
    row, start, end = rows[order], bars["start"].to_numpy()[order], bars["end"].to_numpy()[order]
    is_first = np.ones(len(row), dtype=bool)
    is_first[1:] = (row[1:] != row[:-1]) | (start[1:] - end[:-1] > MERGE_BELOW * span)
    firsts = np.flatnonzero(is_first)
    left, right, y = start[firsts], np.maximum.reduceat(end, firsts), row[firsts]
    low, high = y - BAR_HALF_HEIGHT, y + BAR_HALF_HEIGHT
    corners = np.stack([np.column_stack(pair) for pair in ((left, low), (left, high), (right, high), (right, low))], 1)
    axes.add_collection(PolyCollection(list(corners), facecolors=colour, edgecolors=colour, linewidths=0.1))


def _name_rows(axes: Axes, hosts: pd.Series, firsts: pd.Series) -> None:
    """Name each host at its rows."""
    n_rows = int(hosts.sum())
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    named = np.unique(np.linspace(0, len(hosts) - 1, min(len(hosts), MAX_NAMED_ROWS)).round().astype(int))
    places = (firsts + (hosts - 1) / 2).to_numpy()[named]
    axes.set_yticks(places, [str(hosts.index[number]) for number in named])
    for first in firsts.iloc[1:]:
        axes.axhline(first - 0.5, color=NOTE_COLOUR, linewidth=0.4)


def _timeline_notes(
    bars: pd.DataFrame, n_rows: int, n_hosts: int, breaks: list[float], n_cpus: float | None
) -> list[str]:
    span = max(float(bars["end"].max()), TINY_S)
    busy = f"used slots busy {100 * (bars['end'] - bars['start']).sum() / (n_rows * span):.0f} % of the time"
    if n_cpus is not None and n_cpus >= n_rows and bars["cpu_seconds"].notna().all():
        busy += f"; {counted(n_cpus, 'CPU')} busy {100 * bars['cpu_seconds'].sum() / (n_cpus * span):.0f} %"
    notes = [f"{len(bars):,} tasks; {counted(n_rows, 'slot')} on {counted(n_hosts, 'host')}", busy]
    return notes + ([f"dotted: nothing ran ({len(breaks)} cut out)"] if breaks else [])


def _time_unit(span: float) -> tuple[float, str]:
    """Return how many seconds the axis counts in, and what they are called."""
    unit = next((unit for unit in ("h", "min") if span >= MIN_UNITS * TIME_UNITS[unit]), "s")
    return TIME_UNITS[unit], unit
