"""Model-free learners in a sweep: what their rows hold, when they are done, and where they are told of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import distmarl as dm
from distmarl.errors import ConfigError
from distmarl.report.catalogue import FIGURES
from distmarl.report.numbers import read_numbers
from distmarl.report.page.page_tables import PAGE_TABLES
from distmarl.report.page.table import filled
from distmarl.values.intervals import estimate_mean
from tests.places import snapshot_of
from tests.sweep.sweeps import TINY, changed, plan_of, run
from tests.sweep.test_session import CountingExecutor

LEARNERS = {"independent_q": dm.independent_q, "subsampled_q": dm.subsampled_q}
BUDGETS = [3_000, 1_000]
ASKED = changed(TINY, experiment={"baselines": [*LEARNERS, "random"], "baseline_samples": BUDGETS, "n_train_seeds": 2})


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "learners")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("learners")
    run(place, changed(ASKED, evaluation={"method": "both"}))
    return place


def test_a_row_holds_what_the_notebook_learns_and_is_worth(folder: Path) -> None:
    rows = rows_of(folder).set_index(["learner", "k", "train_seed", "budget"])
    assert len(rows) == 2 * 2 * 2 * 2
    env = plan_of(ASKED).jobs[0].environment
    for name, k, train_seed, budget in (("independent_q", 3, 0, 1_000), ("subsampled_q", 1, 1, 3_000)):
        row = rows.loc[name, k, train_seed, budget]
        learnt = LEARNERS[name](env, k=k, n_samples=budget, seed=(0, 1) if train_seed else 0)
        pair = learnt.global_policy, learnt.local_policy
        assert (row["n_samples"], row["visited"]) == (learnt.n_samples, learnt.visited)
        seeds = [(0, 1, number) if train_seed else (0, number) for number in range(2)]
        returns = [dm.evaluate(env, *pair, k=k, n_rollouts=4, horizon=5, seed=seed).returns for seed in seeds]
        mean = estimate_mean([value for each in returns for value in each])
        columns = ["mean_return", "standard_error", "ci95_low", "ci95_high", "n_rollouts"]
        assert row[columns].tolist() == [mean.mean, mean.standard_error, mean.ci95_low, mean.ci95_high, 8]
        exact = dm.exact_return(env, *pair, k=k, horizon=5)
        assert row["exact_return"] == pytest.approx(exact.value, abs=1e-6)


def test_the_levels_are_still_a_task_of_their_own(folder: Path) -> None:
    assert set(pd.read_parquet(folder / "baselines")["baseline"]) == {"random"}
    kinds = pd.read_parquet(folder / "timings")["task"].value_counts()
    assert (kinds["independent_q"], kinds["subsampled_q"], kinds["baselines"]) == (4, 4, 1)


def test_the_page_lists_them_and_the_figure_is_drawn(folder: Path) -> None:
    numbers = read_numbers(snapshot_of(folder))
    table = filled(PAGE_TABLES["learners"], numbers)
    assert table is not None
    assert len(table.rows) == 16
    shown = [cell.text for cell in table.rows[0]]
    row = rows_of(folder).query("k == 1 and train_seed == 0 and learner == 'independent_q' and budget == 1000").iloc[0]
    assert shown[:4] == ["1", "0", "independent q", f"{row['n_samples']:,}"]
    assert float(shown[4]) == pytest.approx(row["exact_return"], abs=0.01)
    assert FIGURES["return_vs_samples"].drawn(numbers) is not None
    assert dm.open(folder).learners.shape[0] == 16


def test_exact_returns_need_no_rollouts(tmp_path: Path) -> None:
    asked = {"baselines": ["subsampled_q"], "baseline_samples": [2_000]}
    run(tmp_path, changed(TINY, evaluation={"method": "exact"}, experiment=asked))
    rows = rows_of(tmp_path)
    assert rows["mean_return"].isna().all()
    assert rows["exact_return"].notna().all()
    assert rows["n_rollouts"].tolist() == [0, 0]


def test_only_what_is_missing_runs(tmp_path: Path) -> None:
    asked = changed(ASKED, experiment={"baselines": ["independent_q"], "n_train_seeds": 1, "baseline_samples": [1_000]})
    run(tmp_path, asked)
    first = rows_of(tmp_path)
    for change, kinds in (
        ({}, []),
        ({"baselines": ["independent_q", "subsampled_q"]}, ["subsampled_q"] * 2),
        ({"baseline_samples": [1_000, 2_000]}, ["independent_q"] * 2),
        ({"baseline_samples": [2_000]}, []),
        ({"k_values": [1, 2, 3], "baseline_samples": [1_000]}, ["evaluate"] * 2 + ["g_learn", "independent_q"]),
    ):
        counting = CountingExecutor()
        run(tmp_path, changed(asked, experiment=change), counting)
        assert sorted(key.kind for key in counting.submitted) == kinds
    again = rows_of(tmp_path).query("learner == 'independent_q' and budget == 1000 and k != 2")
    pd.testing.assert_frame_equal(again.reset_index(drop=True), first)


def test_more_evaluation_seeds_evaluate_again(tmp_path: Path) -> None:
    few = changed(ASKED, experiment={"baselines": ["subsampled_q"], "n_train_seeds": 1})
    run(tmp_path, few)
    run(tmp_path, changed(few, experiment={"n_eval_seeds": 3}))
    assert set(rows_of(tmp_path)["n_rollouts"]) == {12}


def test_a_budget_below_a_step_is_refused_before_the_start() -> None:
    with pytest.raises(ConfigError, match=r"baseline_samples: must be at least 497 for independent_q, got 99"):
        plan_of(changed(ASKED, experiment={"baseline_samples": [5_000, 99]}))
    plan_of(changed(TINY, experiment={"baseline_samples": [99]}))  # nobody asks for learners


@pytest.mark.parametrize(("transitions", "n_samples"), [("sampled", [27, 81]), ("exact", [0, 0]), ("rounded", [0, 0])])
def test_trainings_say_how_many_samples_g_learn_drew(tmp_path: Path, transitions: str, n_samples: list[int]) -> None:
    run(tmp_path, changed(TINY, global_agent={"transitions": transitions}))
    assert pd.read_parquet(tmp_path / "trainings")["n_samples"].tolist() == n_samples  # G L k m
