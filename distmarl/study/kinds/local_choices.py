"""Choosing a local policy among all that a setting's starts led to: here for a single k."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.results.snapshot import Snapshot
from distmarl.results.stored_policies import read_chosen_policies
from distmarl.results.tables import CHOICES
from distmarl.study.job import Job
from distmarl.study.kinds.choosing import choice_results, choice_seconds, choose_at
from distmarl.study.kinds.kind import Asked, Kind, TaskKey, TaskPlace, TaskResult, required
from distmarl.study.memory import answer_bytes


def choose_local_policy(job: Job, key: TaskKey, n_threads: int, candidates: NDArray[np.float64]) -> TaskResult:
    """Choose the local policy of a single k."""
    return choose_at(job, key, required(key.k), n_threads, candidates)


def _load(
    store: Snapshot, setting_id: str, train_seed: int, ks: Sequence[int | None]
) -> Mapping[int | None, NDArray[Any]]:
    policies = read_chosen_policies(store, setting_id, [k for k in ks if k is not None], train_seed)
    return {k: policies[k] for k in policies}


def _done(store: Snapshot, _asked: Asked) -> Iterator[TaskPlace]:
    for name, train_seed, task, k in store.keys(CHOICES):
        if task == LOCAL_POLICY.name:
            yield TaskPlace(name, k, train_seed=train_seed)


LOCAL_POLICY = Kind(
    name="local_policy",
    noun="local policy",
    plural="local policies",
    per="k",
    table=CHOICES,
    run=choose_local_policy,
    seconds=lambda job, k: choice_seconds(job, required(k)),
    n_bytes=lambda job, k, n_threads: answer_bytes(job, required(k), n_threads),
    needs="start",
    has_threads=True,
    is_asked_for=lambda sweep: sweep.experiment.local_policy == "per_k",
    done=_done,
    load=_load,
    results=choice_results,
)
