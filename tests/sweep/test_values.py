"""Exact returns, Nash gaps and baselines as the sweep computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import distmarl as dm
from distmarl.errors import ConfigError
from tests.places import write_report
from tests.sweep.sweeps import TINY, ShuffledExecutor, changed, plan_of, run, table_bytes
from tests.sweep.test_session import CountingExecutor

VALUES = ("exact_returns", "nash_gaps", "baselines")
BASELINES = ["random", "fixed_action", "full_information", "no_local_update"]
GLOBAL_AGENT = {"transitions": "exact", "n_mc_samples": 30}
EXACT = changed(TINY, global_agent=GLOBAL_AGENT, evaluation={"method": "exact"})
BOTH = changed(TINY, global_agent=GLOBAL_AGENT, evaluation={"method": "both"})
# Rollouts that estimate gaps are as long as rewards count.
SHORT = {"gamma": 0.5}


def policies(folder: Path, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the trained pair at k as it is stored."""
    actions = pd.read_parquet(folder / "global_policies").query(f"k == {k}")["actions"]
    probabilities = pd.read_parquet(folder / "local_policies")["probability"].to_numpy()
    return np.stack(actions.to_list()), probabilities.reshape(3, 3, 3)


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {**table_bytes(folder), **{name: (folder / name / "data.parquet").read_bytes() for name in VALUES}}


def test_exact_values_stand_beside_the_rollouts(tmp_path: Path) -> None:
    run(tmp_path, BOTH)
    evaluations = pd.read_parquet(tmp_path / "evaluations")
    assert len(evaluations) == 4
    env = plan_of(BOTH).jobs[0].environment
    for k in (1, 3):
        value = dm.exact_return(env, *policies(tmp_path, k), k=k, horizon=5)
        rows = evaluations[evaluations["k"] == k]
        assert set(rows["exact_return"]) == {value.value}
        assert set(rows["exact_bound"]) == {value.bound}
    exact = pd.read_parquet(tmp_path / "exact_returns")
    assert exact[["k", "horizon"]].to_numpy().tolist() == [[1, 5], [3, 5]]


def test_exact_values_alone_need_no_rollouts(tmp_path: Path) -> None:
    counting = CountingExecutor()
    tally = run(tmp_path, EXACT, counting)
    assert {key.kind for key in counting.submitted} == {"shared_policy", "g_learn", "exact_return"}
    assert (tally.done["exact_return"], tally.total["evaluate"]) == (2, 0)
    assert len(pd.read_parquet(tmp_path / "evaluations")) == 0


def test_by_default_nothing_is_exact(tmp_path: Path) -> None:
    run(tmp_path)
    assert pd.read_parquet(tmp_path / "evaluations")["exact_return"].isna().all()
    assert all(len(pd.read_parquet(tmp_path / name)) == 0 for name in VALUES)


def test_values_can_be_asked_for_later_without_training_again(tmp_path: Path) -> None:
    asked = changed(BOTH, experiment={"nash_gap": "exact", "baselines": BASELINES})
    run(tmp_path / "at once", asked)
    run(tmp_path / "later", changed(BOTH, evaluation={"method": "rollouts"}))
    added = CountingExecutor()
    run(tmp_path / "later", asked, added)
    kinds = sorted(key.kind for key in added.submitted)
    assert kinds == ["baselines", "exact_return", "exact_return", "nash_gap", "nash_gap", "welfare"]
    assert all_bytes(tmp_path / "later") == all_bytes(tmp_path / "at once")
    nothing = CountingExecutor()
    run(tmp_path / "later", asked, nothing)
    assert nothing.submitted == []


def test_values_do_not_depend_on_the_order_of_tasks(tmp_path: Path) -> None:
    baselines = ["random", "fixed_action"]
    asked = changed(BOTH, environment=SHORT, experiment={"nash_gap": "estimate", "baselines": baselines})
    run(tmp_path / "in order", asked)
    run(tmp_path / "shuffled", asked, ShuffledExecutor(0))
    assert all_bytes(tmp_path / "shuffled") == all_bytes(tmp_path / "in order")


