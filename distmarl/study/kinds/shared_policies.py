"""Training the local policy that every k of a setting shares."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.learning.alternating import alternate
from distmarl.learning.proposals import ProposalOutcome
from distmarl.results.snapshot import Snapshot
from distmarl.results.stored_policies import read_local_policy
from distmarl.results.tables import ALTERNATIONS
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Kind, Refusal, Rows, TaskKey, TaskResult, in_short, nan_as_null, refused_if
from distmarl.study.memory import exact_value_bytes, training_bytes
from distmarl.study.seconds import population_s, rollouts_s, training_s
from distmarl.values.exact_return import check_population_size
from distmarl.wording import duration

# Most alternations settle in so many outer iterations.
N_OUTER_ITERATIONS = 3


def train_shared_policy(job: Job, key: TaskKey, n_threads: int) -> TaskResult:
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
    name = {"sweep": job.sweep, "setting_id": key.setting_id}
    policy_rows = [
        {**name, "s_g": s_g, "s_l": s_l, "a_l": a_l, "probability": probability}
        for (s_g, s_l, a_l), probability in np.ndenumerate(result.local_policy)
    ]
    alternation_rows = [
        {**name, "reference_k": setting.reference_k, **nan_as_null(asdict(outcome))} for outcome in result.history
    ]
    timing_rows = [{**name, "k": setting.reference_k, **row} for row in timings]
    return TaskResult(
        result.local_policy, {"timings": timing_rows, "local_policies": policy_rows, "alternations": alternation_rows}
    )


def _seconds(job: Job, _k: int | None) -> float:
    setting = job.setting
    exactly = setting.alternating.joint_value == "exact"
    valued = population_s(job) if exactly else rollouts_s(job, setting.evaluation.n_rollouts)
    n_iterations = min(setting.alternating.n_outer_iterations, N_OUTER_ITERATIONS)
    return n_iterations * (training_s(job, setting.reference_k) + valued)


def _n_bytes(job: Job, _k: int | None, n_threads: int) -> int:
    k, env = job.setting.reference_k, job.environment
    # L-LEARN's weights of the count vectors, with the value that G-LEARN starts from next.
    local = 8 * job.n_count_vectors(k) * (env.n_global_states + env.n_local_states)
    n_bytes = training_bytes(job, k, n_threads) + local
    return n_bytes if job.setting.alternating.joint_value == "rollouts" else max(n_bytes, exact_value_bytes(job))


def _load(store: Snapshot, setting_id: str, _ks: Sequence[int | None]) -> Mapping[int | None, NDArray[Any]]:
    return {None: read_local_policy(store, setting_id)}


def _results(rows: Rows, seconds: float) -> Iterator[str]:
    joint_values = [row["joint_value"] for row in rows.get("alternations", [])]
    if joint_values:
        yield f"joint value {in_short(max(joint_values))}"
    yield f"trained in {duration(seconds)}"


def _unconverged(key: TaskKey, rows: Rows) -> Iterator[str]:
    for row in rows.get(ALTERNATIONS.name, []):
        for side in ("global", "local"):
            if row[f"{side}_converged"] is False:
                bound, n_iterations = row[f"{side}_bound"], row[f"{side}_n_iterations"]
                yield (
                    f"{key}, outer iteration {row['iteration']}, {side} agent: certified to {bound:.2g} only, after "
                    f"{n_iterations} sweeps, which is above its convergence_threshold"
                )


def _refusals(job: Job) -> Iterator[Refusal]:
    joint_value = job.setting.alternating.joint_value
    if joint_value == "exact":
        yield from refused_if(check_population_size, job, "alternating.joint_value", "be rollouts", joint_value)


SHARED_POLICY = Kind(
    name="shared_policy",
    noun="shared local policy",
    plural="shared local policies",
    per="setting",
    table=ALTERNATIONS,
    run=train_shared_policy,
    seconds=_seconds,
    n_bytes=_n_bytes,
    grows_with="k",
    has_threads=True,
    load=_load,
    results=_results,
    unconverged=_unconverged,
    refusals=_refusals,
)
