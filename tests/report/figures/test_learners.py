"""Model-free learners in figures: against their samples, and as curves against k."""

from __future__ import annotations

import pandas as pd
import pytest

from distmarl.errors import InvalidArgumentError
from distmarl.report.figures.against_k import reward_vs_k
from distmarl.report.figures.learner_curves import in_powers
from distmarl.report.figures.learners import return_vs_samples
from tests.report.figures.test_against_k import summary_of
from tests.report.results_folders import learner_row, training_row


def learners_of(settings: tuple[str, ...] = ("s00",), n_trainings: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        {**learner_row(name, k, learner, budget, train_seed), "exact_return": None}
        for name in settings
        for k in (1, 5)
        for train_seed in range(n_trainings)
        for learner in ("independent_q", "subsampled_q")
        for budget in (1_000, 100_000)
    ).astype({"exact_return": "float64"})


def names(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_learner_and_k_is_a_line_over_the_samples_that_it_drew() -> None:
    axes = return_vs_samples(learners_of()).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert [line.get_xdata().tolist() for line in lines] == [[990, 99_990]] * 4
    assert [line.get_ydata().tolist() for line in lines] == [[13, 15], [12, 14], [53, 55], [52, 54]]
    assert axes.get_xscale() == "log"


def test_bars_are_intervals_of_one_training_and_ends_of_several() -> None:
    def bar(rows: pd.DataFrame) -> list[float]:
        return return_vs_samples(rows).axes[0].collections[0].get_segments()[0][:, 1].tolist()

    assert bar(learners_of()) == pytest.approx([12.8, 13.3])
    assert bar(learners_of(n_trainings=3)) == pytest.approx([13, 15])
    notes = [text.get_text() for text in return_vs_samples(learners_of(n_trainings=3)).axes[0].texts]
    assert notes == ["mean of 3 trainings; bars: min to max"]


def test_exact_returns_are_preferred() -> None:
    axes = return_vs_samples(learners_of().assign(exact_return=7.0)).axes[0]
    assert {float(value) for line in axes.lines for value in line.get_ydata()} == {7.0}


def test_trained_pairs_are_levels_with_a_cross_where_g_learn_drew() -> None:
    trainings = pd.DataFrame([{**training_row("s00", k), "n_samples": drawn} for k, drawn in ((1, 0), (5, 750))])
    figure = return_vs_samples(learners_of(), summary=summary_of(), trainings=trainings)
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 1]]
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert levels == [1.0, 5.0]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(750.0, 5.0)]
    assert names(figure) == ["k = 1", "k = 5", "independent q", "subsampled q", "trained pair"]


def test_a_single_budget_and_other_settings_are_left_out() -> None:
    rows = learners_of(("s00", "s01"))
    assert return_vs_samples(rows[rows["budget"] == 1_000]) is None
    axes = return_vs_samples(rows.assign(label="n=1")).axes[0]
    assert "1 of 2 settings: n=1" in [text.get_text() for text in axes.texts]


def test_another_frame_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"learners: must be a frame such as dm.open\(...\).learners"):
        return_vs_samples(summary_of())


def test_learners_are_curves_at_their_largest_budget_where_there_is_one_setting() -> None:
    figure = reward_vs_k(summary_of(), learners=learners_of(n_trainings=3))
    curves = [line.get_ydata().tolist() for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert curves == [[16, 56], [15, 55]]
    assert names(figure) == ["independent q, 10⁵ samples", "subsampled q, 10⁵ samples"]
    several = reward_vs_k(summary_of(2), learners=learners_of(("s00", "s01")))
    assert not [line for line in several.axes[0].lines if line.get_linestyle() == "--"]


@pytest.mark.parametrize(
    ("value", "text"), [(10**5, "10⁵"), (2_500_000, "2.5·10⁶"), (99_696, "9.97·10⁴"), (999_936, "10⁶")]
)
def test_numbers_are_told_in_powers_of_ten(value: float, text: str) -> None:
    assert in_powers(value) == text
