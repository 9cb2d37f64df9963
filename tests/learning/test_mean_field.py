from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import robots, uniform_local_policy
from distmarl.learning.mean_field import find_mean_field, stationary_distribution
from distmarl.model.policies import local_kernel
from tests.strategies import DETERMINISTIC, generators, random_rows


def cesaro_mean(chain, start):
    """The mean of the first 2^50 distributions of a chain, by doubling."""
    total, power = np.eye(len(chain)), chain
    for _ in range(50):
        total, power = (total + total @ power) / 2, power @ power
        power /= power.sum(axis=1, keepdims=True)
    return start / start.sum() @ total


def null_vector(chain):
    """The distribution with mu = mu P, by least squares."""
    system = np.vstack([chain.T - np.eye(len(chain)), np.ones(len(chain))])
    return np.linalg.lstsq(system, np.append(np.zeros(len(chain)), 1.0), rcond=None)[0]


@DETERMINISTIC
@given(generators(), st.integers(1, 8), st.integers(1, 4))
def test_a_connected_chain_has_its_stationary_distribution(rng, n_states, n_global_states):
    kernel = random_rows(rng, (n_global_states, n_states, n_states))
    result = find_mean_field(kernel, rng.uniform(0.1, 1.0, size=n_states))
    chain = kernel.mean(axis=0)
    np.testing.assert_allclose(result.distribution, null_vector(chain), rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.distribution @ chain, result.distribution, rtol=0, atol=1e-14)
    assert (result.n_recurrent_classes, result.period) == (1, 1)


@DETERMINISTIC
@given(generators(), st.integers(1, 7))
def test_any_chain_has_its_long_run_mean(rng, n_states):
    # Mostly zeros: several classes, transient states and periods all occur.
    chain = random_rows(rng, (n_states, n_states)) * (rng.random((n_states, n_states)) < 0.25)
    chain[np.arange(n_states), rng.integers(n_states, size=n_states)] += 0.2
    chain /= chain.sum(axis=1, keepdims=True)
    start = rng.uniform(0.1, 1.0, size=n_states)
    result = find_mean_field(chain[None], start)
    np.testing.assert_allclose(result.distribution, cesaro_mean(chain, start), rtol=0, atol=1e-9)
    assert result.distribution.sum() == pytest.approx(1.0, rel=1e-14)
    eigenvalues = np.linalg.eigvals(chain)
    assert result.n_recurrent_classes == (np.abs(eigenvalues - 1) < 1e-6).sum()
    # A class of period d has the d-th roots of unity among its eigenvalues, and no others of modulus 1.
    on_the_circle = eigenvalues[np.abs(np.abs(eigenvalues) - 1) < 1e-6]
    np.testing.assert_allclose(on_the_circle**result.period, 1.0, rtol=0, atol=1e-4)
    for divisor in range(1, result.period):
        assert np.abs(on_the_circle**divisor - 1).max() > 1e-2


def test_two_closed_classes_share_the_population_as_it_starts():
    chain = np.zeros((4, 4))
    chain[:2, :2] = [[0.5, 0.5], [0.25, 0.75]]
    chain[2:, 2:] = [[0.9, 0.1], [0.3, 0.7]]
    result = find_mean_field(chain[None], np.array([1.0, 1.0, 2.0, 4.0]))
    np.testing.assert_allclose(result.distribution, [0.25 / 3, 0.25 * 2 / 3, 0.75 * 3 / 4, 0.75 / 4], rtol=1e-14)
    assert (result.n_recurrent_classes, result.period) == (2, 1)


