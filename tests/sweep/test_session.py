from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import distmarl as dm
from distmarl.errors import LostRayError, ResultsError, TaskTimeoutError
from distmarl.report.catalogue import FIGURES
from distmarl.results.storage.opening import open_location
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep import pace
from distmarl.sweep.executors.executor import Task
from distmarl.sweep.executors.serial import SerialExecutor
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.session import Interrupted, run_session
from distmarl.version import NUMBERS
from tests.sweep.sweeps import TINY, ShuffledExecutor, changed, plan_of, run, table_bytes


class CountingExecutor(SerialExecutor):
    """Counts what is submitted, one task at a time, and what is put into the object store."""

    batch_seconds = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []
        self.put_values: list[Any] = []

    @property
    def submitted(self) -> list[TaskKey]:
        return [task.key for task in self.tasks]

    def submit(self, *batch: Task) -> None:
        self.tasks += batch
        super().submit(*batch)

    def put(self, value: Any) -> Any:
        self.put_values.append(value)
        return super().put(value)


class BatchingExecutor(CountingExecutor):
    """Takes short tasks together, like a cluster, and keeps the batches."""

    batch_seconds = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[TaskKey]] = []

    def submit(self, *batch: Task) -> None:
        self.batches.append([task.key for task in batch])
        super().submit(*batch)


class StoppingExecutor(CountingExecutor):
    """Is interrupted after some tasks."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self._left = n_tasks

    def next_completed(self, timeout_s: float) -> Any:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return super().next_completed(timeout_s)


class LosingExecutor(CountingExecutor):
    """Loses its Ray after some tasks.

    Parameters
    ----------
    n_tasks : int
        Number of tasks that complete before.
    is_local : bool
        Whether it can be started again.
    """

    def __init__(self, n_tasks: int, *, is_local: bool = True) -> None:
        super().__init__()
        self._left, self._is_local = n_tasks, is_local
        self.is_closed = False

    def next_completed(self, timeout_s: float) -> Any:
        if self._left == 0:
            raise LostRayError("a Ray was lost: it was unplugged", can_start_again=self._is_local)
        self._left -= 1
        return super().next_completed(timeout_s)

    def close(self) -> None:
        super().close()
        self.is_closed = True


class InterruptedBatches(BatchingExecutor):
    """Is interrupted once some tasks were submitted."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self._n_tasks = n_tasks

    def next_completed(self, timeout_s: float) -> Any:
        if len(self.submitted) > self._n_tasks:
            raise KeyboardInterrupt
        return super().next_completed(timeout_s)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the sweep when nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder)
    return table_bytes(folder)


def test_a_sweep_fills_every_table(tmp_path: Path) -> None:
    tally = run(tmp_path)
    assert (tally.n_failed, tally.n_not_run) == (0, 0)
    n_rows = {
        name: len(pd.read_parquet(tmp_path / name)) for name in ("trainings", "evaluations", "timings", "failures")
    }
    assert n_rows == {"trainings": 2, "evaluations": 4, "timings": 9, "failures": 0}
    assert len(pd.read_parquet(tmp_path / "local_policies")) == 3 * 3 * 3
    assert len(pd.read_parquet(tmp_path / "global_policies")) == 2 * 3


def test_the_tables_hold_what_the_notebook_api_computes(tmp_path: Path) -> None:
    run(tmp_path)
    job = plan_of(TINY).jobs[0]
    env = job.environment
    pair = dm.train_alternating(
        env, k=3, seed=0, n_mc_samples=3, n_outer_iterations=2, convergence_rtol=0.0, n_rollouts=4, horizon=5
    )
    stored = pd.read_parquet(tmp_path / "local_policies")["probability"].to_numpy().reshape(3, 3, 3)
    np.testing.assert_array_equal(stored, pair.local_policy)
    trained = dm.g_learn(env, pair.local_policy, k=3, n_mc_samples=3, seed=0)
    rows = pd.read_parquet(tmp_path / "global_policies").query("k == 3")
    np.testing.assert_array_equal(np.stack(rows["actions"].to_list()), trained.policy)
    value = dm.evaluate(env, trained.policy, pair.local_policy, k=3, n_rollouts=4, horizon=5, seed=(0, 1))
    row = pd.read_parquet(tmp_path / "evaluations").query("k == 3 and seed == 1").iloc[0]
    np.testing.assert_array_equal(row["returns"], value.returns)
    assert (row["mean_return"], row["std_return"]) == (value.mean, value.std)
    assert row["mode_accuracy"] == value.mode_accuracy


