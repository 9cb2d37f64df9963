"""What the tasks that alternate have in common: their rows, their time, their memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from distmarl.learning.best.searches import Sections
from distmarl.learning.proposals import ProposalOutcome
from distmarl.learning.softmax_preview import preview_softmax
from distmarl.results.tables import ALTERNATIONS
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Refusal, Rows, TaskKey, nan_as_null, refused_if
from distmarl.study.memory import exact_value_bytes, training_bytes
from distmarl.study.seconds import population_s, rollouts_s, training_s
from distmarl.values.exact_return import check_population_size

# Most alternations settle in so many outer iterations.
N_OUTER_ITERATIONS = 3


class IterationTimes:
    """How long the outer iterations of a task take."""

    def __init__(self) -> None:
        self._seconds: list[tuple[int, float]] = []
        self._last = time.perf_counter()

    def note(self, outcome: ProposalOutcome) -> None:
        """Learn that an outer iteration has ended."""
        now = time.perf_counter()
        self._seconds.append((outcome.iteration, now - self._last))
        self._last = now

    def rows(self, job: Job, key: TaskKey) -> list[dict[str, Any]]:
        """Return rows of the table ``timings``."""
        name = {"sweep": job.sweep, **key.columns(), "k": job.setting.reference_k}
        return [
            {**name, "task": "outer_iteration", "iteration": iteration, "seconds": seconds}
            for iteration, seconds in self._seconds
        ]


def sections_of(job: Job) -> Sections:
    """Return the options of an alternation."""
    setting = job.setting
    return Sections(
        global_agent=setting.global_agent,
        local_agent=setting.local_agent,
        alternating=setting.alternating,
        evaluation=setting.evaluation,
    )


def alternation_rows(job: Job, key: TaskKey, history: Sequence[ProposalOutcome]) -> list[dict[str, Any]]:
    """Return rows of the table ``alternations``."""
    name = {"sweep": job.sweep, "setting_id": key.setting_id, "train_seed": key.train_seed}
    name["reference_k"] = job.setting.reference_k
    values: dict[str, float] = {}
    if job.setting.local_agent.policy == "softmax":
        preview = preview_softmax(job.environment, job.setting.local_agent)
        values = {
            "blind_softmax_value": preview.value,
            "blind_greedy_value": preview.greedy_value,
            "random_value": preview.random_value,
        }
    return [{**name, **nan_as_null(asdict(outcome)), **values} for outcome in history]


def alternation_s(job: Job) -> float:
    """Return the time of an alternation on a reference core."""
    setting = job.setting
    exactly = setting.alternating.joint_value == "exact"
    valued = population_s(job) if exactly else rollouts_s(job, setting.evaluation.n_rollouts)
    n_iterations = min(setting.alternating.n_outer_iterations, N_OUTER_ITERATIONS)
    n_trainings = (1 + n_iterations) / 2  # those after the first begin near the end
    return n_trainings * training_s(job, setting.reference_k) + n_iterations * valued


def alternation_bytes(job: Job, n_threads: int) -> int:
    """Return about how much memory an alternation takes, in bytes."""
    k, env = job.setting.reference_k, job.environment
    # L-LEARN's weights of the count vectors, with the value that G-LEARN starts from next.
    local = 8 * job.n_count_vectors(k) * (env.n_global_states + env.n_local_states)
    n_bytes = training_bytes(job, k, n_threads) + local
    return n_bytes if job.setting.alternating.joint_value == "rollouts" else max(n_bytes, exact_value_bytes(job))


def unconverged_proposals(key: TaskKey, rows: Rows) -> Iterator[str]:
    """Yield a sentence for every best response that ended above its threshold."""
    for row in rows.get(ALTERNATIONS.name, []):
        for side in ("global", "local"):
            if row[f"{side}_converged"] is False:
                bound, n_iterations = row[f"{side}_bound"], row[f"{side}_n_iterations"]
                yield (
                    f"{key}, outer iteration {row['iteration']}, {side} agent: certified to {bound:.2g} only, after "
                    f"{n_iterations} sweeps, which is above its convergence_threshold"
                )


def alternation_refusals(job: Job) -> Iterator[Refusal]:
    """Yield why an alternation could never run."""
    joint_value = job.setting.alternating.joint_value
    if joint_value == "exact":
        yield from refused_if(check_population_size, job, "alternating.joint_value", "be rollouts", joint_value)
