from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import g_learn, uniform_local_policy
from distmarl.dynamics.transitions import sampled
from distmarl.dynamics.transitions.sampled import sampled_transitions
from tests.reference import dense_kernel, enumerate_counts
from tests.strategies import DETERMINISTIC, generators, random_environment, random_rows

K, L, G = 3, 3, 2
KERNEL = random_rows(np.random.default_rng(1), (G, L, L))


def dense(operator, n_global_states, n_counts):
    """The operator as matrices (G, C, C), by applying it to the identity."""
    return np.array([operator.expect(s_g, np.eye(n_counts)) for s_g in range(n_global_states)])


def largest_z_score(kernel, exact, *, k, m, seed):
    """Largest distance of T f from its exact expectation, in standard errors, over a few random f."""
    operator = sampled_transitions(kernel, k=k, n_mc_samples=m, seed=seed)
    values = np.random.default_rng(0).normal(size=(exact.shape[-1], 4))
    scores = []
    for s_g, matrix in enumerate(exact):
        mean = matrix @ values
        variance = matrix @ values**2 - mean**2
        scores.append(np.abs(operator.expect(s_g, values) - mean) / np.sqrt(variance / m))
    return max(score.max() for score in scores)


def test_the_samples_that_are_told_are_those_that_are_drawn(monkeypatch):
    env = random_environment(np.random.default_rng(0), n_global_states=G, n_local_states=L)
    drawn = []

    class Counting:
        def random(self, shape):
            drawn.append(math.prod(shape))
            return np.random.default_rng(0).random(shape)

    monkeypatch.setattr(sampled, "random_stream", lambda *_: Counting())
    found = g_learn(env, uniform_local_policy(env), k=K, n_mc_samples=5)
    assert [found.n_samples] == drawn == [G * L * K * 5]
    for transitions in ("exact", "rounded"):
        assert g_learn(env, uniform_local_policy(env), k=K, transitions=transitions).n_samples == 0
    assert len(drawn) == 1


def test_sampled_expectations_are_unbiased():
    assert largest_z_score(KERNEL, dense_kernel(KERNEL, K), k=K, m=4000, seed=0) < 4


@pytest.mark.parametrize("wrong", [KERNEL[::-1], KERNEL.transpose(0, 2, 1), 0.9 * KERNEL + 0.1 / L])
def test_a_wrong_kernel_fails_the_same_check(wrong):
    wrong = wrong / wrong.sum(axis=-1, keepdims=True)
    assert largest_z_score(wrong, dense_kernel(KERNEL, K), k=K, m=4000, seed=0) > 4


def test_each_count_vector_sees_independent_samples():
    # The variance of a mean of m independent draws is Var / m.
    m, n_seeds = 5, 600
    exact = dense_kernel(KERNEL, K)
    value = np.random.default_rng(0).normal(size=(exact.shape[-1], 1))
    variance = (exact @ value**2 - (exact @ value) ** 2)[..., 0]

    def observed(m):
        means = [
            [sampled_transitions(KERNEL, k=K, n_mc_samples=m, seed=seed).expect(s_g, value)[:, 0] for s_g in range(G)]
            for seed in range(n_seeds)
        ]
        return np.var(means, axis=0, ddof=1)

    def z_scores(sample_variance):
        # The means are close to normal, so their sample variance has relative standard error sqrt(2 / (n - 1)).
        return np.abs(sample_variance / (variance / m) - 1) / math.sqrt(2 / (n_seeds - 1))

    assert z_scores(observed(m)).max() < 4
    # Negative control: one draw repeated m times has the variance of one draw.
    assert z_scores(observed(1)).min() > 4


