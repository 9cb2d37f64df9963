"""Draws that stay alike where what they are drawn from is alike.

Rollouts of different policies, or of different k, are compared on the same random numbers. That
cancels noise only while the same number serves the same purpose in both. So every draw here takes
its numbers from a fixed place of its stream, whatever was drawn before and for whomever else,
and outcomes follow the number that they are drawn by: nearly equal populations are seen, and move,
nearly alike, and populations that have parted can meet again.

The law of each draw is exact, by inversion or by numpy's own samplers.
"""

from __future__ import annotations

import math

import numpy as np

from distmarl.model.arrays import Array, Ints

# numpy draws Binomial(n, p) by inversion, from one number, while n min(p, 1 - p) is at most this.
# Should that ever change, draws keep their law; only less noise cancels.
LARGEST_INVERTED = 30.0
# A hypergeometric variable of k draws is farther than 20 sqrt(k) from its mean with a probability below
# 2 exp(-800) (Hoeffding, 1963), which is 0 in double precision.
REACH = 20
SMALLEST = 1e-280  # stands for 0 where that would not do


def draw_categorical(probabilities: Array, rng: np.random.Generator) -> Ints:
    """Draw one outcome from each row, (R, S) to (R,), with one uniform number per row."""
    upper_edges = np.cumsum(probabilities, axis=1)[:, :-1]
    return (rng.random(len(probabilities))[:, None] >= upper_edges).sum(axis=1)


def draw_subsample(population: Ints, k: int | Ints, rng: np.random.Generator) -> Ints:
    """Draw k agents without replacement from each population, (R, L) to count vectors (R, L).

    Each row takes L - 1 uniform numbers, whatever k is, so that subsamples of similar sizes have similar shares.
    """
    n_rollouts, n_states = population.shape
    uniforms = rng.random((n_rollouts, n_states - 1))
    seen = np.empty_like(population)
    wanted = np.full(n_rollouts, k)
    others = population.sum(axis=1)
    for state in range(n_states - 1):
        others = others - population[:, state]
        seen[:, state] = hypergeometric_quantile(uniforms[:, state], population[:, state], others, wanted)
        wanted = wanted - seen[:, state]
    seen[:, -1] = wanted
    return seen


def hypergeometric_quantile(uniform: Array, n_good: Ints, n_bad: Ints, n_drawn: Ints) -> Ints:
    """Return the smallest x with P(X <= x) > u, for numbers u in [0, 1), all arrays (R,).

    X is the number of good ones among ``n_drawn`` that are drawn without replacement.

    Notes
    -----
    P(X = x) comes from the ratios P(X = x + 1) / P(X = x), added up as logarithms. Takes
    O(R min(k, 40 sqrt(k))) memory, k the largest ``n_drawn``.
    """
    lowest, highest = np.maximum(n_drawn - n_bad, 0), np.minimum(n_drawn, n_good)
    reach = REACH * (math.isqrt(int(n_drawn.max())) + 1)
    if (highest - lowest).max() > 2 * reach:
        mean = (n_drawn * (n_good / np.maximum(n_good + n_bad, 1))).astype(np.int64)
        lowest, highest = np.maximum(lowest, mean - reach), np.minimum(highest, mean + reach)
    x = lowest[:, None] + np.arange((highest - lowest).max())
    # 0 at the largest x of a row, after which nothing is left to grow again: all later ratios are below 1.
    rises = (n_good[:, None] - x) * (n_drawn[:, None] - x)
    falls = (x + 1) * ((n_bad - n_drawn + 1)[:, None] + x)
    logs = np.zeros((len(x), x.shape[1] + 1))
    logs[:, 1:] = np.log(np.maximum(rises, SMALLEST) / falls)
    logs = logs.cumsum(axis=1)
    cumulative = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
    return lowest + (uniform[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)


def conditional_probabilities(probabilities: Array) -> Array:
    """Return P(outcome = j | outcome >= j) for j < m - 1, (..., m) to (m - 1, ...).

    Zeros are replaced by a number so small that it draws nobody either, but takes its random number.
    """
    tails = np.flip(np.flip(probabilities, axis=-1).cumsum(axis=-1), axis=-1)
    conditional = np.divide(probabilities, tails, out=np.zeros_like(tails), where=tails > 0)[..., :-1]
    return np.ascontiguousarray(np.moveaxis(np.maximum(conditional, SMALLEST), -1, 0))


def draw_multinomial(
    counts: Ints,
    conditional: Array,
    rng: np.random.Generator,
    rng_of_large: np.random.Generator,
) -> Ints:
    """Divide each count among m outcomes, (...) to (m, ...), by :func:`conditional_probabilities`, (m - 1, ...).

    The generators are those of :func:`draw_binomial`.
    """
    divided = np.empty((len(conditional) + 1, *counts.shape), dtype=np.int64)
    left = counts
    for outcome, probability in enumerate(conditional):
        divided[outcome] = draw_binomial(left, probability, rng, rng_of_large)
        left = left - divided[outcome]
    divided[-1] = left
    return divided


def draw_binomial(
    n: Ints,
    probability: Array,
    rng: np.random.Generator,
    rng_of_large: np.random.Generator,
) -> Ints:
    """Draw Binomial(n, p) for each entry, 0 < p <= 1, with one number of ``rng`` for each.

    Large ones, for which numpy takes as many numbers as it happens to reject, come from
    ``rng_of_large``; there, and where n = 0, one agent is drawn from ``rng`` and not used.
    """
    is_large = n * np.minimum(probability, 1 - probability) > LARGEST_INVERTED
    drawn = np.minimum(rng.binomial(np.where(is_large, 1, np.maximum(n, 1)), probability), n)
    if is_large.any():
        drawn[is_large] = rng_of_large.binomial(n[is_large], probability[is_large])
    return drawn
