"""Figures of a width, and figures on axes of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from distmarl.errors import InvalidArgumentError
from distmarl.report.catalogue import FIGURES
from distmarl.report.figures.drawing.style import PaperFigure, paper_style
from distmarl.report.numbers import Numbers, read_numbers
from tests.places import snapshot_of
from tests.report.figures.test_every_figure import GRID, named_things, sweep_folder

ON_AXES = (
    "reward_vs_k",
    "difference_vs_k",
    "runtime_vs_k",
    "mode_accuracy_vs_k",
    "return_vs_samples",
    "alternation",
    "timeline",
)
SETTINGS = {name: GRID[name] for name in ("s00", "s06", "s12", "s18")}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    folder: Path = tmp_path_factory.mktemp("sizes")
    return read_numbers(snapshot_of(sweep_folder(folder, SETTINGS, "unfinished")))


def drawn(name: str, numbers: Numbers, **options: Any) -> Figure:
    figure = FIGURES[name]
    arguments = figure.read(numbers)
    assert arguments is not None
    picture = figure.draw(**arguments, unfinished=numbers.unfinished, **options)
    assert picture is not None
    return picture


@pytest.mark.parametrize("width", [3.25, 6.0])
@pytest.mark.parametrize("name", [name for name in FIGURES if name != "scaling"])
def test_a_figure_is_as_wide_as_it_shall_be_and_holds_its_words(numbers: Numbers, name: str, width: float) -> None:
    figure = drawn(name, numbers, width=width)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    assert figure.get_figwidth() == width
    for text in named_things(figure):
        box = text.get_window_extent()
        assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, text.get_text()
    assert all(axes.bbox.width > 100 for axes in figure.axes if axes.get_label() != "<colorbar>")


@pytest.mark.parametrize("name", ON_AXES)
def test_a_figure_of_one_panel_is_drawn_on_axes_of_ones_own(numbers: Numbers, name: str) -> None:
    with paper_style():
        figure = PaperFigure(figsize=(7, 3))
        left, right = figure.subplots(1, 2)
    assert drawn(name, numbers, ax=right) is figure
    assert figure.get_size_inches().tolist() == [7, 3]
    alone = drawn(name, numbers).axes[0]
    assert contents(right) == contents(alone)
    assert right.get_xlabel() == alone.get_xlabel()
    assert not figure.legends
    assert [text.get_text() for text in right.get_legend().get_texts()] == names(alone.figure)
    assert not left.has_data()


def contents(axes: Axes) -> list[int]:
    return [len(axes.lines), len(axes.collections)]


def names(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_notes_that_do_not_fit_are_folded(numbers: Numbers) -> None:
    def n_notes(width: float) -> int:
        return len(drawn("difference_vs_k", numbers, width=width).axes[0].texts)

    assert n_notes(2.0) > n_notes(3.5) == n_notes(7.0) == 2


@pytest.mark.parametrize("draw", [figure.draw for figure in FIGURES.values()])
def test_every_figure_takes_a_width_by_name_and_says_so(draw: Callable[..., Any]) -> None:
    assert "width" in (draw.__kwdefaults__ or {})
    assert "width : float, optional" in (draw.__doc__ or "")
    assert ("ax" in (draw.__kwdefaults__ or {})) == (draw.__name__ in ON_AXES) == ("ax : Axes" in (draw.__doc__ or ""))


@pytest.mark.parametrize(
    ("width", "rule"),
    [
        *((width, r"positive \(inches\)") for width in (0, -1.0, float("nan"))),
        *((width, r"at most 100 \(inches\)") for width in (330, float("inf"))),
        *((width, r"a number") for width in ("wide", True, [3.5])),
    ],
)
def test_an_impossible_width_is_refused(numbers: Numbers, width: Any, rule: str) -> None:
    for name in FIGURES:
        if name != "scaling":
            with pytest.raises(InvalidArgumentError, match=f"width: must be {rule}, got"):
                drawn(name, numbers, width=width)


@pytest.mark.parametrize(
    ("ax", "got"),
    [
        (np.array([None, None]), r"ndarray; pass one of them, as ax=axes\[0\]"),
        ("left", "str$"),
        (Figure(), "Figure$"),
    ],
)
def test_what_is_no_axes_is_refused(numbers: Numbers, ax: Any, got: str) -> None:
    for name in ON_AXES:
        with pytest.raises(InvalidArgumentError, match=f"ax: must be the axes of a matplotlib figure, got {got}"):
            drawn(name, numbers, ax=ax)


def test_a_width_beside_axes_is_refused(numbers: Numbers) -> None:
    with pytest.raises(InvalidArgumentError, match="width: must be left out beside ax"):
        drawn("reward_vs_k", numbers, width=3.0, ax=Figure().add_subplot())
