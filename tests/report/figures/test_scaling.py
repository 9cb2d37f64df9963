"""The figure of a grid over n_agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.scaling import MAX_ROWS, scaling
from distmarl.values.intervals import estimate_mean

GAMMAS = (0.9, 0.95)


def tables(
    n_agents: tuple[int, ...] = (10, 1000), gammas: tuple[float, ...] = GAMMAS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a summary with the return n + 100 gamma + k, and its settings."""
    settings = pd.DataFrame(
        [
            {
                "setting_id": f"{n}-{gamma}",
                "in_sweep": True,
                "label": "",
                "environment.n_agents": n,
                "environment.gamma": gamma,
            }
            for n in n_agents
            for gamma in gammas
        ]
    )
    rows = [
        {
            "setting_id": row["setting_id"],
            "k": k,
            "mean_return": row["environment.n_agents"] + 100 * row["environment.gamma"] + k,
            "exact_return": np.nan,
            "ci95_low": 1.0,
            "ci95_high": 2.0,
        }
        for row in settings.to_dict("records")
        for k in (1, 2, 8)
    ]
    return pd.DataFrame(rows), settings


def drawn(*frames: pd.DataFrame, **options: Any) -> Figure:
    figure = scaling(*frames, **options)
    assert figure is not None
    return figure


def test_returns_and_prices_are_drawn_against_n() -> None:
    figure = drawn(*tables())
    for gamma, (left, right) in zip(GAMMAS, np.reshape(figure.axes, (2, 2)), strict=True):
        lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
        assert list(lines) == ["k = 1", "k = 2", "k = 8"]
        np.testing.assert_allclose(lines["k = 2"], [[10, 12 + 100 * gamma], [1000, 1002 + 100 * gamma]])
        prices = {line.get_label(): line.get_xydata() for line in right.lines}
        np.testing.assert_allclose(prices["k = 1"], [[10, 7], [1000, 7]])
        np.testing.assert_allclose(prices["k = 2"], [[10, 6], [1000, 6]])
        assert len(prices["k = 8"]) == 0
        assert left.get_title(loc="left") == f"gamma={gamma}"
    assert figure.axes[0].get_xscale() == "log"
    assert drawn(*tables((10, 20))).axes[0].get_xscale() == "linear"


def test_exact_returns_are_drawn_where_they_are_known() -> None:
    summary, settings = tables(gammas=(0.9,))
    figure = drawn(summary.assign(exact_return=5.0), settings)
    assert all((line.get_ydata() == 5).all() for line in figure.axes[0].lines)
    assert not any(len(one.get_segments()) for one in figure.axes[0].collections)
    assert all(len(one.get_segments()) == 2 for one in drawn(summary, settings).axes[0].collections)


def test_only_what_has_the_largest_k_of_its_row_has_a_price() -> None:
    summary, settings = tables((10, 100, 1000))
    is_missing = (summary["setting_id"] == "100-0.9") & (summary["k"] == 8)
    figure = drawn(summary[~is_missing], settings)
    left, right, _, complete = figure.axes
    assert [line.get_xdata().tolist() for line in left.lines] == [[10, 100, 1000]] * 2 + [[10, 1000]]
    assert [line.get_xydata().tolist() for line in right.lines] == [[[10, 7], [1000, 7]], [[10, 6], [1000, 6]], []]
    assert [len(line.get_xydata()) for line in complete.lines] == [3, 3, 0]
    assert right.get_ylabel() == complete.get_ylabel() == "lost against k = 8"


def test_each_row_names_the_k_that_it_is_compared_with() -> None:
    summary, settings = tables()
    is_missing = summary["setting_id"].str.endswith("-0.9") & (summary["k"] == 8)
    axes = drawn(summary[~is_missing], settings).axes
    assert [one.get_ylabel() for one in axes[1::2]] == ["lost against k = 2", "lost against k = 8"]
    np.testing.assert_allclose(axes[1].lines[0].get_xydata(), [[10, 1], [1000, 1]])


@pytest.mark.parametrize(
    ("exact", "unfinished", "note"),
    [
        ([], None, ["same seeds of the rollouts for every k"]),
        ([], "unfinished: 1 of 2", []),
        ([0], None, []),
        (range(6), None, ["difference of exact returns"]),
    ],
)
def test_the_note_says_how_returns_compare(exact: Sequence[int], unfinished: str | None, note: list[str]) -> None:
    summary, settings = tables(gammas=(0.9,))
    summary.loc[list(exact), "exact_return"] = 5.0
    figure = drawn(summary, settings, unfinished=unfinished)
    assert [text.get_text() for text in figure.axes[1].texts] == note


N_TRAININGS = 4


