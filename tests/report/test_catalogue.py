"""A figure is added by a record in the list of figures: all that the report says of figures loops over it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

import distmarl as dm
from distmarl.report.catalogue import FIGURES
from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing import style
from distmarl.report.page.cells import K, text_column
from distmarl.report.page.page_tables import PAGE_TABLES
from distmarl.report.page.table import PageTable
from distmarl.report.write import delete_report
from tests.places import write_report
from tests.report.pages import Page
from tests.report.results_folders import commit_points, grid_of, start_folder


def seeds_vs_k(summary: pd.DataFrame, *, unfinished: str | None = None) -> Figure | None:
    if summary["n_seeds"].max() < 2:
        return None
    figure = style.PaperFigure()
    figure.add_subplot().set_title(unfinished or "finished")
    return figure


CAPTION = Caption("Seeds against k", "How many seeds there are.", "From the table summary.", "A chart of seeds")
SEEDS = ReportFigure(seeds_vs_k, lambda numbers: {"summary": numbers.summary}, CAPTION, absent="it needs two seeds")


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    n_seeds = getattr(request, "param", 2)
    commit_points(start_folder(tmp_path, n_eval_seeds=n_seeds), grid_of(["only"], [1, 2], n_seeds), whole=True)
    return tmp_path


@pytest.fixture
def with_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(style.STYLE, "figure.dpi", 50)
    for name in [*FIGURES]:
        monkeypatch.delitem(FIGURES, name)
    monkeypatch.setitem(FIGURES, SEEDS.name, SEEDS)


@pytest.mark.usefixtures("with_seeds")
def test_a_figure_is_added_by_a_record(folder: Path) -> None:
    report = write_report(folder, vectors=True)
    assert [Path(name).name for name in report.figures] == ["seeds_vs_k.png", "seeds_vs_k.pdf"]
    assert all(Path(name).is_file() for name in report.figures)
    page = Page(Path(report.page))
    assert "Seeds against k. How many seeds there are. From the table summary." in page.text()
    assert page.all("svg")[0][0]["aria-label"].startswith("A chart of seeds")
    drawn = dm.open(folder).figures["seeds_vs_k"]()
    assert drawn.axes[0].get_title() == report.numbers.unfinished == "unfinished: 6 of 7 tasks"
    assert dm.figures.seeds_vs_k is seeds_vs_k
    assert "seeds_vs_k" in dir(dm.figures)
    delete_report(report.numbers.folder)
    assert not any(Path(name).exists() for name in (*report.figures, report.page))


@pytest.mark.parametrize("folder", [1], indirect=True)
@pytest.mark.usefixtures("with_seeds")
def test_an_added_figure_is_missed_where_there_is_nothing_to_draw(folder: Path) -> None:
    (folder / "seeds_vs_k.png").write_bytes(b"of earlier results")
    report = write_report(folder)
    assert report.skipped == {"seeds_vs_k": "it needs two seeds"}
    assert not (folder / "seeds_vs_k.png").exists()
    assert "Not drawn: seeds against k; it needs two seeds." in Page(Path(report.page)).text()
    with pytest.raises(dm.DistmarlError, match="seeds_vs_k cannot be drawn: it needs two seeds"):
        dm.open(folder).figures.seeds_vs_k()


@pytest.mark.parametrize("folder", [1], indirect=True)
def test_a_figure_that_nobody_asked_for_is_not_missed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*FIGURES]:
        monkeypatch.delitem(FIGURES, name)
    unasked = dataclasses.replace(SEEDS, is_asked_for=lambda _: False)
    monkeypatch.setitem(FIGURES, SEEDS.name, unasked)
    assert write_report(folder).skipped == {}


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.usefixtures("with_seeds")
def test_a_table_of_the_page_is_added_by_a_record(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_folded: bool
) -> None:
    table = PageTable(
        "kinds",
        "certainty",
        "One row for each {point}.",
        "trainings",
        rows=lambda numbers: numbers.trainings,
        columns=lambda _, __: [K, text_column("Transitions", "how counts move", "transitions")],
        title="Kinds of transitions",
        introduction=lambda numbers: f"There are {len(numbers.trainings)} of them.",
        is_folded=is_folded,
    )
    monkeypatch.setitem(PAGE_TABLES, "kinds", table)
    page = Page(Path(write_report(folder).page))
    assert page.rows("kinds") == 2
    assert [text for _, text in page.all("caption", id="kinds-caption")] == ["One row for each k.\n"]
    assert "There are 2 of them." in page.text()
    assert ("Kinds of transitions" in [text for _, text in page.all("summary")]) == is_folded
    assert ("Kinds of transitions" in [text for _, text in page.all("h3")]) != is_folded
    empty = dataclasses.replace(table, rows=lambda numbers: numbers.trainings.head(0))
    monkeypatch.setitem(PAGE_TABLES, "kinds", empty)
    assert "Kinds of transitions" not in Page(Path(write_report(folder).page)).text()
