from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl.values.value_iteration import ANDERSON_MEMORY, AndersonMixer, in_double, iterate_values
from tests.reference import count_plain_sweeps, solve_mdp
from tests.strategies import DETERMINISTIC, generators, random_rows

GAMMAS = (0.0, 0.3, 0.9, 0.95)


def random_mdp(rng):
    """Rewards (S, A) and transitions (S, A, S): dense, sparse or deterministic."""
    n_states, n_actions = int(rng.integers(1, 10)), int(rng.integers(1, 4))
    kind = rng.integers(3)
    if kind == 0:
        moves = np.eye(n_states)[rng.integers(n_states, size=(n_states, n_actions))]
    else:
        moves = random_rows(rng, (n_states, n_actions, n_states), (1.0, 0.05)[kind - 1])
    return rng.normal(size=(n_states, n_actions)) * rng.choice([0.1, 1.0, 10.0]), moves


def bellman_operator(rewards, moves, gamma):
    return lambda value: (rewards + gamma * moves @ value).max(axis=1)


def solve(rewards, moves, gamma, *, start=None, threshold=1e-8, cap=10_000):
    start = np.zeros(len(rewards)) if start is None else start
    return iterate_values(
        in_double(bellman_operator(rewards, moves, gamma), len(rewards) * float(np.finfo(float).eps)),
        start,
        gamma=gamma,
        convergence_threshold=threshold,
        max_iterations=cap,
    )


@DETERMINISTIC
@given(generators(), st.sampled_from(GAMMAS), st.sampled_from([1e-1, 1e-4, 1e-8]))
def test_the_true_error_is_within_the_bound(rng, gamma, threshold):
    rewards, moves = random_mdp(rng)
    result = solve(rewards, moves, gamma, start=rng.normal(size=len(rewards)), threshold=threshold)
    error = np.abs(result.value - solve_mdp(rewards, moves, gamma)).max()
    assert error <= result.bound + 2e-12
    assert result.bound <= threshold
    assert result.converged


@DETERMINISTIC
@given(generators(), st.sampled_from(GAMMAS), st.integers(1, 12))
def test_the_bound_is_true_wherever_a_cap_stops_the_iteration(rng, gamma, cap):
    rewards, moves = random_mdp(rng)
    result = solve(rewards, moves, gamma, start=10 * rng.normal(size=len(rewards)), cap=cap)
    error = np.abs(result.value - solve_mdp(rewards, moves, gamma)).max()
    assert result.n_iterations <= cap
    assert error <= result.bound + 2e-12
    assert result.converged == (result.bound <= 1e-8)


@DETERMINISTIC
@given(generators(), st.sampled_from(GAMMAS))
def test_the_bound_is_true_where_an_operator_takes_all_the_error_it_may_have(rng, gamma):
    rewards, moves = random_mdp(rng)
    precise, allowed = bellman_operator(rewards, moves, gamma), []

    def rough(value, allowed_error):
        allowed.append(allowed_error)
        error = min(allowed_error, 1.0)
        return precise(value) + gamma * error * rng.choice([-1.0, 1.0], size=len(value)), error + 1e-13

    start = rng.normal(size=len(rewards))
    result = iterate_values(rough, start, gamma=gamma, convergence_threshold=1e-7, max_iterations=10_000)
    assert np.abs(result.value - solve_mdp(rewards, moves, gamma)).max() <= result.bound + 2e-12
    assert result.converged
    assert allowed[0] == math.inf


def test_an_operator_that_says_too_little_of_its_error_fails_the_same_check():
    rewards, moves = np.array([[0.0], [1.0]]), np.eye(2)[:, None, :]
    result = iterate_values(
        lambda value, _: (bellman_operator(rewards, moves, 0.9)(value) + np.array([0.0, 1e-3]), 0.0),
        np.zeros(2),
        gamma=0.9,
        convergence_threshold=1e-7,
        max_iterations=1000,
    )
    assert np.abs(result.value - rewards[:, 0] / (1 - 0.9)).max() > 1e4 * result.bound


