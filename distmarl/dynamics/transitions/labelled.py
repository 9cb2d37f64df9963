"""Exact transitions of a few agents among many states, one agent after the other.

A function of the count vector of k agents is a symmetric function of k labelled ones, an array of L^k numbers. Each
agent is then moved by a matrix product with the kernel along its own axis: k L^(k+1) multiply-adds, and no kernel is
factored. For few agents among many states that is far less than a pass for each of the L(L - 1)/2 pairs of states. All
terms are means, so nothing is lost to rounding.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from distmarl.model.arrays import EPSILON, Array, Ints
from distmarl.model.counts import n_count_vectors, rank_valid

# With fewer states factors are as good; so many numbers are moved at a time, of so many labelled states at most.
MIN_STATES, CACHED_NUMBERS, MAX_LABELLED = 11, 2**21, 2**20


def is_labelled(k: int, n_states: int) -> bool:
    """Return whether to move agents one after the other rather than to factor kernels."""
    if n_states < MIN_STATES or k < 1 or k * math.log(n_states) > math.log(MAX_LABELLED):
        return False
    return k * math.factorial(k) <= 2 * n_states


class LabelledPower:
    """The symmetric power of a kernel, (L, L), for k labelled agents."""

    method = "labelled"
    single_error = math.inf

    def __init__(self, kernel: Array, k: int) -> None:
        self._kernel, self._k = kernel, k
        # Each move is a mean over L states, of probabilities that miss a sum of 1 by roundings.
        self.relative_error = k * (len(kernel) + 10) * EPSILON

    def expect(self, values: Array) -> Array:
        """Return the expectation of each column, (C, m) to (C, m)."""
        n_states, expected = len(self._kernel), np.empty_like(values)
        ranks, sorted_ones = labelled_order(self._k, n_states)
        width = columns_at_once(self._k, n_states)
        for first in range(0, values.shape[1], width):
            columns = slice(first, first + width)
            moved = np.ascontiguousarray(values[:, columns]).take(ranks, axis=0)
            for agent in range(self._k):
                moved = np.matmul(self._kernel, moved.reshape(n_states**agent, n_states, -1))
            expected[:, columns] = moved.reshape(len(ranks), -1).take(sorted_ones, axis=0)
        return expected


@functools.lru_cache(maxsize=4)
def labelled_order(k: int, n_states: int) -> tuple[Ints, Ints]:
    """Return the rank of the count vector of each labelled state, (L^k,), and a labelled state of each rank, (C,)."""
    states = np.indices((n_states,) * k).reshape(k, -1)
    counts = np.zeros((states.shape[1], n_states), dtype=np.int16)
    for state in states:
        counts[np.arange(len(counts)), state] += 1
    ranks = rank_valid(counts, k)
    labelled = np.empty(n_count_vectors(k, n_states), dtype=np.int64)
    labelled[ranks] = np.arange(len(ranks))
    return ranks, labelled


def columns_at_once(k: int, n_states: int) -> int:
    """Return how many functions are moved at a time."""
    return max(1, CACHED_NUMBERS // n_states**k)


def labelled_bytes(k: int, n_states: int, n_columns: int) -> int:
    """Return about how much memory a move of so many functions takes, in bytes, with the orders and their making."""
    size = n_states**k
    return size * (8 * 3 * min(n_columns, columns_at_once(k, n_states)) + 8 * (k + 3) + 2 * n_states)