def test_each_outer_iteration_is_timed(tmp_path: Path) -> None:
    run(tmp_path)
    timings = pd.read_parquet(tmp_path / "timings")
    parts = timings[timings["task"] == "outer_iteration"]
    (whole,) = timings.loc[timings["task"] == "shared_policy", "seconds"]
    assert parts["iteration"].tolist() == [0, 1]
    assert 0 < parts["seconds"].sum() <= whole


def test_policies_that_are_kept_one_by_one_have_rows_of_their_own(tmp_path: Path) -> None:
    # So large a tolerance keeps everything, and stops in the second round.
    tally = run(tmp_path, changed(TINY, alternating={"update": "each", "convergence_rtol": 10.0}))
    assert tally.unconverged == []
    columns = ["iteration", "proposal", "global_converged", "local_converged", "stopped_because"]
    alternations = pq.read_table(tmp_path / "alternations", columns=columns)
    assert [tuple(row.values()) for row in alternations.to_pylist()] == [
        (0, "global", True, None, None),
        (0, "local", None, True, None),
        (1, "global", True, None, None),
        (1, "local", None, True, "converged"),
    ]
    timings = pd.read_parquet(tmp_path / "timings")
    assert timings.loc[timings["task"] == "outer_iteration", "iteration"].tolist() == [0, 1]


def test_the_order_and_repetition_of_tasks_change_nothing(tmp_path: Path) -> None:
    grid = {**TINY, "grid": {"environment.n_agents": [6, 8]}}
    run(tmp_path / "in order", grid)
    for seed in range(3):
        run(tmp_path / f"shuffled {seed}", grid, ShuffledExecutor(seed))
        assert table_bytes(tmp_path / f"shuffled {seed}") == table_bytes(tmp_path / "in order")


def test_the_same_sweep_again_runs_nothing(tmp_path: Path) -> None:
    run(tmp_path)
    before = table_bytes(tmp_path)
    again = CountingExecutor()
    tally = run(tmp_path, executor=again)
    assert again.submitted == []
    assert tally.n_done_before == 7
    assert table_bytes(tmp_path) == before


@pytest.mark.parametrize("n_tasks", range(7))
def test_an_interrupted_sweep_goes_on_where_it_stopped(
    tmp_path: Path, undisturbed: dict[str, bytes], n_tasks: int
) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", executor=StoppingExecutor(n_tasks))
    rest = CountingExecutor()
    run(tmp_path / "parts", executor=rest)
    assert len(rest.submitted) == 7 - n_tasks
    assert table_bytes(tmp_path / "parts") == undisturbed


def run_on(folder: Path, *executors: LosingExecutor) -> Tally:
    """Run a session on executors, each of which is started when the one before is lost."""
    started = iter(executors)
    plan = plan_of(TINY)
    try:
        return run_session(plan, open_location(folder), lambda: next(started), Progress())
    finally:
        assert all(executor.is_closed for executor in executors)


@pytest.mark.parametrize("n_tasks", range(7))
def test_a_ray_that_is_lost_is_started_once_more(tmp_path: Path, undisturbed: dict[str, bytes], n_tasks: int) -> None:
    first, second = LosingExecutor(n_tasks), LosingExecutor(7)
    tally = run_on(tmp_path / "parts", first, second)
    assert (tally.done.total(), tally.n_done_before, tally.n_failed) == (7, 0, 0)
    assert len(second.submitted) == 7 - n_tasks
    assert table_bytes(tmp_path / "parts") == undisturbed
    (session,) = json.loads((tmp_path / "parts" / "provenance.json").read_text())["sessions"]
    assert (session["outcome"], session["done"]) == ("ended", 7)


