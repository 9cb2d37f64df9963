"""What becomes of tasks that fail: how they are kept, retried, and what they stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.executors.failures import describe_arguments
from distmarl.sweep.executors.task_log import TAIL_BYTES
from distmarl.sweep.session import Interrupted
from tests.commands import RunCommand
from tests.sweep.sweeps import TINY, changed, plan_of, run, table_bytes, write_sweep
from tests.sweep.test_session import BatchingExecutor, CountingExecutor, StoppingExecutor

Break = Callable[..., None]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Let tasks fail: those of a kind, with a k and a seed if they are named."""

    def break_tasks(kind: Any, k: int | None = None, seed: int | None = None) -> None:
        original = KINDS[kind]

        def function(job: Any, key: TaskKey, *arguments: Any) -> Any:
            if k in (None, key.k) and seed in (None, key.seed):
                raise ArithmeticError("a broken kernel")
            return original.run(job, key, *arguments)

        monkeypatch.setitem(KINDS, kind, replace(original, run=function))

    return break_tasks


def failed(folder: Path) -> list[tuple[str, int | None, int | None]]:
    rows = pd.read_parquet(folder / "failures").to_dict("records")
    return [(row["task"], *(None if pd.isna(row[name]) else int(row[name]) for name in ("k", "seed"))) for row in rows]


