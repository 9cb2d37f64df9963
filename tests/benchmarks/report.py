"""The report of a large sweep: seconds, memory, and how large its page is.

python -m tests.benchmarks.report [--settings N] [--k N] [--seeds N] [--trainings N]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from distmarl.results.store import Store
from distmarl.results.tables import (
    ALTERNATIONS,
    EVALUATIONS,
    GLOBAL_POLICIES,
    LOCAL_POLICIES,
    ROLLOUTS,
    TIMINGS,
    TRAININGS,
)
from tests.report.results_folders import (
    evaluation_row,
    global_policy_rows,
    history_of,
    local_policy_rows,
    rollout_row,
    start_folder,
    task_row,
    training_row,
)

N_SETTINGS, N_K, N_SEEDS, N_ROLLOUTS, N_STEPS, N_HOSTS = 40, 25, 100, 50, 50, 8


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.report")
    for name, default in (("--settings", N_SETTINGS), ("--k", N_K), ("--seeds", N_SEEDS), ("--trainings", 1)):
        parser.add_argument(name, type=int, default=default)
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder, sizes.settings, sizes.k, sizes.seeds, sizes.trainings)
        start, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-m", "distmarl.report", name], check=True, capture_output=True)
        elapsed, after = time.perf_counter() - start, os.times()
        processor_s = sum(getattr(after, name) - getattr(before, name) for name in ("children_user", "children_system"))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        size = (folder / "report.html").stat().st_size / 2**20
    n_rows = sizes.settings * sizes.k * sizes.seeds * sizes.trainings
    took = f"{elapsed:.1f} s ({processor_s:.1f} s of processor time)"
    print(f"{n_rows:,} evaluations: {took}, {peak:.2f} GiB at the peak, a page of {size:.1f} MiB")


def write_folder(folder: Path, n_settings: int, n_k: int = N_K, n_seeds: int = N_SEEDS, n_trainings: int = 1) -> Store:
    """Write a published sweep of a grid, a training at once."""
    names = {f"s{number:04d}": {"experiment.seed": number} for number in range(n_settings)}
    ks = range(1, n_k + 1)
    store = start_folder(folder, k_values=ks, n_eval_seeds=n_seeds, settings=names, n_train_seeds=n_trainings)
    rng = np.random.default_rng(0)
    start = 0.0
    for name in names:
        for train_seed in range(n_trainings):
            about = {"train_seed": train_seed}
            level = rng.normal(0, 2)
            evaluations, timings = [], [task_row("shared_policy", start, 2.0, setting_id=name, **about)]
            for k in ks:
                start += 0.1 * k
                timings.append(
                    task_row("g_learn", start, 0.1 * k, f"node-{k % N_HOSTS}", setting_id=name, k=k, **about)
                )
                for seed in range(n_seeds):
                    returns = rng.normal(100 + level - 20 / k, 3, N_ROLLOUTS)
                    row = evaluation_row(name, k, seed, float(returns.mean())) | about
                    evaluations.append(row | {"n_rollouts": N_ROLLOUTS, "returns": returns.tolist()})
                    task = {"setting_id": name, "k": k, "seed": seed, **about}
                    timings.append(task_row("evaluate", start + 0.01 * seed, 0.01, f"node-{seed % N_HOSTS}", **task))
            rows = {
                TIMINGS: timings,
                TRAININGS: [training_row(name, k) for k in ks],
                EVALUATIONS: evaluations,
                ROLLOUTS: [rollout_row(name, k, n_steps=N_STEPS) for k in ks],
                LOCAL_POLICIES: local_policy_rows(name),
                GLOBAL_POLICIES: [row for k in ks for row in global_policy_rows(name, k)],
                ALTERNATIONS: history_of(name, 90.0),
            }
            whole = [(table, [row | about for row in of_table]) for table, of_table in rows.items()]
            store.commit(f"{name}-{train_seed}", whole)
    store.publish()
    return store


if __name__ == "__main__":
    main()
