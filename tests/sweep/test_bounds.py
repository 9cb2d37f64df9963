"""What nobody earns more than, as a sweep works it out and tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import distmarl as dm
from distmarl.errors import ConfigError
from distmarl.learning.best.blind import blind_pair, blind_return
from tests.conftest import RunCommand
from tests.places import snapshot_of
from tests.report.pages import Page
from tests.sweep.sweeps import TINY, changed, plan_of, run, write_sweep
from tests.sweep.test_session import CountingExecutor

ASKED = changed(
    TINY,
    global_agent={"transitions": "exact"},
    evaluation={"method": "both"},
    experiment={"bound": "exact", "baselines": ["random", "blind"], "nash_gap": "exact"},
)


def bounds(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "bounds").set_index("steps")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that asked for everything, run by the command, with its report."""
    from distmarl.sweep.__main__ import main

    place = tmp_path_factory.mktemp("bounds")
    assert main([str(write_sweep(place, ASKED)), "--out", str(place / "out"), "--executor", "serial"]) == 0
    return place / "out"


def test_the_table_holds_what_the_notebook_bounds(folder: Path) -> None:
    env = plan_of(ASKED).jobs[0].environment
    rows = bounds(folder)
    for steps, horizon in (("horizon", 5), ("all steps", None)):
        expected = dm.value_bound(env, horizon=horizon)
        row = rows.loc[steps]
        assert (row["value"], row["error"], row["ceiling"]) == (expected.value, expected.error, expected.ceiling)
        assert (row["m"], row["method"], row["n_iterations"]) == (expected.m, expected.method, expected.n_iterations)
        assert pd.isna(row["horizon"]) if horizon is None else row["horizon"] == horizon
    assert rows["asked_m"].isna().all()


def test_random_is_the_baseline_of_that_name_and_nobody_exceeds_the_ceiling(folder: Path) -> None:
    baselines = pd.read_parquet(folder / "baselines").query("method == 'exact'").set_index("baseline")["value"]
    row = bounds(folder).loc["horizon"]
    assert baselines["random"] == row["random"]
    exact = pd.read_parquet(folder / "exact_returns")
    assert (exact["exact_return"] - exact["exact_bound"] <= row["ceiling"]).all()
    gaps = pd.read_parquet(folder / "nash_gaps").set_index("quantity")["value"]
    best = (gaps["joint_value"].to_numpy() + gaps["global_upper"].to_numpy()).max()
    assert best <= bounds(folder).loc["all steps", "ceiling"] + 1e-6


def test_the_blind_baseline_is_the_best_pair_that_sees_nobody(folder: Path) -> None:
    env = plan_of(ASKED).jobs[0].environment
    found = blind_pair(env)
    worth = blind_return(env, found.global_actions, found.local_policy, horizon=5)
    rows = pd.read_parquet(folder / "baselines").set_index(["baseline", "method"])["value"]
    assert rows["blind", "exact"] == pytest.approx(worth.value)
    errors = pd.read_parquet(folder / "baselines").set_index(["baseline", "method"])["error"]
    assert abs(rows["blind", "rollouts"] - worth.value) <= 5 * errors["blind", "rollouts"]


def test_the_report_tells_the_share_of_the_ceiling(folder: Path) -> None:
    row = bounds(folder).loc["horizon"]
    points = dm.open(folder).points().set_index("k")
    share = (points["exact_return"] - row["random"]) / (row["ceiling"] - row["random"])
    assert points["ceiling_share"].tolist() == pytest.approx(share.tolist())
    text = Page(folder / "report.html").text()
    assert f"Share of the ceiling at k = 3 {100 * share[3]:.1f} %" in text
    assert f"to what nobody earns more than, {row['ceiling']:.2f}" in text
    assert "What nobody earns more than" in text
    assert ("not of what is possible" in text) == (share[3] < 0.95)


