"""Training the global policy for one k against the shared local policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.learning.best.answers import Choice, choose
from distmarl.learning.g_learn import GLearnResult, learn_global
from distmarl.results.snapshot import Snapshot
from distmarl.results.stored_policies import read_global_policies
from distmarl.results.tables import GLOBAL_POLICIES, TRAININGS
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Kind, Rows, TaskKey, TaskResult, required
from distmarl.study.memory import answer_bytes, training_bytes
from distmarl.study.seconds import choice_s, training_s
from distmarl.wording import duration


def train_global_policy(job: Job, key: TaskKey, n_threads: int, local_policy: NDArray[np.float64]) -> TaskResult:
    """Train the global policy for one k against the local policy."""
    k, options = required(key.k), job.setting.global_agent
    env, seed = job.environment, job.training_seed(key.train_seed)
    if options.answer == "best":
        chosen = choose(env, [local_policy], k=k, seed=seed, options=options, n_threads=n_threads)
        result, policy, answer = _found(chosen), chosen.global_policy, chosen.answer
    else:
        result = learn_global(env, local_policy, k=k, options=options, seed=seed, n_threads=n_threads)
        policy, answer = result.policy, "surrogate"
    name = {"sweep": job.sweep, "setting_id": key.setting_id, "k": k, "train_seed": key.train_seed}
    training = {
        **name,
        "transitions": options.transitions,
        "n_count_vectors": job.n_count_vectors(k),
        "n_iterations": result.n_iterations,
        "bound": result.bound,
        "converged": result.converged,
        "method": result.method,
        "answer": answer,
        "n_samples": result.n_samples,
    }
    policy_rows = [{**name, "s_g": s_g, "actions": actions} for s_g, actions in enumerate(policy)]
    return TaskResult(policy, {"global_policies": policy_rows, "trainings": [training]})


def _found(chosen: Choice) -> GLearnResult:
    """Return what G-LEARN found for the only local policy there was."""
    assert chosen.surrogate is not None
    return chosen.surrogate


def _seconds(job: Job, k: int | None) -> float:
    best = job.setting.global_agent.answer == "best"
    return choice_s(job, required(k), 1) if best else training_s(job, required(k))


def _n_bytes(job: Job, k: int | None, n_threads: int) -> int:
    best = job.setting.global_agent.answer == "best"
    return (answer_bytes if best else training_bytes)(job, required(k), n_threads)


def _load(
    store: Snapshot, setting_id: str, train_seed: int, ks: Sequence[int | None]
) -> Mapping[int | None, NDArray[Any]]:
    policies = read_global_policies(store, setting_id, [k for k in ks if k is not None], train_seed)
    return {k: policies[k] for k in policies}


def _results(_rows: Rows, seconds: float) -> Iterator[str]:
    yield f"trained in {duration(seconds)}"


def _unconverged(key: TaskKey, rows: Rows) -> Iterator[str]:
    for row in rows.get(TRAININGS.name, []):
        if not row["converged"]:
            yield (
                f"{key}: certified to {row['bound']:.2g} only, after {row['n_iterations']} sweeps, "
                "which is above its convergence_threshold"
            )


G_LEARN = Kind(
    name="g_learn",
    noun="global policy",
    plural="global policies",
    per="k",
    table=TRAININGS,
    beside=(GLOBAL_POLICIES,),
    run=train_global_policy,
    seconds=_seconds,
    n_bytes=_n_bytes,
    needs="shared_policy",
    needs_in=lambda sweep: "local_policy" if sweep.experiment.local_policy == "per_k" else "shared_policy",
    grows_with="k",
    has_threads=True,
    load=_load,
    results=_results,
    unconverged=_unconverged,
)
