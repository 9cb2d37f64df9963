import math

import pandas as pd
import pytest

from distmarl.report.returns import improvement, is_unconverged, summarise, welfare_meaning_of, with_welfare_gaps
from distmarl.results.folder import sweep_settings
from distmarl.results.store import Store
from distmarl.results.tables import SETTINGS, SUMMARY, TIMINGS, TRAININGS
from tests.report.results_folders import commit_points, grid_of, setting_row, start_folder, timing_row


def read_tables(store: Store) -> tuple[pd.DataFrame, ...]:
    return store.summary(), store.read(TRAININGS), store.read(TIMINGS), sweep_settings(store.read(SETTINGS))


def summary_of(store: Store) -> pd.DataFrame:
    return summarise(*read_tables(store))


def test_a_point_is_summarised_over_its_seeds(tmp_path):
    store = start_folder(tmp_path, k_values=[3], n_eval_seeds=4)
    values = {0: 2.0, 1: 4.0, 2: 4.0, 3: 6.0}
    accuracies = iter([0.25, 0.5, 0.5, 0.75])
    commit_points(
        store,
        grid_of(["only"], [3], 4),
        value=lambda _, __, seed: values[seed],
        accuracy=lambda _, __: next(accuracies),
        seconds=lambda _, __: 1.5,
    )
    summary = summary_of(store)
    assert len(summary) == 1
    row = summary.iloc[0]
    assert (row["setting_id"], row["label"], row["k"], row["n_seeds"]) == ("only", "", 3, 4)
    assert row["mean_return"] == pytest.approx(4.0)
    assert row["std_return"] == pytest.approx(math.sqrt(8 / 3))  # deviations -2, 0, 0, 2; three degrees of freedom
    assert (row["min_return"], row["max_return"]) == (2.0, 6.0)
    assert row["mode_accuracy"] == pytest.approx(0.5)
    assert row["train_seconds"] == 1.5
    assert row["bound"] == 1e-7
    assert bool(row["converged"]) is True


def test_columns_are_the_documented_ones(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1], 2))
    more = {"label", "train_seconds", "training_seconds", "bound", "converged"}
    documented = {*SUMMARY.schema.names, *more} - {"sweep"}
    assert set(summary_of(store).columns) == documented


def test_one_seed_has_no_standard_deviation(tmp_path):
    store = start_folder(tmp_path, n_eval_seeds=1)
    commit_points(store, grid_of(["only"], [1, 2], 1))
    assert summary_of(store)["std_return"].isna().all()


def test_k_increases_also_past_nine(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [10, 2, 1], 1))
    assert summary_of(store)["k"].tolist() == [1, 2, 10]


def test_settings_come_in_the_order_of_the_sweep_file(tmp_path):
    grid = {"c": {"environment.n_agents": 30}, "b": {"environment.n_agents": 1000}, "a": {"environment.n_agents": 100}}
    store = start_folder(tmp_path, settings=grid)
    commit_points(store, grid_of(grid, [1, 2], 1))
    summary = summary_of(store)
    assert summary["label"].unique().tolist() == ["n_agents=30", "n_agents=1000", "n_agents=100"]
    assert summary["k"].tolist() == [1, 2] * 3


def test_settings_that_left_the_sweep_are_left_out(tmp_path):
    store = start_folder(tmp_path, settings={"old": {"environment.n_agents": 30}})
    commit_points(store, grid_of(["old", "new"], [1], 2))
    store.add_settings([setting_row("new", {"environment.n_agents": 50})], ["environment.n_agents"])
    assert summary_of(store)["setting_id"].tolist() == ["new"]


def test_only_g_learn_counts_as_training_time(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [2], 2), seconds=lambda _, __: 3.0)
    store.commit("shared", [(TIMINGS, [timing_row("shared_policy", "only", None, 100.0)])])
    assert summary_of(store)["train_seconds"].tolist() == [3.0]


def test_missing_timings_and_trainings_leave_gaps_not_fewer_rows(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    points, trainings, timings, settings = read_tables(store)
    summary = summarise(points, trainings[trainings["k"] == 1], timings[timings["k"] == 2], settings)
    assert summary["train_seconds"].isna().tolist() == [True, False]
    assert summary["converged"].isna().tolist() == [False, True]
    assert not is_unconverged(summary).any()


def test_nothing_evaluated_is_an_empty_summary(tmp_path):
    assert summary_of(start_folder(tmp_path)).empty


def test_unconverged_trainings_are_told_apart(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2), unconverged=[("only", 2)])
    summary = summary_of(store)
    assert is_unconverged(summary).tolist() == [False, True]
    assert summary["bound"].tolist() == [1e-7, 0.25]


