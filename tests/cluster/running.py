"""Commands as a user types them in the repository, and the tables that they write."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SWEEP = ("python", "-m", "distmarl.sweep", "sweeps/smoke.yaml")
# 480 evaluations of 20 ms each: long enough to be interrupted by a command that takes seconds to start.
LONGER = ("experiment.n_eval_seeds=160", "evaluation.n_rollouts=400", "evaluation.horizon=50")
LONG_SWEEP = (*SWEEP, *(word for assignment in LONGER for word in ("--set", assignment)))
DETERMINISTIC_TABLES = ("evaluations", "trainings", "alternations", "local_policies", "global_policies")


def environment_without_ray() -> dict[str, str]:
    """Return the tests' environment without anybody else's cluster, code or commit in it."""
    others = ("RAY_", "SLURM_", "PYTHONPATH", "DISTMARL_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    path = os.pathsep.join([str(BIN), inherited.get("PATH", os.defpath)])
    return {**inherited, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}


def run(
    *command: str | Path, environment: dict[str, str], folder: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would; the output of both streams is in ``stdout``."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def free_ports(count: int) -> list[int]:
    """Return different ports that are free now; held together, so that none is given out twice."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for_evaluations(folder: Path) -> None:
    """Wait until a sweep has committed an evaluation, or the test has taken too long."""
    while not any((folder / "_parts" / "evaluations").glob("*.parquet")):
        time.sleep(0.02)


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_parquet(folder / name) for name in DETERMINISTIC_TABLES}


def assert_same_tables(actual: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for name in DETERMINISTIC_TABLES:
        pd.testing.assert_frame_equal(actual[name], expected[name], check_exact=True, obj=name)


def assert_went_on(folder: Path, before: dict[str, pd.DataFrame], undisturbed: dict[str, pd.DataFrame]) -> None:
    """Check that a second session finished what a first one had begun, and repeated nothing of it.

    Parameters
    ----------
    folder : Path
        The results folder.
    before : dict of str to DataFrame
        The tables ``evaluations`` and ``timings`` as the first session left them.
    undisturbed : dict of str to DataFrame
        Tables of the same sweep in one session.
    """
    assert 0 < len(before["evaluations"]) < len(undisturbed["evaluations"])
    assert_same_tables(read_tables(folder), undisturbed)
    key = ["task", "setting_id", "k", "seed", "iteration"]
    timings = pd.read_parquet(folder / "timings").merge(before["timings"][[*key, "started_at"]], on=key)
    assert len(timings) == len(before["timings"])
    assert (timings["started_at_x"] == timings["started_at_y"]).all()
