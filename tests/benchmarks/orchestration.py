"""What the driver costs: throughput against Ray's own, memory, and the makespan of tasks that only sleep.

    python -m tests.benchmarks.orchestration [throughput | memory | makespan] [--tasks 100000] [--slots 64]

Throughput: tasks that do nothing, through the whole driver into Parquet tables, against no-op tasks of Ray alone in
the same run. Makespan: against the bound of list scheduling, max(critical path, total work / slots).
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import ray

from distmarl.model.options import Runner
from distmarl.study.kinds.kind import TaskKey
from distmarl.study.plan import Plan
from distmarl.sweep import pace
from distmarl.sweep.driver import Driver
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.executors.ray_executor import RayExecutor
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.stopping import Stop
from tests.places import start_session
from tests.sweep.simulated import (
    Durations,
    NoStore,
    VirtualExecutor,
    bound,
    realistic_durations,
    settings_of_seeds,
    simulated_batch,
)
from tests.sweep.sweeps import TINY, changed, plan_of

N_NOOPS = 3000
REPEATS = 3
RAY_STARTS_PER_S = 700.0


def no_time(_key: TaskKey) -> float:
    return 0.0


def simulating(durations: Durations, n_slots: int) -> RayExecutor:
    """Return a local Ray whose tasks sleep."""
    kind = type("Simulating", (RayExecutor,), {"_run_batch": staticmethod(simulated_batch(durations))})
    return kind(Runner(num_cpus=n_slots), None, print, lambda _: os._exit(1))


def drive(plan: Plan, executor: Any, folder: Path, progress: Progress | None = None) -> tuple[float, Tally]:
    """Run a plan and return the seconds that it took."""
    store = start_session(folder, "tiny", plan.resolved, {}, overwrite=False)
    start = time.perf_counter()
    tally = Driver(plan, store, executor, progress or Progress(), Stop()).run()
    store.publish()
    return time.perf_counter() - start, tally


def noops_per_s() -> float:
    """Return how many tasks Ray alone runs in a second, all of them submitted at once."""

    @ray.remote
    def noop() -> None:
        return None

    ray.get([noop.remote() for _ in range(200)])
    start = time.perf_counter()
    ray.get([noop.remote() for _ in range(N_NOOPS)])
    return N_NOOPS / (time.perf_counter() - start)


def throughput(n_tasks: int) -> None:
    with simulating(no_time, 2) as executor:
        for name, seconds, number in (("batched", 1.0, n_tasks), ("one by one", 0.0, min(n_tasks, 5000))):
            executor.batch_seconds = seconds
            plan = plan_of(changed(TINY, experiment={"k_values": [1, 3], "n_eval_seeds": number // 2}))
            ratios, rates = [], []
            for _ in range(REPEATS):
                alone = noops_per_s()
                with tempfile.TemporaryDirectory() as folder:
                    taken, tally = drive(plan, executor, Path(folder))
                rates.append(tally.done.total() / taken)
                ratios.append(rates[-1] / alone)
            print(
                f"{name}: {median(rates):,.0f} tasks/s through the driver, "
                f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of Ray's own no-op tasks",
                flush=True,
            )


class MemoryProgress(Progress):
    """Notes the resident memory as tasks complete."""

    def __init__(self, every: int) -> None:
        self.resident: list[tuple[int, int]] = []
        self._every = every

    def completed(self, _key: TaskKey, _outcome: Outcome, tally: Tally) -> None:
        if tally.done.total() % self._every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.resident.append((tally.done.total(), pages * resource.getpagesize()))


def memory(n_tasks: int) -> None:
    plan = plan_of(changed(TINY, experiment={"k_values": [1, 3], "n_eval_seeds": n_tasks // 2}))
    progress = MemoryProgress(n_tasks // 10)
    with simulating(no_time, 2) as executor, tempfile.TemporaryDirectory() as folder:
        taken, _ = drive(plan, executor, Path(folder), progress)
        parts = sum(1 for _ in (Path(folder) / "_parts").rglob("*.parquet"))
    print(f"{n_tasks:,} evaluations in {taken:.0f} s, {parts} parts left")
    print("resident memory: " + ", ".join(f"{size / 2**20:.0f} MiB at {done:,}" for done, size in progress.resident))


def makespan(n_slots: int) -> None:
    plan = settings_of_seeds(n_slots)
    durations = realistic_durations(plan, 15.0)
    with simulating(durations, n_slots) as executor, tempfile.TemporaryDirectory() as folder:
        nap = ray.remote(lambda: time.sleep(1.0))
        ray.get([nap.remote() for _ in range(n_slots)])  # starts the workers
        taken, _ = drive(plan, executor, Path(folder))
    best = bound(plan, durations, n_slots)
    print(f"a real Ray, {n_slots} slots: {taken:.1f} s, {taken / best:.3f} of the bound {best:.1f} s", flush=True)
    pace.MAX_COMMIT_DELAY_S = 0.0  # which is of another clock
    for slots, n_settings, seconds in ((256, 300, 15.0), (1000, 1200, 15.0), (1000, 1200, 2.0), (1000, 1200, 1.0)):
        plan = settings_of_seeds(n_settings)
        durations = realistic_durations(plan, seconds)
        best = bound(plan, durations, slots)
        for rate in (float("inf"), RAY_STARTS_PER_S):
            virtual = VirtualExecutor(slots, durations, rate)
            Driver(plan, NoStore(), virtual, Progress(), Stop()).run()
            print(
                f"virtual, {slots} slots, {rate:g} starts/s, batches of {virtual.work / virtual.n_batches:.2f} s: "
                f"{virtual.now:.1f} s, {virtual.now / best:.3f} of the bound {best:.1f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["throughput", "memory", "makespan"])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=64)
    arguments = parser.parse_args()
    if arguments.what in (None, "throughput"):
        throughput(arguments.tasks)
    if arguments.what in (None, "memory"):
        memory(arguments.tasks)
    if arguments.what in (None, "makespan"):
        makespan(arguments.slots)


if __name__ == "__main__":
    main()
