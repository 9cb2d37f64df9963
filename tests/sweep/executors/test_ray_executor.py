"""The user's command on a real local Ray."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.commands import RunCommand, on_one_core, own_environment
from tests.faults.machinery import FaultyDriver, wait_for
from tests.sweep.sweeps import TINY, changed, run, table_bytes, write_sweep

pytestmark = pytest.mark.ray

SWARM = """
import distmarl as dm
import numpy as np

def swarm(*, n_agents: int, stickiness: float = 0.9) -> dm.Environment:
    stay = np.eye(2) * stickiness + (1 - np.eye(2)) * (1 - stickiness)
    return dm.Environment(
        transition_global=np.tile(np.eye(2), (2, 1, 1)), transition_local=np.tile(stay[:, None, :], (2, 1, 1, 1)),
        reward_global=np.zeros((2, 2)), reward_local=np.eye(2)[:, :, None], n_agents=n_agents, gamma=0.95)
"""

SWARM_SWEEP: dict[str, Any] = {
    **TINY,
    "name": "swarm",
    "environment": {"name": "swarm:swarm", "n_agents": 6},
    "grid": {"environment.stickiness": [0.6, 0.9]},
}


def under_uv_run(folder: Path) -> RunCommand:
    """Return a function that runs the command in a folder as a child of what Ray takes for `uv run`."""
    script = folder / "run"
    script.write_text(f'{shlex.quote(sys.executable)} -m distmarl.sweep "$@"\nexit $?\n')

    def run_command(*arguments: str | Path | int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["uv", "run", *map(str, arguments)],
            executable="/bin/sh",
            cwd=folder,
            env=own_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    return run_command


@pytest.mark.usefixtures("undrawn")
def test_tables_are_the_same_on_ray_with_one_or_two_workers_and_in_process(
    tmp_path: Path, run_sweep: RunCommand, call_sweep: RunCommand
) -> None:
    # The game lies in the folder that the command runs in; workers get its tables.
    (tmp_path / "swarm.py").write_text(SWARM)
    sweep = write_sweep(tmp_path, SWARM_SWEEP)
    serial = call_sweep(sweep, "--executor", "serial", "--out", "serial")
    assert serial.returncode == 0, serial.stderr
    # Neither this process nor the workers take it for the library.
    (tmp_path / "pandas.py").write_text("raise ImportError('this one stands in the way')\n")
    # What lies there, too, is not uploaded, which Ray does under `uv run`, and refuses for so much of it.
    with (tmp_path / "data.bin").open("wb") as stream:
        stream.truncate(2**30)
    for n_workers, options, cores in ((1, [], on_one_core()), (2, ["--num-cpus", 2], nullcontext())):
        with cores:
            done = (run_sweep if n_workers == 2 else under_uv_run(tmp_path))(
                sweep, *options, "--cpus-per-train", n_workers, "--out", f"ray-{n_workers}"
            )
        assert done.returncode == 0, done.stderr
        assert f"a local Ray: 1 node, {n_workers} task" in done.stderr
        assert table_bytes(tmp_path / f"ray-{n_workers}") == table_bytes(tmp_path / "serial")
    timings = pd.read_parquet(tmp_path / "ray-2" / "timings")
    assert timings.groupby("task").size().to_dict() == {
        "evaluate": 8,
        "g_learn": 4,
        "outer_iteration": 4,
        "shared_policy": 2,
    }
    # Trainings that ask for both cores run one after the other.
    trainings = timings[timings["task"].isin(["g_learn", "shared_policy"])].sort_values("started_at")
    ends = trainings["started_at"] + pd.to_timedelta(trainings["seconds"], unit="s")
    assert (trainings["started_at"].iloc[1:].to_numpy() >= ends.iloc[:-1].to_numpy()).all()
    assert timings["node_id"].notna().all()
    assert (timings["attempt"] == 0).all()
    assert (timings["peak_memory_bytes"] > 2**20).all()
    assert pd.read_parquet(tmp_path / "serial" / "timings")["node_id"].isna().all()


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_sweep_says_how_to_go_on_and_does(tmp_path: Path, call_sweep: RunCommand) -> None:
    long = changed(TINY, experiment={"n_eval_seeds": 45})
    sweep, out = write_sweep(tmp_path, long), tmp_path / "out"
    with FaultyDriver(None, tmp_path, {"sleep_s": 1.0}).start(sweep, "--out", "out", "--num-cpus", "2") as driver:
        wait_for(lambda: driver.poll() is not None or any((out / "_parts" / "evaluations").glob("*")))
        driver.send_signal(signal.SIGINT)
        _, message = driver.communicate()
    assert driver.returncode == 130
    assert "interrupted; what was done is kept. To go on: " in message
    assert message.endswith(f" {sweep} --out out --num-cpus 2\n")
    n_done = sum(len(pd.read_parquet(out / table)) for table in ("trainings", "evaluations"))
    assert 0 < n_done < 92
    resumed = call_sweep(sweep, "--out", "out", "--executor", "serial")
    assert resumed.returncode == 0, resumed.stderr
    assert f"{n_done + 1} of them done before" in resumed.stderr
    run(tmp_path / "whole", long)
    assert table_bytes(out) == table_bytes(tmp_path / "whole")
