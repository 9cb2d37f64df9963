"""What the tasks have in common that choose among the local policies that a setting's starts led to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from distmarl.config.grids import varied_keys
from distmarl.learning.best.answers import Choice, choose
from distmarl.learning.best.searches import CandidateKind
from distmarl.learning.best.starts import is_papers
from distmarl.model.arrays import Array
from distmarl.model.options import SweepFile
from distmarl.results.tables import CHOICES
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Rows, TaskKey, TaskResult, in_short
from distmarl.study.seconds import choice_s

SEARCHING = ("alternating.starts", "alternating.n_random_starts", "alternating.ascent")
PROPOSALS: tuple[CandidateKind, ...] = get_args(CandidateKind)
# The starts lead to fewer policies than there could be, and bounds pass over some: about so many are looked at.
LOOKED_AT_PER_START = 1.5


def searches(sweep: SweepFile) -> bool:
    """Return whether a sweep has starts, or choices among what they led to, that the paper's protocol has not."""
    varies = any(key in SEARCHING for key in varied_keys(sweep.grid))
    return varies or sweep.experiment.local_policy == "per_k" or not is_papers(sweep.alternating)


def policy_columns(local_policy: Array) -> dict[str, Any]:
    """Return a local policy as columns of a table."""
    return {"shape": list(local_policy.shape), "probabilities": local_policy.ravel()}


def choose_at(job: Job, key: TaskKey, k: int, n_threads: int, candidates: NDArray[np.float64]) -> TaskResult:
    """Choose among candidates, (S, 3, G, L, A_l), for a global agent that sees k agents."""
    found: dict[bytes, tuple[str, CandidateKind, Array]] = {}
    for start, proposed in zip(job.starts, candidates, strict=True):
        for proposal, policy in zip(PROPOSALS, proposed, strict=True):
            if not np.isnan(policy).any():
                found.setdefault(policy.tobytes(), (start, proposal, policy))
    chosen = choose(
        job.environment,
        [policy for *_, policy in found.values()],
        k=k,
        seed=job.training_seed(key.train_seed),
        answer=job.setting.global_agent.answer,
        options=job.setting.global_agent,
        n_threads=n_threads,
    )
    start, proposal, _ = list(found.values())[chosen.number]
    row = {
        "sweep": job.sweep,
        "setting_id": key.setting_id,
        "train_seed": key.train_seed,
        "task": key.kind,
        "k": k,
        "start": start,
        "proposal": proposal,
        **_worth_columns(chosen),
        **policy_columns(chosen.local_policy),
    }
    return TaskResult(chosen.local_policy, {CHOICES.name: [row]})


def choice_seconds(job: Job, k: int) -> float:
    """Return the time of a choice on a reference core."""
    return choice_s(job, k, round(LOOKED_AT_PER_START * len(job.starts)))


def choice_results(rows: Rows, _seconds: float) -> Iterator[str]:
    """Yield what to tell of a choice."""
    yield from (
        f"{row['start']} ({row['proposal']}), worth {in_short(row['value'])}" for row in rows.get(CHOICES.name, [])
    )


def _worth_columns(chosen: Choice) -> dict[str, Any]:
    return {
        "answer": chosen.answer,
        "value": chosen.worth.value,
        "error": chosen.worth.error,
        "method": chosen.worth.method,
        "n_candidates": len(chosen.looks),
        "n_skipped": sum(look.is_skipped for look in chosen.looks),
    }