def test_transient_states_empty_into_the_classes_that_they_reach():
    # Gambler's ruin: from 1, up with 0.6; from 2, up with 0.6; 0 and 3 absorb.
    chain = np.array([[1, 0, 0, 0], [0.4, 0, 0.6, 0], [0, 0.4, 0, 0.6], [0, 0, 0, 1]])
    ruin_from_1 = (0.4 / 0.6 - (0.4 / 0.6) ** 3) / (1 - (0.4 / 0.6) ** 3)
    result = find_mean_field(chain[None], np.array([1e-9, 1.0, 1e-9, 1e-9]))
    np.testing.assert_allclose(result.distribution, [ruin_from_1, 0, 0, 1 - ruin_from_1], rtol=0, atol=1e-8)
    np.testing.assert_array_equal(result.distribution[1:3], 0.0)
    assert result.n_recurrent_classes == 2


@pytest.mark.parametrize("period", [2, 3, 5])
def test_a_cycle_gives_its_mean_over_time_and_its_period(period):
    result = find_mean_field(np.roll(np.eye(period), 1, axis=1)[None], np.arange(1.0, period + 1))
    np.testing.assert_allclose(result.distribution, 1.0 / period, rtol=1e-14)
    assert (result.n_recurrent_classes, result.period) == (1, period)


def test_periods_of_several_classes_combine():
    chain = np.zeros((5, 5))
    chain[:2, :2] = np.roll(np.eye(2), 1, axis=1)
    chain[2:, 2:] = np.roll(np.eye(3), 1, axis=1)
    result = find_mean_field(chain[None], np.ones(5))
    assert (result.n_recurrent_classes, result.period) == (2, 6)
    np.testing.assert_allclose(result.distribution, 0.2, rtol=1e-14)


def test_a_shortcut_of_coprime_length_removes_the_period():
    chain = np.roll(np.eye(4), 1, axis=1)
    chain[2] = [0.5, 0, 0, 0.5]  # cycles of length 3 and 4
    assert find_mean_field(chain[None], np.ones(4)).period == 1
    chain[2] = [0, 0, 0, 1]
    chain[1] = [0.5, 0, 0.5, 0]  # cycles of length 2 and 4
    assert find_mean_field(chain[None], np.ones(4)).period == 2


def test_nobody_moving_keeps_the_start():
    result = find_mean_field(np.tile(np.eye(3), (2, 1, 1)), np.array([1.0, 2.0, 5.0]))
    np.testing.assert_allclose(result.distribution, [0.125, 0.25, 0.625], rtol=1e-14)
    assert result.n_recurrent_classes == 3


def test_global_states_count_alike():
    # One global state pushes everyone to 0, the other to 1: the average chain is fair.
    kernel = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    result = find_mean_field(kernel, np.array([1.0, 3.0]))
    np.testing.assert_allclose(result.distribution, 0.5, rtol=1e-15)


def test_nearly_separate_classes_keep_their_relative_accuracy():
    # Rare moves between two halves: by balance, mu_0 / mu_1 = b / a.
    a, b = 1e-14, 3e-15
    chain = np.array([[1 - a, a], [b, 1 - b]])
    np.testing.assert_allclose(stationary_distribution(chain), [b / (a + b), a / (a + b)], rtol=1e-12)


def test_moves_rarer_than_rounding_are_not_lost():
    # 1 - 1e-20 is 1 in floating point, and still nobody stays for ever.
    chain = np.array([[1.0, 1e-20], [0.0, 1.0]])
    result = find_mean_field(chain[None], np.array([0.5, 0.5]))
    np.testing.assert_allclose(result.distribution, [0.0, 1.0], rtol=0, atol=1e-15)


def test_robots_spread_evenly_over_the_ring():
    # The uniform policy is not symmetric between up and down only by labels: every zone is alike.
    env = robots()
    result = find_mean_field(local_kernel(env, uniform_local_policy(env)), env.initial_local_concentration)
    np.testing.assert_allclose(result.distribution, 0.2, rtol=1e-13)
    assert (result.n_recurrent_classes, result.period) == (1, 1)


def test_arguments_are_left_alone():
    kernel, start = random_rows(np.random.default_rng(0), (2, 3, 3)), np.ones(3)
    before = kernel.copy()
    find_mean_field(kernel, start)
    np.testing.assert_array_equal(kernel, before)
    np.testing.assert_array_equal(start, 1.0)
