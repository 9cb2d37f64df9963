"""The memory that tasks are expected to take, and what is refused for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distmarl.errors import ExecutorError
from distmarl.study.job import Job
from distmarl.study.kinds import KINDS
from distmarl.sweep.__main__ import main
from distmarl.sweep.estimates import requests
from distmarl.sweep.estimates.requests import SMALL_TASK_BYTES, check_memory, memory_request
from distmarl.sweep.executors import choice
from distmarl.values.exact_return import population_bytes
from distmarl.wording import mebibytes
from tests.commands import REPOSITORY
from tests.sweep.sweeps import TINY, changed, plan_of, run, write_sweep
from tests.sweep.test_session import CountingExecutor

pytestmark = pytest.mark.long

# Runs tasks, each in a fork of its own, and prints by how much they raise its memory, beside the estimates.
MEASURE = """
import json, os, sys
import numpy as np
from tests.benchmarks.measuring import peak_bytes
from distmarl.config.reading import RawSweep
from distmarl.model.counts import n_count_vectors
from distmarl.model.policies import uniform_local_policy
from distmarl.study.plan import make_plan
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey

def measure(name, k, n_threads, mapping):
    (job,) = make_plan(RawSweep(mapping, "measured")).jobs
    env, kind = job.environment, KINDS[name]
    shape = (env.n_global_states, n_count_vectors(k or 1, env.n_local_states))
    values = {
        "shared_policy": uniform_local_policy(env),
        "g_learn": np.random.default_rng(0).integers(env.n_global_actions, size=shape),
    }
    needed, needs = [], kind.needs
    while needs is not None:
        needed.insert(0, values[needs])
        needs = KINDS[needs].needs
    key = TaskKey(name, job.setting_id, k, 0 if kind.per == "seed" else None)
    return peak_bytes(lambda: kind.run(job, key, n_threads, *needed)), kind.n_bytes(job, k, n_threads)

def warm_up(name, k, n_threads, mapping):
    "Run a small task of the kind: a fork has none of the libraries' pages in its memory before it uses them."
    few = {"environment": {**mapping["environment"], "n_agents": 4}}
    few["experiment"] = {**mapping["experiment"], "k_values": [2]}
    few["experiment"].pop("bound_m", None)
    measure(name, k and 2, n_threads, {**mapping, **few})