def test_reaching_the_cap_is_reported():
    rewards, moves = np.array([[0.0, 1.0], [2.0, 0.0]]), random_rows(np.random.default_rng(0), (2, 2, 2))
    result = solve(rewards, moves, 0.95, cap=3)
    assert (result.n_iterations, result.converged) == (3, False)
    assert 1e-8 < result.bound < math.inf


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_the_bound_is_attained(gamma):
    # Two states that nobody leaves, worth 0 and 1 a step: after one sweep V* may be anywhere in the
    # bracket as far as any method can know, and it is at both of its ends.
    rewards, moves = np.array([[0.0], [1.0]]), np.eye(2)[:, None, :]
    result = solve(rewards, moves, gamma, cap=1)
    error = np.abs(result.value - rewards[:, 0] / (1 - gamma)).max()
    assert error == pytest.approx(gamma / (1 - gamma) / 2, rel=1e-12)
    assert result.bound == pytest.approx(error, rel=1e-12)


def test_bounds_are_not_vacuous():
    # On dense random problems the bound is within a factor of the error that it is a bound of.
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rewards, moves = rng.normal(size=(8, 2)), random_rows(rng, (8, 2, 8), 0.1)
        result = solve(rewards, moves, 0.9, cap=6)
        ratios.append(result.bound / np.abs(result.value - solve_mdp(rewards, moves, 0.9)).max())
    assert min(ratios) >= 1.0
    assert np.median(ratios) < 20.0


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.5, 0.99])
def test_the_bound_holds_down_to_the_last_digit(gamma, offset):
    # With rows of multiples of 1/64, fractions give the value of a Markov chain exactly.
    for seed in range(10):
        rng = np.random.default_rng(seed)
        moves = rng.multinomial(64, [0.2, 0.3, 0.5], size=3) / 64
        rewards = rng.normal(size=3) + offset
        result = solve(rewards[:, None], moves[:, None, :], gamma, threshold=1e-300)
        exact = solve_exactly(rewards, moves, gamma)
        error = max(abs(Fraction(float(v)) - e) for v, e in zip(result.value, exact, strict=True))
        assert error <= Fraction(result.bound)


def solve_exactly(rewards, moves, gamma):
    """V = r + gamma P V by Gauss-Jordan elimination in fractions."""
    size = len(rewards)
    rows = [
        [Fraction(int(i == j)) - Fraction(gamma) * Fraction(float(moves[i, j])) for j in range(size)]
        + [Fraction(float(rewards[i]))]
        for i in range(size)
    ]
    for column in range(size):
        rows[column] = [entry / rows[column][column] for entry in rows[column]]
        for other in set(range(size)) - {column}:
            factor = rows[other][column]
            rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[-1] for row in rows]


def test_a_threshold_below_rounding_ends_unconverged_before_the_cap():
    rewards, moves = random_mdp(np.random.default_rng(3))
    result = solve(rewards, moves, 0.95, threshold=1e-300)
    assert not result.converged
    assert result.n_iterations < 2_000
    assert result.bound < 1e-10


def test_without_a_future_one_sweep_is_enough():
    rewards, moves = random_mdp(np.random.default_rng(1))
    result = solve(rewards, moves, 0.0, start=1e3 * np.random.default_rng(2).normal(size=len(rewards)))
    np.testing.assert_array_equal(result.value, rewards.max(axis=1))
    assert (result.n_iterations, result.converged) == (1, True)


def test_a_single_state_takes_one_sweep():
    result = solve(np.array([[1.0, 3.0]]), np.ones((1, 2, 1)), 0.9)
    assert result.value == pytest.approx([30.0], rel=1e-14)
    assert result.n_iterations == 1


def test_a_constant_of_the_start_does_not_matter():
    rewards, moves = random_mdp(np.random.default_rng(0))
    start = np.random.default_rng(1).normal(size=len(rewards))
    first, second = solve(rewards, moves, 0.9, start=start), solve(rewards, moves, 0.9, start=start + 2.0**40)
    assert abs(first.n_iterations - second.n_iterations) <= 2
    np.testing.assert_allclose(first.value, second.value, rtol=0, atol=first.bound + second.bound)


