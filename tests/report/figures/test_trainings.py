"""Figures of several trainings: each is drawn, the median is strong, and a bar is the interval of the mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

import distmarl as dm
from distmarl.report.figures.against_k import (
    BAND_NOTE,
    BARS_NOTE,
    DIFFERENCE_NOTE,
    EXACT_DIFFERENCE_NOTE,
    REWARD,
    TABLES_NOTE,
)
from distmarl.results.tables import EVALUATIONS, EXACT_RETURNS, NASH_GAPS, TIMINGS, TRAININGS
from tests.report.results_folders import commit_points, evaluation_row, start_folder, timing_row, training_row

K_VALUES, N_TRAININGS = (1, 2, 5), 6
# Of a law with two peaks: four trainings near 100, two near 80.
LEVELS = np.array([100.0, 101.0, 80.0, 99.0, 102.0, 81.0])
DRAWN: dict[str, Callable[..., Figure]] = {
    "training_returns": dm.figures.reward_vs_k,
    "training_mode_accuracies": dm.figures.mode_accuracy_vs_k,
    "training_seconds": dm.figures.runtime_vs_k,
}


def value(train_seed: int, k: int, seed: int) -> float:
    return float(LEVELS[train_seed] + k * (1 + 0.1 * train_seed) + 0.25 * seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings with six trainings of three k, as a sweep leaves them; not to be changed."""
    path = tmp_path_factory.mktemp("trainings")
    settings = {"a": {"local_agent.policy": "softmax"}, "b": {"local_agent.policy": "greedy"}}
    store = start_folder(path, k_values=K_VALUES, n_eval_seeds=3, n_train_seeds=N_TRAININGS, settings=settings)
    for number, name in enumerate(settings):
        for train_seed in range(N_TRAININGS):
            about = {"train_seed": train_seed}
            rows = [
                evaluation_row(name, k, seed, value(train_seed, k, seed) + number, 0.5 + 0.01 * train_seed) | about
                for k in K_VALUES
                for seed in range(3)
            ]
            trained = [training_row(name, k) | about for k in K_VALUES]
            times = [timing_row("g_learn", name, k, 0.1 * k + 0.01 * train_seed) | about for k in K_VALUES]
            gaps = [
                {
                    "sweep": "tiny",
                    "setting_id": name,
                    "k": k,
                    "train_seed": train_seed,
                    "method": "exact",
                    "quantity": quantity,
                    "n_agents": 10,
                    "value": base + train_seed / k,
                    "error": 0.0,
                }
                for k in K_VALUES
                for quantity, base in (("joint_value", 90.0), ("global_lower", 1.0), ("global_upper", 4.0))
            ]
            tables = [(TIMINGS, times), (TRAININGS, trained), (EVALUATIONS, rows), (NASH_GAPS, gaps)]
            store.commit(f"{name}-{train_seed}", tables)
    store.publish()
    return path


@pytest.fixture
def points(folder: Path) -> pd.DataFrame:
    return dm.open(folder).points()


def lines(axes: Axes, colour: str) -> list[NDArray[np.float64]]:
    """Return what is drawn in a colour as thin lines, by their heights."""
    return [
        np.asarray(line.get_ydata(), dtype=float)
        for line in axes.get_lines()
        if line.get_color() == colour and line.get_alpha() is not None
    ]


def bars(axes: Axes) -> NDArray[np.float64]:
    """Return the ends of all bars, (bars, 2)."""
    found = [
        segment[:, 1]
        for each in axes.collections
        if isinstance(each, LineCollection)
        for segment in each.get_segments()
    ]
    return np.array(found)


@pytest.mark.parametrize("column", DRAWN)
def test_each_training_is_a_line_the_median_is_one_and_bars_are_intervals(points: pd.DataFrame, column: str) -> None:
    one = points[points["setting_id"] == "a"]
    axes = DRAWN[column](one).axes[0]
    each = np.array(one[column].tolist(), dtype=float) * (100 if "accuracies" in column else 1)
    strong = next(line for line in axes.get_lines() if line.get_alpha() is None and line.get_linestyle() == "-")
    np.testing.assert_allclose(strong.get_ydata(), np.median(each, axis=1))
    thin = lines(axes, strong.get_color())
    np.testing.assert_allclose(thin, each.T)
    intervals = [dm.estimate_mean(of_k) for of_k in each]
    np.testing.assert_allclose(bars(axes), [(found.ci95_low, found.ci95_high) for found in intervals])
    low, high = axes.get_ylim()
    assert low <= each.min() <= each.max() <= high


def test_two_peaks_stay_visible(points: pd.DataFrame) -> None:
    axes = dm.figures.reward_vs_k(points[points["setting_id"] == "a"]).axes[0]
    first = sorted(line[0] for line in lines(axes, axes.get_lines()[0].get_color()))
    assert [height < 90 for height in first] == [True] * 2 + [False] * 4


