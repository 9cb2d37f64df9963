"""Computing what a trained pair is worth over the horizon of its rollouts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from distmarl.results.tables import EXACT_RETURNS
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Kind, Refusal, Rows, TaskKey, TaskResult, in_short, refused_if, required
from distmarl.study.memory import exact_value_bytes
from distmarl.study.seconds import population_s
from distmarl.values.exact_return import check_population_size, exact_return


def value_pair_exactly(
    job: Job, key: TaskKey, _n_threads: int, local_policy: NDArray[np.float64], global_policy: NDArray[np.integer]
) -> TaskResult:
    """Compute what a trained pair is worth over the horizon of its rollouts."""
    k, horizon = required(key.k), job.setting.evaluation.horizon
    tolerance = job.setting.global_agent.convergence_threshold
    result = exact_return(job.environment, global_policy, local_policy, k=k, horizon=horizon, tolerance=tolerance)
    row = {
        "sweep": job.sweep,
        "setting_id": key.setting_id,
        "k": k,
        "train_seed": key.train_seed,
        "n_agents": job.environment.n_agents,
        "gamma": job.environment.gamma,
        "horizon": horizon,
        "exact_return": result.value,
        "exact_bound": result.bound,
    }
    return TaskResult(None, {"exact_returns": [row]})


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    yield from (f"exact return {in_short(row['exact_return'])}" for row in rows.get("exact_returns", []))


def _refusals(job: Job) -> Iterator[Refusal]:
    method = job.setting.evaluation.method
    if method != "rollouts":
        yield from refused_if(check_population_size, job, "evaluation.method", "be rollouts", method)


EXACT_RETURN = Kind(
    name="exact_return",
    noun="exact return",
    plural="exact returns",
    per="k",
    table=EXACT_RETURNS,
    run=value_pair_exactly,
    seconds=lambda job, _k: population_s(job),
    n_bytes=lambda job, _k, _n_threads: exact_value_bytes(job),
    needs="g_learn",
    is_asked_for=lambda sweep: sweep.evaluation.method != "rollouts",
    results=_results,
    refusals=_refusals,
)
