"""The figure of when the tasks ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.timeline import TIMELINE, kind_colours, timeline
from distmarl.report.numbers import Numbers, session_cpus
from distmarl.results.tables import TIMINGS
from distmarl.wording import timestamp
from tests.places import start_session
from tests.report.results_folders import setting_row, task_row

Bar = tuple[float, float, int]


def notes(figure: Figure) -> list[str]:
    return [artist.get_text() for artist in figure.axes[0].texts if isinstance(artist, Annotation)]


def timeline_of(*rows: dict[str, Any], **options: Any) -> Figure:
    figure = timeline(pd.DataFrame(rows), **options)
    assert figure is not None
    return figure


def bars(figure: Figure) -> dict[str, list[Bar]]:
    """Return the first second, the last and the row of each bar, by the kind of its task."""
    found = {}
    kinds = {colour.lower(): kind for kind, colour in kind_colours().items()}
    for one in figure.axes[0].collections:
        assert isinstance(one, PolyCollection)
        corners = [path.vertices for path in one.get_paths()]
        ends = [(corner[:, 0].min(), corner[:, 0].max(), round(corner[:-1, 1].mean())) for corner in corners]
        found[kinds[to_hex(one.get_facecolor()[0])]] = [(float(a), float(b), row) for a, b, row in ends]
    return found


def test_each_kind_has_a_colour_of_its_own() -> None:
    colours = kind_colours()
    assert len(set(colours.values())) == len(colours)


def test_tasks_that_one_process_took_together_lie_in_one_row_one_after_another() -> None:
    row = task_row("evaluate", 0, 2)
    figure = timeline_of({**row, "pid": 1}, {**row, "pid": 1}, {**row, "pid": 2})
    assert bars(figure) == {"evaluate": [(0, 4, 0), (0, 2, 1)]}


def test_tasks_at_the_same_time_lie_in_different_rows() -> None:
    figure = timeline_of(
        task_row("shared_policy", 0, 4),
        task_row("g_learn", 4, 6),
        task_row("g_learn", 4, 2),
        task_row("evaluate", 6, 2),
        task_row("evaluate", 0, 10, host="node-2"),
        task_row("outer_iteration", 0, 4),
    )
    assert bars(figure) == {
        "shared_policy": [(0, 4, 0)],
        "g_learn": [(4, 6, 0), (4, 10, 1)],
        "evaluate": [(6, 8, 0), (0, 10, 2)],
    }
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["node-1", "node-2"]
    assert axes.get_yticks().tolist() == [0.5, 2]
    assert notes(figure) == ["used slots busy 80 % of the time", "5 tasks; 3 slots on 2 hosts"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "shared local policy",
        "global policy",
        "evaluation",
    ]


def test_clocks_that_are_set_a_little_make_no_row() -> None:
    figure = timeline_of(task_row("evaluate", 0, 1.0005), task_row("evaluate", 1, 1))
    assert "1 slot on 1 host" in notes(figure)[-1]


def test_breaks_between_sessions_are_cut_out() -> None:
    figure = timeline_of(task_row("g_learn", 0, 10), task_row("g_learn", 10.5, 9.5), task_row("g_learn", 90_000, 20))
    first, second, third = bars(figure)["g_learn"]
    assert (first[:2], second[:2]) == ((0, 10), (10.5, 20))
    assert third[:2] == pytest.approx((20.79, 40.79))
    assert "dotted: nothing ran (1 cut out)" in notes(figure)
    (line,) = figure.axes[0].lines
    assert line.get_xdata()[0] == pytest.approx(20.395)


@pytest.mark.parametrize(("seconds", "unit", "end"), [(100, "s", 100), (600, "min", 10), (36_000, "h", 10)])
def test_long_sweeps_are_told_in_minutes_and_hours(seconds: float, unit: str, end: float) -> None:
    axes = timeline_of(task_row("evaluate", 0, seconds)).axes[0]
    assert f"({unit})" in axes.get_xlabel()
    assert axes.get_xlim() == (0, end)


def test_bars_that_cannot_be_told_apart_are_one() -> None:
    rows = [task_row("evaluate", 0.01 * number, 0.0099) for number in range(2000)]
    (bar,) = bars(timeline_of(*rows))["evaluate"]
    assert bar == pytest.approx((0, 20, 0), abs=0.01)


@pytest.mark.parametrize(
    ("cpu_seconds", "n_cpus", "told"),
    [
        ([10.0, 20.0], 8, "; 8 CPUs busy 19 %"),
        ([80.0, 78.0], 8, "; 8 CPUs busy 99 %"),
        ([10.0, 10.0], 1, "; 1 CPU busy 100 %"),
        ([10.0, 20.0], None, ""),
        ([10.0, np.nan], 8, ""),
    ],
)
def test_the_cpus_are_as_busy_as_the_processor_time_says(
    cpu_seconds: list[float], n_cpus: float | None, told: str
) -> None:
    rows = [task_row("g_learn", 10 * i, 10, cpu_seconds=seconds) for i, seconds in enumerate(cpu_seconds)]
    assert f"used slots busy 100 % of the time{told}" in notes(timeline_of(*rows, n_cpus=n_cpus))


def test_fewer_cpus_than_tasks_ran_at_once_are_not_told_of() -> None:
    figure = timeline_of(task_row("evaluate", 0, 1), task_row("evaluate", 0, 1), n_cpus=1)
    assert "used slots busy 100 % of the time" in notes(figure)


def test_the_report_takes_the_cpus_from_the_sessions(tmp_path: Path) -> None:
    resources = {"address": "local", "nodes": [{"CPU": 4.0}]}
    session = {"command": ["tiny"], "started_at": timestamp(), "resources": resources}
    store = start_session(tmp_path, "tiny", {"name": "tiny"}, session, overwrite=False)
    store.add_settings([setting_row("only", {})], {})
    store.commit("evaluate", [(TIMINGS, [task_row("evaluate", 0, 1, cpu_seconds=3.0)])])
    figure = TIMELINE.drawn(Numbers(store))
    assert figure is not None
    assert "used slots busy 100 % of the time; 4 CPUs busy 75 %" in notes(figure)


@pytest.mark.parametrize(
    ("sessions", "n_cpus"),
    [
        ([[2.0, 6.0]], 8),
        ([[2.0, 6.0], [8.0]], 8),
        ([[4.0], [8.0]], None),
        ([[]], None),
        ([], None),
    ],
)
def test_cpus_are_known_where_all_sessions_agree(sessions: list[list[float]], n_cpus: float | None) -> None:
    resources = [{"resources": {"nodes": [{"CPU": cpus} for cpus in nodes]}} for nodes in sessions]
    assert session_cpus({"sessions": resources}) == n_cpus
    assert session_cpus({"sessions": [*resources, {}]}) is None


def test_nothing_stored_is_no_figure() -> None:
    assert timeline(pd.DataFrame([task_row("evaluate", 0, 1, started_at=pd.NaT)])) is None
    assert timeline(pd.DataFrame([task_row("outer_iteration", 0, 1)])) is None


def test_another_frame_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"timings: must be a frame such as dm\.open.* it has no column"):
        timeline(pd.DataFrame({"setting_id": []}))