def test_a_ray_that_is_lost_twice_or_is_a_cluster_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(LostRayError, match="unplugged"):
        run_on(tmp_path, LosingExecutor(2), LosingExecutor(2))
    with pytest.raises(LostRayError, match="unplugged"):
        run_on(tmp_path, LosingExecutor(1, is_local=False))
    (first, second) = json.loads((tmp_path / "provenance.json").read_text())["sessions"]
    assert (first["outcome"], first["done"]) == ("broken off", 4)
    assert (second["outcome"], second["done"]) == ("broken off", 1)
    rest = CountingExecutor()
    run(tmp_path, executor=rest)
    assert len(rest.submitted) == 2


@pytest.mark.parametrize("n_bytes", [0, 5, 200, -1])
def test_parts_that_lost_their_end_are_run_again(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr("distmarl.results.store.Store.publish", lambda *_, **__: None)
    monkeypatch.setattr(pace, "MAX_COMMIT_DELAY_S", 0.0)  # every task has parts of its own
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", executor=StoppingExecutor(5))
    monkeypatch.undo()
    torn = 0
    for table in ("evaluations", "trainings"):
        for part in sorted((tmp_path / "parts" / "_parts" / table).glob("*"))[:1]:
            part.write_bytes(part.read_bytes()[:n_bytes])
            torn += 1
    rest = CountingExecutor()
    run(tmp_path / "parts", executor=rest)
    assert torn == 2
    assert len(rest.tasks) == 7 - 5 + 2
    assert table_bytes(tmp_path / "parts") == undisturbed
    assert not (tmp_path / "parts" / "_parts").exists()


def test_a_changed_sweep_runs_only_what_is_new(tmp_path: Path) -> None:
    run(tmp_path)
    more_seeds = CountingExecutor()
    run(tmp_path, changed(TINY, experiment={"n_eval_seeds": 3}), more_seeds)
    assert {(key.kind, key.seed) for key in more_seeds.submitted} == {("evaluate", 2)}
    more_settings = CountingExecutor()
    run(tmp_path, {**TINY, "grid": {"environment.n_agents": [6, 7]}}, more_settings)
    assert len(more_settings.submitted) == 7
    assert len({key.setting_id for key in more_settings.submitted}) == 1
    settings = pd.read_parquet(tmp_path / "evaluations").groupby("environment.n_agents").size()
    assert settings.to_dict() == {6: 6, 7: 4}


def test_a_wider_range_keeps_what_is_done_when_the_reference_is_fixed(tmp_path: Path) -> None:
    run(tmp_path, changed(TINY, experiment={"reference_k": 3}))
    wider = CountingExecutor()
    run(tmp_path, changed(TINY, experiment={"k_values": [1, 3, 4], "reference_k": 3}), wider)
    assert {key.k for key in wider.submitted} == {4}


def test_a_disk_that_fills_up_ends_the_session_and_the_next_one_goes_on(
    undisturbed: dict[str, bytes], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MAX_COMMIT_DELAY_S", 0.0)  # every task has parts of its own
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20 - 80 * 2**10))
    with pytest.raises(ResultsError, match="No space left on device; free some and run the same command again"):
        run(small_disk / "out")
    assert list((small_disk / "out").rglob("*.parquet"))
    ballast.unlink()
    rest = CountingExecutor()
    run(small_disk / "out", executor=rest)
    assert 0 < len(rest.submitted) < 7
    assert table_bytes(small_disk / "out") == undisturbed