def trained_tables(n_agents: tuple[int, ...] = (10, 1000)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return tables of four trainings, which differ by far more than what each of them loses with a smaller k."""
    summary, settings = tables(n_agents, (0.9,))
    levels = 50.0 * np.arange(N_TRAININGS)
    own = [
        list(mean + levels + 0.1 * (8 - k) * np.arange(N_TRAININGS))
        for mean, k in zip(summary["mean_return"], summary["k"], strict=True)
    ]
    seeds = [list(range(N_TRAININGS))] * len(summary)
    return summary.assign(n_train_seeds=N_TRAININGS, train_seeds=seeds, training_returns=own), settings


def ends_of_bars(axes: Axes) -> list[list[float]]:
    return [segment[:, 1].tolist() for each in axes.collections for segment in each.get_segments()]  # type: ignore[attr-defined]


def test_of_several_trainings_each_is_a_dot_and_what_is_lost_is_taken_within_each_first() -> None:
    figure = drawn(*trained_tables())
    left, right = figure.axes
    strong = {line.get_label(): line.get_ydata() for line in right.lines if str(line.get_label()).startswith("k = ")}
    each = {k: 8 - k - 0.1 * (8 - k) * np.arange(N_TRAININGS) for k in (1, 2)}
    for k, prices in each.items():
        np.testing.assert_allclose(strong[f"k = {k}"], [prices.mean()] * 2)
    expected = [estimate_mean(each[k]) for k in (1, 2) for _ in range(2)]
    np.testing.assert_allclose(ends_of_bars(right), [(found.ci95_low, found.ci95_high) for found in expected])
    assert (
        max(high - low for low, high in ends_of_bars(right)) < 5 < min(high - low for low, high in ends_of_bars(left))
    )
    dots = [line for line in left.lines if line.get_marker() == "."]
    assert len(dots) == 3 * N_TRAININGS
    for axes in (left, right):
        heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
        low, high = axes.get_ylim()
        assert low <= min(heights) <= max(heights) <= high
    said = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "dots: 4 trainings" in said
    assert "within each training first" in said


@pytest.mark.parametrize("n_agents", [(10, 1000), (10, 12, 14, 16, 18, 20)])
def test_bars_and_dots_of_several_k_do_not_lie_over_each_other(n_agents: tuple[int, ...]) -> None:
    figure = drawn(*trained_tables(n_agents))
    figure.draw_without_rendering()
    left = figure.axes[0]
    places = [
        next(line.get_transform().transform((n, 100.0))[0] for line in left.lines if line.get_label() == f"k = {k}")
        for n in n_agents
        for k in (1, 2, 8)
    ]
    assert min(np.diff(places)) > 4  # pixels
    edges = left.get_window_extent()
    assert edges.x0 < places[0] < places[-1] < edges.x1


def test_a_training_that_lacks_the_largest_k_has_no_price() -> None:
    summary, settings = trained_tables()
    at_most = summary["k"] == 8
    summary.loc[at_most, "training_returns"] = summary.loc[at_most, "training_returns"].map(lambda each: each[:3])
    summary.loc[at_most, "train_seeds"] = summary.loc[at_most, "train_seeds"].map(lambda each: each[:3])
    right = drawn(summary, settings).axes[1]
    found = estimate_mean(7 - 0.7 * np.arange(3))
    np.testing.assert_allclose(ends_of_bars(right)[0], (found.ci95_low, found.ci95_high))


@pytest.mark.parametrize("drop", ["environment.n_agents", None])
def test_without_a_grid_over_n_there_is_no_figure(drop: str | None) -> None:
    summary, settings = tables() if drop else tables(n_agents=(10,))
    assert scaling(summary, settings.drop(columns=[drop] if drop else [])) is None


def test_settings_of_earlier_sweep_files_are_left_out() -> None:
    summary, settings = tables(gammas=(0.9,))
    settings.loc[1, "in_sweep"] = False
    assert scaling(summary, settings) is None


def test_of_many_groups_some_are_shown() -> None:
    gammas = tuple(0.5 + 0.01 * number for number in range(MAX_ROWS + 2))
    figure = drawn(*tables(gammas=gammas), unfinished="unfinished: 1 of 2")
    assert len(figure.axes) == 2 * MAX_ROWS
    said = [text.get_text() for text in figure.axes[0].texts]
    assert f"{MAX_ROWS} of {MAX_ROWS + 2} groups of settings shown" in said
    assert "unfinished: 1 of 2" in said


def test_another_frame_is_refused() -> None:
    summary, settings = tables()
    with pytest.raises(
        InvalidArgumentError, match=r"settings: .* such as dm\.open\(\.\.\.\)\.settings; it has no column in_sweep"
    ):
        scaling(summary, summary)
    with pytest.raises(InvalidArgumentError, match=r"summary: .* it has no column k, "):
        scaling(settings, settings)