def test_the_same_seed_draws_the_same_successors_and_another_seed_others():
    first, again, other = (
        dense(sampled_transitions(KERNEL, k=K, n_mc_samples=3, seed=seed), G, 10) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_global_states_and_samples_draw_their_own_numbers():
    same = np.repeat(KERNEL[:1], 2, axis=0)
    first, second = dense(sampled_transitions(same, k=K, n_mc_samples=1, seed=0), 2, 10)
    assert (first != second).any()
    many = dense(sampled_transitions(same, k=K, n_mc_samples=8, seed=0), 2, 10)
    assert many.max(axis=-1).min() < 1.0


@DETERMINISTIC
@given(generators(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 7))
def test_expectations_are_means_over_m_count_vectors(rng, k, n_states, m):
    kernel = random_rows(rng, (2, n_states, n_states), 0.5)
    n_counts = len(enumerate_counts(k, n_states))
    matrices = dense(sampled_transitions(kernel, k=k, n_mc_samples=m, seed=0), 2, n_counts)
    np.testing.assert_allclose(matrices * m, np.round(matrices * m), rtol=0, atol=1e-12)
    np.testing.assert_allclose(matrices.sum(axis=-1), 1.0, rtol=0, atol=1e-12)


@DETERMINISTIC
@given(generators(), st.integers(1, 4))
def test_successors_are_possible_under_the_kernel(rng, k):
    kernel = random_rows(rng, (1, 3, 3)) * (rng.random((1, 3, 3)) < 0.5) + np.eye(3)
    kernel /= kernel.sum(axis=-1, keepdims=True)
    matrix = dense(sampled_transitions(kernel, k=k, n_mc_samples=20, seed=0), 1, len(enumerate_counts(k, 3)))
    assert not matrix[dense_kernel(kernel, k) == 0].any()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_deterministic_moves_are_exact(k):
    kernel = np.array([np.eye(3), np.roll(np.eye(3), 1, axis=1), [[0, 1, 0], [0, 1, 0], [0, 1, 0]]])
    operator = sampled_transitions(kernel, k=k, n_mc_samples=2, seed=0)
    np.testing.assert_array_equal(dense(operator, 3, len(enumerate_counts(k, 3))), dense_kernel(kernel, k))


@DETERMINISTIC
@given(generators())
def test_policies_are_compared_on_common_draws(rng):
    # A kernel that moves everyone further up, on the same uniform numbers, moves every sample further up.
    kernel = random_rows(rng, (2, 3, 3))
    upwards = np.array([[0.7, 0.2, 0.1], [0.0, 0.8, 0.2], [0.0, 0.0, 1.0]])
    counts = np.array(enumerate_counts(4, 3), dtype=float)
    height = counts @ np.arange(3.0)[:, None]
    lower, upper = (sampled_transitions(p, k=4, n_mc_samples=1, seed=0) for p in (kernel, kernel @ upwards))
    for s_g in range(2):
        assert (upper.expect(s_g, height) >= lower.expect(s_g, height)).all()


@pytest.mark.parametrize("m", [2, 30])
def test_single_precision_is_off_by_no_more_than_is_stated(m):
    operator = sampled_transitions(KERNEL, k=K, n_mc_samples=m, seed=0)
    largest = 0.0
    for seed, s_g in itertools.product(range(50), range(G)):
        values = np.random.default_rng(seed).uniform(0.9, 1.0, size=(10, 3)).astype(np.float32)
        moved = operator.expect(s_g, values)
        assert moved.dtype == np.float32
        largest = max(largest, np.abs(moved - operator.expect(s_g, values.astype(np.float64))).max())
    assert operator.single_error / 100 < largest <= operator.single_error


@pytest.mark.parametrize("m", [1, 2, 30])
def test_rounding_is_within_the_stated_error(m):
    operator = sampled_transitions(KERNEL, k=K, n_mc_samples=m, seed=0)
    values = np.random.default_rng(0).normal(size=(10, 3)) + 1e3
    for s_g in range(G):
        picks = np.round(operator.expect(s_g, np.eye(10)) * m).astype(int)
        for z, column in np.ndindex(10, 3):
            exact = math.fsum(np.repeat(values[:, column], picks[z])) / m
            allowed = operator.relative_error * np.abs(values).max()
            assert abs(operator.expect(s_g, values)[z, column] - exact) <= allowed
