"""Telling how far a trained pair is from a Nash equilibrium."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from distmarl.equilibrium.estimated_gaps import MAX_SEEN
from distmarl.equilibrium.nash_gap import GapMethod, check_gap_size, gap_bytes, nash_gap
from distmarl.equilibrium.welfare import Welfare
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import NASH_GAPS
from distmarl.study.effort import asked_effort, is_of_effort
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Asked, Kind, Refusal, Rows, TaskKey, TaskPlace, TaskResult, refused_if, required
from distmarl.study.seconds import population_s, rollouts_s, seen_sweep_s
from distmarl.wording import duration

# An exact Nash gap takes about as long as so many values of the population. An estimate takes paired rollouts, and
# sweeps over a smaller population.
N_VALUES_OF_A_GAP = 12
N_ROLLOUTS_OF_AN_ESTIMATE, N_SWEEPS_OF_AN_ESTIMATE = 20_000, 65


def measure_nash_gap(
    job: Job,
    key: TaskKey,
    _n_threads: int,
    local_policy: NDArray[np.float64],
    global_policy: NDArray[np.integer],
    welfare: Welfare | None = None,
) -> TaskResult:
    """Tell how far a trained pair is from a Nash equilibrium, and from the best pair of its game."""
    k, method = required(key.k), job.experiment.nash_gap
    gaps = nash_gap(
        job.environment,
        global_policy,
        local_policy,
        k=k,
        method=_method(job),
        tolerance=job.setting.global_agent.convergence_threshold,
        welfare=welfare,
        seed=job.training_seed(key.train_seed),
    )
    name = {
        "sweep": job.sweep,
        "setting_id": key.setting_id,
        "k": k,
        "train_seed": key.train_seed,
        "method": method,
        "n_agents": job.environment.n_agents,
        "utility": gaps.utility,
        "horizon": gaps.horizon,
        **(asked_effort(job.experiment) if method == "exact" else {}),
    }
    rows = [{**name, "quantity": quantity, **asdict(number)} for quantity, number in gaps.quantities.items()]
    return TaskResult(None, {"nash_gaps": rows})


def _method(job: Job) -> GapMethod:
    return "exact" if job.experiment.nash_gap == "exact" else "estimate"


def _seconds(job: Job, _k: int | None) -> float:
    if job.experiment.nash_gap == "exact":
        return N_VALUES_OF_A_GAP * population_s(job)
    n_agents, n_others = job.environment.n_agents, job.environment.n_classes - 1
    n_vectors = min(math.comb(n_agents + n_others, n_others), MAX_SEEN)
    sweeps = N_SWEEPS_OF_AN_ESTIMATE * seen_sweep_s(job, n_agents, n_vectors)
    return sweeps + rollouts_s(job, N_ROLLOUTS_OF_AN_ESTIMATE)


def _n_bytes(job: Job, k: int | None, _n_threads: int) -> int:
    return gap_bytes(job.environment, k=required(k), method=_method(job))


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    method = asked.sweep.experiment.nash_gap
    for row in store.rows(NASH_GAPS, method=method):
        if method != "exact" or is_of_effort(row, asked.sweep.experiment):
            yield TaskPlace(row["setting_id"], row["k"], train_seed=row["train_seed"])


def _results(_rows: Rows, seconds: float) -> Iterator[str]:
    yield f"gaps in {duration(seconds)}"


def _refusals(job: Job) -> Iterator[Refusal]:
    method = job.experiment.nash_gap
    if method == "exact":
        check = functools.partial(check_gap_size, remedy="use experiment.nash_gap: estimate")
        yield from refused_if(check, job, "experiment.nash_gap", "be off or estimate", method)


NASH_GAP = Kind(
    name="nash_gap",
    noun="Nash gap",
    plural="Nash gaps",
    per="k",
    table=NASH_GAPS,
    run=measure_nash_gap,
    seconds=_seconds,
    n_bytes=_n_bytes,
    needs="g_learn",
    also_needs="welfare",
    is_extra=True,
    is_asked_for=lambda sweep: sweep.experiment.nash_gap != "off",
    done=_done,
    results=_results,
    refusals=_refusals,
)
