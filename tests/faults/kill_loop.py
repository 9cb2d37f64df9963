"""A sweep whose driver and workers are killed at random, again and again."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from distmarl.study.plan import Plan
from tests.faults.machinery import Cluster, FaultyDriver, kill_a_worker, n_parts, wait_for
from tests.sweep.sweeps import plan_of, write_sweep

ROBOTS: dict[str, Any] = {
    "name": "robots",
    "environment": {"name": "robots", "n_agents": 30},
    "global_agent": {"n_mc_samples": 5},
    "alternating": {"n_outer_iterations": 2},
    "evaluation": {"n_rollouts": 10, "horizon": 10},
    "experiment": {"k_values": [1, 2, 3, 5, 8], "n_eval_seeds": 10},
}
# A task may lose three processes before Ray gives it up; one of them may be taken by a busy machine.
WORKER_KILLS_PER_RUN = 2
# A busy machine needs longer than the usual half a minute to join: that is no fault of the sweep.
JOIN_TIMEOUT_S = "600"
LOOK_EVERY_S = 0.02


@dataclass(slots=True)
class Toll:
    """What a kill loop did to a sweep.

    Attributes
    ----------
    driver_kills, worker_kills : int
        Faults injected.
    run_again : int
        Starts of tasks beyond the first.
    lost, counted_twice : int
        Evaluations and trainings that are missing from the tables, or in them more than once.
    """

    driver_kills: int
    worker_kills: int
    run_again: int
    lost: int
    counted_twice: int

    def __str__(self) -> str:
        return (
            f"faults injected: {self.driver_kills + self.worker_kills} (driver killed {self.driver_kills} times, "
            f"workers {self.worker_kills}); tasks run again: {self.run_again}; "
            f"results lost: {self.lost}; results counted twice: {self.counted_twice}"
        )


def kill_loop(cluster: Cluster, folder: Path, n_driver_kills: int, seed: int, **faults: Any) -> Toll:
    """Run a sweep of robots to its end, however often it is killed."""
    rng = random.Random(seed)
    sweep = write_sweep(folder, ROBOTS, "robots.json")
    driver = FaultyDriver(cluster, folder, {"sleep_s": 0.3, **faults})
    n_worker_kills = 0
    for run in range(n_driver_kills + 1):
        with driver.start(sweep, "--out", "out", "--quiet", "--join-timeout", JOIN_TIMEOUT_S) as process:
            if run < n_driver_kills:
                before = n_parts(folder / "out")
                wait_for(lambda: process.poll() is not None or n_parts(folder / "out") != before)  # noqa: B023
            until = time.monotonic() + rng.uniform(0.0, 2.0)
            kills = WORKER_KILLS_PER_RUN
            while process.poll() is None and (time.monotonic() < until or run == n_driver_kills):
                if kills and kill_a_worker(cluster, rng, driver.at_work):
                    kills -= 1
                    time.sleep(rng.uniform(0.1, 0.6))
                else:  # look again soon: a worker may be at work for a moment only
                    time.sleep(LOOK_EVERY_S)
            n_worker_kills += WORKER_KILLS_PER_RUN - kills
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
    assert process.returncode == 0, said + why(folder / "out")
    starts = driver.starts()
    lost, twice = compare(folder / "out", plan_of(ROBOTS))
    return Toll(n_driver_kills, n_worker_kills, starts.total() - len(starts), lost, twice)


def why(folder: Path) -> str:
    """Return what became of the tasks that failed."""
    failures = pd.read_parquet(folder / "failures").to_dict("records") if (folder / "failures").exists() else []
    return "\n".join(f"{row['task']} {row['k']} {row['seed']}: {row['traceback']}{row['log_tail']}" for row in failures)


def compare(folder: Path, plan: Plan) -> tuple[int, int]:
    """Return how many rows are missing from a sweep's tables, and how many are there more than once."""
    (job,) = plan.jobs
    expected = {
        "trainings": {(job.setting_id, k) for k in plan.k_values},
        "evaluations": {(job.setting_id, k, seed) for k in plan.k_values for seed in range(plan.n_eval_seeds)},
    }
    lost = twice = 0
    for table, keys in expected.items():
        columns = ["setting_id", "k", "seed"][: len(next(iter(keys)))]
        found = [tuple(row) for row in pd.read_parquet(folder / table)[columns].to_numpy().tolist()]
        lost += len(keys - set(found))
        twice += len(found) - len(set(found))
    return lost, twice
