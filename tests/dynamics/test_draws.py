from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distmarl.dynamics.draws import (
    LARGEST_INVERTED,
    conditional_probabilities,
    draw_binomial,
    draw_categorical,
    draw_multinomial,
    draw_subsample,
    hypergeometric_quantile,
)
from tests.reference import count_frequencies, hypergeometric_pmf, largest_frequency_error, multinomial_pmf
from tests.strategies import DETERMINISTIC, generators


def divide(counts, probabilities, seed=0):
    rng, rng_of_large = np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))
    divided = draw_multinomial(counts, conditional_probabilities(probabilities), rng, rng_of_large)
    return np.moveaxis(divided, 0, -1)


# Their laws.


@pytest.mark.parametrize(("population", "k"), [((3, 2, 2), 3), ((1, 0, 5), 2), ((4, 1), 4), ((2, 2, 1, 1), 3)])
def test_subsamples_are_hypergeometric(population, k):
    populations = np.tile(population, (30_000, 1))
    seen = draw_subsample(populations, k, np.random.default_rng(0))
    assert largest_frequency_error(count_frequencies(seen, k), hypergeometric_pmf(population, k)) < 4


def test_a_subsample_with_replacement_fails_the_same_check():
    population, k = np.array([3, 2, 2]), 3
    seen = np.random.default_rng(0).multinomial(k, population / 7, size=30_000)
    assert largest_frequency_error(count_frequencies(seen, k), multinomial_pmf(k, population / 7)) < 4
    assert largest_frequency_error(count_frequencies(seen, k), hypergeometric_pmf(population, k)) > 4


def test_subsamples_may_differ_in_size():
    populations, sizes = np.tile([3, 1, 2], (4, 1)), np.array([0, 1, 5, 6])
    seen = draw_subsample(populations, sizes, np.random.default_rng(0))
    np.testing.assert_array_equal(seen.sum(axis=1), sizes)
    assert (seen <= populations).all()


def test_a_subsample_of_everyone_is_the_population():
    populations = np.random.default_rng(0).multinomial(9, [0.5, 0.2, 0.3], size=50)
    np.testing.assert_array_equal(draw_subsample(populations, 9, np.random.default_rng(1)), populations)


@DETERMINISTIC
@given(generators(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=3))
def test_hypergeometric_quantiles_are_those_of_whole_number_arithmetic(rng, digits):
    n_good, n_bad = rng.integers(10 ** np.repeat(digits, 20, axis=0).T)
    n_drawn = rng.integers(np.minimum(n_good + n_bad, 60) + 1)
    uniform = rng.random(len(n_good))
    uniform[::20], uniform[1::20] = 0.0, np.nextafter(1.0, 0.0)
    found = hypergeometric_quantile(uniform, n_good, n_bad, n_drawn)
    assert ((found >= np.maximum(0, n_drawn - n_bad)) & (found <= np.minimum(n_good, n_drawn))).all()
    for u, good, bad, drawn, x in zip(uniform, *(a.tolist() for a in (n_good, n_bad, n_drawn, found)), strict=True):
        ways = [math.comb(good, y) * math.comb(bad, drawn - y) for y in range(drawn + 1)]
        # A number that is a value of the distribution function up to rounding may count on either side of it.
        assert sum(ways[: x + 1]) / sum(ways) > u - 1e-12
        assert sum(ways[:x]) / sum(ways) <= u + 1e-12


def test_a_large_sample_is_drawn_in_little_memory_with_its_law():
    k, n_good, n_bad = 10**6, 4 * 10**8, 5 * 10**8
    uniform = np.random.default_rng(0).random(20)
    found = hypergeometric_quantile(uniform, *(np.full(20, number) for number in (n_good, n_bad, k)))
    # At this size the normal distribution is as good as exact; scipy sums too many terms.
    share, n = n_good / (n_good + n_bad), n_good + n_bad
    spread = math.sqrt(k * share * (1 - share) * (n - k) / (n - 1))
    np.testing.assert_allclose((found - k * share) / spread, stats.norm.ppf(uniform), atol=0.01)


