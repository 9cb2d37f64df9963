from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from distmarl import g_learn, l_learn, robots
from distmarl.equilibrium.deviations import averaged_deviation, global_deviations, local_deviations
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.averages import complete, global_action_values, mean_field_given_global, solve_surrogate
from distmarl.learning.l_learn import induced_global_kernel
from distmarl.learning.mean_field import find_mean_field
from tests.reference import (
    action_values,
    dense_kernel,
    dirichlet_multinomial_pmf,
    enumerate_counts,
    mixed_kernel,
    number_of,
    solve_mdp,
    surrogate_mdp,
)
from tests.strategies import random_environment, random_global_policy, random_local_policy, random_rows


@pytest.fixture
def game():
    """A game of 5 agents, and a pair of policies for k = 2."""
    rng = np.random.default_rng(0)
    env = random_environment(rng, n_agents=5)
    return env, random_global_policy(rng, env, 2), random_local_policy(rng, env)


@pytest.fixture
def robot_game():
    """The robots game, where what is seen matters, and a pair of policies for k = 2."""
    rng = np.random.default_rng(0)
    env = robots(n_agents=5)
    return env, random_global_policy(rng, env, 2), random_local_policy(rng, env)


def deviations(env, global_policy, local_policy, k, largest):
    optimum = solve_surrogate(env, local_policy, k=k, tolerance=1e-8)
    return global_deviations(env, global_policy, local_policy, optimum, k=k, largest=largest, tolerance=1e-8)


# Averages over what is not seen.


def test_completing_agent_after_agent_draws_the_rest_from_the_urn():
    rng = np.random.default_rng(0)
    concentration = rng.uniform(0.2, 3.0, size=(2, 3))
    values = rng.normal(size=(len(enumerate_counts(5, 3)), 2, 4))
    number = number_of(5, 3)
    completed = complete(complete(complete(values, concentration, k=4), concentration, k=3), concentration, k=2)
    expected = np.zeros_like(completed)
    for row, seen in enumerate(enumerate_counts(2, 3)):
        for s_g in range(2):
            # Given the seen ones, the others have Dirichlet shares again.
            law = dirichlet_multinomial_pmf(3, concentration[s_g] + seen)
            for probability, rest in zip(law, enumerate_counts(3, 3), strict=True):
                whole = tuple(a + b for a, b in zip(seen, rest, strict=True))
                expected[row, s_g] += probability * values[number[whole], s_g]
    np.testing.assert_allclose(completed, expected, rtol=0, atol=1e-13)


def test_action_values_are_those_of_the_surrogate_up_to_what_all_actions_share(game):
    env, _, local_policy = game
    found, bound = global_action_values(env, local_policy, k=2, tolerance=1e-9)
    rewards, moves = surrogate_mdp(env, local_policy, 2, dense_kernel(mixed_kernel(env, local_policy), 2))
    q = action_values(rewards, moves, env.gamma, solve_mdp(rewards, moves, env.gamma)).reshape(2, 6, 2)
    expected = (q - q[..., :1]).transpose(1, 0, 2)
    np.testing.assert_allclose(found - found[..., :1], expected, rtol=0, atol=2 * bound + 1e-9)


