"""Rounded transitions: the mean of the next count vector, rounded to whole agents.

This is what the authors' published code computes, kept for comparison. It
is no approximation of the expectation for small k: at k <= 3 a sticky kernel maps every
count vector to itself.
"""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.transitions.base import SuccessorTransitions, TransitionRecord, successor_bytes
from distmarl.model.arrays import Array, Ints
from distmarl.model.counts import count_vectors, rank_valid

REMAINDER_PRECISION = 1e-9


def rounded_transitions(kernel: Array, *, k: int) -> SuccessorTransitions:
    """Round E[Z'] = z @ kernel[s_g] to count vectors by largest remainders; the kernel is (G, L, L)."""
    counts = count_vectors(k, kernel.shape[-1])
    successors = np.empty((len(kernel), 1, len(counts)), dtype=np.int32)
    for s_g, matrix in enumerate(kernel):
        successors[s_g, 0] = rank_valid(round_to_counts(counts @ matrix, k), k)
    return SuccessorTransitions(successors)


def round_to_counts(expected: Array, k: int) -> Ints:
    """Round rows that sum to k, (C, L), to integers that do, by largest remainders.

    Among equal remainders the lower state is rounded up.
    """
    # Means are sums of products: without these two roundings, the last bits would decide.
    whole = np.rint(expected)
    counts = np.floor(np.where(np.abs(expected - whole) < REMAINDER_PRECISION, whole, expected)).astype(np.int64)
    remainders = np.round((expected - counts) / REMAINDER_PRECISION)
    missing = k - counts.sum(axis=1)
    largest_first = np.argsort(-remainders, axis=1, kind="stable")
    for place in range(expected.shape[1] - 1):
        rows = np.flatnonzero(missing > place)
        counts[rows, largest_first[rows, place]] += 1
    return counts


ROUNDED = TransitionRecord(
    name="rounded",
    meaning="the mean of the next count vector, rounded to whole agents",
    build=lambda _env, kernel, _reward, k, _options, _seed: rounded_transitions(kernel, k=k),
    n_bytes=lambda env, k, _options: successor_bytes(env, k, 1),
    n_arrays=1,
    n_operations=lambda _env, _k, _options: 1.0,
    per_kernel_s=lambda _env, _k: 2e-5,
    per_operation_s=7.2e-9,
    growth=0.2,
    n_sweeps=65,
)