@pytest.mark.parametrize("n", [3, 200])
def test_divided_counts_are_multinomial(n):
    probabilities = np.array([0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = divide(np.full(30_000, n), probabilities * np.ones((30_000, 1)))
    assert (drawn.sum(axis=1) == n).all()
    assert not drawn[:, [1, 4]].any()
    if n == 3:
        assert largest_frequency_error(count_frequencies(drawn, 3), multinomial_pmf(3, probabilities)) < 4
    # Each outcome alone is binomial; with 200 agents they are drawn as large ones.
    for outcome in (0, 2, 3):
        observed = np.bincount(drawn[:, outcome], minlength=n + 1)
        law = stats.binom(n, probabilities[outcome])
        common = law.pmf(np.arange(n + 1)) > 1e-3
        expected = law.pmf(np.arange(n + 1))[common]
        spread = np.sqrt(30_000 * expected * (1 - expected))
        assert np.abs((observed[common] - 30_000 * expected) / spread).max() < 4
    assert np.cov(drawn[:, 0], drawn[:, 3])[0, 1] == pytest.approx(-n * 0.15, rel=0.1)


def test_certain_outcomes_take_everyone():
    probabilities = np.eye(3)[[0, 1, 2, 1]]
    drawn = divide(np.array([5, 0, 7, 10**6]), probabilities)
    np.testing.assert_array_equal(drawn, probabilities.astype(int) * [[5], [0], [7], [10**6]])


def test_a_single_outcome_takes_everyone():
    np.testing.assert_array_equal(divide(np.array([[3, 0]]), np.ones((1, 2, 1))), [[[3], [0]]])


def test_categorical_draws_have_their_probabilities_and_skip_impossible_outcomes():
    probabilities = np.array([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = draw_categorical(np.tile(probabilities, (30_000, 1)), np.random.default_rng(0))
    assert largest_frequency_error(np.bincount(drawn, minlength=6), probabilities) < 4


# Numbers from fixed places.


@DETERMINISTIC
@given(generators(), st.sampled_from([1, 50, 10**4, 10**8]))
def test_a_draw_takes_the_same_numbers_whatever_is_drawn(rng, largest):
    n = rng.integers(largest + 1, size=(6, 4)) * rng.integers(2, size=(6, 4))
    conditional = conditional_probabilities(np.round(rng.dirichlet([0.3] * 5, size=(6, 4)), 1))
    streams = [np.random.default_rng(0) for _ in range(3)]
    draw_multinomial(n, conditional, streams[0], rng)
    draw_multinomial(np.ones_like(n), np.full_like(conditional, 0.5), streams[1], rng)
    streams[2].random(conditional.shape)
    states = [stream.bit_generator.state for stream in streams]
    assert states[0] == states[1] == states[2]


def test_only_large_counts_are_drawn_from_their_own_stream():
    untouched, used = np.random.default_rng(0), np.random.default_rng(0)
    half = np.array([0.5])
    for n, rng_of_large in ((int(2 * LARGEST_INVERTED), untouched), (int(2 * LARGEST_INVERTED) + 1, used)):
        draw_binomial(np.array([n]), half, np.random.default_rng(1), rng_of_large)
    fresh = np.random.default_rng(0).bit_generator.state
    assert untouched.bit_generator.state == fresh
    assert used.bit_generator.state != fresh


def test_what_others_draw_changes_nothing():
    rng = np.random.default_rng(0)
    n, probabilities = rng.integers(40, size=30), rng.dirichlet([1.0] * 4, size=30)
    first = divide(n, probabilities)
    n[:10] = 0
    np.testing.assert_array_equal(divide(n, probabilities)[10:], first[10:])


def mean_distance(first, second):
    return np.abs(first - second).sum(axis=-1).mean()


def test_nearly_equal_populations_are_seen_and_divided_nearly_alike():
    population = np.random.default_rng(0).multinomial(40, [0.3, 0.3, 0.4], size=2_000)
    nearly = population + [1, -1, 0] * (population[:, 1:2] > 0)

    def seen(population, k, seed):
        return draw_subsample(population, k, np.random.default_rng(seed))

    for other, k in ((nearly, 10), (population, 11)):
        alike = mean_distance(seen(population, 10, 1), seen(other, k, 1))
        assert alike < 0.35 * mean_distance(seen(population, 10, 1), seen(other, k, 2))

    kernel = np.tile([0.2, 0.2, 0.6], (*population.shape, 1))
    alike = mean_distance(divide(population, kernel, 1), divide(nearly, kernel, 1))
    assert alike < 0.35 * mean_distance(divide(population, kernel, 1), divide(nearly, kernel, 2))


def test_conditional_probabilities_multiply_to_the_distribution():
    probabilities = np.random.default_rng(0).dirichlet([0.5] * 4, size=(2, 3))
    conditional = conditional_probabilities(probabilities)
    left = np.ones((2, 3))
    for outcome in range(3):
        np.testing.assert_allclose(left * conditional[outcome], probabilities[..., outcome], rtol=1e-12)
        left = left * (1 - conditional[outcome])
    np.testing.assert_allclose(left, probabilities[..., 3], rtol=1e-9)