def test_the_mean_field_given_the_global_state_is_a_long_run_share(game):
    env, global_policy, local_policy = game
    kernel = mixed_kernel(env, local_policy)
    overall = find_mean_field(kernel, env.initial_local_concentration).distribution
    moves = induced_global_kernel(env, global_policy, overall, k=2)
    share = np.full((2, 3), 1 / 6)
    for _ in range(2000):
        share = np.einsum("gl,gh,glm->hm", share, moves, kernel)
    expected = share / share.sum(axis=1, keepdims=True)
    found = mean_field_given_global(env, global_policy, local_policy, k=2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert np.abs(found - overall).max() > 1e-3


def test_an_unvisited_global_state_has_the_overall_mean_field():
    env = robots(n_agents=3)
    rng = np.random.default_rng(0)
    absorbing = np.zeros_like(env.transition_global)
    absorbing[:, :, 0] = 1.0
    env = dataclasses.replace(env, transition_global=absorbing)
    local_policy = random_local_policy(rng, env)
    found = mean_field_given_global(env, random_global_policy(rng, env, 1), local_policy, k=1)
    overall = find_mean_field(mixed_kernel(env, local_policy), env.initial_local_concentration).distribution
    np.testing.assert_allclose(found[1:], np.tile(overall, (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


# Candidates.


def test_global_deviations_are_policies_of_an_observer_and_begin_with_g_learns(robot_game):
    env, global_policy, local_policy = robot_game
    found = deviations(*robot_game, k=2, largest=5)
    assert len(found) > 3
    for policy in found:
        assert policy.shape == global_policy.shape
        assert 0 <= policy.min() <= policy.max() < env.n_global_actions
    own = g_learn(env, local_policy, k=2, transitions="exact", convergence_threshold=1e-8)
    np.testing.assert_array_equal(found[0], own.policy)
    assert len({policy.tobytes() for policy in found}) == len(found)


def test_who_sees_all_needs_no_candidates_but_the_best(game):
    env, _, local_policy = game
    policy = np.zeros((2, math.comb(7, 2)), dtype=int)
    assert len(deviations(env, policy, local_policy, k=5, largest=5)) == 1


@pytest.mark.parametrize("k", [1, 4])
def test_ends_of_the_range_of_k_have_one_neighbour(game, k):
    env, _, local_policy = game
    policy = random_global_policy(np.random.default_rng(1), env, k)
    assert all(found.shape == policy.shape for found in deviations(env, policy, local_policy, k=k, largest=5))


def test_those_who_see_all_lead_to_other_policies_than_those_who_see_one_more(robot_game):
    near, far = (deviations(*robot_game, k=2, largest=largest) for largest in (3, 5))
    assert {policy.tobytes() for policy in near} < {policy.tobytes() for policy in far}


def test_sizes_that_lose_too_many_digits_are_passed_over(robot_game, monkeypatch):
    everything = deviations(*robot_game, k=2, largest=5)
    solve = solve_surrogate

    def lose_digits_above_two(env, local_policy, *, k, tolerance):
        if k > 2:
            raise InvalidArgumentError("transitions: 'exact' would be off")
        return solve(env, local_policy, k=k, tolerance=tolerance)

    monkeypatch.setattr("distmarl.learning.best.averages.solve_surrogate", lose_digits_above_two)
    fewer = deviations(*robot_game, k=2, largest=5)
    assert {policy.tobytes() for policy in fewer} < {policy.tobytes() for policy in everything}


def test_local_deviations_are_greedy_l_learn_with_and_without_being_seen():
    env = robots(n_agents=3)
    rng = np.random.default_rng(0)
    pair = random_global_policy(rng, env, 2), random_local_policy(rng, env)
    found = local_deviations(env, *pair, k=2, tolerance=1e-8)
    expected = [
        l_learn(env, *pair, k=2, policy="greedy", observation=observation, convergence_threshold=1e-8).policy
        for observation in ("outside", "included")
    ]
    assert {policy.tobytes() for policy in found} == {policy.tobytes() for policy in expected}


def test_an_averaged_deviation_is_greedy_on_average(game):
    class Chain:
        def averaged_action_values(self, best, weights):
            assert best is solution
            np.testing.assert_allclose(weights.sum(axis=1), 1.0)
            self.weights = weights
            return q

    class Solution:
        bound = 1e-9

    env = game[0]
    chain, solution = Chain(), Solution()
    q = np.random.default_rng(0).normal(size=(2, 3, 2))
    mean_field = random_rows(np.random.default_rng(1), (2, 3))
    found = averaged_deviation(env, chain, solution, mean_field)
    np.testing.assert_array_equal(found.argmax(axis=-1), q.argmax(axis=-1))
    # n - 1 = 4 agents in their mean field.
    np.testing.assert_allclose(chain.weights @ np.array(enumerate_counts(4, 3)) / 4, mean_field, atol=1e-12)