@pytest.mark.parametrize("scale", [1e3, 1e6, 1e12, 1e50])
def test_bad_starts_are_overcome(scale):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        rewards, moves = random_mdp(rng)
        result = solve(rewards, moves, 0.9, start=scale * rng.normal(size=len(rewards)))
        assert result.converged
        assert np.abs(result.value - solve_mdp(rewards, moves, 0.9)).max() <= result.bound + 2e-12


@pytest.mark.parametrize("scale", [1e160, 1e300])
def test_any_finite_start_will_do(scale):
    rng = np.random.default_rng(0)
    rewards, moves = rng.normal(size=(5, 2)), random_rows(rng, (5, 2, 5))
    result = solve(rewards, moves, 0.5, start=scale * rng.normal(size=5))
    assert result.converged
    np.testing.assert_allclose(result.value, solve_mdp(rewards, moves, 0.5), rtol=0, atol=result.bound + 2e-12)


def test_a_good_start_saves_sweeps():
    rng = np.random.default_rng(4)
    rewards, moves = rng.normal(size=(9, 3)), random_rows(rng, (9, 3, 9))
    cold = solve(rewards, moves, 0.95)
    assert solve(rewards, moves, 0.95, start=cold.value).n_iterations <= 2 < cold.n_iterations


def test_the_shape_of_values_is_free():
    rng = np.random.default_rng(0)
    rewards, moves = rng.normal(size=(6, 2)), random_rows(rng, (6, 2, 6))
    operator = bellman_operator(rewards, moves, 0.9)
    result = iterate_values(
        in_double(lambda value: operator(value.ravel()).reshape(2, 3), 1e-15),
        np.zeros((2, 3)),
        gamma=0.9,
        convergence_threshold=1e-8,
        max_iterations=1000,
    )
    np.testing.assert_allclose(result.value.ravel(), solve(rewards, moves, 0.9).value, rtol=0, atol=2e-8)


def test_acceleration_saves_most_sweeps_and_never_needs_many_more():
    accelerated, plain = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        gamma = float(rng.choice([0.5, 0.9, 0.99]))
        rewards, moves = random_mdp(rng)
        operator = bellman_operator(rewards, moves, gamma)
        result = solve(rewards, moves, gamma, threshold=1e-6)
        accelerated.append(result.n_iterations)
        plain.append(count_plain_sweeps(operator, np.zeros(len(rewards)), gamma=gamma, threshold=1e-6))
        assert result.n_iterations <= 3 * plain[-1] + 4 * ANDERSON_MEMORY
    assert sum(accelerated) < sum(plain) / 3


def test_a_mixture_that_grows_starts_afresh(monkeypatch):
    # Mixing that always leads astray costs sweeps, and never the result.
    rng = np.random.default_rng(0)
    rewards, moves = rng.normal(size=(6, 2)), random_rows(rng, (6, 2, 6), 0.2)
    monkeypatch.setattr(AndersonMixer, "mix", lambda _, image, residual: image + 1e3 * rng.normal(size=residual.shape))
    result = solve(rewards, moves, 0.9)
    assert result.converged
    assert np.abs(result.value - solve_mdp(rewards, moves, 0.9)).max() <= result.bound + 2e-12


def test_mixing_solves_a_linear_problem_once_it_has_seen_every_direction():
    # For B(V) = r + A V in n dimensions, n + 1 iterates determine the fixed point.
    rng = np.random.default_rng(0)
    matrix, rewards = 0.9 * random_rows(rng, (4, 4)), rng.normal(size=4)
    exact = np.linalg.solve(np.eye(4) - matrix, rewards)
    mixer, value = AndersonMixer((4,)), np.zeros(4)
    errors = []
    for _ in range(6):
        image = rewards + matrix @ value
        value = mixer.mix(image, image - value)
        errors.append(np.abs(value - exact).max())
    assert errors[0] > 1e-2
    assert errors[-1] < 1e-6


def test_iteration_leaves_the_start_alone():
    start = np.arange(3.0)
    solve(np.ones((3, 1)), np.eye(3)[:, None, :], 0.5, start=start)
    np.testing.assert_array_equal(start, np.arange(3.0))
