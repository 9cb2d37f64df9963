"""The tasks of a sweep, as pure functions of their arguments.

Each returns what later tasks need (a policy) and the rows that it adds to the tables. All
random streams are keyed by the setting's seed and by what they are for, so a task
gives the same rows wherever, whenever and however often it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.rollouts import RecordedRollout
from distmarl.equilibrium.baselines import baseline_pair, evaluate_baseline
from distmarl.equilibrium.nash_gap import GapMethod, nash_gap
from distmarl.learning.alternating import alternate
from distmarl.learning.g_learn import learn_global
from distmarl.learning.proposals import ProposalOutcome
from distmarl.model.options import BaselineName, EvaluationMethod
from distmarl.study.plan import Job, n_count_vectors_of
from distmarl.values.evaluate import evaluate
from distmarl.values.exact_return import exact_return

TaskKind: TypeAlias = Literal["shared_policy", "g_learn", "baselines", "nash_gap", "exact_return", "evaluate"]
Rows: TypeAlias = dict[str, list[dict[str, Any]]]

RECORDED_SEED = 0  # the evaluation seed whose first rollout is stored


@dataclass(frozen=True, slots=True)
class TaskKey:
    """What a task is: its kind, its setting and, where it has them, its k and evaluation seed."""

    kind: TaskKind
    setting_id: str
    k: int | None = None
    seed: int | None = None

    def __str__(self) -> str:
        parts = [self.kind, self.setting_id]
        parts += [] if self.k is None else [f"k{self.k}"]
        parts += [] if self.seed is None else [f"seed{self.seed}"]
        return "-".join(parts)

    def columns(self) -> dict[str, Any]:
        """Return the key as columns of the tables ``timings`` and ``failures``."""
        return {"task": self.kind, "setting_id": self.setting_id, "k": self.k, "seed": self.seed}


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """What a task yields.

    Attributes
    ----------
    value : ndarray or None
        The policy that later tasks need.
    rows : dict of str to list of dict
        Rows by table, in the order in which they are to be written.
    """

    value: NDArray[Any] | None
    rows: Rows


def train_shared_policy(job: Job, n_threads: int) -> TaskResult:
    """Train the local policy that every k of a setting shares, at ``reference_k``."""
    setting = job.setting
    timings: list[dict[str, Any]] = []
    last = [time.perf_counter()]

    def note_time(outcome: ProposalOutcome) -> None:
        now = time.perf_counter()
        timings.append({"task": "outer_iteration", "iteration": outcome.iteration, "seconds": now - last[0]})
        last[0] = now

    result = alternate(
        job.environment,
        k=setting.reference_k,
        seed=setting.seed,
        global_agent=setting.global_agent,
        local_agent=setting.local_agent,
        alternating=setting.alternating,
        evaluation=setting.evaluation,
        n_threads=n_threads,
        on_iteration=note_time,
    )
    name = {"sweep": job.sweep, "setting_id": job.setting_id}
    timing_rows = [{**name, "k": setting.reference_k, **row} for row in timings]
    policy_rows = [
        {**name, "s_g": s_g, "s_l": s_l, "a_l": a_l, "probability": probability}
        for (s_g, s_l, a_l), probability in np.ndenumerate(result.local_policy)
    ]
    alternation_rows = [
        {**name, "reference_k": setting.reference_k, **_nan_as_null(asdict(outcome))} for outcome in result.history
    ]
    return TaskResult(
        result.local_policy, {"timings": timing_rows, "local_policies": policy_rows, "alternations": alternation_rows}
    )


def train_global_policy(job: Job, local_policy: NDArray[np.float64], k: int, n_threads: int) -> TaskResult:
    """Train the global policy for one k against the shared local policy."""
    options = job.setting.global_agent
    result = learn_global(
        job.environment, local_policy, k=k, options=options, seed=job.setting.seed, n_threads=n_threads
    )
    name = {"sweep": job.sweep, "setting_id": job.setting_id, "k": k}
    training = {
        **name,
        "transitions": options.transitions,
        "n_count_vectors": n_count_vectors_of(job, k),
        "n_iterations": result.n_iterations,
        "bound": result.bound,
        "converged": result.converged,
        "method": result.method,
    }
    policy_rows = [{**name, "s_g": s_g, "actions": actions} for s_g, actions in enumerate(result.policy)]
    return TaskResult(result.policy, {"global_policies": policy_rows, "trainings": [training]})


def evaluate_pair(
    job: Job, local_policy: NDArray[np.float64], global_policy: NDArray[np.integer], k: int, seed: int
) -> TaskResult:
    """Evaluate a trained pair on one evaluation seed; the first seed's first rollout is recorded step by step."""
    setting = job.setting
    result = evaluate(
        job.environment,
        global_policy,
        local_policy,
        k=k,
        n_rollouts=setting.evaluation.n_rollouts,
        horizon=setting.evaluation.horizon,
        reward=setting.evaluation.reward,
        seed=(setting.seed, seed),
    )
    name = {"sweep": job.sweep, "setting_id": job.setting_id, "k": k, "seed": seed}
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
    recorded = [{**name, **_rollout_columns(job, result.first_rollout)}] if seed == RECORDED_SEED else []
    return TaskResult(None, {"rollouts": recorded, "evaluations": [_nan_as_null(row)]})


