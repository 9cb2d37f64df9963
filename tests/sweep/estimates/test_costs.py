"""What tasks are expected to take, and what is learnt about it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distmarl.dynamics.rollouts import seeds_together
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.study.seconds import PER_STEP_S, evaluation_s
from distmarl.sweep.estimates import costs as costs_module
from distmarl.sweep.estimates.costs import Costs, core_seconds, estimate_costs, robust_mean
from tests.places import snapshot_of
from tests.sweep.sweeps import TINY, changed, plan_of, run

EVERYTHING = changed(
    TINY,
    evaluation={"method": "both"},
    experiment={
        "nash_gap": "exact",
        "baselines": ["random", "fixed_action", "full_information", "no_local_update", "blind", "independent_q"],
        "bound": "exact",
        "baseline_samples": [10_000],
    },
)


def seconds_of(kind: str, k: int | None = None, **sections: dict[str, Any]) -> float:
    plan = plan_of(changed(changed(EVERYTHING, environment={"n_agents": 60}), **sections))
    return KINDS[kind].seconds(plan.jobs[0], k)


@pytest.mark.parametrize(("transitions", "growth"), [("sampled", 4), ("rounded", 4), ("exact", 8)])
def test_training_grows_with_the_count_vectors_and_exactly_with_k_as_well(transitions: str, growth: float) -> None:
    # With three local states there are about k^2 / 2 count vectors.
    plan = plan_of(changed(TINY, environment={"n_agents": 10**4}, global_agent={"transitions": transitions}))
    once, twice = (KINDS["g_learn"].seconds(plan.jobs[0], k) for k in (2000, 4000))
    assert twice / once == pytest.approx(growth, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "section", "less", "more"),
    [
        ("evaluate", "evaluation", {"horizon": 10}, {"horizon": 100}),
        ("evaluate", "evaluation", {"n_rollouts": 10}, {"n_rollouts": 1000}),
        ("g_learn", "global_agent", {"n_mc_samples": 10}, {"n_mc_samples": 1000}),
        ("g_learn", "global_agent", {"max_vi_iterations": 5}, {"max_vi_iterations": 20}),
        ("shared_policy", "alternating", {"n_outer_iterations": 1}, {"n_outer_iterations": 2}),
        ("shared_policy", "alternating", {"joint_value": "rollouts"}, {"joint_value": "exact"}),
        ("shared_policy", "experiment", {"reference_k": 3}, {"reference_k": 30}),
        ("exact_return", "environment", {"n_agents": 30}, {"n_agents": 60}),
        ("nash_gap", "environment", {"n_agents": 30}, {"n_agents": 60}),
        ("nash_gap", "experiment", {"nash_gap": "exact"}, {"nash_gap": "estimate"}),  # in so small a population
        ("baselines", "experiment", {"baselines": ["random"]}, {"baselines": ["fixed_action"]}),
        ("bound", "experiment", {"bound_m": 3}, {"bound_m": 6}),
        ("welfare", "environment", {"n_agents": 30}, {"n_agents": 60}),
        ("welfare", "experiment", {"welfare_starts": 2}, {"welfare_starts": 9}),
        ("welfare", "experiment", {"welfare_starts": 1}, {"welfare_max_enumerated": 100_000}),
        ("bound", "experiment", {"bound_m": 30}, {"bound_m": 40}),
        ("bound", "evaluation", {"horizon": 5}, {"horizon": 20}),
        ("baselines", "experiment", {"baselines": ["random"]}, {"baselines": ["full_information"]}),
        ("baselines", "experiment", {"baselines": ["random"]}, {"baselines": ["blind"]}),
        ("baselines", "experiment", {"baselines": ["random"]}, {"baselines": ["random", "no_local_update"]}),
        ("independent_q", "experiment", {"baseline_samples": [10_000]}, {"baseline_samples": [30_000]}),
        ("subsampled_q", "experiment", {"baseline_samples": [10_000]}, {"baseline_samples": [1_000, 10_000]}),
        ("independent_q", "evaluation", {"method": "rollouts"}, {"method": "both"}),
    ],
)
def test_more_of_anything_takes_longer(kind: str, section: str, less: dict[str, Any], more: dict[str, Any]) -> None:
    k = 3 if kind in ("g_learn", "nash_gap", "exact_return", "evaluate", "independent_q", "subsampled_q") else None
    assert 0 < seconds_of(kind, k, **{section: less}) < seconds_of(kind, k, **{section: more})


def timing(seconds: float, cpu_seconds: float | None = None) -> dict[str, Any]:
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}


def test_a_kind_learns_from_its_own_tasks_and_until_then_from_the_others() -> None:
    plan = plan_of(TINY)
    name = plan.jobs[0].setting_id
    costs = Costs(plan, {"g_learn": 2.0}, "")
    first = costs.seconds("g_learn", name, 3)
    assert first == 2 * KINDS["g_learn"].seconds(plan.jobs[0], 3)
    rollouts = costs.seconds("evaluate", name, 3)
    costs.learn(TaskKey("g_learn", name, 3), timing(10 * first))
    assert costs.seconds("g_learn", name, 3) == pytest.approx(10 * first)
    assert costs.seconds("evaluate", name, 3) == pytest.approx(10 * rollouts)
    costs.learn(TaskKey("evaluate", name, 1, 0), timing(3 * rollouts))
    assert costs.seconds("evaluate", name, 3) == pytest.approx(3 * rollouts)
    assert costs.seconds("shared_policy", name, None) > 3 * Costs(plan, {}, "").seconds("shared_policy", name, None)


def test_the_last_tasks_count_and_early_ones_are_forgotten() -> None:
    plan = plan_of(TINY)
    name = plan.jobs[0].setting_id
    costs = Costs(plan, {}, "")
    expected = costs.seconds("evaluate", name, 1)
    for seed in range(costs_module.N_REMEMBERED + 1):
        costs.learn(TaskKey("evaluate", name, 1, seed), timing(expected * (1 if seed else 1000)))
    assert costs.seconds("evaluate", name, 1) == pytest.approx(expected)


def test_the_mean_heeds_weights_and_no_outlier() -> None:
    assert robust_mean([(1.0, 1.0), (2.0, 3.0)]) == 1.75
    assert robust_mean([(1.0, 1.0)] * 9 + [(1e6, 1.0)]) == pytest.approx(1.2)


def test_threads_count_as_the_cores_that_they_keep_busy() -> None:
    assert core_seconds(timing(2.0, 7.0)) == 7.0
    assert core_seconds(timing(2.0, 0.1)) == 2.0
    assert core_seconds(timing(2.0)) == 2.0


def test_timings_in_the_folder_are_preferred(tmp_path: Path) -> None:
    run(tmp_path)
    plan = plan_of(changed(TINY, experiment={"n_eval_seeds": 5}))
    costs = estimate_costs(plan, snapshot_of(tmp_path), plan.pending(snapshot_of(tmp_path)))
    assert costs.basis == "the timings of 7 tasks in the results folder"
    timings = pd.read_parquet(tmp_path / "timings")
    name = plan.jobs[0].setting_id
    (seconds,) = timings.query("task == 'shared_policy'")[["seconds", "cpu_seconds"]].max(axis=1)
    assert costs.seconds("shared_policy", name, None) == pytest.approx(seconds)
    measured = timings.query("task == 'evaluate'")["seconds"]
    assert measured.min() / 3 < costs.seconds("evaluate", name, 1) < 3 * measured.max()


def test_a_new_folder_is_told_from_operations_timed_on_the_spot() -> None:
    plan = plan_of(TINY)
    costs = estimate_costs(plan, None, plan.pending(None))
    assert costs.basis.startswith("short tasks, timed on this machine in ")
    assert costs._factors.keys() == KINDS.keys()
    assert min(costs._factors.values()) > 0


def test_a_training_that_ends_at_once_tells_nothing_of_longer_ones() -> None:
    plan = plan_of(changed(TINY, global_agent={"convergence_threshold": 1e6}))
    factors = estimate_costs(plan, None, plan.pending(None))._factors
    assert factors["g_learn"] == factors["evaluate"], "rollouts alone tell"


def test_what_is_timed_on_the_spot_does_not_depend_on_how_many_seeds_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs_module, "_fastest", lambda _: 0.001)
    few, many = (plan_of(changed(TINY, experiment={"n_eval_seeds": n_seeds})) for n_seeds in (1, 100))
    monkeypatch.setattr(costs_module, "training_s", lambda *_: 10.0)  # none is timed
    factors = [estimate_costs(plan, None, plan.pending(None))._factors["evaluate"] for plan in (few, many)]
    assert factors[0] == factors[1]


def test_a_busy_machine_is_told_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, train = plan_of(TINY), costs_module.learn_global
    quiet = estimate_costs(plan, None, plan.pending(None))

    def wait(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.5)  # as if others had the core
        return train(*arguments, **options)

    monkeypatch.setattr(costs_module, "learn_global", wait)
    busy = estimate_costs(plan, None, plan.pending(None))
    assert re.search(r", which other work makes \d+\.\d times slower now$", busy.basis)
    assert busy._factors["g_learn"] < 10 * quiet._factors["g_learn"]  # half a second would be hundreds


def test_nothing_long_is_timed_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs_module, "_fastest", lambda _: pytest.fail("timed"))
    plan = plan_of(changed(TINY, evaluation={"n_rollouts": 10**9}, global_agent={"n_mc_samples": 10**7}))
    assert estimate_costs(plan, None, plan.pending(None)).basis.startswith("the times of another machine")


def test_nothing_is_timed_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs_module, "_fastest", lambda _: pytest.fail("timed"))
    plan = plan_of(TINY)
    assert not estimate_costs(plan, None, plan.pending(None).only(()))._factors


def test_estimated_gaps_grow_with_the_classes_that_are_seen_and_not_with_the_states_behind_them() -> None:
    seconds = {}
    for n_local_cells in (10, 40):
        game = {"name": "warehouse", "n_agents": 40, "n_global_cells": 5, "n_local_cells": n_local_cells}
        plan = plan_of({"environment": game, "experiment": {"k_values": [3], "nash_gap": "estimate"}})
        seconds[n_local_cells] = KINDS["nash_gap"].seconds(plan.jobs[0], 3)
    assert seconds[40] < 2 * seconds[10]  # by states it would be sixteen times as long


def test_the_best_blind_pair_of_a_game_with_very_many_choices_is_predicted() -> None:
    game = {"n_agents": 2, **dict.fromkeys(("n_global_states", "n_local_states", "n_global_actions"), 150)}
    plan = plan_of({"environment": game, "experiment": {"k_values": [1], "baselines": ["blind"]}})
    assert 0 < KINDS["baselines"].seconds(plan.jobs[0], None) < 60


def test_seeds_that_do_not_take_their_steps_together_cost_each_its_own() -> None:
    few, many = (plan_of(changed(TINY, experiment={"n_eval_seeds": n_seeds})).jobs[0] for n_seeds in (1, 1000))
    together = seeds_together(few.environment, few.setting.evaluation.n_rollouts)
    assert 1 < together < 1000
    steps_s = few.setting.evaluation.horizon * PER_STEP_S
    assert evaluation_s(few) > steps_s
    assert evaluation_s(many) > 1000 / together * steps_s
