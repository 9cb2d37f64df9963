"""How well the driver keeps its slots busy, on a virtual clock; and what it keeps in memory."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distmarl.study.kinds.kind import TaskKey
from distmarl.study.plan import Plan
from distmarl.sweep import driver, pace
from distmarl.sweep.driver import Driver
from distmarl.sweep.executors.executor import Completed, Task
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.ready import ReadyTasks
from distmarl.sweep.stopping import Stop
from tests.sweep.simulated import NoStore, VirtualExecutor, bound, realistic_durations, settings_of_seeds
from tests.sweep.sweeps import TINY, changed, plan_of, run
from tests.sweep.test_session import CountingExecutor


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit at once: delays are in seconds of another clock."""
    monkeypatch.setattr(pace, "MAX_COMMIT_DELAY_S", 0.0)


def makespan(plan: Plan, n_slots: int) -> float:
    """Return the makespan of a plan, as a multiple of what no schedule can beat."""
    durations = realistic_durations(plan, 30.0)
    executor = VirtualExecutor(n_slots, durations)
    tally = Driver(plan, NoStore(), executor, Progress(), Stop()).run()
    assert tally.done == tally.total
    return executor.now / bound(plan, durations, n_slots)


# Either enough settings to keep every slot busy from the start, or so few that the longest of them decides: in
# between, slots idle while shared policies are trained, and nobody reaches the bound.
@pytest.mark.parametrize(
    ("n_slots", "n_settings"), [(1, 1), (16, 1), (64, 20), (64, 62), (256, 60), (256, 250), (1000, 250), (1000, 980)]
)
def test_the_makespan_is_within_a_tenth_of_the_bound(n_slots: int, n_settings: int) -> None:
    plan = settings_of_seeds(n_settings, k_values=(25,), n_eval_seeds=3)
    assert 1 - 1e-9 <= makespan(plan, n_slots) < 1.1


def test_shortest_first_would_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = settings_of_seeds(20)
    original = ReadyTasks.add
    longest_first = makespan(plan, 40)
    assert longest_first < 1.1
    monkeypatch.setattr(
        ReadyTasks,
        "add",
        lambda self, tasks, n, *, urgency, cost: original(self, tasks, n, urgency=-urgency, cost=-cost),
    )
    assert makespan(plan, 40) > longest_first + 0.05


def test_batches_that_do_not_shrink_would_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VirtualExecutor, "batch_seconds", 100.0)
    plan = settings_of_seeds(62)
    assert makespan(plan, 64) < 1.1
    monkeypatch.setattr(driver, "BATCHES_PER_SLOT", Fraction(1, 64))
    assert makespan(plan, 64) > 1.1


def test_tasks_wait_unmade() -> None:
    ready, made = ReadyTasks(), []

    def tasks() -> Any:
        for seed in range(1000):
            made.append(seed)
            yield Task(TaskKey("evaluate", "a", 1, seed), None)

    ready.add(tasks(), 1000, urgency=1, cost=0.0)
    ready.add([Task(TaskKey("g_learn", "a", 1), None)], 1, urgency=2, cost=1.0)
    assert (len(ready), ready.n_of(1), ready.n_of(2)) == (1001, 1000, 1)
    assert [str(ready.take().key) for _ in range(3)] == ["g_learn-a-k1", "evaluate-a-k1-seed0", "evaluate-a-k1-seed1"]
    assert (len(ready), made) == (998, [0, 1])


def test_what_gives_the_curve_comes_before_nash_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VirtualExecutor, "batch_seconds", 100.0)
    plan = plan_of(changed(TINY, experiment={"k_values": [1, 2, 3], "nash_gap": "estimate"}))
    order: list[set[str]] = []
    submit = VirtualExecutor.submit
    monkeypatch.setattr(
        VirtualExecutor,
        "submit",
        lambda self, *tasks: (order.append({task.key.kind for task in tasks}), submit(self, *tasks))[1],
    )
    tally = Driver(plan, NoStore(), VirtualExecutor(1, realistic_durations(plan, 30.0)), Progress(), Stop()).run()
    assert tally.done == tally.total
    assert all(len(kinds) == 1 for kinds in order)  # no gap travels with evaluations
    kinds = [kind for (kind,) in order]
    assert kinds.index("nash_gap") > max(place for place, kind in enumerate(kinds) if kind == "evaluate")


class HandingBackTogether(CountingExecutor):
    """Hands back whatever it has, all at once."""

    runs_here = False
    max_in_flight = 5

    def next_completed(self, timeout_s: float) -> list[Completed]:
        return [
            each for _ in range(self.n_in_flight) for each in super(CountingExecutor, self).next_completed(timeout_s)
        ]


def test_what_completes_together_is_committed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = changed(TINY, experiment={"n_eval_seeds": 15})
    commits = []
    original = driver.Store.commit

    def commit(self: Any, name: str, rows: Any) -> None:
        commits.append(name)
        original(self, name, rows)

    monkeypatch.setattr(driver.Store, "commit", commit)
    run(tmp_path / "together", many, HandingBackTogether())
    assert len(commits) == len(set(commits)) <= 1 + 1 + math.ceil(30 / 5) + 1
    run(tmp_path / "single", many)
    for table in ("evaluations", "trainings", "global_policies"):
        together, single = (tmp_path / name / table / "data.parquet" for name in ("together", "single"))
        assert together.read_bytes() == single.read_bytes()


def test_parts_are_compacted_while_the_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "PUBLISH_EVERY_S", 0.0)
    monkeypatch.setattr(pace, "PUBLISH_SHARE", math.inf)
    seen = []

    class Looking(CountingExecutor):
        def next_completed(self, timeout_s: float) -> list[Completed]:
            parts = list((tmp_path / "_parts" / "evaluations").glob("*"))
            published = tmp_path / "evaluations" / "data.parquet"
            seen.append((len(parts), len(pd.read_parquet(published)) if published.exists() else 0))
            return super().next_completed(timeout_s)

    run(tmp_path, changed(TINY, experiment={"n_eval_seeds": 10}), Looking())
    assert max(n_rows for _, n_rows in seen) > 10
    assert max(n_parts for n_parts, _ in seen) < 5