def _rollout_columns(job: Job, rollout: RecordedRollout) -> dict[str, Any]:
    """Return a rollout as columns of the table ``rollouts``."""
    populations = rollout.populations
    is_mode = populations == populations.max(axis=1, keepdims=True)
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


def value_pair_exactly(
    job: Job, local_policy: NDArray[np.float64], global_policy: NDArray[np.integer], k: int
) -> TaskResult:
    """Compute what a trained pair is worth over the horizon of its rollouts."""
    horizon = job.setting.evaluation.horizon
    tolerance = job.setting.global_agent.convergence_threshold
    result = exact_return(job.environment, global_policy, local_policy, k=k, horizon=horizon, tolerance=tolerance)
    row = {
        "sweep": job.sweep,
        "setting_id": job.setting_id,
        "k": k,
        "n_agents": job.environment.n_agents,
        "gamma": job.environment.gamma,
        "horizon": horizon,
        "exact_return": result.value,
        "exact_bound": result.bound,
    }
    return TaskResult(None, {"exact_returns": [row]})


def measure_nash_gap(
    job: Job, local_policy: NDArray[np.float64], global_policy: NDArray[np.integer], k: int, method: GapMethod
) -> TaskResult:
    """Tell how far a trained pair is from a Nash equilibrium."""
    gaps = nash_gap(
        job.environment,
        global_policy,
        local_policy,
        k=k,
        method=method,
        tolerance=job.setting.global_agent.convergence_threshold,
        seed=job.setting.seed,
    )
    name = {
        "sweep": job.sweep,
        "setting_id": job.setting_id,
        "k": k,
        "method": method,
        "n_agents": job.environment.n_agents,
        "utility": gaps.utility,
        "horizon": gaps.horizon,
    }
    rows = [{**name, "quantity": quantity, **asdict(number)} for quantity, number in gaps.quantities.items()]
    return TaskResult(None, {"nash_gaps": rows})


def value_baselines(
    job: Job,
    local_policy: NDArray[np.float64],
    names: tuple[BaselineName, ...],
    method: EvaluationMethod,
    n_eval_seeds: int,
) -> TaskResult:
    """Evaluate what the trained pairs are compared with."""
    setting = job.setting
    # The method is no part of a setting: it is the sweep's.
    evaluation = replace(setting.evaluation, method=method)
    name = {"sweep": job.sweep, "setting_id": job.setting_id}
    rows = []
    for baseline in names:
        pair = baseline_pair(
            job.environment,
            local_policy,
            baseline,
            k=setting.reference_k,
            evaluation=evaluation,
            seed=setting.seed,
            global_agent=setting.global_agent,
        )
        for value in evaluate_baseline(
            job.environment,
            pair,
            evaluation=evaluation,
            seeds=[(setting.seed, seed) for seed in range(n_eval_seeds)],
            tolerance=setting.global_agent.convergence_threshold,
        ):
            rows.append({**name, "baseline": baseline, **_nan_as_null(asdict(value))})
    return TaskResult(None, {"baselines": rows})


TASK_FUNCTIONS: dict[TaskKind, Callable[..., TaskResult]] = {
    "shared_policy": train_shared_policy,
    "g_learn": train_global_policy,
    "baselines": value_baselines,
    "nash_gap": measure_nash_gap,
    "exact_return": value_pair_exactly,
    "evaluate": evaluate_pair,
}


def _nan_as_null(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in which what does not exist is null."""
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}