def test_the_final_table_has_the_share_and_the_ceiling(call_sweep: RunCommand, tmp_path: Path) -> None:
    asked = changed(TINY, experiment={"bound": "exact", "k_values": [1]}, evaluation={"n_rollouts": 2})
    done = call_sweep(str(write_sweep(tmp_path, asked)), "--executor", "serial", "--out", "out")
    assert done.returncode == 0, done.stderr
    (share,) = dm.open(tmp_path / "out").points()["ceiling_share"]
    ceiling = bounds(tmp_path / "out").loc["horizon", "ceiling"]
    assert "Of ceiling" in done.stdout
    assert f"{100 * share:.1f} %" in done.stdout
    assert f"Nobody earns more than {ceiling:.2f}" in done.stdout


def test_figures_have_the_ceiling_where_horizons_agree(folder: Path) -> None:
    from distmarl.report.catalogue import FIGURES
    from distmarl.report.numbers import read_numbers

    numbers, rows = read_numbers(snapshot_of(folder)), bounds(folder)["ceiling"]
    reward, gap, price = (
        FIGURES[name].drawn(numbers) for name in ("reward_vs_k", "nash_gap_vs_k", "price_of_subsampling")
    )
    levels = {line.get_ydata()[0] for line in reward.axes[0].lines}
    assert rows["horizon"] in levels
    assert rows["all steps"] not in levels
    assert "nobody earns more" in [text.get_text() for text in reward.legends[0].get_texts()]
    assert rows["all steps"] in {line.get_ydata()[0] for line in price.axes[0].lines}
    joint = numbers.nash_gaps.query("quantity == 'joint_value'")["value"].to_numpy()
    most = [line.get_ydata() for line in gap.axes[0].lines if line.get_label() == "most by any change"]
    assert most[0].tolist() == (rows["all steps"] - joint).tolist()
    # Gaps over another number of steps are not to be compared with it.
    other = numbers.nash_gaps.assign(horizon=7)
    figure = FIGURES["nash_gap_vs_k"].draw(other, bounds=numbers.bounds)
    assert not [line for line in figure.axes[0].lines if line.get_label() == "most by any change"]


def test_a_bound_can_be_asked_for_later_and_of_another_game(tmp_path: Path) -> None:
    plain = changed(TINY, experiment={"k_values": [1]})
    run(tmp_path, plain)
    for asked, m in (({"bound": "exact", "bound_m": 2}, 2), ({"bound": "exact"}, 6), ({"bound": "exact"}, 6)):
        counting = CountingExecutor()
        before = len(counting.submitted)
        run(tmp_path, changed(plain, experiment={"k_values": [1], **asked}), counting)
        kinds = [key.kind for key in counting.submitted[before:]]
        assert set(bounds(tmp_path)["m"]) == {m}
    assert kinds == []
    # It is no part of a setting, and waits for no training.
    assert len(pd.read_parquet(tmp_path / "settings")) == 1


def test_of_a_smaller_game_all_agents_are_taken(tmp_path: Path) -> None:
    asked = {**changed(TINY, experiment={"bound": "exact", "bound_m": 4}), "grid": {"environment.n_agents": [3, 6]}}
    run(tmp_path, asked)
    assert sorted(bounds(tmp_path).loc["horizon", "m"]) == [3, 4]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"environment": {"n_agents": 1000}, "experiment": {"bound": "exact", "bound_m": 300}},
            r"experiment\.bound_m: must be at most \d+, got 300: m: the game of 300 agents would take [\d.,]+ GiB",
        ),
        ({"experiment": {"bound": "exact", "bound_m": 0}}, r"experiment\.bound_m: must be at least 1, got 0"),
        ({"experiment": {"bound": "estimate"}}, r"experiment\.bound: must be 'off' or 'exact', got 'estimate'"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of({"name": "large", **sections})


def test_what_does_not_fit_is_no_matter_where_it_is_not_asked_for() -> None:
    plan_of({"environment": {"n_agents": 1000}, "experiment": {"bound_m": 300}})