def test_nash_gaps_are_those_of_the_notebook(tmp_path: Path) -> None:
    run(tmp_path, changed(BOTH, experiment={"nash_gap": "exact"}))
    stored = pd.read_parquet(tmp_path / "nash_gaps").query("k == 3").set_index("quantity")
    env = plan_of(BOTH).jobs[0].environment
    gaps = dm.nash_gap(env, *policies(tmp_path, 3), k=3, seed=0)
    assert stored["value"].to_dict() == {name: number.value for name, number in gaps.quantities.items()}
    assert stored.loc["global_upper", ["kind", "of"]].tolist() == ["upper bound", gaps.global_upper.of]
    assert set(stored["utility"]) == {"team"}
    assert (stored.loc["global_lower", "value"]) <= stored.loc["global_upper", "value"] + 2e-6


def test_estimated_gaps_say_what_they_do_not_know(tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, environment=SHORT, experiment={"nash_gap": "estimate"}))
    stored = pd.read_parquet(tmp_path / "nash_gaps").query("k == 3").set_index("quantity")
    assert stored.loc["global_lower", "kind"] == "estimate of a lower bound"
    unknown = stored[stored["value"].isna()]
    assert len(unknown) > 0
    assert (unknown["reason"].str.len() > 0).all()


def test_baselines_by_rollouts_agree_with_exact_ones(tmp_path: Path) -> None:
    many = changed(
        BOTH, evaluation={"n_rollouts": 1000}, experiment={"n_eval_seeds": 3, "k_values": [3], "baselines": BASELINES}
    )
    run(tmp_path, many)
    rows = pd.read_parquet(tmp_path / "baselines").set_index(["baseline", "method"])
    assert set(rows.index.get_level_values("baseline")) == set(BASELINES)
    for name in BASELINES:
        exact, sampled = rows.loc[(name, "exact")], rows.loc[(name, "rollouts")]
        assert (exact["n_rollouts"], sampled["n_rollouts"]) == (0, 3000)
        assert abs(sampled["value"] - exact["value"]) <= 4 * sampled["error"] + exact["error"]
        assert exact["error"] < 1e-6 < sampled["error"]
    exact = rows.xs("exact", level="method")["value"]
    assert exact["full_information"] > exact["fixed_action"] > exact["random"]
    # Level with the pair's own value: the same local policy, but seeing all six agents and not three.
    (pair,) = pd.read_parquet(tmp_path / "exact_returns")["exact_return"]
    assert exact["full_information"] > pair - 1e-6


def test_baselines_are_what_their_names_say(tmp_path: Path) -> None:
    run(tmp_path, changed(EXACT, experiment={"baselines": BASELINES}))
    env = plan_of(EXACT).jobs[0].environment
    _, shared = policies(tmp_path, 3)
    uniform = dm.uniform_local_policy(env)
    stored = pd.read_parquet(tmp_path / "baselines").set_index("baseline")["value"]
    seen = dm.g_learn(env, uniform, k=3, transitions="exact").policy
    assert stored["no_local_update"] == pytest.approx(dm.exact_return(env, seen, uniform, k=3, horizon=5).value)
    everyone = dm.g_learn(env, shared, k=6, transitions="exact").policy
    assert stored["full_information"] == pytest.approx(dm.exact_return(env, everyone, shared, k=6, horizon=5).value)
    always = [np.full((3, 3), action) for action in range(3)]
    fixed = [dm.exact_return(env, policy, shared, k=1, horizon=5).value for policy in always]
    assert stored["fixed_action"] == pytest.approx(max(fixed))


@pytest.mark.parametrize(
    ("section", "keys", "message"),
    [
        ("evaluation", {"method": "both"}, "evaluation.method: must be rollouts, got 'both': n_agents: 1000 agents"),
        ("experiment", {"nash_gap": "exact"}, "experiment.nash_gap: must be off or estimate, got 'exact'"),
        ("experiment", {"baselines": ["full_information"]}, "experiment.baselines: must leave out full_information"),
    ],
)
def test_populations_too_large_for_exact_values_are_refused(section: str, keys: dict[str, Any], message: str) -> None:
    large = {"name": "large", "environment": {"n_agents": 1000}, section: keys}
    with pytest.raises(ConfigError, match="n_agents") as caught:
        plan_of(large)
    assert message in str(caught.value)


