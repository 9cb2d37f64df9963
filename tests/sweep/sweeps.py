"""Small sweeps for tests, and how to compare what they leave behind."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from distmarl.config.reading import RawSweep
from distmarl.results.storage.opening import open_location
from distmarl.results.tables import TABLES, TIMINGS
from distmarl.study.plan import Plan, make_plan
from distmarl.sweep.executors.executor import Completed, Executor, Task
from distmarl.sweep.executors.serial import SerialExecutor
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.session import run_session

DETERMINISTIC_TABLES = tuple(sorted(TABLES.keys() - {TIMINGS.name}))

TINY: dict[str, Any] = {
    "name": "tiny",
    "environment": {"n_agents": 6, "n_global_states": 3, "n_local_states": 3, "n_global_actions": 3},
    "global_agent": {"n_mc_samples": 3},
    "alternating": {"n_outer_iterations": 2, "convergence_rtol": 0.0},
    "evaluation": {"n_rollouts": 4, "horizon": 5},
    "experiment": {"k_values": [1, 3], "n_eval_seeds": 2},
}


def changed(mapping: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    """Return a sweep with some keys of some sections changed."""
    return {**mapping, **{name: {**mapping.get(name, {}), **keys} for name, keys in sections.items()}}


def plan_of(mapping: dict[str, Any]) -> Plan:
    return make_plan(RawSweep(mapping, "tiny.yaml"))


def run(folder: Path, mapping: dict[str, Any] = TINY, executor: Executor | None = None, **options: bool) -> Tally:
    """Run a session in this process."""
    plan = plan_of(mapping)
    return run_session(
        plan,
        open_location(folder),
        lambda: executor or SerialExecutor(plan.sweep.runner.task_timeout_s),
        Progress(),
        **options,
    )


def table_bytes(folder: Path) -> dict[str, bytes]:
    """Return the tables that must not depend on how the tasks were run."""
    return {name: (folder / name / "data.parquet").read_bytes() for name in DETERMINISTIC_TABLES}


def write_sweep(folder: Path, mapping: dict[str, Any] = TINY, name: str = "tiny.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(mapping))
    return path


class ShuffledExecutor(SerialExecutor):
    """Runs whatever waits in a random order, in batches, each of them twice, as a faulty cluster may."""

    batch_seconds = 1.0

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    @property
    def max_in_flight(self) -> int:
        return 100

    def next_completed(self, timeout_s: float) -> list[Completed]:
        self._random.shuffle(self._waiting)
        repeated: tuple[Task, ...] = self._waiting[0]
        self._waiting.appendleft(repeated)
        super().next_completed(timeout_s)
        return super().next_completed(timeout_s)
