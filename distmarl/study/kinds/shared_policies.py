"""Training the local policy that every k of a setting shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.learning.alternating import alternate
from distmarl.model.arrays import Array
from distmarl.results.snapshot import Snapshot
from distmarl.results.stored_policies import read_local_policy
from distmarl.results.tables import ALTERNATIONS, CHOICES, LOCAL_POLICIES
from distmarl.study.job import Job
from distmarl.study.kinds.alternation_rows import (
    IterationTimes,
    alternation_bytes,
    alternation_refusals,
    alternation_rows,
    alternation_s,
    sections_of,
    unconverged_proposals,
)
from distmarl.study.kinds.choosing import choice_results, choice_seconds, choose_at, searches
from distmarl.study.kinds.kind import Asked, Kind, Rows, TaskKey, TaskPlace, TaskResult, in_short
from distmarl.study.memory import answer_bytes
from distmarl.wording import duration


def train_shared_policy(
    job: Job, key: TaskKey, n_threads: int, candidates: NDArray[np.float64] | None = None
) -> TaskResult:
    """Train the local policy that every k of a setting shares, or choose it among candidates, at ``reference_k``."""
    k = job.setting.reference_k
    if candidates is not None:
        chosen = choose_at(job, key, k, n_threads, candidates)
        assert chosen.value is not None  # a choice has one
        return TaskResult(chosen.value, {**chosen.rows, "local_policies": _policy_rows(job, key, chosen.value)})
    times = IterationTimes()
    result = alternate(
        job.environment,
        k=k,
        seed=job.training_seed(key.train_seed),
        n_threads=n_threads,
        on_iteration=times.note,
        **sections_of(job).by_name,
    )
    rows = {
        "timings": times.rows(job, key),
        "alternations": alternation_rows(job, key, result.history),
        "local_policies": _policy_rows(job, key, result.local_policy),
    }
    return TaskResult(result.local_policy, rows)


def _policy_rows(job: Job, key: TaskKey, local_policy: Array) -> list[dict[str, Any]]:
    name = {"sweep": job.sweep, "setting_id": key.setting_id, "train_seed": key.train_seed}
    return [
        {**name, "s_g": s_g, "s_l": s_l, "a_l": a_l, "probability": probability}
        for (s_g, s_l, a_l), probability in np.ndenumerate(local_policy)
    ]


def _searches(job: Job) -> bool:
    """Return whether a job's shared policy is chosen among several, which a grid of starts may have in some."""
    return len(job.starts) > 1 or job.setting.alternating.ascent


def _seconds(job: Job, _k: int | None) -> float:
    return choice_seconds(job, job.setting.reference_k) if _searches(job) else alternation_s(job)


def _n_bytes(job: Job, _k: int | None, n_threads: int) -> int:
    if _searches(job):
        return answer_bytes(job, job.setting.reference_k, n_threads)
    return alternation_bytes(job, n_threads)


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    if searches(asked.sweep):
        chosen = store.keys(CHOICES, ("setting_id", "train_seed", "task"))
        told = {(name, train_seed) for name, train_seed, task in chosen if task == SHARED_POLICY.name}
    else:
        told = store.keys(ALTERNATIONS, ("setting_id", "train_seed"))
    for name, train_seed in told & store.keys(LOCAL_POLICIES, ("setting_id", "train_seed")):
        yield TaskPlace(name, train_seed=train_seed)


def _load(
    store: Snapshot, setting_id: str, train_seed: int, _ks: Sequence[int | None]
) -> Mapping[int | None, NDArray[Any]]:
    return {None: read_local_policy(store, setting_id, train_seed)}


def _results(rows: Rows, seconds: float) -> Iterator[str]:
    if CHOICES.name in rows:
        yield from choice_results(rows, seconds)
        return
    joint_values = [row["joint_value"] for row in rows.get("alternations", [])]
    if joint_values:
        yield f"joint value {in_short(max(joint_values))}"
    yield f"trained in {duration(seconds)}"


SHARED_POLICY = Kind(
    name="shared_policy",
    noun="shared local policy",
    plural="shared local policies",
    per="setting",
    table=LOCAL_POLICIES,
    run=train_shared_policy,
    seconds=_seconds,
    n_bytes=_n_bytes,
    needs_in=lambda sweep: "start" if searches(sweep) else None,
    grows_with="k",
    has_threads=True,
    done=_done,
    load=_load,
    results=_results,
    unconverged=unconverged_proposals,
    refusals=alternation_refusals,
)
