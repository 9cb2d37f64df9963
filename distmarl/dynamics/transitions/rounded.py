"""Rounded transitions: the mean of the next count vector, rounded to whole agents.

This is what the authors' published code computes, kept for comparison. It
is no approximation of the expectation for small k: at k <= 3 a sticky kernel maps every
count vector to itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.transitions.base import SuccessorTransitions
from distmarl.model.counts import count_vectors, rank_valid

REMAINDER_PRECISION = 1e-9


def rounded_transitions(kernel: NDArray[np.float64], *, k: int) -> SuccessorTransitions:
    """Round E[Z'] = z @ kernel[s_g] to count vectors by largest remainders.

    Parameters
    ----------
    kernel : ndarray, shape (G, L, L)
        ``kernel[s_g, s_l, s_l']``, the local transitions under the local policy.
    k : int
        Number of agents in a count vector.
    """
    counts = count_vectors(k, kernel.shape[-1])
    successors = np.empty((len(kernel), 1, len(counts)), dtype=np.int32)
    for s_g, matrix in enumerate(kernel):
        successors[s_g, 0] = rank_valid(round_to_counts(counts @ matrix, k), k)
    return SuccessorTransitions(successors)


def round_to_counts(expected: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Round rows that sum to k to integers that do, by largest remainders.

    Parameters
    ----------
    expected : ndarray, shape (C, L)
        Rows of numbers of 0 or more that sum to ``k``.
    k : int
        The sum.

    Returns
    -------
    ndarray of int64, shape (C, L)
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
