"""Slopes of gaps against k, and what theory says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.values.rates import sampling_law


def test_a_power_of_k_is_found_with_no_doubt() -> None:
    k = np.array([1, 2, 5, 10, 30])
    found = dm.fit_rate(k, 3.0 * k**-0.7)
    assert found.slope == pytest.approx(-0.7)
    assert found.ci95_high - found.ci95_low < 1e-10


def test_intervals_cover_the_slope_as_often_as_they_say() -> None:
    rng, k = np.random.default_rng(0), np.array([1, 2, 4, 8, 16, 32])
    found = [dm.fit_rate(k, k**-0.5 * np.exp(0.2 * rng.normal(size=6))) for _ in range(1000)]
    covered = np.mean([rate.ci95_low <= -0.5 <= rate.ci95_high for rate in found])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 1000)
    shifted = np.mean([rate.ci95_low <= -0.6 <= rate.ci95_high for rate in found])
    assert shifted < 0.9, "another slope is covered as often"


def test_gaps_of_nothing_are_left_out() -> None:
    found = dm.fit_rate([1, 2, 4, 8], [4.0, 2.0, 0.0, math.nan])
    assert (found.slope, found.n_points) == (pytest.approx(-1.0), 2)
    assert math.isnan(found.ci95_low)
    assert math.isnan(dm.fit_rate([1, 2], [0.0, 1.0]).slope)
    assert math.isnan(dm.fit_rate([3, 3], [2.0, 1.0]).slope)


def test_shares_of_a_subsample_err_by_the_law() -> None:
    """The standard deviation of a hypergeometric share, up to its constant and (n - k) for (n - k + 1)."""
    n_agents, k = 40, np.array([1, 5, 20])
    exact = np.sqrt((n_agents - k) / (n_agents - 1) / k)
    np.testing.assert_allclose(sampling_law(k, n_agents) / exact, 1.0, atol=0.03)


def test_the_bound_of_theory_falls_with_k_and_scales_with_rewards() -> None:
    env = dm.robots(n_agents=1000)
    bounds = [dm.subsampling_bound(env, k=k) for k in (1, 10, 100, 1000)]
    assert bounds == sorted(bounds, reverse=True)
    by_hand = 2 * 11.5 / 0.05**2 * (math.sqrt(991 / 20000 * math.log(30 * math.sqrt(10))) + 1 / math.sqrt(10))
    assert bounds[1] == pytest.approx(by_hand)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="k, gaps: must be as many"):
        dm.fit_rate([1, 2], [1.0])
    with pytest.raises(InvalidArgumentError, match="each k 1 or more"):
        dm.fit_rate([0, 2], [1.0, 1.0])
    with pytest.raises(InvalidArgumentError, match="gaps: must be numbers"):
        dm.fit_rate([1, 2], ["a", "b"])
    with pytest.raises(InvalidArgumentError, match="k: must be from 1"):
        dm.subsampling_bound(dm.robots(), k=31)