def test_overwriting_deletes_the_report_of_earlier_results_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path)
    old = [f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")] + ["report.html"]
    kept = ["mine_vs_k.png", "policy.txt", "reward_vs_k.svg"]
    for name in (*old, *kept):
        (tmp_path / name).write_bytes(b"of earlier results")
    run(tmp_path)
    assert all((tmp_path / name).exists() for name in (*old, *kept))
    run(tmp_path, overwrite=True)
    assert not any((tmp_path / name).exists() for name in old)
    assert all((tmp_path / name).exists() for name in kept)


def test_overwriting_starts_afresh(tmp_path: Path) -> None:
    run(tmp_path)
    again = CountingExecutor()
    run(tmp_path, executor=again, overwrite=True)
    assert len(again.submitted) == 7


def test_policies_are_put_once_and_not_per_task(tmp_path: Path) -> None:
    first = CountingExecutor()
    run(tmp_path, executor=first)
    assert len(first.put_values) == 1  # the job; policies come from the tasks that made them
    second = CountingExecutor()
    run(tmp_path, changed(TINY, experiment={"n_eval_seeds": 5}), second)
    assert len(second.put_values) == 1 + 1 + 2  # the job, the local policy, one global policy per k


def test_the_longest_tasks_start_first(tmp_path: Path) -> None:
    counting = CountingExecutor()
    run(tmp_path, changed(TINY, experiment={"k_values": [1, 2, 4, 3]}), counting)
    assert [key.kind for key in counting.submitted[:5]] == ["shared_policy"] + ["g_learn"] * 4
    assert [key.k for key in counting.submitted[1:5]] == [4, 3, 2, 1]


def test_short_evaluations_are_batched_without_changing_a_number(tmp_path: Path) -> None:
    many = changed(TINY, experiment={"n_eval_seeds": 20})
    run(tmp_path / "single", many)
    batching = BatchingExecutor()
    run(tmp_path / "batched", many, batching)
    assert table_bytes(tmp_path / "batched") == table_bytes(tmp_path / "single")
    evaluations = [len(batch) for batch in batching.batches if batch[0].kind == "evaluate"]
    assert sum(evaluations) == 40
    assert len(evaluations) < 20
    assert len(pd.read_parquet(tmp_path / "batched" / "timings").query("task == 'evaluate'")) == 40


def test_long_evaluations_are_not_batched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batching = BatchingExecutor()
    monkeypatch.setattr(batching, "batch_seconds", 1e-5)
    run(tmp_path, changed(TINY, experiment={"n_eval_seeds": 20}), batching)
    assert {len(batch) for batch in batching.batches} == {1}


def test_a_failure_in_a_batch_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = KINDS["evaluate"]

    def break_at_seed_7(job: Any, key: TaskKey, *arguments: Any) -> Any:
        if (key.k, key.seed) == (1, 7):
            raise ArithmeticError("a broken seed")
        return original.run(job, key, *arguments)

    def run_together(job: Any, keys: list[TaskKey], *arguments: Any) -> Any:
        return [break_at_seed_7(job, key, *arguments) for key in keys]

    monkeypatch.setitem(KINDS, "evaluate", replace(original, run=break_at_seed_7, run_together=run_together))
    batching = BatchingExecutor()
    many = changed(TINY, experiment={"n_eval_seeds": 20})
    tally = run(tmp_path, many, batching)
    (batch,) = [batch for batch in batching.batches if any((key.k, key.seed) == (1, 7) for key in batch)]
    assert len(batch) > 1
    assert (tally.failed["evaluate"], tally.done["evaluate"]) == (1, 39)
    assert pd.read_parquet(tmp_path / "failures")[["k", "seed"]].to_numpy().tolist() == [[1, 7]]
    monkeypatch.undo()
    again = CountingExecutor()
    run(tmp_path, many, again)
    assert [(key.k, key.seed) for key in again.submitted] == [(1, 7)]


def test_a_batch_never_replaces_the_parts_of_a_larger_one(tmp_path: Path) -> None:
    few, many = (changed(TINY, experiment={"n_eval_seeds": n}) for n in (10, 20))
    run(tmp_path / "whole", many)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", many, InterruptedBatches(30))
    run(tmp_path / "parts", few, BatchingExecutor())
    run(tmp_path / "parts", many, BatchingExecutor())
    assert table_bytes(tmp_path / "parts") == table_bytes(tmp_path / "whole")


def test_a_failed_task_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = KINDS["g_learn"]

    def break_at_k_3(job: Any, key: TaskKey, *arguments: Any) -> Any:
        if key.k == 3:
            raise ArithmeticError("a broken kernel")
        return original.run(job, key, *arguments)

    monkeypatch.setitem(KINDS, "g_learn", replace(original, run=break_at_k_3))
    tally = run(tmp_path)
    assert (tally.n_failed, tally.n_not_run) == (1, 2)
    (failure,) = pd.read_parquet(tmp_path / "failures").to_dict("records")
    assert (failure["task"], failure["k"], failure["error"]) == ("g_learn", 3, "ArithmeticError: a broken kernel")
    assert "break_at_k_3" in failure["traceback"]
    assert pd.read_parquet(tmp_path / "evaluations")["k"].tolist() == [1, 1]
    monkeypatch.undo()
    run(tmp_path)
    assert len(pd.read_parquet(tmp_path / "failures")) == 0
    assert pd.read_parquet(tmp_path / "evaluations")["k"].tolist() == [1, 1, 3, 3]


def test_a_task_past_its_deadline_is_given_up(tmp_path: Path) -> None:
    slow = changed(TINY, evaluation={"horizon": 100_000_000}, runner={"task_timeout_s": 0.2})
    tally = run(tmp_path, slow)
    assert (tally.failed["shared_policy"], tally.n_not_run) == (1, 6)
    assert TaskTimeoutError.__name__ in pd.read_parquet(tmp_path / "failures")["error"][0]


def test_training_that_does_not_converge_is_told(tmp_path: Path) -> None:
    tally = run(tmp_path, changed(TINY, global_agent={"max_vi_iterations": 2}))
    assert {name.partition("-")[0] for name in tally.unconverged} == {"shared_policy", "g_learn"}
    assert all("only, after 2 sweeps" in name for name in tally.unconverged)
    assert not any("local agent" in name for name in tally.unconverged)
    trainings = pd.read_parquet(tmp_path / "trainings")
    assert not trainings["converged"].any()
    assert (trainings["bound"] > 1e-6).all()


def test_the_resolved_sweep_runs_as_the_same_sweep(tmp_path: Path) -> None:
    from distmarl.config.reading import read_sweep_file
    from distmarl.study.plan import make_plan

    run(tmp_path)
    resolved = make_plan(read_sweep_file(tmp_path / "sweep.yaml"))
    assert [job.setting_id for job in resolved.jobs] == [job.setting_id for job in plan_of(TINY).jobs]


def test_a_setting_tells_all_that_its_id_stands_for(tmp_path: Path) -> None:
    run(tmp_path)
    content = json.loads(pd.read_parquet(tmp_path / "settings")["content"][0])
    assert content["environment"]["gamma"] == 0.95
    assert content["experiment"] == {"reference_k": 3, "seed": 0, "local_policy": "shared", "numbers": NUMBERS}


def test_k_shares_the_initial_states_of_an_evaluation_seed(tmp_path: Path) -> None:
    # With one step and the same global policy for every count vector, only the start matters.
    flat = changed(TINY, environment={"n_local_actions": 1}, evaluation={"horizon": 1, "n_rollouts": 50})
    run(tmp_path, flat)
    means = pd.read_parquet(tmp_path / "evaluations").pivot(index="seed", columns="k", values="mean_return")
    np.testing.assert_array_equal(means[1], means[3])
    assert means[1].nunique() == 2


def test_expected_rewards_change_the_returns_and_not_their_states(tmp_path: Path) -> None:
    run(tmp_path, {**TINY, "grid": {"evaluation.reward": ["sampled", "expected"]}})
    rows = pd.read_parquet(tmp_path / "evaluations").groupby("evaluation.reward")
    sampled, expected = rows.get_group("sampled"), rows.get_group("expected")
    assert (sampled["mean_return"].to_numpy() != expected["mean_return"].to_numpy()).all()
    np.testing.assert_array_equal(sampled["mode_accuracy"], expected["mode_accuracy"])


def test_a_grid_can_supply_what_an_environment_requires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    game = "import distmarl as dm\nimport numpy as np\n\n\ndef make(*, n_agents: int, noise=np.float64(0.5)):\n"
    (tmp_path / "required_game.py").write_text(game + "    return dm.robots(n_agents=n_agents)\n")
    monkeypatch.syspath_prepend(tmp_path)
    mapping = {**TINY, "environment": {"name": "required_game:make"}, "grid": {"environment.n_agents": [6, 8]}}
    run(tmp_path / "out", mapping)
    assert set(pd.read_parquet(tmp_path / "out" / "evaluations")["environment.n_agents"]) == {6, 8}
    resolved = (tmp_path / "out" / "sweep.yaml").read_text()
    assert "environment: {name: required_game:make}" in resolved


def test_a_seed_beyond_64_bits_is_a_seed(tmp_path: Path) -> None:
    run(tmp_path, {**TINY, "grid": {"experiment.seed": [10**20]}})
    assert set(pd.read_parquet(tmp_path / "evaluations")["experiment.seed"]) == {str(10**20)}
