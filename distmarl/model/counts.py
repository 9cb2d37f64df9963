"""Count vectors: how many of k agents are in each of L local states.

Z_k = {z in N^L : z_0 + ... + z_{L-1} = k} has C = comb(k + L - 1, L - 1)
members, kept in lexicographic order: ``(0, ..., 0, k)`` is number 0 and
``(k, 0, ..., 0)`` the last. The number of a vector has a closed form (the
combinatorial number system). With ``m = L - 1 - i`` states after state ``i`` and
``r_i = z_i + ... + z_{L-1}`` agents from state ``i`` on,

    rank(z) = sum_i [ comb(r_i + m, m) - comb(r_{i+1} + m, m) ],

because comb(r_i + m, m) - comb(r_{i+1} + m, m) vectors share ``z_0 .. z_{i-1}``
and have less than ``z_i`` in state ``i``. No array over (k + 1)^L cells is ever needed.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Ints
from distmarl.model.checks import checked_integer

MAX_RANK = np.iinfo(np.int64).max
# Successors and orders of count vectors are kept as 32-bit numbers.
MAX_COUNT_VECTORS = int(np.iinfo(np.int32).max)
# Packed counts: bits that a table is looked up by, and of an integer that holds the numbers of several tables.
TABLE_BITS, WORD_BITS = 16, 62


def n_count_vectors(k: int, n_states: int) -> int:
    """Return C = comb(k + L - 1, L - 1), the number of count vectors of k agents in L states.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or the number does not fit 64 bits.
    """
    k, n_states = checked_integer("k", k, least=0), checked_integer("n_states", n_states)
    size = math.comb(k + n_states - 1, n_states - 1)
    if size > MAX_RANK:
        raise InvalidArgumentError(
            f"k={k}, n_states={n_states}: about 10^{math.log10(size):.0f} count vectors are more than 64 bits can rank"
        )
    return size


def count_vectors(k: int, n_states: int) -> Ints:
    """Return every count vector of k agents, in lexicographic order.

    Parameters
    ----------
    k : int
        Number of agents, at least 0.
    n_states : int
        Number of local states L, at least 1.

    Returns
    -------
    ndarray of int64, shape (C, L)
        Row ``i`` is the vector whose :func:`rank` is ``i``.

    Notes
    -----
    Takes 8·C·L bytes: 13 MB at k = 50, L = 5.

    Examples
    --------
    >>> import distmarl as dm
    >>> dm.count_vectors(2, 3)
    array([[0, 0, 2],
           [0, 1, 1],
           [0, 2, 0],
           [1, 0, 1],
           [1, 1, 0],
           [2, 0, 0]])
    """
    k, n_states = checked_integer("k", k, least=0), checked_integer("n_states", n_states)
    vectors = np.empty((n_count_vectors(k, n_states), n_states), dtype=np.int64)
    remaining = np.array([k])
    for state in range(n_states - 1):
        # Every prefix with r agents left has r + 1 continuations in this state ...
        n_branches = remaining + 1
        first = np.cumsum(n_branches) - n_branches
        count = np.arange(n_branches.sum()) - np.repeat(first, n_branches)
        remaining = np.repeat(remaining, n_branches) - count
        # ... and each of those stands for as many rows as there are ways to place the rest.
        vectors[:, state] = np.repeat(count, _suffix_sizes(k, n_states - state - 1)[remaining])
    vectors[:, -1] = k - vectors[:, :-1].sum(axis=1)
    return vectors


def rank(counts: ArrayLike) -> Ints:
    """Return the lexicographic number of each count vector.

    Parameters
    ----------
    counts : array_like of int, shape (..., L)
        Count vectors; all of them must have the same sum k.

    Returns
    -------
    ndarray of int64, shape (...)
        ``rank(count_vectors(k, L))`` is ``arange(C)``.

    Raises
    ------
    InvalidArgumentError
        When a count is negative, not an integer, or the sums differ.

    Examples
    --------
    >>> import distmarl as dm
    >>> dm.rank([[0, 1, 1], [2, 0, 0]])
    array([1, 5])
    """
    try:
        array = np.asarray(counts)
    except ValueError as error:
        rule = "must be integers of shape (..., n_states)"
        raise InvalidArgumentError(f"counts: {rule}, got lists of different lengths") from error
    if array.ndim < 1 or array.shape[-1] < 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidArgumentError(
            f"counts: must be integers of shape (..., n_states), got {array.dtype} of shape {array.shape}"
        )
    sums = array.sum(axis=-1)
    if array.size == 0:
        return np.zeros(sums.shape, dtype=np.int64)
    k = int(sums.flat[0])
    if not (sums == k).all():
        raise InvalidArgumentError(f"counts: must all have the same sum, got {sums.min()} and {sums.max()}")
    if array.min() < 0:
        raise InvalidArgumentError(f"counts: must not be negative, got {array.min()}")
    n_count_vectors(k, array.shape[-1])  # refuses what 64 bits cannot rank
    return rank_valid(array.astype(np.int64), k)


def rank_valid(counts: NDArray[Any], k: int) -> Ints:
    """Return :func:`rank` of vectors that are known to sum to ``k``, without checks."""
    n_states = counts.shape[-1]
    tables = _cumulative_sizes(k, n_states)
    number = np.zeros(counts.shape[:-1], dtype=np.int64)
    remaining = np.full(counts.shape[:-1], k, dtype=np.int64)
    for state in range(n_states - 1):
        number += tables[state][remaining]
        remaining -= counts[..., state]
        number -= tables[state][remaining]
    return number


def ranks_with_one_more(k: int, n_states: int) -> Ints:
    """Return the rank of z + e_s for each state s and each count vector z of k agents, shape (L, C)."""
    counts = count_vectors(k, n_states)
    return np.stack([rank_valid(counts + unit, k + 1) for unit in np.eye(n_states, dtype=np.int64)])


class PackedCounts:
    """Count vectors of k agents in L states as integers that can be added, and their ranks.

    The rank of a vector is a sum over the states i >= 1 of a function of ``r_i``, the agents from state i on. These
    L - 1 numbers lie side by side in one integer, or in a few where they are many, and a table gives the part of the
    rank that belongs to as many of them as have 16 bits together.
    """

    def __init__(self, k: int, n_states: int) -> None:
        self._k = k
        cumulative = [*_cumulative_sizes(k, n_states), np.zeros(k + 1, dtype=np.int64)]
        parts = [later - earlier for earlier, later in itertools.pairwise(cumulative)]
        self._constant = int(cumulative[0][k])
        n_bits = max(1, k.bit_length())
        per_table = max(1, TABLE_BITS // n_bits)
        table_bits = per_table * n_bits
        tables = [_table(parts[first : first + per_table], n_bits) for first in range(0, len(parts), per_table)]
        per_word = max(1, WORD_BITS // table_bits)
        self._words: list[tuple[Ints, list[tuple[int, NDArray[np.int64]]]]] = []
        for first in range(0, len(tables), per_word):
            of_word = tables[first : first + per_word]
            # One agent in each state, as it is added to the word.
            units = np.zeros(n_states, dtype=np.int64)
            for place in range(per_word * per_table):
                state = first * per_table + place + 1
                units[state:] += 1 << (place * n_bits)
            self._words.append((units, [(number * table_bits, table) for number, table in enumerate(of_word)]))
        self._mask = (1 << table_bits) - 1

    def rank_of_sums(self, drawn: Ints, counts: Ints) -> Ints:
        """Return the rank of the vector that the first ``counts[j]`` agents of each row j of states make up together.

        Parameters
        ----------
        drawn : ndarray of int64, shape (L, k)
            States of agents, k for each j.
        counts : ndarray of int64, shape (L, C)
            For each j, and each of C sums, how many of them are taken; k in all.
        """
        number = np.full(counts.shape[1], self._constant)
        for units, tables in self._words:
            arrivals = np.zeros((len(drawn), self._k + 1), dtype=np.int64)
            np.cumsum(units[drawn], axis=1, out=arrivals[:, 1:])
            total = arrivals[0].take(counts[0])
            for taken, count in zip(arrivals[1:], counts[1:], strict=True):
                total += taken.take(count)
            for shift, table in tables:
                number += table.take((total >> shift) & self._mask)
        return number


def _table(parts: list[Ints], n_bits: int) -> Ints:
    """Return the sum of functions of r_i for all values of the r_i side by side."""
    table = np.zeros(1, dtype=np.int64)
    for part in parts:
        padded = np.zeros(1 << n_bits, dtype=np.int64)
        padded[: len(part)] = part
        table = (padded[:, None] + table).ravel()
    return table


@functools.lru_cache(maxsize=128)
def _suffix_sizes(k: int, n_states: int) -> Ints:
    """Return comb(r + n_states - 1, n_states - 1) for r = 0 .. k."""
    return np.array([math.comb(r + n_states - 1, n_states - 1) for r in range(k + 1)], dtype=np.int64)


@functools.lru_cache(maxsize=128)
def _cumulative_sizes(k: int, n_states: int) -> tuple[Ints, ...]:
    """Return, for each state i < L - 1, comb(r + m, m) with m = L - 1 - i for r = 0 .. k."""
    return tuple(_suffix_sizes(k, n_states - state) for state in range(n_states - 1))
