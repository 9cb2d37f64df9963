from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distmarl.dynamics.draws import draw_categorical, draw_subsample, fixed_numbers, hypergeometric_quantile
from tests.reference import count_frequencies, hypergeometric_pmf, largest_frequency_error, multinomial_pmf
from tests.strategies import DETERMINISTIC, generators


def subsample(population, k, seed):
    n_rollouts, n_states = population.shape
    return draw_subsample(population, k, np.random.default_rng(seed).random((n_rollouts, n_states - 1)))


# Their laws.


@pytest.mark.parametrize(("population", "k"), [((3, 2, 2), 3), ((1, 0, 5), 2), ((4, 1), 4), ((2, 2, 1, 1), 3)])
def test_subsamples_are_hypergeometric(population, k):
    populations = np.tile(population, (30_000, 1))
    seen = subsample(populations, k, 0)
    assert largest_frequency_error(count_frequencies(seen, k), hypergeometric_pmf(population, k)) < 4


def test_a_subsample_with_replacement_fails_the_same_check():
    population, k = np.array([3, 2, 2]), 3
    seen = np.random.default_rng(0).multinomial(k, population / 7, size=30_000)
    assert largest_frequency_error(count_frequencies(seen, k), multinomial_pmf(k, population / 7)) < 4
    assert largest_frequency_error(count_frequencies(seen, k), hypergeometric_pmf(population, k)) > 4


def test_subsamples_may_differ_in_size():
    populations, sizes = np.tile([3, 1, 2], (4, 1)), np.array([0, 1, 5, 6])
    seen = subsample(populations, sizes, 0)
    np.testing.assert_array_equal(seen.sum(axis=1), sizes)
    assert (seen <= populations).all()


def test_a_subsample_of_everyone_is_the_population():
    populations = np.random.default_rng(0).multinomial(9, [0.5, 0.2, 0.3], size=50)
    np.testing.assert_array_equal(subsample(populations, 9, 1), populations)


@DETERMINISTIC
@given(generators(), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=3))
def test_hypergeometric_quantiles_are_those_of_whole_number_arithmetic(rng, digits):
    n_good, n_bad = rng.integers(10 ** np.repeat(digits, 20, axis=0).T)
    n_drawn = rng.integers(np.minimum(n_good + n_bad, 60) + 1)
    uniform = rng.random(len(n_good))
    uniform[::20], uniform[1::20] = 0.0, np.nextafter(1.0, 0.0)
    found = hypergeometric_quantile(uniform, n_good, n_bad, n_drawn, 60)
    assert ((found >= np.maximum(0, n_drawn - n_bad)) & (found <= np.minimum(n_good, n_drawn))).all()
    for u, good, bad, drawn, x in zip(uniform, *(a.tolist() for a in (n_good, n_bad, n_drawn, found)), strict=True):
        ways = [math.comb(good, y) * math.comb(bad, drawn - y) for y in range(drawn + 1)]
        # A number that is a value of the distribution function up to rounding may count on either side of it.
        assert sum(ways[: x + 1]) / sum(ways) > u - 1e-12
        assert sum(ways[:x]) / sum(ways) <= u + 1e-12


def test_a_large_sample_is_drawn_in_little_memory_with_its_law():
    k, n_good, n_bad = 10**6, 4 * 10**8, 5 * 10**8
    uniform = np.random.default_rng(0).random(20)
    found = hypergeometric_quantile(uniform, *(np.full(20, number) for number in (n_good, n_bad, k)), k)
    # At this size the normal distribution is as good as exact; scipy sums too many terms.
    share, n = n_good / (n_good + n_bad), n_good + n_bad
    spread = math.sqrt(k * share * (1 - share) * (n - k) / (n - 1))
    np.testing.assert_allclose((found - k * share) / spread, stats.norm.ppf(uniform), atol=0.01)


def test_categorical_draws_have_their_probabilities_and_skip_impossible_outcomes():
    probabilities = np.array([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = draw_categorical(np.tile(probabilities, (30_000, 1)), np.random.default_rng(0).random(30_000))
    assert largest_frequency_error(np.bincount(drawn, minlength=6), probabilities) < 4


# Numbers from fixed places.


def test_fixed_numbers_are_those_of_splitmix64():
    # The first outputs of the published generator for the key 1234567, by whole-number arithmetic.
    state, numbers = 1234567, []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        numbers.append((mixed ^ (mixed >> 31)) >> 11)
    keys = np.full(5, 1234567, dtype=np.uint64)
    np.testing.assert_array_equal(fixed_numbers(keys, np.arange(5)) * 2**53, numbers)
    assert numbers[0] == (6457827717110365317 >> 11)  # as published


def test_fixed_numbers_are_uniform_and_independent_between_places_and_keys():
    keys = np.repeat(np.random.default_rng(0).integers(2**63, size=100).astype(np.uint64), 1000)
    numbers = fixed_numbers(keys, np.tile(np.arange(1000), 100)).reshape(100, 1000)
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    for first, second in ((numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / math.sqrt(numbers.size)


def mean_distance(first, second):
    return np.abs(first - second).sum(axis=-1).mean()


def test_nearly_equal_populations_are_seen_nearly_alike():
    population = np.random.default_rng(0).multinomial(40, [0.3, 0.3, 0.4], size=2_000)
    nearly = population + [1, -1, 0] * (population[:, 1:2] > 0)

    for other, k in ((nearly, 10), (population, 11)):
        alike = mean_distance(subsample(population, 10, 1), subsample(other, k, 1))
        assert alike < 0.35 * mean_distance(subsample(population, 10, 1), subsample(other, k, 2))
