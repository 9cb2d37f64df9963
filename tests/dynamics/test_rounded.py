from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import robots, uniform_local_policy
from distmarl.dynamics.transitions.rounded import round_to_counts, rounded_transitions
from distmarl.model.policies import local_kernel
from tests.reference import enumerate_counts
from tests.strategies import DETERMINISTIC, generators, random_rows


def successors(kernel, k):
    """The number of the successor of each count vector, (G, C)."""
    operator = rounded_transitions(kernel, k=k)
    n_counts = len(enumerate_counts(k, kernel.shape[-1]))
    numbers = np.arange(n_counts, dtype=float)[:, None]
    return np.array([operator.expect(s_g, numbers)[:, 0] for s_g in range(len(kernel))], dtype=int)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_up_to_three_robots_never_move(k):
    env = robots()
    moved = successors(local_kernel(env, uniform_local_policy(env)), k)
    np.testing.assert_array_equal(moved, np.tile(np.arange(moved.shape[1]), (5, 1)))


def test_ten_robots_do_move():
    env = robots()
    moved = successors(local_kernel(env, uniform_local_policy(env)), 10)
    assert (moved != np.arange(moved.shape[1])).any()


@DETERMINISTIC
@given(generators(), st.integers(1, 5), st.integers(1, 4))
def test_rounding_is_to_the_nearest_count_vector(rng, k, n_states):
    candidates = np.array(enumerate_counts(k, n_states))
    kernel = random_rows(rng, (n_states, n_states))
    expected = candidates @ kernel
    rounded = round_to_counts(expected, k)
    assert (rounded.sum(axis=1) == k).all()
    assert rounded.min() >= 0
    assert np.abs(rounded - expected).max() < 1
    distance = np.abs(rounded - expected).sum(axis=1)
    nearest = np.abs(candidates[None] - expected[:, None]).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(distance, nearest, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("expected", "rounded"),
    [
        ([1.5, 1.5], [2, 1]),
        ([0.25, 0.5, 0.25], [0, 1, 0]),
        ([1.25, 1.25, 1.5], [1, 1, 2]),
        ([0.5, 2.0, 0.5, 1.0], [1, 2, 0, 1]),
        ([4.0, 0.0], [4, 0]),
    ],
)
def test_equal_remainders_round_the_lower_state_up(expected, rounded):
    assert round_to_counts(np.array([expected]), int(sum(expected))).tolist() == [rounded]


@pytest.mark.parametrize(("k", "n_states"), [(6, 3), (10, 5), (6, 6), (7, 7)])
def test_rounding_keeps_every_agent_when_sums_fall_just_short_of_integers(k, n_states):
    # 1/L is not exact, so the mean of a uniform move may be 1.9999999999999998 in every state.
    expected = np.array(enumerate_counts(k, n_states)) @ np.full((n_states, n_states), 1.0 / n_states)
    rounded = round_to_counts(expected, k)
    assert (rounded.sum(axis=1) == k).all()
    assert np.abs(rounded - expected).max() < 1


@pytest.mark.parametrize(("row", "mean"), [([1 / 3, 1 / 3, 1 / 3], (2, 2, 2)), ([2 / 3, 1 / 3], (4, 2))])
def test_a_move_that_forgets_the_state_takes_every_count_vector_to_its_mean(row, mean):
    moved = successors(np.array([[row] * len(row)]), 6)
    assert (moved == enumerate_counts(6, len(row)).index(mean)).all()


@pytest.mark.parametrize("n_states", [1, 2, 4])
def test_deterministic_moves_are_exact(n_states):
    shift = np.roll(np.eye(n_states), 1, axis=1)
    counts = enumerate_counts(3, n_states)
    moved = successors(np.array([np.eye(n_states), shift]), 3)
    assert moved[0].tolist() == list(range(len(counts)))
    assert [counts[number] for number in moved[1]] == [(z[-1], *z[:-1]) for z in counts]


def test_the_operator_looks_values_up_without_rounding_error():
    env = robots()
    operator = rounded_transitions(local_kernel(env, uniform_local_policy(env)), k=5)
    values = np.random.default_rng(0).normal(size=(len(enumerate_counts(5, 5)), 2))
    assert operator.relative_error == 0.0
    assert np.isin(operator.expect(2, values), values).all()
