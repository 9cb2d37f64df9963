"""Letting model-free learners play the game, and evaluating what they have learnt at each budget of samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from distmarl.config.checking import k_values
from distmarl.equilibrium.baselines import methods
from distmarl.errors import InvalidArgumentError
from distmarl.learning.model_free.learners import LEARNERS, check_budget, learn, table_bytes
from distmarl.learning.model_free.playing import QLearningResult, n_parallel, samples_per_step
from distmarl.model.options import Experiment, LearnerName
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import LEARNERS as LEARNERS_TABLE
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
    required,
)
from distmarl.study.memory import exact_value_bytes, rollout_bytes
from distmarl.study.seconds import population_s, rollouts_s
from distmarl.values.evaluate import evaluate_seeds
from distmarl.values.exact_return import exact_return
from distmarl.values.intervals import estimate_mean

# Of a step of all rollouts that are played side by side: once, and for each of their L^2 A_l ways to move.
PER_STEP_S, PER_WAY_S = 8e-4, 8e-8


def play_and_evaluate(job: Job, key: TaskKey, _n_threads: int) -> TaskResult:
    """Let the learner that the kind is named after play, and evaluate its pair at each budget."""
    k, budgets = required(key.k), _budgets(job.experiment)
    learnt = learn(job.environment, _name(key.kind), k=k, budgets=budgets, seed=job.training_seed(key.train_seed))
    rows = []
    for budget, result in zip(budgets, learnt, strict=True):
        row = {
            "sweep": job.sweep,
            "setting_id": key.setting_id,
            "k": k,
            "train_seed": key.train_seed,
            "learner": key.kind,
            "budget": budget,
            "n_samples": result.n_samples,
            "visited": result.visited,
            "n_agents": job.environment.n_agents,
            "gamma": job.environment.gamma,
            "horizon": job.setting.evaluation.horizon,
        }
        rows.append(nan_as_null(row | _values(job, k, key.train_seed, result)))
    return TaskResult(None, {LEARNERS_TABLE.name: rows})


def _values(job: Job, k: int, train_seed: int, result: QLearningResult) -> dict[str, Any]:
    """Return what a pair is worth, as columns: in the ways that the sweep asks for, on the seeds of its own pairs."""
    env, options = job.environment, job.setting.evaluation
    pair = result.global_policy, result.local_policy
    columns: dict[str, Any] = dict.fromkeys(VALUE_COLUMNS) | {"n_rollouts": 0}
    if "rollouts" in methods(options.method):
        seeds = [job.evaluation_seed(train_seed, number) for number in range(job.experiment.n_eval_seeds)]
        found = evaluate_seeds(env, *pair, k=k, options=options, seeds=seeds)
        mean = estimate_mean(np.concatenate([each.returns for each in found]))
        columns |= {"n_rollouts": mean.n, "mean_return": mean.mean, "standard_error": mean.standard_error}
        columns |= {"ci95_low": mean.ci95_low, "ci95_high": mean.ci95_high}
    if "exact" in methods(options.method):
        tolerance = job.setting.global_agent.convergence_threshold
        exact = exact_return(env, *pair, k=k, horizon=options.horizon, tolerance=tolerance)
        columns |= {"exact_return": exact.value, "exact_bound": exact.bound}
    return columns


VALUE_COLUMNS = ("mean_return", "standard_error", "ci95_low", "ci95_high", "exact_return", "exact_bound")


def _name(kind: str) -> LearnerName:
    """Return the learner that a kind of task is named after."""
    (name,) = (name for name in LEARNERS if name == kind)
    return name


def _budgets(experiment: Experiment) -> list[int]:
    return sorted(set(experiment.baseline_samples))


def _seconds(job: Job, k: int, name: LearnerName) -> float:
    env, evaluation = job.environment, job.setting.evaluation
    n_agents, budgets = LEARNERS[name].n_agents(env, k), _budgets(job.experiment)
    ways = n_parallel(n_agents) * env.n_local_states**2 * env.n_local_actions
    playing_s = budgets[-1] / samples_per_step(n_agents) * (PER_STEP_S + PER_WAY_S * ways)
    value_s = 0.0
    if evaluation.method != "exact":
        value_s += job.experiment.n_eval_seeds * rollouts_s(job, evaluation.n_rollouts)
    if evaluation.method != "rollouts":
        value_s += population_s(job)
    return playing_s + len(budgets) * value_s


def _n_bytes(job: Job, k: int) -> int:
    # The table stays while a pair is evaluated.
    values = [rollout_bytes(job), *([exact_value_bytes(job)] if job.setting.evaluation.method != "rollouts" else [])]
    return table_bytes(job.environment, k=k) + max(values)


def _done(store: Snapshot, asked: Asked, name: LearnerName) -> Iterator[TaskPlace]:
    experiment, ways = asked.sweep.experiment, methods(asked.sweep.evaluation.method)
    budgets: dict[TaskPlace, set[int]] = defaultdict(set)
    for row in store.rows(LEARNERS_TABLE):
        n_rollouts = experiment.n_eval_seeds * asked.n_rollouts.get(row["setting_id"], 0)
        has_rollouts = "rollouts" not in ways or row["n_rollouts"] >= n_rollouts
        if row["learner"] == name and has_rollouts and ("exact" not in ways or row["exact_return"] is not None):
            place = TaskPlace(row["setting_id"], row["k"], train_seed=row["train_seed"])
            budgets[place].add(row["budget"])
    yield from (place for place, found in budgets.items() if found.issuperset(_budgets(experiment)))


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    for row in rows.get(LEARNERS_TABLE.name, []):
        value = row["mean_return"] if row["exact_return"] is None else row["exact_return"]
        yield f"return {in_short(value)} with {row['n_samples']:,} samples"


def _refusals(job: Job, name: LearnerName) -> Iterator[Refusal]:
    budgets = _budgets(job.experiment)
    for k in k_values(job.experiment) if name in job.experiment.baselines else ():
        least = samples_per_step(LEARNERS[name].n_agents(job.environment, k))
        try:
            check_budget(job.environment, name, k=k, n_samples=budgets[0])
        except InvalidArgumentError as error:
            yield Refusal("experiment.baseline_samples", f"be at least {least:,} for {name}", budgets[0], error)


def _kind(name: LearnerName, noun: str) -> Kind:
    return Kind(
        name=name,
        noun=noun,
        plural=f"{noun} runs",
        per="k",
        table=LEARNERS_TABLE,
        run=play_and_evaluate,
        seconds=lambda job, k: _seconds(job, required(k), name),
        n_bytes=lambda job, k, _n_threads: _n_bytes(job, required(k)),
        is_extra=True,
        grows_with="k",
        is_asked_for=lambda sweep: name in sweep.experiment.baselines,
        done=lambda store, asked: _done(store, asked, name),
        results=_results,
        refusals=lambda job: _refusals(job, name),
    )


INDEPENDENT_Q = _kind("independent_q", "independent Q-learning")
SUBSAMPLED_Q = _kind("subsampled_q", "subsampled Q-learning")
