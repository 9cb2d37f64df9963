"""Evaluating a trained pair on one evaluation seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.rollouts import RecordedRollout
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import EVALUATIONS, ROLLOUTS
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Asked, Kind, Rows, TaskKey, TaskPlace, TaskResult, in_short, nan_as_null, required
from distmarl.study.memory import rollout_bytes
from distmarl.study.seconds import evaluation_s
from distmarl.values.evaluate import EvaluationResult, evaluate_seeds

RECORDED_SEED = 0  # the evaluation seed whose first rollout is stored


def evaluate_pair(
    job: Job, key: TaskKey, n_threads: int, local_policy: NDArray[np.float64], global_policy: NDArray[np.integer]
) -> TaskResult:
    """Evaluate a trained pair on one evaluation seed; the first seed's first rollout is recorded step by step."""
    (result,) = evaluate_pairs(job, [key], n_threads, local_policy, global_policy)
    return result


def evaluate_pairs(
    job: Job,
    keys: Sequence[TaskKey],
    _n_threads: int,
    local_policy: NDArray[np.float64],
    global_policy: NDArray[np.integer],
) -> list[TaskResult]:
    """Do the same for several evaluation seeds of a pair, which takes less time than one after the other."""
    results = evaluate_seeds(
        job.environment,
        global_policy,
        local_policy,
        k=required(keys[0].k),
        options=job.setting.evaluation,
        seeds=[job.evaluation_seed(key.train_seed, required(key.seed)) for key in keys],
    )
    return [TaskResult(None, _rows(job, key, result)) for key, result in zip(keys, results, strict=True)]


def _rows(job: Job, key: TaskKey, result: EvaluationResult) -> Rows:
    name = {"sweep": job.sweep, "setting_id": key.setting_id, "k": key.k}
    name |= {"train_seed": key.train_seed, "seed": key.seed}
    row = {
        **name,
        "n_agents": job.environment.n_agents,
        "gamma": job.environment.gamma,
        "n_rollouts": len(result.returns),
        "horizon": result.horizon,
        "mean_return": result.mean,
        "std_return": result.std,
        "min_return": float(result.returns.min()),
        "max_return": float(result.returns.max()),
        "mode_accuracy": result.mode_accuracy,
        "returns": result.returns,
    }
    # Tables are committed in the order in which they are first seen, so this one comes first from every seed.
    recorded = [{**name, **_rollout_columns(job, result.first_rollout)}] if key.seed == RECORDED_SEED else []
    return {"rollouts": recorded, "evaluations": [nan_as_null(row)]}


def _rollout_columns(job: Job, rollout: RecordedRollout) -> dict[str, Any]:
    """Return a rollout as columns of the table ``rollouts``."""
    populations = rollout.populations
    in_classes = job.environment.observed(populations)
    is_mode = in_classes == in_classes.max(axis=1, keepdims=True)
    return {
        "n_agents": job.environment.n_agents,
        "gamma": job.environment.gamma,
        "n_global_actions": job.environment.n_global_actions,
        "global_states": rollout.global_states,
        "global_actions": rollout.global_actions,
        "populations": populations.tolist(),
        "modes": [np.flatnonzero(step) for step in is_mode],
        "rewards": rollout.rewards,
    }


def _done(store: Snapshot, _asked: Asked) -> Iterator[TaskPlace]:
    recorded = store.keys(ROLLOUTS)
    for key in store.keys(EVALUATIONS):
        setting_id, k, train_seed, seed = key
        if seed != RECORDED_SEED or key in recorded:
            yield TaskPlace(setting_id, k, seed, train_seed)


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    yield from (f"return {in_short(row['mean_return'])}" for row in rows.get("evaluations", []))


EVALUATE = Kind(
    name="evaluate",
    noun="evaluation",
    plural="evaluations",
    per="seed",
    table=EVALUATIONS,
    run=evaluate_pair,
    run_together=evaluate_pairs,
    seconds=lambda job, _k: evaluation_s(job) / job.experiment.n_eval_seeds,
    n_bytes=lambda job, _k, _n_threads: rollout_bytes(job),
    grows_with="rollouts",
    needs="g_learn",
    is_asked_for=lambda sweep: sweep.evaluation.method != "exact",
    done=_done,
    results=_results,
)