def test_differences_are_those_of_each_training_first(points: pd.DataFrame) -> None:
    one = points[points["setting_id"] == "a"].set_index("k")
    expected = [1.0 + 0.1 * number for number in range(N_TRAININGS)]
    np.testing.assert_allclose(one["training_differences"][2].astype(float), expected)
    found = dm.estimate_mean(expected)
    np.testing.assert_allclose(
        one.loc[2, ["difference", "difference_ci95_low"]].to_list(), [found.mean, found.ci95_low]
    )
    axes = dm.figures.difference_vs_k(one.reset_index()).axes[0]
    np.testing.assert_allclose(bars(axes)[0], [found.ci95_low, found.ci95_high])


@pytest.mark.parametrize("method", ["exact", "both"])
def test_differences_of_exact_returns_are_drawn_and_said_to_be_so(tmp_path: Path, method: str) -> None:
    store = start_folder(tmp_path, n_train_seeds=3)
    sweep_file = tmp_path / "sweep.yaml"
    sweep_file.write_text(f"{sweep_file.read_text()}\nevaluation: {{method: {method}}}\n")
    each = [2.0, 3.0, 7.0]
    for train_seed, gain in enumerate(each):
        about = {"sweep": "tiny", "setting_id": "only", "train_seed": train_seed, "n_agents": 10, "gamma": 0.95}
        about |= {"horizon": 50, "exact_bound": 1e-9}
        rows = [{**about, "k": k, "exact_return": 80.0 + train_seed + (k == 2) * gain} for k in (1, 2)]
        drawn = [
            evaluation_row("only", k, seed, value(train_seed, k, seed)) | {"train_seed": train_seed}
            for k in (1, 2)
            for seed in range(2)
        ]
        store.commit(f"of-{train_seed}", [(EXACT_RETURNS, rows), *([(EVALUATIONS, drawn)] if method == "both" else [])])
    axes = dm.figures.difference_vs_k(dm.open(tmp_path).points()).axes[0]
    found = dm.estimate_mean(each)
    np.testing.assert_allclose(bars(axes), [[found.ci95_low, found.ci95_high]])
    dots = [line.get_ydata()[0] for line in axes.get_lines() if line.get_alpha() is not None]
    np.testing.assert_allclose(dots, each)
    assert EXACT_DIFFERENCE_NOTE in [text.get_text() for text in axes.texts]


def test_differences_of_rollouts_are_not_said_to_be_exact(points: pd.DataFrame) -> None:
    texts = [text.get_text() for text in dm.figures.difference_vs_k(points).axes[0].texts]
    assert EXACT_DIFFERENCE_NOTE not in texts


def test_the_caption_says_what_several_trainings_earn() -> None:
    assert "Of several, each earns its exact return where all of them have one" in REWARD.caption.computed


