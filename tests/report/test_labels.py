"""Names of settings that no figure and no page can hold as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from distmarl.report import write
from distmarl.report.__main__ import main as report
from distmarl.report.catalogue import FIGURES
from distmarl.status.__main__ import main as status
from tests.commands import call_in
from tests.report.results_folders import commit_points, grid_of, start_folder

EVIL = "a\x00\x07\x1b[2J\x9b31m\ufffez"
SHOWN = r"a\x00\x07\x1b[2J\x9b31m\ufffez"
LONG = "x" * 200_000


def reported(folder: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Report a sweep whose grid has a value; return what is printed on the error stream, and the page."""
    monkeypatch.setattr(write, "FIGURES", {name: FIGURES[name] for name in ["reward_vs_k"]})
    store = start_folder(
        folder / "results", settings={"a": {"environment.name": value}, "b": {"environment.name": f"{value}2"}}
    )
    commit_points(store, grid_of("ab", [1, 2], 2))
    done = call_in(folder, report)("results")
    assert done.returncode == 0, done.stderr
    assert call_in(folder, status)("results").returncode == 0
    return done.stderr, (folder / "results" / "report.html").read_text()


def test_control_characters_in_a_label_are_spelt_out_in_figures_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, page = reported(tmp_path, EVIL, monkeypatch)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe]", page)
    (figure, *_) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert SHOWN in figure
    assert SHOWN in page.replace(figure, "")


def test_a_very_long_label_is_shortened_in_the_figures_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed, page = reported(tmp_path, LONG, monkeypatch)
    assert "names of settings of more than 200 characters are shortened in the figures" in printed
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert len(figure) < len(LONG)
    assert LONG in page  # whose tables have room for it


def test_a_short_label_is_not_said_to_be_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "shortened" not in reported(tmp_path, "robots", monkeypatch)[0]
