"""Alternating from each of a setting's starts, where there are several, and climbing from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import ResultsError
from distmarl.learning.best.answers import larger_size
from distmarl.learning.best.searches import search_from
from distmarl.results.snapshot import Snapshot
from distmarl.results.stored_policies import read_candidates
from distmarl.results.tables import ALTERNATIONS, CANDIDATES
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
from distmarl.study.kinds.choosing import PROPOSALS, policy_columns, searches
from distmarl.study.kinds.kind import Asked, Kind, Rows, TaskKey, TaskPlace, TaskResult, in_short, required
from distmarl.study.seconds import N_TRAININGS_OF_AN_ASCENT, training_s
from distmarl.wording import duration


def search_from_start(job: Job, key: TaskKey, n_threads: int) -> TaskResult:
    """Alternate from one of a setting's starts, and climb from it, at ``reference_k``."""
    setting, number = job.setting, required(key.seed)
    times = IterationTimes()
    found = search_from(
        job.environment,
        job.starts[number],
        k=setting.reference_k,
        seed=job.training_seed(key.train_seed),
        sections=sections_of(job),
        n_threads=n_threads,
        on_iteration=times.note,
    )
    candidate_rows = [
        {
            "sweep": job.sweep,
            "setting_id": key.setting_id,
            "train_seed": key.train_seed,
            "start": found.start,
            "number": number,
            "proposal": proposal,
            **policy_columns(policy),
        }
        for proposal, policy in found.local_policies.items()
    ]
    rows = {
        "timings": times.rows(job, key),
        "alternations": alternation_rows(job, key, found.history),
        "candidates": candidate_rows,
    }
    return TaskResult(None, rows)


def load_candidates(
    store: Snapshot, setting_id: str, train_seed: int, _ks: Sequence[int | None]
) -> Mapping[int | None, NDArray[Any]]:
    """Return the local policies that a training's starts led to, an array (S, 3, G, L, A_l); NaN stands for none.

    The second axis is that of :data:`PROPOSALS`.
    """
    rows = read_candidates(store, setting_id, train_seed)
    if not rows:
        raise ResultsError(f"{store.folder}: no start of the setting {setting_id} has been searched from yet")
    shape = (1 + max(row["number"] for row in rows), len(PROPOSALS), *rows[0]["shape"])
    candidates = np.full(shape, np.nan)
    for row in rows:
        candidates[row["number"], PROPOSALS.index(row["proposal"])] = row["local_policy"]
    return {None: candidates}


def _seconds(job: Job, _k: int | None) -> float:
    climbing = 0.0
    if job.setting.alternating.ascent:
        climbing = N_TRAININGS_OF_AN_ASCENT * training_s(job, larger_size(job.environment), "exact")
    return alternation_s(job) + climbing


def _done(store: Snapshot, _asked: Asked) -> Iterator[TaskPlace]:
    alternated = store.keys(ALTERNATIONS, ("setting_id", "train_seed", "start"))
    candidates = store.keys(CANDIDATES, ("setting_id", "train_seed", "start", "number"))
    for setting_id, train_seed, start, number in candidates:
        if (setting_id, train_seed, start) in alternated:
            yield TaskPlace(setting_id, None, number, train_seed)


def _results(rows: Rows, seconds: float) -> Iterator[str]:
    joint_values = [row["joint_value"] for row in rows.get("alternations", [])]
    names = dict.fromkeys(row["start"] for row in rows.get("candidates", []))
    if joint_values:
        yield f"from {', '.join(names)}: joint value {in_short(max(joint_values))}"
    yield f"in {duration(seconds)}"


START = Kind(
    name="start",
    noun="start",
    plural="starts",
    per="start",
    table=CANDIDATES,
    run=search_from_start,
    seconds=_seconds,
    n_bytes=lambda job, _k, n_threads: alternation_bytes(job, n_threads),
    has_threads=True,
    is_asked_for=searches,
    done=_done,
    load=load_candidates,
    results=_results,
    unconverged=unconverged_proposals,
    refusals=alternation_refusals,
)