def test_several_settings_have_a_panel_each_with_one_axis(points: pd.DataFrame) -> None:
    figure = dm.figures.reward_vs_k(points)
    assert [axes.get_title() for axes in figure.axes] == ["policy=softmax", "policy=greedy"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    grey = [line for line in figure.axes[0].get_lines() if line.get_color() == "#555555"]
    np.testing.assert_allclose(grey[0].get_ydata(), points.loc[points["setting_id"] == "b", "trainings_median"])


def beside() -> dict[str, pd.DataFrame]:
    """Return ceilings, baselines and pairs from elsewhere, which differ between the settings."""
    levels = [("a", "random", 40.0), ("a", "full_information", 105.0), ("b", "random", 45.0), ("b", "blind", 60.0)]
    pairs = [(name, "mine", k, value + k) for name, value in (("a", 70.0), ("b", 75.0)) for k in K_VALUES]
    return {
        "bounds": pd.DataFrame([("a", 50.0, 120.0), ("b", 50.0, 130.0)], columns=["setting_id", "horizon", "ceiling"]),
        "baselines": pd.DataFrame(levels, columns=["setting_id", "baseline", "value"]).assign(method="exact"),
        "policies": pd.DataFrame(pairs, columns=["setting_id", "policy", "k", "value"]),
    }


def levels(axes: Axes) -> dict[float, str]:
    """Return the heights of levels, and their dashes."""
    flat = [line for line in axes.get_lines() if list(line.get_xdata()) == [0, 1]]
    return {float(np.asarray(line.get_ydata())[0]): str(line._unscaled_dash_pattern) for line in flat}  # type: ignore[attr-defined]


def test_each_panel_has_its_own_levels_and_pairs_from_elsewhere(points: pd.DataFrame) -> None:
    figure = dm.figures.reward_vs_k(points, **beside())
    first, second = (levels(axes) for axes in figure.axes)
    assert list(first) == [120.0, 105.0, 40.0]
    assert list(second) == [130.0, 60.0, 45.0]
    assert (first[120.0], first[40.0]) == (second[130.0], second[45.0]), "a name has the same dashes in all panels"
    assert len({*first.values(), second[60.0]}) == 4
    for axes, value in zip(figure.axes, (70.0, 75.0), strict=True):
        heights = [np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()]
        assert [value + k for k in K_VALUES] in heights
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["nobody earns more", "full information", "random", "blind", "mine"]


def test_on_one_pair_of_axes_ceilings_are_short_and_pairs_from_elsewhere_a_note(points: pd.DataFrame) -> None:
    axes = plt.figure().add_subplot()
    dm.figures.reward_vs_k(points, **beside(), ax=axes)
    assert not levels(axes)
    heights = [np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()]
    assert [120.0] * 2 in heights
    assert [130.0] * 2 in heights
    assert TABLES_NOTE.format("pairs from elsewhere") in " ".join(text.get_text() for text in axes.texts)
    plt.close(axes.figure)


@pytest.mark.parametrize("n_words", [4, 40])
def test_long_names_above_panels_are_folded(points: pd.DataFrame, n_words: int) -> None:
    words = ", ".join(f"alternating.word{number}" for number in range(n_words))
    named = points.assign(label=[f"{words}, {label}" for label in points["label"]])
    figure = dm.figures.reward_vs_k(named)
    figure.draw_without_rendering()
    first, second = (axes.title.get_window_extent() for axes in figure.axes)
    assert 0 <= first.x0 < first.x1 < second.x0 < second.x1 <= figure.bbox.x1
    assert [axes.get_title().splitlines()[-1].endswith("policy=softmax") for axes in figure.axes] == [True, False]
    notes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert max(first.y1, second.y1) <= min(note.y0 for note in notes)


def test_on_axes_of_ones_own_they_stand_side_by_side(points: pd.DataFrame) -> None:
    figure, axes = plt.subplots()
    assert dm.figures.reward_vs_k(points, ax=axes) is figure
    assert figure.axes == [axes]
    plt.close(figure)


def test_gaps_and_prices_are_those_of_each_training(folder: Path) -> None:
    gaps = dm.open(folder).nash_gaps
    for draw, n_strong in ((dm.figures.nash_gap_vs_k, 2), (dm.figures.price_of_subsampling, 2)):
        figure = draw(gaps)
        assert len(figure.axes) == 2
        thin = [line for line in figure.axes[0].get_lines() if line.get_alpha() is not None]
        assert len(thin) == n_strong * N_TRAININGS
    lower = gaps.query("setting_id == 'a' and quantity == 'global_lower' and k == 1")["value"]
    found = dm.estimate_mean(lower.to_numpy())
    axes = dm.figures.nash_gap_vs_k(gaps[gaps["setting_id"] == "a"]).axes[0]
    assert np.isclose(bars(axes), [found.ci95_low, found.ci95_high]).all(axis=1).any()


def test_what_is_drawn_is_told(points: pd.DataFrame) -> None:
    texts = " ".join(text.get_text() for text in dm.figures.reward_vs_k(points).axes[0].texts)
    for words in ("6 trainings, min to max", "strong: median", "95 % interval, over trainings"):
        assert words in texts


def test_it_is_said_whose_local_policy_full_information_answers(points: pd.DataFrame) -> None:
    baselines = pd.DataFrame({"baseline": ["full_information", "random"], "method": "exact", "value": [110.0, 70.0]})
    one = points[points["setting_id"] == "a"]
    figure = dm.figures.reward_vs_k(one, baselines=baselines.assign(setting_id="a"))
    assert "full information" in [text.get_text() for text in figure.legends[0].get_texts()]
    note = "full information: of the first training's local policy"
    assert note in [text.get_text() for text in figure.axes[0].texts]
    assert note not in [text.get_text() for text in dm.figures.reward_vs_k(one).axes[0].texts]


def test_of_a_single_training_it_is_said_what_the_band_does_not_contain(tmp_path: Path) -> None:
    store = start_folder(tmp_path, n_eval_seeds=3)
    commit_points(store, [("only", k, seed) for k in (1, 2) for seed in range(3)])
    figure = dm.figures.reward_vs_k(dm.open(tmp_path).points())
    assert BAND_NOTE in [text.get_text() for text in figure.axes[0].texts]
    figure = dm.figures.difference_vs_k(dm.open(tmp_path).points())
    assert DIFFERENCE_NOTE in [text.get_text() for text in figure.axes[0].texts]
    assert all("not of other trainings" in note for note in (BAND_NOTE, BARS_NOTE, DIFFERENCE_NOTE))
