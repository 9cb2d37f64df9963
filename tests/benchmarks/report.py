"""The report of a large sweep: seconds, memory, and how large its page is.

python -m tests.benchmarks.report [N_SETTINGS]
"""

from __future__ import annotations

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
    n_settings = int(sys.argv[1]) if len(sys.argv) > 1 else N_SETTINGS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(folder, n_settings)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "distmarl.report", name], check=True, capture_output=True)
        elapsed = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        size = (folder / "report.html").stat().st_size / 2**20
    n_rows = n_settings * N_K * N_SEEDS
    print(f"{n_rows:,} evaluations: {elapsed:.1f} s, {peak:.2f} GiB at the peak, a page of {size:.1f} MiB")


def write_folder(folder: Path, n_settings: int) -> Store:
    """Write a published sweep of a grid, all k of a setting at once."""
    names = {f"s{number:04d}": {"experiment.seed": number} for number in range(n_settings)}
    ks = range(1, N_K + 1)
    store = start_folder(folder, k_values=ks, n_eval_seeds=N_SEEDS, settings=names)
    rng = np.random.default_rng(0)
    start = 0.0
    for name in names:
        evaluations, timings = [], [task_row("shared_policy", start, 2.0, setting_id=name)]
        for k in ks:
            start += 0.1 * k
            timings.append(task_row("g_learn", start, 0.1 * k, f"node-{k % N_HOSTS}", setting_id=name, k=k))
            for seed in range(N_SEEDS):
                returns = rng.normal(100 - 20 / k, 3, N_ROLLOUTS)
                row = evaluation_row(name, k, seed, float(returns.mean()))
                evaluations.append(row | {"n_rollouts": N_ROLLOUTS, "returns": returns.tolist()})
                host = f"node-{seed % N_HOSTS}"
                timings.append(task_row("evaluate", start + 0.01 * seed, 0.01, host, setting_id=name, k=k, seed=seed))
        rows = {
            TIMINGS: timings,
            TRAININGS: [training_row(name, k) for k in ks],
            EVALUATIONS: evaluations,
            ROLLOUTS: [rollout_row(name, k, n_steps=N_STEPS) for k in ks],
            LOCAL_POLICIES: local_policy_rows(name),
            GLOBAL_POLICIES: [row for k in ks for row in global_policy_rows(name, k)],
            ALTERNATIONS: history_of(name, 90.0),
        }
        store.commit(name, list(rows.items()))
    store.publish()
    return store


if __name__ == "__main__":
    main()
