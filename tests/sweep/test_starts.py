"""Sweeps that search from several starts, choose local policies for each k, and answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import distmarl as dm
from distmarl.learning.best.starts import start_policy
from distmarl.status.__main__ import main as status
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.__main__ import main as sweep
from distmarl.sweep.session import Interrupted
from tests.sweep.sweeps import TINY, ShuffledExecutor, changed, plan_of, run, table_bytes, write_sweep
from tests.sweep.test_bad_input import refuse
from tests.sweep.test_session import CountingExecutor, StoppingExecutor

SEARCH: dict[str, Any] = changed(
    TINY,
    global_agent={"transitions": "exact", "answer": "best"},
    local_agent={"policy": "greedy"},
    alternating={"update": "each", "starts": ["stay", "constant_action"], "ascent": True, "n_random_starts": 1},
    experiment={"local_policy": "per_k", "baselines": ["random"]},
)
STARTS = ["stay", "constant_action 0", "constant_action 1", "constant_action 2", "random 0"]
N_TASKS = 5 + 1 + 2 + 2 + 1 + 4


def all_bytes(folder: Path) -> dict[str, bytes]:
    more = {name: (folder / name / "data.parquet").read_bytes() for name in ("candidates", "choices", "baselines")}
    return table_bytes(folder) | more


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that has searched; not to be changed."""
    folder = tmp_path_factory.mktemp("search")
    tally = run(folder, SEARCH)
    assert not tally.failed.total()
    return folder


def test_every_start_is_a_task_with_rows_of_its_own(found: Path) -> None:
    timings = pd.read_parquet(found / "timings")
    assert timings.query("task == 'start'")["seed"].tolist() == list(range(5))
    assert len(timings.query("task != 'outer_iteration'")) == N_TASKS
    alternations = pd.read_parquet(found / "alternations")
    assert sorted(alternations["start"].unique()) == sorted(STARTS)
    assert (alternations.groupby("start")["stopped_because"].count() == 1).all()
    candidates = pd.read_parquet(found / "candidates").set_index(["start", "proposal"])
    assert set(candidates.index) == {(name, each) for name in STARTS for each in ("start", "ascent", "alternation")}
    env = plan_of(SEARCH).jobs[0].environment
    for name in STARTS:
        stored = candidates.loc[(name, "start"), "probabilities"].reshape(3, 3, 3)
        np.testing.assert_array_equal(stored, start_policy(env, name, 0))


def test_each_k_has_the_candidate_that_earns_most(found: Path) -> None:
    results, env = dm.open(found), plan_of(SEARCH).jobs[0].environment
    choices = results.choices.set_index(["task", "k"])
    assert set(choices.index) == {("shared_policy", 3), ("local_policy", 1), ("local_policy", 3)}
    np.testing.assert_array_equal(
        results.local_policy(), choices.loc[("shared_policy", 3), "probabilities"].reshape(3, 3, 3)
    )
    every = [row.reshape(3, 3, 3) for row in results.candidates["probabilities"]]
    trainings = results.trainings.set_index("k")
    for k in (1, 3):
        best = max(dm.best_answer(env, policy, k=k).value for policy in every)
        chosen = choices.loc[("local_policy", k)]
        assert chosen["value"] == pytest.approx(best, abs=1e-3)
        assert chosen["answer"] == trainings.loc[k, "answer"]
        worth = dm.exact_return(env, results.global_policy(k), results.local_policy(k=k), k=k).value
        assert worth == pytest.approx(best, abs=1e-3)


