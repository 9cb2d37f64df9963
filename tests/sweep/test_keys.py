"""No dead knobs: changing any key of a sweep file changes something that a user can see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distmarl.config.checking import key_types, section_types
from distmarl.games.robots import robots
from tests.sweep.sweeps import TINY, changed, plan_of, run

# A change of each key, and the table in which it shows.
CHANGES: dict[str, tuple[Any, str]] = {
    "environment.n_agents": (7, "evaluations"),
    "environment.gamma": (0.5, "evaluations"),
    "environment.n_local_actions": (2, "local_policies"),
    "environment.reward_global": ("paper", "evaluations"),
    "global_agent.transitions": ("rounded", "global_policies"),
    "global_agent.n_mc_samples": (4, "global_policies"),
    "global_agent.max_vi_iterations": (2, "trainings"),
    "global_agent.convergence_threshold": (1.0, "trainings"),
    "global_agent.answer": ("best", "trainings"),
    "local_agent.policy": ("greedy", "local_policies"),
    "local_agent.observation": ("included", "local_policies"),
    "local_agent.max_vi_iterations": (2, "alternations"),
    "local_agent.convergence_threshold": (1.0, "alternations"),
    "local_agent.softmax_temperature_scale": (0.1, "local_policies"),
    "local_agent.softmax_temperature_min": (20.0, "local_policies"),
    "local_agent.softmax_temperature_unit": ("range", "local_policies"),
    "alternating.update": ("each", "alternations"),
    "alternating.joint_value": ("exact", "alternations"),
    "alternating.n_outer_iterations": (1, "alternations"),
    "alternating.convergence_rtol": (10.0, "alternations"),
    "alternating.starts": (["stay"], "alternations"),
    "alternating.n_random_starts": (1, "alternations"),
    "alternating.ascent": (True, "alternations"),
    "evaluation.method": ("exact", "exact_returns"),
    "evaluation.reward": ("expected", "evaluations"),
    "evaluation.n_rollouts": (5, "evaluations"),
    "evaluation.horizon": (6, "evaluations"),
    "experiment.k_values": ([1, 2], "trainings"),
    "experiment.reference_k": (5, "local_policies"),
    "experiment.local_policy": ("per_k", "choices"),
    "experiment.n_train_seeds": (2, "trainings"),
    "experiment.n_eval_seeds": (3, "evaluations"),
    "experiment.seed": (1, "evaluations"),
    "experiment.nash_gap": ("exact", "nash_gaps"),
    "experiment.baselines": (["random"], "baselines"),
    "experiment.bound": ("exact", "bounds"),
}
# Keys whose effect other tests show.
ELSEWHERE = {
    "environment.n_global_states",  # this file: the three sizes change together
    "environment.n_local_states",
    "environment.n_global_actions",
    "experiment.k_range",  # this file
    "experiment.bound_m",  # test_bounds.py
    "experiment.policies",  # test_policies.py
    "experiment.baseline_samples",  # test_learners.py
    "experiment.welfare_max_enumerated",  # test_welfare.py
    "experiment.welfare_starts",  # test_welfare.py
    "runner.num_cpus",  # executors/test_ray_executor.py
    "runner.cpus_per_train",  # executors/test_ray_executor.py
    "runner.task_timeout_s",  # executors/test_execution.py, test_session.py
}


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Return a table's rows without the names that every change changes."""
    import pyarrow.parquet as pq

    data = pq.read_table(folder / table / "data.parquet")
    return [{key: value for key, value in row.items() if key != "setting_id"} for row in data.to_pylist()]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    run(folder)
    return folder


def test_every_key_is_listed_here() -> None:
    keys = {f"environment.{name}" for name in robots.__kwdefaults__ or {}}
    keys |= {f"{section}.{key}" for section, kind in section_types().items() for key in key_types(kind)}
    listed = set(CHANGES) | ELSEWHERE
    assert not keys - listed, f"{', '.join(keys - listed)}: give a changed value, and the table in which it shows"
    assert not listed - keys, f"{', '.join(listed - keys)}: there is no such key"


@pytest.mark.parametrize("key", CHANGES)
def test_changing_a_key_changes_a_table(base: Path, tmp_path: Path, key: str) -> None:
    value, table = CHANGES[key]
    section, _, name = key.partition(".")
    run(tmp_path, changed(TINY, **{section: {name: value}}))
    assert rows(tmp_path, table) != rows(base, table)


def test_changing_nothing_changes_no_table(base: Path, tmp_path: Path) -> None:
    run(tmp_path)
    for _, table in CHANGES.values():
        assert rows(tmp_path, table) == rows(base, table)


def test_sizes_change_the_game() -> None:
    sizes = {"n_global_states": 2, "n_local_states": 2, "n_global_actions": 2}
    assert plan_of(changed(TINY, environment=sizes)).jobs[0].environment.n_local_states == 2


def test_a_range_of_k_is_inclusive() -> None:
    mapping = {**TINY, "experiment": {"k_range": [2, 5]}}
    assert list(plan_of(mapping).k_values) == [2, 3, 4, 5]


def test_the_name_names_the_sweep(tmp_path: Path) -> None:
    run(tmp_path, {**TINY, "name": "other"})
    assert {row["sweep"] for row in rows(tmp_path, "evaluations")} == {"other"}
