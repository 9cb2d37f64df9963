"""Draws that stay alike where what they are drawn from is alike.

Rollouts of different policies, or of different k, are compared on the same random numbers. That
cancels noise only while the same number serves the same purpose in both. So every draw here takes
its numbers from a fixed place of its stream, whatever was drawn before and for whomever else,
and outcomes follow the number that they are drawn by: nearly equal populations are seen, and move,
nearly alike, and populations that have parted can meet again.

The law of each draw is exact, by inversion.
"""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.model.arrays import Array, Ints

Words: TypeAlias = NDArray[np.uint64]

# A hypergeometric variable of k draws is farther than 20 sqrt(k) from its mean with a probability below
# 2 exp(-800) (Hoeffding, 1963), which is 0 in double precision.
REACH = 20
SMALLEST = 1e-280  # stands for 0 where that would not do

# Of SplitMix64.
GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIXERS = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


def draw_categorical(probabilities: Array, uniforms: Array) -> Ints:
    """Draw one outcome from each row, (R, S) to (R,), by one uniform number each, (R,)."""
    upper_edges = np.cumsum(probabilities, axis=1)[:, :-1]
    outcome: Ints = (uniforms[:, None] >= upper_edges).sum(axis=1)
    return outcome


def draw_subsample(population: Ints, k: int | Ints, uniforms: Array) -> Ints:
    """Draw k agents without replacement from each population, (R, L) to count vectors (R, L).

    Each row takes L - 1 uniform numbers, (R, L - 1), whatever k is, so that subsamples of similar sizes have similar
    shares.
    """
    n_rollouts, n_states = population.shape
    seen = np.empty_like(population)
    wanted = np.full(n_rollouts, k)
    others = population.sum(axis=1)
    most = int(np.max(k))
    for state in range(n_states - 1):
        others = others - population[:, state]
        seen[:, state] = hypergeometric_quantile(uniforms[:, state], population[:, state], others, wanted, most)
        wanted = wanted - seen[:, state]
    seen[:, -1] = wanted
    return seen


def hypergeometric_quantile(uniform: Array, n_good: Ints, n_bad: Ints, n_drawn: Ints, most: int) -> Ints:
    """Return the smallest x with P(X <= x) > u, for numbers u in [0, 1), all arrays (R,).

    X is the number of good ones among ``n_drawn`` that are drawn without replacement, ``most`` at most in any row.

    Notes
    -----
    P(X = x) comes from the ratios P(X = x + 1) / P(X = x), added up as logarithms. Takes
    O(R min(k, 40 sqrt(k))) memory, k = ``most``.
    """
    lowest, highest = np.maximum(n_drawn - n_bad, 0), np.minimum(n_drawn, n_good)
    reach = REACH * (math.isqrt(most) + 1)
    mean = (n_drawn * (n_good / np.maximum(n_good + n_bad, 1))).astype(np.int64)
    lowest, highest = np.maximum(lowest, mean - reach), np.minimum(highest, mean + reach)
    x = lowest + np.arange(float((highest - lowest).max()))[:, None]
    # 0 at the largest x of a column, after which nothing is left to grow again: all later ratios are below 1.
    rises = (n_good - x) * (n_drawn - x)
    falls = (x + 1) * ((n_bad - n_drawn + 1) + x)
    logs = np.zeros((len(x) + 1, len(lowest)))
    np.log(np.maximum(rises, SMALLEST) / falls, out=logs[1:])
    _add_up(logs)
    cumulative = np.exp(logs - logs.max(axis=0))
    _add_up(cumulative)
    return lowest + np.count_nonzero(uniform * cumulative[-1] >= cumulative[:-1], axis=0)


def _add_up(rows: Array) -> None:
    """Add to each row those before it, several times as fast as ``cumsum`` where rows are long."""
    for before, row in itertools.pairwise(rows):
        row += before


def fixed_numbers(keys: Words, places: Ints) -> Array:
    """Return the uniform numbers at some places of streams, (N,), each stream named by its 64-bit key.

    Counter-based, so that a number far down a stream costs no more than the next one: SplitMix64 (Steele, Lea and
    Flood, 2014), whose n-th number mixes the bits of key + n times a constant.
    """
    mixed = keys + (places.astype(np.uint64) + np.uint64(1)) * GOLDEN_GAMMA
    for shift, factor in MIXERS:
        mixed = (mixed ^ (mixed >> shift)) * factor
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