def test_the_default_is_the_papers_protocol(tmp_path: Path) -> None:
    run(tmp_path)
    for name in ("candidates", "choices"):
        assert pd.read_parquet(tmp_path / name).empty
    assert set(pd.read_parquet(tmp_path / "alternations")["start"]) == {"uniform"}
    assert set(pd.read_parquet(tmp_path / "trainings")["answer"]) == {"surrogate"}
    trained = dm.train_alternating(
        plan_of(TINY).jobs[0].environment,
        k=3,
        n_mc_samples=3,
        n_outer_iterations=2,
        convergence_rtol=0.0,
        n_rollouts=4,
        horizon=5,
    )
    np.testing.assert_array_equal(dm.open(tmp_path).local_policy(), trained.local_policy)


def test_a_grid_of_starts_keeps_the_papers_numbers_where_it_is_the_papers(tmp_path: Path) -> None:
    grid = {**TINY, "grid": {"alternating.starts": [["uniform"], ["stay"]]}}
    run(tmp_path / "grid", grid)
    run(tmp_path / "plain")
    results = dm.open(tmp_path / "grid")
    plain = dm.open(tmp_path / "plain").local_policy()
    np.testing.assert_array_equal(results.local_policy({"starts": ["uniform"]}), plain)
    assert not np.array_equal(results.local_policy({"starts": ["stay"]}), plain)


@pytest.mark.parametrize("n_tasks", [1, 5, 6, 9])
def test_an_interrupted_search_goes_on_where_it_stopped(found: Path, tmp_path: Path, n_tasks: int) -> None:
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        run(tmp_path, SEARCH, StoppingExecutor(n_tasks))
    rest = CountingExecutor()
    run(tmp_path, SEARCH, rest)
    assert len(rest.submitted) == N_TASKS - n_tasks
    assert all_bytes(tmp_path) == all_bytes(found)


def test_the_order_and_repetition_of_tasks_change_nothing(found: Path, tmp_path: Path) -> None:
    run(tmp_path, SEARCH, ShuffledExecutor(1))
    assert all_bytes(tmp_path) == all_bytes(found)


def test_no_policy_is_chosen_while_a_start_is_missing(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = KINDS["start"]

    def break_at_2(job: Any, key: TaskKey, *arguments: Any) -> Any:
        if key.seed == 2:
            raise ValueError("no such luck")
        return start.run(job, key, *arguments)

    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "start", dataclasses.replace(start, run=break_at_2))
        tally = run(tmp_path, SEARCH)
    assert (tally.failed["start"], tally.done["start"], tally.done["local_policy"]) == (1, 4, 0)
    assert status([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "4/5" in out
    assert "start=2" in out
    run(tmp_path, SEARCH, retry_failed=True)
    run(tmp_path, SEARCH)
    assert all_bytes(tmp_path) == all_bytes(found)


def test_the_plan_tells_of_starts_and_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep([str(write_sweep(tmp_path, SEARCH)), "--plan", "--out", str(tmp_path / "out")]) == 0
    counts = {line.split("  ")[0].strip(): line.split()[-6:] for line in capsys.readouterr().out.splitlines()}
    assert {"starts", "shared local policies", "local policies", "global policies"} <= {name.strip() for name in counts}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"starts": []}, "alternating.starts: must have at least 1 value, got []"),
        ({"starts": ["stay", "stay"]}, "alternating.starts: must not repeat a start, got 'stay' twice"),
        (
            {"starts": ["sty"]},
            "alternating.starts[0]: must be 'uniform', 'constant_action', 'stay' or 'blind', got 'sty'",
        ),
        ({"starts": "stay"}, "alternating.starts: must be a list, got 'stay'"),
        ({"n_random_starts": -1}, "alternating.n_random_starts: must be at least 0, got -1"),
        ({"ascent": "yes"}, "alternating.ascent: must be true or false, got 'yes'"),
    ],
)
def test_wrong_starts_are_refused(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    path = write_sweep(tmp_path, changed(TINY, alternating=section))
    assert message in refuse(tmp_path, path)


def test_what_a_k_has_of_its_own_is_told_from_what_is_shared(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(dm.DistmarlError, match="has been chosen for k=2 alone"):
        dm.open(tmp_path).local_policy(k=2)
