"""One rollout per setting and k is recorded step by step, with the evaluation that it is part of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distmarl.results.store import Store
from distmarl.results.tables import Table
from distmarl.sweep.executors.executor import Completed
from distmarl.sweep.executors.serial import SerialExecutor
from distmarl.sweep.session import Interrupted
from tests.sweep.sweeps import TINY, changed, run, table_bytes
from tests.sweep.test_session import StoppingExecutor

GRID = {**TINY, "grid": {"environment.n_agents": [6, 8]}}


class BackwardsExecutor(SerialExecutor):
    """Returns all that it was given at once, the last task first."""

    @property
    def max_in_flight(self) -> int:
        return 100

    def next_completed(self, timeout_s: float) -> list[Completed]:
        completed: list[Completed] = []
        while self.n_in_flight:
            completed += super().next_completed(timeout_s)
        return completed[::-1]


def discounted(rewards: Sequence[float], gamma: float) -> float:
    total, discount = 0.0, 1.0
    for reward in rewards:
        total += discount * reward
        discount *= gamma
    return total


def test_it_is_the_first_rollout_of_the_first_seed(tmp_path: Path) -> None:
    run(tmp_path, GRID)
    rollouts, evaluations = (pd.read_parquet(tmp_path / name) for name in ("rollouts", "evaluations"))
    first = evaluations[evaluations["seed"] == 0].reset_index(drop=True)
    keys = ["setting_id", "environment.n_agents", "k", "seed", "n_agents", "gamma"]
    pd.testing.assert_frame_equal(rollouts[keys], first[keys])
    assert len(rollouts) == 4
    for row, evaluation in zip(rollouts.to_dict("records"), first.to_dict("records"), strict=True):
        assert discounted(row["rewards"], row["gamma"]) == evaluation["returns"][0]
        assert discounted(row["rewards"], row["gamma"]) != evaluation["returns"][1]
        assert len(row["global_actions"]) == len(row["global_states"]) == evaluation["horizon"]
        for population, modes in zip(row["populations"], row["modes"], strict=True):
            assert population.sum() == row["n_agents"]
            assert modes.tolist() == np.flatnonzero(population == population.max()).tolist()


def test_there_is_none_without_rollouts(tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, evaluation={"method": "exact"}))
    assert pd.read_parquet(tmp_path / "rollouts").empty


@pytest.mark.parametrize("n_tasks", [3, 4, 5, 6])
def test_a_resumed_sweep_has_the_same(tmp_path: Path, n_tasks: int) -> None:
    run(tmp_path / "at once")
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", executor=StoppingExecutor(n_tasks))
    run(tmp_path / "resumed")
    assert table_bytes(tmp_path / "resumed") == table_bytes(tmp_path / "at once")


def test_no_evaluation_is_committed_before_its_rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[dict[str, Sequence[Any]]] = []
    commit = Store.commit

    def note(self: Store, task: str, rows: Sequence[tuple[Table, Sequence[Any]]]) -> None:
        commits.append({table.name: table_rows for table, table_rows in rows})
        commit(self, task, rows)

    monkeypatch.setattr(Store, "commit", note)
    run(tmp_path, executor=BackwardsExecutor())
    recorded = [rows for rows in commits if "rollouts" in rows]
    assert [row["seed"] for row in recorded[0]["evaluations"]] == [1, 0, 1, 0]
    assert all([*rows].index("rollouts") < [*rows].index("evaluations") for rows in recorded)
