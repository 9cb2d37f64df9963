"""The figure of how the shared local policies were trained."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.alternations import alternation
from tests.report.results_folders import alternation_row


def notes(figure: Figure) -> list[str]:
    return [artist.get_text() for artist in figure.axes[0].texts if isinstance(artist, Annotation)]


def history_of(*names: str) -> pd.DataFrame:
    rows = []
    for place, name in enumerate(names):
        rows += [
            alternation_row(name, 0, 8.0 + place),
            alternation_row(name, 1, 7.0 + place, accepted=False),
            alternation_row(name, 2, 9.0 + place, stopped="converged"),
        ]
    return pd.DataFrame(rows)


def alternation_of(history: pd.DataFrame, **options: Any) -> Figure:
    figure = alternation(history, **options)
    assert figure is not None
    return figure


def test_kept_proposals_are_a_line_and_reverted_ones_crosses() -> None:
    axes = alternation_of(history_of("a")).axes[0]
    line, crosses = axes.lines
    assert line.get_xydata().tolist() == [[0, 8], [2, 9]]
    assert crosses.get_xydata().tolist() == [[1, 7]]
    assert (line.get_marker(), crosses.get_marker(), crosses.get_linestyle()) == ("o", "x", "None")


def test_a_local_policy_stands_half_a_step_after_the_global_one() -> None:
    rows = [alternation_row("a", 0, 8.0, proposal="global"), alternation_row("a", 0, 9.0, proposal="local")]
    axes = alternation_of(pd.DataFrame(rows)).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 8], [0.5, 9]]
    assert axes.get_xlabel() == "outer iteration (global policy, then local)"
    assert alternation_of(history_of("a")).axes[0].get_xlabel() == "outer iteration"


def test_the_notes_count_what_was_reverted_and_why_it_ended() -> None:
    history = history_of("a", "b")
    history.loc[5, "stopped_because"] = "n_outer_iterations"
    assert notes(alternation_of(history))[::-1] == [
        "line: kept proposals; cross: reverted (2)",
        "stopped because: converged (1), n outer iterations (1)",
    ]
    kept = history_of("a").assign(accepted=True, stopped_because=None)
    assert notes(alternation_of(kept, unfinished="unfinished: 0")) == [
        "line: kept proposals; none was reverted",
        "unfinished: 0",
    ]


def test_every_setting_has_a_line_in_its_own_style() -> None:
    history = history_of(*"abc").assign(label=lambda rows: "n=" + rows["setting_id"])
    figure = alternation_of(history)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["n=a", "n=b", "n=c"]
    assert len({(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}) == 6
    many = alternation_of(history_of(*(f"s{number:02}" for number in range(24))))
    assert len(many.axes[0].lines) == 48
    assert "8 of 24 settings named; colours in the grid's order" in notes(many)
    assert not alternation_of(history_of("a")).legends


def test_nothing_stored_is_no_figure() -> None:
    assert alternation(history_of("a").iloc[:0]) is None


def test_another_frame_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"alternations: must be a frame .* it has no column"):
        alternation(pd.DataFrame({"setting_id": []}))
