"""Every figure of a finished, an unfinished and a failed sweep, of one setting and of a grid of 24."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import distmarl as dm
from distmarl.model.options import Experiment
from distmarl.report.catalogue import FIGURES
from distmarl.report.numbers import read_numbers
from distmarl.results.tables import EVALUATIONS, FAILURES, LEARNERS, NASH_GAPS, TIMINGS, TRAININGS, WELFARE
from distmarl.study.effort import asked_effort
from tests.places import snapshot_of, write_report
from tests.report.results_folders import (
    PLAIN,
    commit_details,
    evaluation_row,
    failure_row,
    learner_row,
    start_folder,
    task_row,
    training_row,
)
from tests.sweep.sweeps import TINY, changed, plan_of, run

pytestmark = pytest.mark.long

K_VALUES = [1, 2, 4, 8, 12]
GRID = {
    f"s{number:02}": dict(
        zip(("environment.n_agents", "environment.gamma", "global_agent.transitions"), values, strict=True)
    )
    for number, values in enumerate(
        itertools.product((30, 100, 300, 1000), (0.9, 0.95), ("exact", "rounded", "sampled"))
    )
}
FEW = {name: GRID[name] for name in ("s00", "s06", "s01", "s07")}  # two sizes, as of each half
ONE_SETTING = [name for name in FIGURES if name != "scaling"]


def sweep_folder(folder: Path, settings: Any, state: str) -> Path:
    """Write the results of a sweep that has done all, that has done half, or of which a training failed."""
    store = start_folder(folder, k_values=K_VALUES, n_eval_seeds=2, settings=settings)
    names = list(settings)
    done = names if state != "unfinished" else names[: max(1, len(names) // 2)]
    ks = {"finished": K_VALUES, "unfinished": K_VALUES[:3], "failed": K_VALUES[:-1]}[state]
    pairs = list(itertools.product(done, ks))
    rows = [evaluation_row(*pair, seed, 10.0 * pair[1] + seed) for pair in pairs for seed in range(2)]
    timings = [task_row("g_learn", 0.1 * number, 0.1, setting_id=name, k=k) for number, (name, k) in enumerate(pairs)]
    trainings = [training_row(*pair) for pair in pairs]
    store.commit("points", [(TIMINGS, timings), (TRAININGS, trainings), (EVALUATIONS, rows)])
    commit_details(store, done, ks)
    quantities = {"joint_value": 90.0, "global_lower": 1.0, "global_upper": 3.0, "local_lower": 0.1, "local_upper": 0.2}
    effort = asked_effort(Experiment())
    gaps = [
        {
            **effort,
            "setting_id": name,
            "k": k,
            "train_seed": 0,
            "method": "exact",
            "quantity": quantity,
            "n_agents": 30,
            "value": value,
            "error": 0.0,
        }
        for name in done
        for k in ks
        for quantity, value in quantities.items()
    ]
    welfare = [{**effort, "setting_id": name, "value": 101.0, "error": 0.0} for name in done]
    store.commit("gaps", [(NASH_GAPS, gaps), (WELFARE, welfare)])
    learners = itertools.product(done, ks, ("independent_q", "subsampled_q"), (1_000, 100_000))
    store.commit("learners", [(LEARNERS, [learner_row(*each) for each in learners])])
    if state == "failed":
        store.commit("failure", [(FAILURES, [failure_row(name, 12) for name in names])])
    sweep = folder / "sweep.yaml"
    asked = "nash_gap: exact\n  baselines: [independent_q, subsampled_q]\n  baseline_samples: [1000, 100000]"
    sweep.write_text(sweep.read_text().replace("experiment:", f"experiment:\n  {asked}"))
    store.publish()
    return folder


def figures_of(folder: Path) -> dict[str, Figure]:
    numbers = read_numbers(snapshot_of(folder))
    drawn = {name: figure.drawn(numbers) for name, figure in FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def named_things(figure: Figure) -> list[Text]:
    """Return the labels of the axes, the titles and the legends, which must not be clipped."""
    found = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        found += [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
    return [text for text in found if text.get_text()]


@pytest.fixture(scope="module")
def of_grid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """The figures of the finished grid."""
    return figures_of(sweep_folder(tmp_path_factory.mktemp("grid"), GRID, "finished"))


@pytest.mark.parametrize(
    ("settings", "state"),
    [*itertools.product((PLAIN, FEW), ("finished", "unfinished", "failed")), (GRID, "finished")],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} settings",
)
def test_every_figure_is_drawn_and_says_what_is_missing(
    tmp_path: Path, request: pytest.FixtureRequest, settings: Any, state: str
) -> None:
    if settings is GRID:
        figures = request.getfixturevalue("of_grid")
    else:
        figures = figures_of(sweep_folder(tmp_path, settings, state))
    assert [*figures] == (ONE_SETTING if settings is PLAIN else [*FIGURES])
    for name, figure in figures.items():
        figure.draw_without_rendering()
        said = [text.get_text() for text in texts(figure)]
        assert any(text.startswith("unfinished: ") for text in said) == (state != "finished"), name
        for text in named_things(figure):
            box = text.get_window_extent()
            assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, (name, text.get_text())
            assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1, (name, text.get_text())
        assert all(size <= 12 for size in figure.get_size_inches()), name


def test_the_figures_of_a_grid_show_its_numbers(of_grid: dict[str, Figure]) -> None:
    figures = of_grid
    assert len(figures["alternation"].axes[0].lines) == 2 * 24
    assert len(figures["scaling"].axes) == 2 * 4
    heatmap = [axes.get_title(loc="left") for axes in figures["zone_heatmap"].axes]
    assert [title.partition(":")[0] for title in heatmap if title] == ["k = 1", "k = 2", "k = 4", "k = 12"]
    for name in ("zone_heatmap", "policy"):
        said = [text.get_text() for text in texts(figures[name])]
        assert any(text.startswith("1 of 24 settings: n_agents=30, gamma=0.9,") for text in said)
    assert any(text.get_text().startswith("144 tasks; ") for text in figures["timeline"].axes[0].texts)


def varied(sizes: list[int]) -> dict[str, Any]:
    return {**TINY, "grid": {"environment.n_agents": sizes}}


@pytest.mark.usefixtures("blank_figures")
def test_a_real_sweep_has_every_figure_but_those_that_nobody_asked_for(tmp_path: Path) -> None:
    ids = {job.setting.grid["environment.n_agents"]: job.setting_id for job in plan_of(varied([5, 8])).jobs}
    sizes = sorted(ids, key=ids.__getitem__, reverse=True)  # the first is not just the first that is stored
    run(tmp_path, varied(sizes))
    report = write_report(tmp_path)
    missing = {"nash_gap_vs_k", "price_of_subsampling", "return_vs_samples"}
    assert [Path(name).stem for name in report.figures] == [name for name in FIGURES if name not in missing]
    assert report.skipped == {}
    r = dm.open(tmp_path)
    figure = r.figures.zone_heatmap()
    first = r.rollouts.query(f"`environment.n_agents` == {sizes[0]} and k == 1").iloc[0]
    assert first["setting_id"] > r.settings["setting_id"].min()
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, np.stack(first["populations"]).T / first["n_agents"])


@pytest.mark.usefixtures("blank_figures")
def test_without_rollouts_the_heatmap_is_skipped_with_its_reason(tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, evaluation={"method": "exact"}))
    skipped = write_report(tmp_path).skipped
    assert skipped["zone_heatmap"] == "no rollout is recorded (evaluation.method: exact has none)"
    assert "policy" not in skipped
    with pytest.raises(dm.DistmarlError, match="zone_heatmap cannot be drawn: no rollout is recorded"):
        dm.open(tmp_path).figures.zone_heatmap()


def test_the_figures_are_functions_of_stored_frames(tmp_path: Path) -> None:
    run(tmp_path)
    r = dm.open(tmp_path)
    drawn = {
        "reward_vs_k": dm.figures.reward_vs_k(r.points()),
        "difference_vs_k": dm.figures.difference_vs_k(r.points()),
        "runtime_vs_k": dm.figures.runtime_vs_k(r.points()),
        "mode_accuracy_vs_k": dm.figures.mode_accuracy_vs_k(r.points()),
        "nash_gap_vs_k": dm.figures.nash_gap_vs_k(r.nash_gaps),
        "price_of_subsampling": dm.figures.price_of_subsampling(r.nash_gaps),
        "return_vs_samples": dm.figures.return_vs_samples(r.learners),
        "zone_heatmap": dm.figures.zone_heatmap(pd.read_parquet(tmp_path / "rollouts")),
        "policy": dm.figures.policy(r.local_policies, r.global_policies),
        "scaling": dm.figures.scaling(r.points(), r.settings),
        "alternation": dm.figures.alternation(r.alternations),
        "timeline": dm.figures.timeline(r.timings),
    }
    assert [*drawn] == [*FIGURES]
    assert sorted(drawn) == dm.figures.__all__ == dir(dm.figures)
    assert [name for name, figure in drawn.items() if figure is None] == [
        "nash_gap_vs_k",
        "price_of_subsampling",
        "return_vs_samples",
        "scaling",
    ]


@pytest.mark.parametrize("name", ["reward_vs_k", "difference_vs_k", "runtime_vs_k", "mode_accuracy_vs_k"])
@pytest.mark.parametrize("frame", [None, {"k": [1]}, pd.DataFrame({"k": [1]})])
def test_another_frame_is_refused(name: str, frame: Any) -> None:
    with pytest.raises(dm.DistmarlError, match=r"summary: must be a .*such as dm\.open\(\.\.\.\)\.points\(\)"):
        getattr(dm.figures, name)(frame)


@pytest.mark.parametrize("name", ["nash_gap_vs_k", "price_of_subsampling"])
def test_another_frame_is_refused_for_gaps(name: str) -> None:
    with pytest.raises(dm.DistmarlError, match=r"gaps: .* it has no column method, quantity"):
        getattr(dm.figures, name)(pd.DataFrame({"setting_id": [], "k": []}))


def test_a_summary_without_rows_is_refused(tmp_path: Path) -> None:
    summary = read_numbers(snapshot_of(sweep_folder(tmp_path, PLAIN, "finished"))).summary
    with pytest.raises(dm.DistmarlError, match="summary: must have a row"):
        dm.figures.reward_vs_k(summary.iloc[:0])


def test_importing_distmarl_loads_no_matplotlib() -> None:
    code = "import sys, distmarl as dm; assert 'matplotlib' not in sys.modules; sys.exit(dm.figures.__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr == "distmarl.figures\n"
    with pytest.raises(AttributeError, match="no attribute 'figure'"):
        dm.figure  # noqa: B018