for case in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        warm_up(*case)
        print(json.dumps(measure(*case)), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, case
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


def population(n_agents: int, k: int = 2, **experiment: Any) -> dict[str, Any]:
    """Return a sweep whose tasks work on all agents, soon content with their values."""
    return {
        "environment": {"n_agents": n_agents, "gamma": 0.3},
        "global_agent": {"convergence_threshold": 0.1},
        "evaluation": {"method": "both", "n_rollouts": 2, "horizon": 2},
        "experiment": {"k_values": [k], "n_eval_seeds": 2, **experiment},
    }


by_rollouts = {"method": "rollouts"}


MEASURED: list[tuple[str, int | None, int, dict[str, Any]]] = [
    ("g_learn", 28, 1, robots(28, "sampled")),
    ("g_learn", 28, 4, robots(28, "exact")),
    ("g_learn", 32, 1, robots(32, "rounded")),
    ("g_learn", 180, 1, robots(180, "exact", n_states=3)),
    ("shared_policy", None, 2, robots(25, "sampled")),
    ("shared_policy", None, 1, robots(25, "exact")),
    ("shared_policy", None, 1, changed(population(28), alternating={"joint_value": "exact"})),
    ("baselines", None, 1, population(32, baselines=["random", "full_information"])),
    ("baselines", None, 1, changed(population(32, baselines=["full_information"]), evaluation=by_rollouts)),
    ("nash_gap", 2, 1, population(18, nash_gap="exact")),
    ("nash_gap", 2, 1, changed(population(200, nash_gap="estimate"), evaluation=by_rollouts)),
    ("welfare", None, 1, population(32, nash_gap="exact", welfare_starts=1)),
    ("exact_return", 3, 1, population(32, k=3)),
    ("independent_q", 32, 1, changed(population(32, 32, baselines=["independent_q"]), evaluation=by_rollouts)),
    ("bound", None, 1, changed(population(1000, bound="exact", bound_m=12), evaluation=by_rollouts)),
    ("evaluate", 2, 1, changed(population(1000), evaluation={**by_rollouts, "n_rollouts": 30_000})),
]


@pytest.fixture(scope="module")
def measured() -> list[tuple[int, int]]:
    """The peak and the estimate of each case, from one process, whose imports take longer than most tasks."""
    if sys.platform != "linux":
        pytest.skip("reads peaks from /proc")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(MEASURED)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("case", range(len(MEASURED)), ids=lambda case: MEASURED[case][0])
def test_the_estimate_is_within_a_factor_of_two_of_the_measured_peak(
    measured: list[tuple[int, int]], case: int
) -> None:
    peak, estimate = measured[case]
    assert peak / 2 < estimate < 2 * peak


def n_bytes(kind: str, job: Job, k: int | None = None, n_threads: int = 1) -> int:
    return KINDS[kind].n_bytes(job, k, n_threads)


def test_more_of_anything_takes_more() -> None:
    (job,) = plan_of(robots(20, "sampled")).jobs
    (exact,) = plan_of(robots(20, "exact")).jobs
    assert n_bytes("g_learn", job, 21) > n_bytes("g_learn", job, 20)
    assert n_bytes("g_learn", exact, 20, n_threads=3) > n_bytes("g_learn", exact, 20, n_threads=2)
    assert n_bytes("g_learn", exact, 20, n_threads=9) == n_bytes("g_learn", exact, 20, n_threads=5), (
        "one per global state"
    )
    assert n_bytes("shared_policy", job) > n_bytes("g_learn", job, 20)


def test_exact_values_take_the_memory_of_the_whole_population() -> None:
    crowd = changed(TINY, environment={"n_agents": 50})
    plan = plan_of(changed(crowd, alternating={"joint_value": "exact"}))
    (job,), (plain,) = plan.jobs, plan_of(crowd).jobs
    values = n_bytes("exact_return", job, 3)
    assert n_bytes("shared_policy", job) == values > n_bytes("shared_policy", plain)
    assert values < population_bytes(job.environment), "no acceleration over a horizon"


def test_small_tasks_ask_for_no_memory() -> None:
    assert memory_request(SMALL_TASK_BYTES - 1) == 0
    assert memory_request(SMALL_TASK_BYTES) == SMALL_TASK_BYTES


def test_every_task_asks_for_what_it_is_expected_to_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SMALL_TASK_BYTES", 0)
    counting = CountingExecutor()
    run(tmp_path, executor=counting)
    plan = plan_of(TINY)
    asked = {task.key: task.memory_bytes for task in counting.tasks}
    expected = {key: n_bytes(key.kind, plan.jobs[0], key.k) for key in asked}
    assert asked == expected
    assert len(set(asked.values())) >= 3


def test_an_impossible_request_is_refused_with_the_arithmetic() -> None:
    plan = plan_of({**robots(40, "sampled"), "grid": {"environment.n_agents": [50, 60]}})
    needed = n_bytes("g_learn", plan.jobs[0], 40)
    with pytest.raises(ExecutorError) as refusal:
        check_memory(plan, plan.pending(None), needed - 1, "the cluster")
    message, name = str(refusal.value), plan.jobs[0].setting_id
    assert f"-{name} (n_agents=50): needs about " in message
    assert "MiB of memory, for 135,751 count vectors (40 agents in 5 local states) x 5 global states" in message
    assert f"the largest node of the cluster has {mebibytes(needed - 1)} for tasks" in message
    assert "Use a smaller k, fewer global_agent.n_mc_samples or a machine with more memory" in message
    check_memory(plan, plan.pending(None), n_bytes("shared_policy", plan.jobs[0]), "the cluster")


def test_what_is_done_needs_no_memory() -> None:
    plan = plan_of(robots(40, "sampled"))
    pending = plan.pending(None)
    check_memory(plan, pending.only(()), 0, "the cluster")


@pytest.mark.parametrize("option", ["--plan", "--executor=serial"])
def test_the_command_refuses_it_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setattr(choice, "machine_memory", lambda: 100 * 2**20)
    sweep = write_sweep(tmp_path, robots(40, "exact"))
    assert main([str(sweep), "--out", str(tmp_path / "out"), option]) == 2
    assert "the largest node of this machine has 100 MiB for tasks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
