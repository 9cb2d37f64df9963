"""What a batch system or a container leaves of the machine, as the command tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distmarl.sweep.estimates import machine
from tests.commands import RunCommand, on_one_core
from tests.conftest import pytest_xdist_auto_num_workers
from tests.sweep.sweeps import TINY, changed, write_sweep


@pytest.fixture(autouse=True)
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the system's cgroups: none, on a machine of 64 cores that are all ours."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text.strip()}\n")


def expected(call_sweep: RunCommand, folder: Path, *options: str) -> str:
    """Return on which cores the plan reckons, and why."""
    plan = call_sweep(write_sweep(folder), "--plan", *options)
    assert plan.returncode == 0, plan.stderr
    (line,) = (line for line in plan.stdout.splitlines() if line.startswith("expected"))
    return line.partition(" on ")[2]


VERSION_1 = "4:cpu,cpuacct:/slurm/job_7\n3:memory:/slurm/job_7\n0::/\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "64 cores of this machine"),
        ({"own": "0::/", "cgroup/cpu.max": "max 100000"}, "64 cores of this machine"),
        ({"own": "0::/", "cgroup/cpu.max": "250000 100000"}, "2 cores of this machine's 64, as the cgroup's quota "),
        ({"own": "0::/a/b", "cgroup/a/cpu.max": "50000 100000", "cgroup/a/b/cpu.max": "max 100000"}, "1 core of this "),
        ({"own": "0::/../x", "cgroup/cpu.max": "300000 100000"}, "64 cores of this machine"),
        (
            {"own": VERSION_1, "cgroup/cpu/cpu.cfs_quota_us": "400000", "cgroup/cpu/cpu.cfs_period_us": "100000"},
            "4 cores of this machine's 64, as the cgroup's quota of 4 says",
        ),
        (
            {
                "own": VERSION_1,
                "cgroup/cpu/slurm/job_7/cpu.cfs_quota_us": "300000",
                "cgroup/cpu/slurm/job_7/cpu.cfs_period_us": "100000",
                "cgroup/cpu/cpu.cfs_quota_us": "-1",
                "cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            "3 cores of this machine's 64, as the cgroup's quota of 3 says",
        ),
    ],
)
def test_a_cgroup_s_quota_counts(call_sweep: RunCommand, cgroups: Path, files: dict[str, str], told: str) -> None:
    write(cgroups, files)
    assert expected(call_sweep, cgroups).startswith(told)


def test_the_affinity_counts_and_the_tests_heed_it(
    call_sweep: RunCommand, cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the system's own
    with on_one_core():
        assert expected(call_sweep, cgroups).startswith("1 core")
        assert pytest_xdist_auto_num_workers() in (2, 3)


def test_what_is_asked_for_is_not_cut(call_sweep: RunCommand, cgroups: Path) -> None:
    write(cgroups, {"own": "0::/", "cgroup/cpu.max": "250000 100000"})
    assert expected(call_sweep, cgroups, "--num-cpus", "8") == "8 cores, as runner.num_cpus says"
    told = expected(call_sweep, cgroups, "--address", "head:6379")
    assert told.startswith("2 cores of this machine's 64, as the cgroup's quota of 2.5 says; --num-cpus tells how many")


def test_a_training_that_asks_for_more_than_the_share_is_refused(call_sweep: RunCommand, cgroups: Path) -> None:
    write(cgroups, {"own": "0::/", "cgroup/cpu.max": "250000 100000"})
    done = call_sweep(write_sweep(cgroups), "--cpus-per-train", 3)
    assert done.returncode == 2
    assert "each training asks for 3 cores, but the local Ray has 2" in done.stderr


@pytest.mark.parametrize("file", ["memory/slurm/job_7/memory.limit_in_bytes", "memory.max"])
def test_a_cgroup_s_memory_counts(call_sweep: RunCommand, cgroups: Path, file: str) -> None:
    write(cgroups, {"own": VERSION_1, f"cgroup/{file}": str(100 * 2**20)})
    sweep = changed(TINY, environment={"n_agents": 40}, experiment={"nash_gap": "exact"})
    sweep["environment"] |= dict.fromkeys(("n_global_states", "n_local_states", "n_global_actions"), 5)
    done = call_sweep(write_sweep(cgroups, sweep), "--executor", "serial")
    assert done.returncode == 2
    assert "the largest node of this machine has 100 MiB for tasks" in done.stderr
