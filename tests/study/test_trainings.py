"""Several trainings of a setting (``experiment.n_train_seeds``): what runs, with which random numbers, at what cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import distmarl as dm
from distmarl.model.random_streams import Role, evaluation_seed, random_stream, training_seed
from distmarl.results.snapshot import Snapshot
from distmarl.study.kinds import KINDS
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast
from tests.places import snapshot_of
from tests.sweep.sweeps import DETERMINISTIC_TABLES, TINY, ShuffledExecutor, changed, plan_of, run, table_bytes

WHOLE = changed(
    TINY,
    environment={"n_agents": 4},
    evaluation={"method": "both"},
    experiment={"nash_gap": "exact", "baselines": ["random", "full_information"], "bound": "exact"},
)
SEARCHING = changed(
    TINY,
    alternating={"starts": ["uniform", "stay"]},
    global_agent={"transitions": "exact", "answer": "best"},
    local_agent={"policy": "greedy"},
    experiment={"local_policy": "per_k", "k_values": [1, 2]},
)


def of_trainings(mapping: dict[str, object], number: int) -> dict[str, object]:
    return changed(mapping, experiment={"n_train_seeds": number})


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five trainings, undisturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("five")
    run(folder, of_trainings(WHOLE, 5))
    return folder


def test_raising_and_lowering_their_number_runs_what_is_missing_and_no_more(five: Path, tmp_path: Path) -> None:
    done = [run(tmp_path, of_trainings(WHOLE, number)) for number in (1, 5, 3, 5)]
    per_training, once = 1 + 2 + 2 + 2 + 4, 3  # baselines, a bound, and the best pair
    assert [tally.total.total() for tally in done] == [number * per_training + once for number in (1, 5, 3, 5)]
    assert [tally.n_done_before for tally in done[1:]] == [tally.total.total() for tally in (done[0], *done[2:])]
    assert table_bytes(tmp_path) == table_bytes(five)


def test_whoever_runs_them_in_whatever_order_makes_the_same_tables(tmp_path: Path) -> None:
    run(tmp_path / "in order", of_trainings(TINY, 3))
    run(tmp_path / "shuffled", of_trainings(TINY, 3), ShuffledExecutor(7))
    assert table_bytes(tmp_path / "in order") == table_bytes(tmp_path / "shuffled")


def test_the_first_of_several_is_the_only_one_of_before(five: Path, tmp_path: Path) -> None:
    run(tmp_path, WHOLE)
    for name in set(DETERMINISTIC_TABLES) - {"settings", "summary"}:
        one, several = (pd.read_parquet(folder / name) for folder in (tmp_path, five))
        first = several[several["train_seed"] == 0] if "train_seed" in several else several
        pd.testing.assert_frame_equal(first.reset_index(drop=True), one)


def test_each_has_policies_and_returns_of_its_own(five: Path) -> None:
    r = dm.open(five)
    assert set(r.evaluations["train_seed"]) == set(range(5))
    assert r.evaluations["mean_return"].is_unique
    policies = np.array([r.local_policy(train_seed=number) for number in range(5)])
    assert len(np.unique(policies.reshape(5, -1), axis=0)) > 1


def test_what_does_not_depend_on_them_runs_once(five: Path) -> None:
    timings = pd.read_parquet(five / "timings")
    counts = timings.groupby("task")["setting_id"].size()
    assert (counts["baselines"], counts["bound"], counts["welfare"], counts["shared_policy"]) == (1, 1, 1, 5)


def test_a_stored_evaluation_of_any_of_them_is_played_again(five: Path) -> None:
    r = dm.open(five)
    for row in r.evaluations.query("k == 3 and seed == 1").to_dict("records"):
        again = r.evaluate(3, 1, train_seed=row["train_seed"])
        np.testing.assert_array_equal(again.returns, row["returns"])


def test_so_is_its_training(five: Path) -> None:
    r, seed = dm.open(five), training_seed(0, 4)
    policy = r.local_policy(train_seed=4)
    options = {"transitions": "sampled", "n_mc_samples": 3}
    again = dm.g_learn(r.environment(), policy, k=3, seed=seed, **options)
    np.testing.assert_array_equal(r.global_policy(3, train_seed=4), again.policy)


@pytest.mark.parametrize("train_seed", [5, -1, 0.5])
def test_one_that_there_is_not_is_refused(five: Path, train_seed: float) -> None:
    with pytest.raises(dm.DistmarlError, match="train_seed"):
        dm.open(five).global_policy(3, train_seed=train_seed)


def test_starts_choices_and_candidates_are_each_trainings_own(tmp_path: Path) -> None:
    run(tmp_path / "two", of_trainings(SEARCHING, 2))
    assert [run(tmp_path / "later", of_trainings(SEARCHING, number)).n_done_before for number in (1, 2)][1] > 0
    assert table_bytes(tmp_path / "two") == table_bytes(tmp_path / "later")
    for name in ("candidates", "choices", "alternations", "local_policies"):
        found = pd.read_parquet(tmp_path / "two" / name)
        assert found.groupby("train_seed").size().to_list() == [len(found) // 2] * 2 or name == "local_policies"
    r = dm.open(tmp_path / "two")
    row = r.evaluations.query("k == 2 and seed == 0 and train_seed == 1").iloc[0]
    np.testing.assert_array_equal(r.evaluate(2, train_seed=1).returns, row["returns"])


def test_the_plan_costs_as_many_times_as_much() -> None:
    plans = [plan_of(of_trainings(TINY, number)) for number in (1, 7)]
    assert plans[0].jobs[0].setting_id == plans[1].jobs[0].setting_id
    assert plans[1].n_tasks == {kind: 7 * number for kind, number in plans[0].n_tasks.items()}
    expected = [Forecast(plan.pending(None), Costs(plan, {}, "")).remaining_s() for plan in plans]
    assert expected[1] == pytest.approx(7 * expected[0])


def test_no_training_waits_for_another(tmp_path: Path) -> None:
    plan = plan_of(of_trainings(TINY, 3))
    run(tmp_path, TINY)  # the first is done, and nothing of the others
    pending = plan.pending(snapshot_of(tmp_path))
    assert {group.train_seed for group in pending.missing} == {1, 2}
    for group in pending.missing:
        needed = pending.needed(group)
        assert needed is None or needed.train_seed == group.train_seed


def test_what_needs_a_training_needs_its_own_and_what_runs_once_the_first() -> None:
    pending = plan_of(of_trainings(WHOLE, 3)).pending(None)
    for group in pending.missing:
        needed = pending.needed(group)
        expected = group.train_seed if KINDS[group.kind].is_per_training else 0
        assert group.train_seed == expected
        assert needed is None or needed.train_seed == expected


def test_no_two_trainings_and_no_two_evaluations_share_random_numbers() -> None:
    trained = [training_seed(seed, number) for seed in range(3) for number in range(3)]
    evaluated = [evaluation_seed(seed, number, each) for seed in range(3) for number in range(3) for each in range(3)]
    for seeds, role in ((trained, Role.SAMPLED_TRANSITIONS), (evaluated, Role.EVALUATION)):
        assert len({random_stream(seed, role).random() for seed in seeds}) == len(seeds)
    assert training_seed(4, 0) == 4
    assert evaluation_seed(4, 0, 2) == (4, 2)


def test_a_report_is_of_those_that_the_sweep_asks_for(tmp_path: Path) -> None:
    run(tmp_path, of_trainings(TINY, 3))
    run(tmp_path, of_trainings(TINY, 2))
    points = dm.open(tmp_path).points()
    assert points["n_train_seeds"].tolist() == [2, 2]
    assert Snapshot(dm.open(tmp_path).folder).summary()["n_train_seeds"].tolist() == [3, 3]
