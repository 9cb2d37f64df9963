"""The rewards of several sweeps in one figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

import distmarl as dm
from distmarl.errors import ResultsError
from distmarl.report.__main__ import main as report
from distmarl.report.comparison import comparison
from distmarl.report.numbers import read_numbers
from distmarl.report.write import delete_report
from distmarl.results.storage.opening import open_location
from tests.places import snapshot_of
from tests.sweep.sweeps import TINY, changed, run

BEST = {
    **changed(TINY, global_agent={"transitions": "exact"}, experiment={"bound": "exact", "bound_m": 2}),
    "name": "best",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two sweeps about one game, of which the second has a ceiling; not to be changed."""
    place = tmp_path_factory.mktemp("sweeps")
    run(place / "tiny")
    run(place / "best", BEST)
    return place / "tiny", place / "best"


def drawn(*folders: Path) -> Figure:
    return comparison([read_numbers(snapshot_of(folder)) for folder in folders])


def legend(figure: Figure) -> list[str]:
    (only,) = figure.legends
    return [text.get_text() for text in only.get_texts()]


def heights(figure: Figure) -> list[float]:
    return [float(line.get_ydata()[0]) for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]


def test_every_sweep_is_a_curve_below_one_ceiling(folders: tuple[Path, Path]) -> None:
    figure = drawn(*folders)
    assert legend(figure) == ["tiny", "best", "nobody earns more"]
    ceiling = pd.read_parquet(folders[1] / "bounds").query("steps == 'horizon'")["ceiling"].item()
    assert heights(figure) == [ceiling]
    curves = [line for line in figure.axes[0].lines if len(set(line.get_ydata())) > 1]
    for line, folder in zip(curves, folders, strict=True):
        assert line.get_ydata().tolist() == dm.open(folder).points()["mean_return"].tolist()


def test_a_ceiling_is_not_drawn_for_another_game(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, environment={"n_agents": 7}))
    figure = drawn(folders[1], tmp_path)
    assert legend(figure) == ["best", "tiny", "nobody earns more (short, at the right)"]
    best, _, ceiling = figure.axes[0].lines
    assert ceiling.get_color() == best.get_color()
    assert ceiling.get_xdata()[0] > 0.9


def test_sweeps_of_one_name_are_named_by_their_folders(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, experiment={"seed": 1}))
    assert [name.replace("\n", "") for name in legend(drawn(folders[0], tmp_path))] == [str(folders[0]), str(tmp_path)]


def test_settings_of_a_grid_keep_their_labels(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run(tmp_path, {**TINY, "name": "grid", "grid": {"experiment.seed": [1, 2]}})
    assert legend(drawn(folders[0], tmp_path)) == ["tiny", "grid, seed=1", "grid, seed=2"]


def test_returns_over_other_horizons_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, evaluation={"horizon": 6}))
    with pytest.raises(ResultsError, match=r"returns are over 5 steps in .* and over 6 in .*evaluation\.horizon"):
        drawn(folders[0], tmp_path)


def test_the_command_writes_it_and_what_is_deleted_with_the_report(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([str(folders[0]), "--compare", str(folders[1]), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert f"wrote {tmp_path / 'comparison.pdf'}" in capsys.readouterr().err
    delete_report(open_location(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none_is_refused(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([str(folders[0]), "--compare", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "none" in capsys.readouterr().err


def test_within_axes_of_ones_own_everything_is_named(folders: tuple[Path, Path]) -> None:
    figure, ax = plt.subplots()
    points = pd.concat([dm.open(folder).points() for folder in folders])
    points["label"] = points["setting_id"]
    bounds = dm.open(folders[1]).bounds
    both = pd.concat([bounds.assign(setting_id=name) for name in points["setting_id"].unique()])
    dm.figures.reward_vs_k(points, bounds=both, ax=ax)
    assert len(ax.get_legend().get_texts()) == 3
    plt.close(figure)
