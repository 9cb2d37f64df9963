"""The memory that tasks are expected to take, and what is refused for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distmarl.errors import ExecutorError
from distmarl.learning.exact_return import population_bytes
from distmarl.sweep import cli, resources
from distmarl.sweep.pending import find_pending
from distmarl.sweep.resources import (
    SMALL_TASK_BYTES,
    check_memory,
    memory_request,
    shared_policy_bytes,
    task_bytes,
    training_bytes,
)
from tests.conftest import REPOSITORY
from tests.sweep.sweeps import TINY, changed, plan_of, run, write_sweep
from tests.sweep.test_session import CountingExecutor

# Runs one task and prints by how much it raises the memory of its process, beside the estimate.
MEASURE = """
import json, sys
from tests.benchmarks.measuring import peak_bytes
from distmarl.config.reading import RawSweep
from distmarl.model.policies import uniform_local_policy
from distmarl.sweep.plan import make_plan
from distmarl.sweep.resources import task_bytes
from distmarl.sweep.tasks import TASK_FUNCTIONS

kind, k, n_threads, mapping = json.loads(sys.argv[1])
plan = make_plan(RawSweep(mapping, "measured"))
(job,) = plan.jobs
arguments = (job, uniform_local_policy(job.environment), k, n_threads) if kind == "g_learn" else (job, n_threads)
peak = peak_bytes(lambda: TASK_FUNCTIONS[kind](*arguments))
print(json.dumps([peak, task_bytes(plan, job, kind, k, n_threads)]))
"""


def robots(k: int, transitions: str, n_states: int = 5) -> dict[str, Any]:
    sizes = dict.fromkeys(("n_global_states", "n_local_states", "n_global_actions"), n_states)
    return {
        "environment": {"n_agents": 1000, **sizes},
        # Twelve sweeps fill the arrays of the acceleration; more would take time and no memory.
        "global_agent": {"transitions": transitions, "max_vi_iterations": 12},
        "alternating": {"n_outer_iterations": 2, "convergence_rtol": 0.0},
        "evaluation": {"n_rollouts": 2, "horizon": 2},
        "experiment": {"k_values": [k]},
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads peaks from /proc")
@pytest.mark.parametrize(
    ("kind", "k", "transitions", "n_states", "n_threads"),
    [
        ("g_learn", 30, "sampled", 5, 1),
        ("g_learn", 30, "exact", 5, 1),
        ("g_learn", 30, "exact", 5, 4),
        ("g_learn", 35, "rounded", 5, 1),
        ("g_learn", 250, "exact", 3, 1),
        ("shared_policy", 28, "sampled", 5, 2),
        ("shared_policy", 28, "exact", 5, 1),
    ],
)
def test_the_estimate_is_within_a_factor_of_two_of_the_measured_peak(
    kind: str, k: int, transitions: str, n_states: int, n_threads: int
) -> None:
    mapping = robots(k, transitions, n_states)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps([kind, k, n_threads, mapping])],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    peak, estimate = json.loads(done.stdout)
    assert peak / 2 < estimate < 2 * peak


def test_more_of_anything_takes_more() -> None:
    (job,) = plan_of(robots(20, "sampled")).jobs
    (exact,) = plan_of(robots(20, "exact")).jobs
    assert training_bytes(job, 21) > training_bytes(job, 20)
    assert training_bytes(exact, 20, n_threads=3) > training_bytes(exact, 20, n_threads=2)
    assert training_bytes(exact, 20, n_threads=9) == training_bytes(exact, 20, n_threads=5), "one per global state"
    assert shared_policy_bytes(job) > training_bytes(job, 20)


def test_exact_values_take_the_memory_of_the_whole_population() -> None:
    crowd = changed(TINY, environment={"n_agents": 50})
    plan = plan_of(changed(crowd, alternating={"joint_value": "exact"}))
    (job,), (plain,) = plan.jobs, plan_of(crowd).jobs
    assert shared_policy_bytes(job) == population_bytes(job.environment) > shared_policy_bytes(plain)
    assert task_bytes(plan, job, "exact_return", 3) == population_bytes(job.environment)


def test_small_tasks_ask_for_no_memory() -> None:
    assert memory_request(SMALL_TASK_BYTES - 1) == 0
    assert memory_request(SMALL_TASK_BYTES) == SMALL_TASK_BYTES


def test_every_task_asks_for_what_it_is_expected_to_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "SMALL_TASK_BYTES", 0)
    counting = CountingExecutor()
    run(tmp_path, executor=counting)
    plan = plan_of(TINY)
    asked = {task.key: task.memory_bytes for task in counting.tasks}
    expected = {key: task_bytes(plan, plan.jobs[0], key.kind, key.k) for key in asked}
    assert asked == expected
    assert len(set(asked.values())) >= 3


def test_an_impossible_request_is_refused_with_the_arithmetic() -> None:
    plan = plan_of({**robots(40, "sampled"), "grid": {"environment.n_agents": [50, 60]}})
    needed = training_bytes(plan.jobs[0], 40)
    with pytest.raises(ExecutorError) as refusal:
        check_memory(plan, find_pending(plan, None), needed - 1, "the cluster")
    message, name = str(refusal.value), plan.jobs[0].setting_id
    assert f"-{name} (n_agents=50): needs about " in message
    assert "MiB of memory, for 135,751 count vectors (40 agents in 5 local states) x 5 global states" in message
    assert f"the largest node of the cluster has {resources.mebibytes(needed - 1)} for tasks" in message
    assert "Use a smaller k, fewer global_agent.n_mc_samples or a machine with more memory" in message
    check_memory(plan, find_pending(plan, None), shared_policy_bytes(plan.jobs[0]), "the cluster")


def test_what_is_done_needs_no_memory() -> None:
    plan = plan_of(robots(40, "sampled"))
    pending = find_pending(plan, None)
    check_memory(plan, pending.only(()), 0, "the cluster")


@pytest.mark.parametrize("option", ["--plan", "--executor=serial"])
def test_the_command_refuses_it_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setattr(cli, "machine_memory", lambda: 100 * 2**20)
    sweep = write_sweep(tmp_path, robots(40, "exact"))
    assert cli.main([str(sweep), "--out", str(tmp_path / "out"), option]) == 2
    assert "the largest node of this machine has 100 MiB for tasks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