def test_only_what_has_failed_is_retried(tmp_path: Path, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken("g_learn", k=3)
    run(tmp_path, changed(TINY, experiment={"n_eval_seeds": 1}))
    monkeypatch.undo()
    retried = CountingExecutor()
    tally = run(tmp_path, TINY, retried, retry_failed=True)
    assert [(key.kind, key.k) for key in retried.submitted] == [("g_learn", 3)]
    assert (tally.n_failed, tally.n_not_run) == (0, 3)
    assert failed(tmp_path) == []
    nothing = CountingExecutor()
    run(tmp_path, TINY, nothing, retry_failed=True)
    assert nothing.submitted == []
    run(tmp_path, TINY)
    run(tmp_path / "whole", TINY)
    assert table_bytes(tmp_path) == table_bytes(tmp_path / "whole")


def test_every_kind_of_task_can_be_retried(tmp_path: Path, broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("baselines", "nash_gap", "exact_return", "evaluate")
    everything = changed(
        TINY,
        environment={"gamma": 0.5},  # so that estimates take few steps
        global_agent={"transitions": "exact", "n_mc_samples": 30},
        evaluation={"method": "both"},
        experiment={"nash_gap": "estimate", "baselines": ["random"]},
    )
    for kind in kinds:
        broken(kind)
    tally = run(tmp_path, everything)
    monkeypatch.undo()
    retried = CountingExecutor()
    run(tmp_path, everything, retried, retry_failed=True)
    assert {key.kind for key in retried.submitted} == set(kinds)
    assert len(retried.submitted) == tally.n_failed
    assert failed(tmp_path) == []


def test_a_failure_is_remembered_until_its_task_succeeds(
    tmp_path: Path, broken: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken("evaluate", k=3, seed=0)
    broken("evaluate", k=1, seed=1)
    run(tmp_path)
    assert failed(tmp_path) == [("evaluate", 1, 1), ("evaluate", 3, 0)]
    monkeypatch.undo()
    with pytest.raises(Interrupted):
        run(tmp_path, executor=StoppingExecutor(1))
    assert len(failed(tmp_path)) == 1
    run(tmp_path)
    assert failed(tmp_path) == []


def test_a_failure_of_a_changed_sweep_is_forgotten(tmp_path: Path, broken: Break) -> None:
    broken("g_learn", k=3)
    run(tmp_path, changed(TINY, experiment={"reference_k": 3}))
    run(tmp_path, changed(TINY, experiment={"k_values": [1], "reference_k": 3}))
    assert failed(tmp_path) == []


def test_nothing_is_started_after_the_first_failure_if_so_asked(tmp_path: Path, broken: Break) -> None:
    broken("evaluate")
    counting = CountingExecutor()
    tally = run(tmp_path / "fast", executor=counting, fail_fast=True)
    assert (tally.n_failed, tally.n_not_run) == (1, 3)
    assert len(counting.tasks) == 4
    assert run(tmp_path / "slow").n_failed == 4


def test_what_was_under_way_at_the_first_failure_is_kept(tmp_path: Path, broken: Break) -> None:
    many = changed(TINY, experiment={"n_eval_seeds": 20})
    broken("evaluate", k=3, seed=1)
    batching = type("Wide", (BatchingExecutor,), {"max_in_flight": 3})()
    tally = run(tmp_path, many, batching, fail_fast=True)
    assert tally.n_failed == 1
    assert tally.done.total() + 1 == len(batching.tasks) < 43


def test_a_failure_tells_the_arguments(tmp_path: Path, broken: Break) -> None:
    broken("evaluate")
    run(tmp_path, {**TINY, "grid": {"environment.n_agents": [6]}})
    failures = pd.read_parquet(tmp_path / "failures")
    (job,) = plan_of({**TINY, "grid": {"environment.n_agents": [6]}}).jobs
    assert failures["arguments"][0].startswith(f"job=setting {job.setting_id} (n_agents=6)")
    assert failures["log_tail"].isna().all(), "the streams of this process are no task's own"


def test_arguments_are_told_in_short() -> None:
    (job,) = plan_of(TINY).jobs
    name = job.setting_id
    arguments = (job, TaskKey("evaluate", name, 3, 1), 1, np.zeros((3, 3, 3)), np.zeros((3, 10), np.int16))
    assert describe_arguments(KINDS["evaluate"].run, arguments) == (
        f"job=setting {name}, key=evaluate-{name}-k3-seed1, n_threads=1, "
        "local_policy=float64[3, 3, 3], global_policy=int16[3, 10]"
    )
    odd = (job, TaskKey("g_learn", name, 3), 1, object())
    assert describe_arguments(KINDS["g_learn"].run, odd).endswith("n_threads=1, local_policy=object")


@pytest.mark.skipif(sys.platform != "linux", reason="log files are found by /proc")
def test_the_tail_of_a_log_is_what_was_written_since_the_mark(tmp_path: Path) -> None:
    script = f"""
import os, sys
from distmarl.sweep.executors.task_log import LogMark
print("before"); os.write(2, b"before\\n")
mark = LogMark.here()
print("x" * {TAIL_BYTES}); print("buffered by Python"); os.write(2, b"from C\\n")
tail = mark.tail()
os.write(int(sys.argv[1]), tail.encode())
"""
    reading, writing = os.pipe()
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        subprocess.run(
            [sys.executable, "-c", script, str(writing)], stdout=out, stderr=err, pass_fds=[writing], check=True
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        tail = pipe.read()
    assert tail.endswith("x\nbuffered by Python\nfrom C\n")
    assert "before" not in tail
    assert len(tail) <= TAIL_BYTES


def test_the_command_retries_and_says_what_is_left(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path, changed(TINY, evaluation={"n_rollouts": 100_000}))
    options = ("--executor", "serial", "--out", "out", "--quiet")
    done = call_sweep(sweep, *options, "--fail-fast", "--set", "runner.task_timeout_s=0.05")
    assert done.returncode == 1, done.stderr
    assert "with --retry-failed only them" in done.stderr
    assert "1 of" not in done.stderr
    short = ("--set", "evaluation.n_rollouts=4")
    nothing = call_sweep(sweep, *options, "--retry-failed", *short)
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "7 tasks not run; the command without --retry-failed runs them" in nothing.stderr
    both = call_sweep(sweep, *options, "--retry-failed", "--overwrite")
    assert both.returncode == 2
    assert "not allowed with argument" in both.stderr
