"""Comparing two samples: intervals of the difference of means, and of the probability that one beats the other."""

from __future__ import annotations

import numpy as np
import pytest

from distmarl.values.comparison import compare_samples, probability_interval
from distmarl.values.intervals import estimate_difference

N_REPETITIONS = 500


def test_pairs_are_compared_by_their_differences() -> None:
    first, second = np.array([3.0, 5.0, 9.0]), np.array([1.0, 4.0, 5.0])
    found = compare_samples(first, second, is_paired=True)
    expected = estimate_difference(second, first)
    assert (found.difference, found.ci95_low, found.ci95_high) == (
        pytest.approx(expected.mean),
        expected.ci95_low,
        expected.ci95_high,
    )


def test_the_probability_counts_pairs_of_draws() -> None:
    first, second = np.array([1.0, 2.0, 2.0]), np.array([2.0, 0.0])
    assert compare_samples(first, second).probability == np.mean(
        [(a > b) + 0.5 * (a == b) for a in first for b in second]
    )


def test_wholly_apart_is_not_certain() -> None:
    found = compare_samples(np.arange(5.0) + 10, np.arange(5.0))
    assert found.probability == found.probability_ci95_high == 1.0
    assert 0.5 < found.probability_ci95_low < 0.9


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
def test_the_interval_of_the_probability_is_the_same_from_either_side(probability: float) -> None:
    low, high = probability_interval(probability, 6, 9)
    others = probability_interval(1 - probability, 9, 6)
    assert 0 <= low <= probability <= high <= 1
    assert others == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_a_single_draw_has_no_interval() -> None:
    found = compare_samples(np.array([1.0]), np.array([0.0, 3.0]))
    assert found.difference == -0.5
    assert np.isnan([found.ci95_low, found.probability_ci95_low]).all()


def test_where_nothing_scatters_the_interval_is_a_point() -> None:
    found = compare_samples(np.full(4, 2.0), np.full(3, 5.0))
    assert (found.ci95_low, found.ci95_high) == (-3.0, -3.0)


def test_the_intervals_contain_the_truth() -> None:
    rng, shift = np.random.default_rng(0), 0.8
    # P(X > Y) of normal draws with variances 1 and 4, whose means are 0.8 apart, by its closed form.
    truth = 0.6397
    samples = [(rng.normal(shift, 1, 6), rng.normal(0, 2, 10)) for _ in range(N_REPETITIONS)]
    found = [compare_samples(*each) for each in samples]
    assert 0.92 <= np.mean([one.ci95_low <= shift <= one.ci95_high for one in found]) <= 0.98
    assert np.mean([one.probability_ci95_low <= truth <= one.probability_ci95_high for one in found]) >= 0.92


def test_pairs_with_common_noise_are_told_apart_sooner() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(0, 5, 8)
    first, second = common + 1 + rng.normal(0, 0.1, 8), common + rng.normal(0, 0.1, 8)
    paired, unpaired = (compare_samples(first, second, is_paired=is_paired) for is_paired in (True, False))
    assert paired.ci95_low > 0 > unpaired.ci95_low
