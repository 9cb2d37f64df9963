"""Working out what no policies at all can earn more than."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from distmarl.equilibrium.ceilings.joint import n_moves
from distmarl.equilibrium.ceilings.sizes import (
    SizeLimits,
    check_sizes,
    largest_size,
    n_bytes,
    prefers_prescriptions,
    sizes_of,
)
from distmarl.equilibrium.ceilings.value_bound import CONTROL_METHODS, control_bounds
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.blind import law_return
from distmarl.model.policies import uniform_local_policy
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import BOUNDS as BOUNDS_TABLE
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Asked, Kind, Refusal, Rows, TaskKey, TaskPlace, TaskResult, in_short
from distmarl.study.seconds import population_sweep_s

# Sweeps over all prescriptions, or over all joint actions, until the bound over all steps stands, and as many more at
# most until that over a horizon does. A prescription is made ready in so many seconds, and a joint action and agent
# is worked on in so many.
N_SWEEPS, N_HORIZON_SWEEPS = 15, 40
PER_PRESCRIPTION_S, PER_JOINT_S = 1.6e-3, 1.2e-9


def bound_values(job: Job, key: TaskKey, _n_threads: int) -> TaskResult:
    """Bound what any policies earn, over the horizon of the rollouts and over all steps."""
    env, horizon = job.environment, job.setting.evaluation.horizon
    uniform = np.full((env.n_global_states, env.n_global_actions), 1 / env.n_global_actions)
    rows = []
    for bound in control_bounds(env, [horizon, None], limits=_limits(job)):
        at_random = law_return(env, uniform, uniform_local_policy(env), horizon=bound.horizon)
        row = {
            "sweep": job.sweep,
            "setting_id": key.setting_id,
            "steps": "all steps" if bound.horizon is None else "horizon",
            "n_agents": env.n_agents,
            "gamma": env.gamma,
            "horizon": bound.horizon,
            "value": bound.value,
            "error": bound.error,
            "ceiling": bound.ceiling,
            "random": at_random.value,
            "m": bound.m,
            "asked_m": job.experiment.bound_m,
            "method": bound.method,
            "n_iterations": bound.n_iterations,
        }
        rows.append(row)
    return TaskResult(None, {"bounds": rows})


def _limits(job: Job) -> SizeLimits:
    """Return how large the game may be: of a game of fewer agents than are asked for, all."""
    asked = job.experiment.bound_m
    return SizeLimits(None if asked is None else min(asked, job.environment.n_agents))


def _seconds(job: Job, _k: int | None) -> float:
    env = job.environment
    sizes = sizes_of(env, CONTROL_METHODS, _limits(job))
    n_sweeps = N_SWEEPS + min(N_HORIZON_SWEEPS, job.setting.evaluation.horizon)
    if prefers_prescriptions(env, sizes):
        m = sizes["prescriptions"]
        n_prescriptions = env.n_local_actions**env.n_local_states
        ready_s = env.n_global_states * PER_PRESCRIPTION_S
        return n_prescriptions * (ready_s + n_sweeps * population_sweep_s(job, m))
    operations = env.n_global_states**2 * env.n_local_states * n_moves(env, sizes["joint"])
    return n_sweeps * operations * PER_JOINT_S


def _n_bytes(job: Job, _k: int | None, _n_threads: int) -> int:
    # One after the other, if it comes to both: the game of all actions is solved where prescriptions do badly.
    sizes = sizes_of(job.environment, CONTROL_METHODS, _limits(job))
    return max(n_bytes(job.environment, method, m) for method, m in sizes.items() if m)


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    wanted = asked.sweep.experiment.bound_m
    yield from {TaskPlace(row["setting_id"]) for row in store.rows(BOUNDS_TABLE) if row["asked_m"] == wanted}


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    for row in rows.get("bounds", []):
        if row["horizon"] is not None:
            yield f"nobody earns more than {in_short(row['ceiling'])}"


def _refusals(job: Job) -> Iterator[Refusal]:
    asked = job.experiment.bound_m
    if job.experiment.bound == "off":
        return
    try:
        check_sizes(job.environment, CONTROL_METHODS, _limits(job))
    except InvalidArgumentError as error:
        if asked is None:
            yield Refusal("experiment.bound", "be off", job.experiment.bound, error)
        else:
            most = largest_size(job.environment, CONTROL_METHODS)
            yield Refusal("experiment.bound_m", f"be at most {most}" if most else "be left out", asked, error)


BOUND = Kind(
    name="bound",
    noun="bound",
    plural="bounds",
    per="setting",
    table=BOUNDS_TABLE,
    run=bound_values,
    seconds=_seconds,
    n_bytes=_n_bytes,
    is_per_training=False,
    is_asked_for=lambda sweep: sweep.experiment.bound != "off",
    done=_done,
    results=_results,
    refusals=_refusals,
)
