"""A sweep with a large grid that is all done: how long the commands take that run nothing of it.

python -m tests.benchmarks.large_grid [N_SETTINGS] [--parts]

With ``--parts`` nothing has been published: each training, with its evaluations, lies in parts of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distmarl.config.reading import RawSweep
from distmarl.results.store import Store
from distmarl.results.tables import (
    ALTERNATIONS,
    EVALUATIONS,
    FAILURES,
    GLOBAL_POLICIES,
    LOCAL_POLICIES,
    ROLLOUTS,
    TIMINGS,
    TRAININGS,
)
from distmarl.study.plan import Plan, make_plan
from distmarl.sweep.session import setting_rows
from distmarl.wording import timestamp
from tests.places import start_session
from tests.report.results_folders import (
    alternation_row,
    evaluation_row,
    global_policy_rows,
    local_policy_rows,
    rollout_row,
    saturating,
    task_row,
    training_row,
)

N_SETTINGS, N_K, N_SEEDS = 2000, 25, 2


def main() -> None:
    words = sys.argv[1:]
    in_parts = "--parts" in words
    n_settings = next((int(word) for word in words if word.isdecimal()), N_SETTINGS)
    sweep = large_sweep(n_settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "large.json").write_text(json.dumps(sweep))
        _time(folder, "sweep", "large.json", "--plan")
        write_folder(folder / "results" / "large", sweep, in_parts=in_parts)
        _time(folder, "status", "results/large")
        _time(folder, "sweep", "large.json", "--plan")
        _time(folder, "sweep", "large.json", "--executor", "serial")
        _time(folder, "report", "results/large")
        size = (folder / "results" / "large" / "report.html").stat().st_size / 2**20
    print(f"a page of {size:.1f} MiB")


def large_sweep(n_settings: int, *, n_k: int = N_K, n_seeds: int = N_SEEDS) -> dict[str, Any]:
    """Return a sweep file with a grid of two keys."""
    n_random = 5 if n_settings % 5 == 0 else 1
    return {
        "name": "large",
        "environment": {"n_agents": 30, "n_global_states": 3, "n_local_states": 3, "n_global_actions": 3},
        "evaluation": {"n_rollouts": 1},
        "experiment": {"k_range": [1, n_k], "n_eval_seeds": n_seeds},
        "grid": {
            "environment.gamma": [round(0.9 + 0.05 * i / n_settings, 6) for i in range(n_settings // n_random)],
            "experiment.seed": list(range(n_random)),
        },
    }


def write_folder(folder: Path, sweep: dict[str, Any], *, in_parts: bool = False) -> Store:
    """Write the results of a sweep in which every task is done, without running it."""
    plan = make_plan(RawSweep(sweep, "large.json"))
    session = {"command": ["python", "-m", "distmarl.sweep", "large.json"], "started_at": timestamp()}
    folder.mkdir(parents=True)
    store = start_session(folder, plan.sweep.name, plan.resolved, session, overwrite=False)
    store.add_settings(setting_rows(plan), plan.sweep.grid)
    store.replace(FAILURES, [])
    together: dict[Any, list[dict[str, Any]]] = {}
    for name, rows in rows_of_tasks(plan):
        if in_parts:
            store.commit(name, [(table, of_table) for table, of_table in rows.items() if of_table])
        else:
            for table, of_table in rows.items():
                together.setdefault(table, []).extend(of_table)
    if not in_parts:
        store.commit("all", list(together.items()))
        store.publish(force=True)
        store.tidy()
    return store


def rows_of_tasks(plan: Plan) -> Iterator[tuple[str, dict[Any, list[dict[str, Any]]]]]:
    """Yield the rows of the shared policy of each setting, and of each k with its evaluations."""
    for place, job in enumerate(plan.jobs):
        name = job.setting_id
        yield (
            f"shared_policy-{name}",
            {
                TIMINGS: [task_row("shared_policy", place, 1.0, setting_id=name)],
                LOCAL_POLICIES: local_policy_rows(name, 3),
                ALTERNATIONS: [alternation_row(name, 0, 90.0), alternation_row(name, 1, 91.0, stopped="converged")],
            },
        )
        for k in plan.k_values:
            seeds = range(plan.n_eval_seeds)
            values = [saturating(100.0, k, seed) for seed in seeds]
            yield (
                f"g_learn-{name}-k{k}",
                {
                    TIMINGS: [
                        task_row("g_learn", place, 0.1 * k, setting_id=name, k=k),
                        *(task_row("evaluate", place, 0.01, setting_id=name, k=k, seed=seed) for seed in seeds),
                    ],
                    GLOBAL_POLICIES: global_policy_rows(name, k, 3),
                    TRAININGS: [training_row(name, k)],
                    ROLLOUTS: [rollout_row(name, k)],
                    EVALUATIONS: [
                        evaluation_row(name, k, seed, value) for seed, value in zip(seeds, values, strict=True)
                    ],
                },
            )


def _time(folder: Path, command: str, *arguments: str) -> None:
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", f"distmarl.{command}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    print(f"{command} {' '.join(arguments)}: {seconds:.1f} s, exit code {ended.returncode}", flush=True)
    if ended.returncode:
        print(ended.stderr[-2000:])


if __name__ == "__main__":
    main()