def test_improvement_is_from_the_first_to_the_last_k_of_each_setting(tmp_path):
    grid = {"b": {"environment.n_agents": 30}, "a": {"environment.n_agents": 100}}
    store = start_folder(tmp_path, settings=grid)
    values = {("a", 1): 80.0, ("a", 2): 100.0, ("a", 3): 90.0, ("b", 1): -50.0, ("b", 3): -40.0}
    commit_points(store, [(name, k, 0) for name, k in values], value=lambda name, k, _: values[name, k])
    gains = improvement(summary_of(store))
    assert gains["setting_id"].tolist() == ["b", "a"]
    assert gains["first_k"].tolist() == [1, 1]
    assert gains["last_k"].tolist() == [3, 3]
    assert gains["absolute"].tolist() == [10.0, 10.0]
    assert gains["percent"].tolist() == pytest.approx([20.0, 12.5])


def test_improvement_on_nothing_has_no_percentage(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 1), value=lambda _, k, __: k - 1.0)
    gains = improvement(summary_of(store))
    assert gains["absolute"].tolist() == [1.0]
    assert gains["percent"].isna().all()


POINTS = pd.DataFrame({"setting_id": ["one", "one"], "k": [1, 2]})


def gaps_of(horizon: float, *, lower: float = math.nan) -> pd.DataFrame:
    """Gaps of two trainings, at k = 1 alone."""
    values = [("joint_value", (100.0, 102.0), 0.5), ("welfare_lower", (lower, lower), 0.0)]
    values.append(("welfare_upper", (31.0, 29.0), 0.5))
    return pd.DataFrame(
        {"setting_id": "one", "k": 1, "quantity": quantity, "value": value, "error": error, "horizon": horizon}
        for quantity, of_trainings, error in values
        for value in of_trainings
    )


def ceilings_of(**ceilings: float) -> pd.DataFrame:
    steps = {"endless": math.nan, "fifty": 50.0}
    rows = [{"setting_id": "one", "horizon": steps[name], "ceiling": ceiling} for name, ceiling in ceilings.items()]
    return pd.DataFrame(rows, columns=["setting_id", "horizon", "ceiling"])


@pytest.mark.parametrize(
    ("horizon", "ceilings", "upper"),
    [
        (math.nan, {}, 30.5),
        (math.nan, {"endless": 125.0, "fifty": 110.0}, 24.5),
        (math.nan, {"endless": 140.0, "fifty": 110.0}, 30.5),
        (math.nan, {"fifty": 110.0}, 30.5),
        (50.0, {"endless": 125.0, "fifty": 110.0}, 9.5),
        (66.0, {"endless": 125.0, "fifty": 110.0}, 30.5),
    ],
)
def test_the_welfare_gap_takes_the_lower_ceiling_over_as_many_steps_with_all_errors(horizon, ceilings, upper):
    found = with_welfare_gaps(POINTS, gaps_of(horizon, lower=3.0), ceilings_of(**ceilings))
    assert found["welfare_upper"].tolist() == pytest.approx([upper, math.nan], nan_ok=True)
    assert found["welfare_lower"].tolist() == pytest.approx([3.0, math.nan], nan_ok=True)
    assert found["k"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("gaps", "meaning"),
    [
        (
            gaps_of(math.nan, lower=3.0),
            "best pair that was found would gain, and what nobody gains more than, over all",
        ),
        (gaps_of(math.nan), "what nobody gains more than, over all steps"),
        (gaps_of(66.0), "what nobody gains more than, over 66 steps"),
        (pd.concat([gaps_of(66.0), gaps_of(math.nan).assign(k=2)]), "gains more than, over the steps of the gaps"),
    ],
)
def test_what_a_welfare_gap_means_says_over_how_many_steps_and_whether_one_was_searched_for(gaps, meaning):
    said = welfare_meaning_of(with_welfare_gaps(POINTS, gaps, ceilings_of()))
    assert meaning in said
    assert ("best pair" in meaning) == ("best pair" in said)
