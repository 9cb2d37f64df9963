"""What is done while a Ray starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.executors import head_start
from distmarl.sweep.executors.execution import Call
from distmarl.sweep.executors.head_start import AheadExecutor, HeadStart
from tests.sweep.sweeps import TINY, changed, plan_of, run, table_bytes
from tests.sweep.test_session import CountingExecutor

# Two settings, each with a shared local policy that all others wait for.
TWO = changed(TINY, grid={"experiment.seed": [0, 1]})


def begun(mapping: dict[str, Any]) -> HeadStart:
    plan = plan_of(mapping)
    started = HeadStart(plan, plan.pending(None))
    started.begin()
    return started


def kinds_of(executor: CountingExecutor) -> set[str]:
    return {key.kind for key in executor.submitted}


def test_what_was_begun_is_not_done_again_and_the_tables_are_the_same(tmp_path: Path) -> None:
    run(tmp_path / "alone", TWO)
    executor = CountingExecutor()
    started = begun(TWO)
    while not started.has(TaskKey("shared_policy", plan_of(TWO).jobs[-1].setting_id)):
        time.sleep(0.01)
    tally = run(tmp_path / "ahead", TWO, AheadExecutor(started, executor))
    assert tally.done == tally.total
    assert kinds_of(executor) == {"g_learn", "evaluate"}
    assert table_bytes(tmp_path / "ahead") == table_bytes(tmp_path / "alone")
    assert len(pd.read_parquet(tmp_path / "ahead" / "timings").query("task == 'shared_policy'")) == 2


def test_nothing_is_begun_once_it_is_over(tmp_path: Path) -> None:
    plan, executor = plan_of(TWO), CountingExecutor()
    started = HeadStart(plan, plan.pending(None))
    started.end()
    started.begin()
    tally = run(tmp_path, TWO, AheadExecutor(started, executor))
    assert tally.done == tally.total
    assert sum(key.kind == "shared_policy" for key in executor.submitted) == 2


@pytest.mark.parametrize(
    "limit", ["distmarl.sweep.executors.head_start.MAX_SECONDS", "distmarl.sweep.estimates.requests.SMALL_TASK_BYTES"]
)
def test_long_and_large_tasks_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str) -> None:
    monkeypatch.setattr(limit, 0)
    executor = CountingExecutor()
    run(tmp_path, TWO, AheadExecutor(begun(TWO), executor))
    assert "shared_policy" in kinds_of(executor)


def test_a_failure_is_handed_back_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no such luck")

    (job,) = plan_of(TINY).jobs
    key = TaskKey("shared_policy", job.setting_id)
    monkeypatch.setattr(head_start, "_first_calls", lambda *_: iter([(key, Call(fail, (job, key, 1)))]))
    started, executor = begun(TINY), CountingExecutor()
    while not started.has(key):
        time.sleep(0.01)
    tally = run(tmp_path, TINY, AheadExecutor(started, executor))
    assert tally.failed["shared_policy"] == 1
    assert executor.submitted == []
    tally = run(tmp_path, TINY, AheadExecutor(started, executor))
    assert tally.n_failed == 0
    assert "shared_policy" in kinds_of(executor)