def test_how_values_are_found_is_no_part_of_a_setting() -> None:
    asked = changed(BOTH, experiment={"nash_gap": "exact", "baselines": BASELINES})
    assert plan_of(asked).jobs[0].setting_id == plan_of(changed(TINY, global_agent=GLOBAL_AGENT)).jobs[0].setting_id
    for values in (["exact"], ["exact", "both"]):
        with pytest.raises(ConfigError, match=r"evaluation\.method: is not part of a setting"):
            plan_of({**TINY, "grid": {"evaluation.method": values}})


def test_gaps_of_populations_that_only_returns_can_be_had_of_are_refused() -> None:
    plan_of({"environment": {"n_agents": 80}, "evaluation": {"method": "exact"}})
    with pytest.raises(ConfigError, match=r"experiment\.nash_gap: must be off or estimate, got 'exact'.* GiB"):
        plan_of({"environment": {"n_agents": 80}, "experiment": {"nash_gap": "exact"}})


@pytest.mark.parametrize("game", [{"n_agents": 80}, {"n_agents": 1000}, {"name": "warehouse"}])
def test_where_exact_gaps_are_refused_estimates_of_gaps_are_advised(game: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"count vectors, and exact gaps over them") as caught:
        plan_of({"environment": game, "experiment": {"nash_gap": "exact"}})
    assert "use experiment.nash_gap: estimate, whose cost does not grow with n_agents" in str(caught.value)
    assert "the baseline blind" in str(caught.value)
    assert "dm.evaluate" not in str(caught.value)


def test_more_evaluation_seeds_are_more_rollouts_of_the_baselines(tmp_path: Path) -> None:
    few = changed(TINY, experiment={"baselines": ["random"]})
    run(tmp_path, few)
    run(tmp_path, changed(few, experiment={"n_eval_seeds": 5}))
    values = pd.read_parquet(tmp_path / "baselines").set_index("method")
    assert values["n_rollouts"].to_dict() == {"exact": 0, "rollouts": 5 * 4}, "who sees nobody is valued exactly, too"


def test_baselines_that_do_not_converge_are_told(tmp_path: Path) -> None:
    asked = changed(TINY, global_agent={"max_vi_iterations": 2}, experiment={"baselines": ["no_local_update"]})
    tally = run(tmp_path, asked)
    assert any("no_local_update: not certified" in line for line in tally.unconverged)
    assert pd.read_parquet(tmp_path / "baselines")["converged"].tolist() == [False]


def test_exact_returns_are_certified_to_the_threshold_of_the_global_agent(tmp_path: Path) -> None:
    unreachable = changed(EXACT, global_agent={**GLOBAL_AGENT, "convergence_threshold": 1e-15})
    tally = run(tmp_path, unreachable)
    assert tally.failed["shared_policy"] + tally.failed["g_learn"] + tally.failed["exact_return"] > 0


def test_the_report_draws_the_gaps_that_the_sweep_asks_for(tmp_path: Path) -> None:
    figures = {"nash_gap_vs_k.png", "price_of_subsampling.png"}
    for method, expected in (("estimate", {"nash_gap_vs_k.png"}), ("exact", figures), ("off", set())):
        run(tmp_path, changed(BOTH, environment=SHORT, experiment={"nash_gap": method}))
        assert {Path(path).name for path in write_report(tmp_path).figures} & figures == expected
    assert not any((tmp_path / name).exists() for name in figures)


def test_the_report_says_which_gaps_and_baselines_are_missing(tmp_path: Path) -> None:
    asked = {"nash_gap": "estimate", "baselines": ["random"]}
    run(tmp_path, changed(EXACT, environment=SHORT, experiment=asked))
    assert write_report(tmp_path).numbers.unfinished is None
    for name in ("nash_gaps", "baselines"):
        (tmp_path / name / "data.parquet").unlink()
    missing = "0 of 1 baselines, 0 of 2 Nash gaps"
    assert write_report(tmp_path).numbers.unfinished_by_kind == f"unfinished: 5 of 8 tasks ({missing})"


def test_the_report_is_about_exact_returns_once_only_they_are_asked_for(tmp_path: Path) -> None:
    run(tmp_path, BOTH)
    both = write_report(tmp_path).numbers.summary
    assert both["n_seeds"].tolist() == [2, 2]
    run(tmp_path, EXACT)
    exact = write_report(tmp_path).numbers.summary
    assert exact["n_seeds"].tolist() == [0, 0]
    assert exact["mean_return"].tolist() == exact["exact_return"].tolist() == both["exact_return"].tolist()
