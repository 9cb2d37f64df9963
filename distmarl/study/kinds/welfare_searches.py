"""Searching for the best pair of a setting's game, which the Nash gap of every k compares with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from distmarl.equilibrium.welfare import (
    FEW_AGENTS,
    Welfare,
    best_welfare,
    n_deterministic_policies,
    welfare_bytes,
    welfare_starts,
)
from distmarl.learning.best.answers import larger_size
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import WELFARE as WELFARE_TABLE
from distmarl.study.effort import asked_effort, is_of_effort
from distmarl.study.job import Job
from distmarl.study.kinds.choosing import policy_columns
from distmarl.study.kinds.kind import Asked, Kind, Rows, TaskKey, TaskPlace, TaskResult, in_short
from distmarl.study.seconds import N_TRAININGS_OF_AN_ASCENT, training_s
from distmarl.wording import duration

# Trainings with all agents in view that a search takes: those that bounds do not pass over.
N_SOLVED = 6


def search_welfare(job: Job, key: TaskKey, _n_threads: int) -> TaskResult:
    """Search for the best pair of a setting's game."""
    env, asked = job.environment, asked_effort(job.experiment)
    found = best_welfare(
        env,
        tolerance=job.setting.global_agent.convergence_threshold / 2,
        max_enumerated=asked["asked_max_enumerated"],
        n_starts=asked["asked_starts"],
        seed=job.setting.seed,
    )
    policy = {"shape": None, "probabilities": None}
    row = {
        "sweep": job.sweep,
        "setting_id": key.setting_id,
        "n_agents": env.n_agents,
        "gamma": env.gamma,
        "value": found.value,
        "error": found.error,
        "reason": found.reason,
        "source": found.source,
        "is_exhaustive": found.is_exhaustive,
        "n_policies": found.n_policies,
        "n_solved": found.n_solved,
        "n_starts": found.n_starts,
        **asked,
        **(policy if found.local_policy is None else policy_columns(found.local_policy)),
    }
    return TaskResult(None, {WELFARE_TABLE.name: [row]})


def _seconds(job: Job, _k: int | None) -> float:
    env, experiment = job.environment, job.experiment
    solved_s = N_SOLVED * training_s(job, env.n_agents, "exact")
    n_deterministic = n_deterministic_policies(env)
    if n_deterministic <= experiment.welfare_max_enumerated:
        return solved_s + n_deterministic * training_s(job, min(FEW_AGENTS, env.n_agents), "exact")
    n_starts = len(welfare_starts(env, experiment.welfare_starts))
    return solved_s + n_starts * N_TRAININGS_OF_AN_ASCENT * training_s(job, larger_size(env), "exact")


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    experiment = asked.sweep.experiment
    yield from (TaskPlace(row["setting_id"]) for row in store.rows(WELFARE_TABLE) if is_of_effort(row, experiment))


def _load(store: Snapshot, setting_id: str, _train_seed: int, _ks: Sequence[int | None]) -> Mapping[int | None, Any]:
    """Return what a search has found."""
    (row,) = store.rows(WELFARE_TABLE, setting_id=setting_id)
    names = ("value", "error", "source", "is_exhaustive", "n_policies", "n_solved", "n_starts", "reason")
    policy = None if row["probabilities"] is None else np.reshape(row["probabilities"], row["shape"])
    return {None: Welfare(local_policy=policy, **{name: row[name] for name in names})}


def _results(rows: Rows, seconds: float) -> Iterator[str]:
    for row in rows.get(WELFARE_TABLE.name, []):
        yield f"best pair {in_short(row['value'])}, from {row['source'] or 'nothing'}, in {duration(seconds)}"


WELFARE = Kind(
    name="welfare",
    noun="search for the best pair",
    plural="searches for the best pair",
    per="setting",
    table=WELFARE_TABLE,
    run=search_welfare,
    seconds=_seconds,
    n_bytes=lambda job, _k, _n_threads: welfare_bytes(job.environment),
    is_per_training=False,
    is_extra=True,
    is_asked_for=lambda sweep: sweep.experiment.nash_gap == "exact",
    done=_done,
    load=_load,
    results=_results,
)
