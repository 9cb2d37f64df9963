"""Evaluating what the trained pairs are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from distmarl.equilibrium.baselines import N_TRIALS, baseline_pair, evaluate_baseline, level_names, methods
from distmarl.learning.best.averages import surrogate_bytes
from distmarl.learning.best.blind import blind_work
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import BASELINES as BASELINES_TABLE
from distmarl.study.job import Job
from distmarl.study.kinds.kind import (
    Asked,
    Kind,
    Refusal,
    Rows,
    TaskKey,
    TaskPlace,
    TaskResult,
    in_short,
    nan_as_null,
    refused_if,
)
from distmarl.study.memory import exact_value_bytes, rollout_bytes, training_bytes
from distmarl.study.seconds import evaluation_s, population_s, rollouts_s, training_s
from distmarl.values.exact_return import check_population_size

# An exact value of a pair whose global agent sees nobody.
PER_LAW_S = 1e-3
# A multiply-add of the best pair whose global agent sees nobody.
PER_BLIND_OPERATION_S = 5e-9


def value_baselines(job: Job, key: TaskKey, _n_threads: int, local_policy: NDArray[np.float64]) -> TaskResult:
    """Evaluate what the trained pairs are compared with."""
    setting = job.setting
    name = {"sweep": job.sweep, "setting_id": key.setting_id}
    rows = []
    for baseline in level_names(job.experiment):
        pair = baseline_pair(
            job.environment,
            local_policy,
            baseline,
            k=setting.reference_k,
            evaluation=setting.evaluation,
            seed=setting.seed,
            global_agent=setting.global_agent,
        )
        for value in evaluate_baseline(
            job.environment,
            pair,
            evaluation=setting.evaluation,
            seeds=[(setting.seed, seed) for seed in range(job.experiment.n_eval_seeds)],
            tolerance=setting.global_agent.convergence_threshold,
        ):
            rows.append({**name, "baseline": baseline, **nan_as_null(asdict(value))})
    return TaskResult(None, {"baselines": rows})


def _seconds(job: Job, _k: int | None) -> float:
    names, setting = level_names(job.experiment), job.setting
    method = setting.evaluation.method
    value = 0.0
    if method != "exact":
        value += evaluation_s(job)
    total = len(names) * value
    if "blind" in names:
        total += PER_BLIND_OPERATION_S * blind_work(job.environment)
    total += PER_LAW_S * len(names)
    if method != "rollouts":
        seeing = {"full_information", "no_local_update"}.intersection(names)
        total += population_s(job) * len(seeing)
    if "fixed_action" in names:
        trial = rollouts_s(job, N_TRIALS) if method == "rollouts" else PER_LAW_S
        total += job.environment.n_global_actions * trial
    if "full_information" in names:
        total += training_s(job, job.environment.n_agents, "exact")
    if "no_local_update" in names:
        total += training_s(job, setting.reference_k)
    return total


def _n_bytes(job: Job, _k: int | None, _n_threads: int) -> int:
    # One after the other: a training, then what it is worth.
    names = level_names(job.experiment)
    n_bytes = [rollout_bytes(job)]
    if "full_information" in names:
        n_bytes.append(surrogate_bytes(job.environment, job.environment.n_agents))
    if "no_local_update" in names:
        n_bytes.append(training_bytes(job, job.setting.reference_k))
    if job.setting.evaluation.method != "rollouts":
        n_bytes.append(exact_value_bytes(job))
    return max(n_bytes)


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    experiment = asked.sweep.experiment
    # More evaluation seeds are more rollouts of a baseline, too.
    valued = {
        (row["setting_id"], row["baseline"], row["method"])
        for row in store.rows(BASELINES_TABLE)
        if row["method"] == "exact"
        or row["n_rollouts"] >= experiment.n_eval_seeds * asked.n_rollouts.get(row["setting_id"], 0)
    }
    wanted = [(name, method) for name in level_names(experiment) for method in methods(asked.sweep.evaluation.method)]
    for setting_id in {name for name, *_ in valued}:
        if all((setting_id, *each) in valued for each in wanted):
            yield TaskPlace(setting_id)


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    yield from (f"{row['baseline']} {in_short(row['value'])}" for row in rows.get("baselines", []))


def _unconverged(key: TaskKey, rows: Rows) -> Iterator[str]:
    names = dict.fromkeys(row["baseline"] for row in rows.get(BASELINES_TABLE.name, []) if not row["converged"])
    yield from (f"{key}, {name}: not certified to its convergence_threshold" for name in names)


def _refusals(job: Job) -> Iterator[Refusal]:
    names = level_names(job.experiment)
    if "full_information" in names:
        rule = "leave out full_information"
        yield from refused_if(check_population_size, job, "experiment.baselines", rule, list(job.experiment.baselines))


BASELINES = Kind(
    name="baselines",
    noun="baselines",
    plural="baselines",
    per="setting",
    table=BASELINES_TABLE,
    run=value_baselines,
    seconds=_seconds,
    n_bytes=_n_bytes,
    needs="shared_policy",
    is_per_training=False,  # the local policy that full_information answers is the first training's
    is_asked_for=lambda sweep: bool(level_names(sweep.experiment)),
    done=_done,
    results=_results,
    unconverged=_unconverged,
    refusals=_refusals,
)
