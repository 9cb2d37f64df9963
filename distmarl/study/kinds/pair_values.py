"""What a pair is worth that is not the trained one, in the ways that the sweep asks for and on its evaluation seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distmarl.equilibrium.baselines import methods
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Asked
from distmarl.study.memory import exact_value_bytes, rollout_bytes
from distmarl.study.seconds import evaluation_s, population_s
from distmarl.values.evaluate import evaluate_seeds
from distmarl.values.exact_return import exact_return
from distmarl.values.intervals import estimate_mean

VALUE_COLUMNS = ("mean_return", "standard_error", "ci95_low", "ci95_high", "exact_return", "exact_bound")


def pair_values(job: Job, k: int, train_seed: int, global_policy: GlobalPolicy, local_policy: Array) -> dict[str, Any]:
    """Return what a pair is worth, as columns: evaluated with the seeds of the training's own pair."""
    env, options = job.environment, job.setting.evaluation
    columns: dict[str, Any] = dict.fromkeys(VALUE_COLUMNS) | {"n_rollouts": 0}
    if "rollouts" in methods(options.method):
        seeds = [job.evaluation_seed(train_seed, number) for number in range(job.experiment.n_eval_seeds)]
        found = evaluate_seeds(env, global_policy, local_policy, k=k, options=options, seeds=seeds)
        mean = estimate_mean(np.concatenate([each.returns for each in found]))
        columns |= {"n_rollouts": mean.n, "mean_return": mean.mean, "standard_error": mean.standard_error}
        columns |= {"ci95_low": mean.ci95_low, "ci95_high": mean.ci95_high}
    if "exact" in methods(options.method):
        tolerance = job.setting.global_agent.convergence_threshold
        exact = exact_return(env, global_policy, local_policy, k=k, horizon=options.horizon, tolerance=tolerance)
        columns |= {"exact_return": exact.value, "exact_bound": exact.bound}
    return columns


def has_values(row: Mapping[str, Any], asked: Asked) -> bool:
    """Return whether a row has all the values that are asked for, from as many rollouts."""
    ways = methods(asked.sweep.evaluation.method)
    n_rollouts = asked.sweep.experiment.n_eval_seeds * asked.n_rollouts.get(row["setting_id"], 0)
    has_rollouts = "rollouts" not in ways or row["n_rollouts"] >= n_rollouts
    return has_rollouts and ("exact" not in ways or row["exact_return"] is not None)


def values_s(job: Job) -> float:
    """Return the time that the values of a pair take."""
    evaluation, value_s = job.setting.evaluation, 0.0
    if evaluation.method != "exact":
        value_s += evaluation_s(job)
    if evaluation.method != "rollouts":
        value_s += population_s(job)
    return value_s


def values_bytes(job: Job) -> int:
    """Return the memory that the values of a pair take."""
    if job.setting.evaluation.method == "rollouts":
        return rollout_bytes(job)
    return max(rollout_bytes(job), exact_value_bytes(job))
