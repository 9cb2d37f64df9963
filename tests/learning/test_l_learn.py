from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quantecon.markov import DiscreteDP

from distmarl import l_learn, robots, uniform_local_policy
from distmarl.errors import InvalidArgumentError
from distmarl.learning.l_learn import (
    included_global_kernel,
    induced_global_kernel,
    multinomial_probabilities,
    softmax_policy,
)
from distmarl.learning.mean_field import find_mean_field
from distmarl.model.counts import count_vectors
from tests.reference import (
    action_values,
    enumerate_counts,
    local_mdp,
    mixed_kernel,
    multinomial_pmf,
    number_of,
    solve_mdp,
)
from tests.strategies import (
    DETERMINISTIC,
    FEW,
    environments,
    generators,
    random_environment,
    random_global_policy,
    random_local_policy,
    random_rows,
)


def enumerated_kernel(env, global_policy, mu, k):
    """P(s' | s_g) by drawing k agents in order, in every one of L^k ways."""
    number = number_of(k, env.n_local_states)
    kernel = np.zeros((env.n_global_states, env.n_global_states))
    for drawn in np.ndindex(*[env.n_local_states] * k):
        z = tuple(np.bincount(drawn, minlength=env.n_local_states).tolist())
        for s_g in range(env.n_global_states):
            a_g = global_policy[s_g, number[z]]
            kernel[s_g] += math.prod(mu[list(drawn)]) * env.transition_global[s_g, a_g]
    return kernel


def enumerated_included_kernel(env, global_policy, mu, k):
    """P(s' | s_g, s_l) of one agent in s_l: wherever the n - 1 others are, and whichever k of the n are seen."""
    number = number_of(k, env.n_local_states)
    subsamples = list(itertools.combinations(range(env.n_agents), k))
    kernel = np.zeros((env.n_global_states, env.n_local_states, env.n_global_states))
    for s_g, s_l in np.ndindex(kernel.shape[:2]):
        for others in np.ndindex(*[env.n_local_states] * (env.n_agents - 1)):
            states = np.array([s_l, *others])
            probability = math.prod(mu[list(others)]) / len(subsamples)
            for seen in subsamples:
                z = tuple(np.bincount(states[list(seen)], minlength=env.n_local_states).tolist())
                kernel[s_g, s_l] += probability * env.transition_global[s_g, global_policy[s_g, number[z]]]
    return kernel


ENUMERATED_KERNELS = {"outside": enumerated_kernel, "included": enumerated_included_kernel}


def reference_q(env, global_policy, local_policy, k, observation="outside"):
    """Q* of a local agent, (G, L, A_l), through the enumerated kernel."""
    mu = find_mean_field(mixed_kernel(env, local_policy), env.initial_local_concentration).distribution
    rewards, moves = local_mdp(env, ENUMERATED_KERNELS[observation](env, global_policy, mu, k))
    return action_values(rewards, moves, env.gamma, solve_mdp(rewards, moves, env.gamma)).reshape(
        env.reward_local.shape
    )


# What k agents are seen to do.


@DETERMINISTIC
@given(generators(), st.integers(1, 4), st.integers(1, 4))
def test_multinomial_probabilities_have_their_closed_form(rng, k, n_states):
    mu = random_rows(rng, (n_states,)) * (rng.random(n_states) < 0.7)
    mu = mu / mu.sum() if mu.any() else np.eye(n_states)[0]
    np.testing.assert_allclose(multinomial_probabilities(mu, k=k), multinomial_pmf(k, mu), rtol=1e-12, atol=0)


def test_multinomial_probabilities_of_many_agents_neither_overflow_nor_vanish():
    mu = np.array([1e-300, 0.3, 0.7])
    probabilities = multinomial_probabilities(mu, k=300)
    assert probabilities.sum() == pytest.approx(1.0, rel=1e-13)
    np.testing.assert_allclose(probabilities @ count_vectors(300, 3), 300 * mu, rtol=1e-11)


@DETERMINISTIC
@given(environments(), generators())
def test_the_induced_kernel_is_a_sum_over_all_draws(env, rng):
    k = int(rng.integers(1, min(env.n_agents, 4) + 1))
    global_policy, mu = random_global_policy(rng, env, k), random_rows(rng, (env.n_local_states,))
    np.testing.assert_allclose(
        induced_global_kernel(env, global_policy, mu, k=k),
        enumerated_kernel(env, global_policy, mu, k),
        rtol=0,
        atol=1e-13,
    )


def test_another_mean_field_or_policy_fails_the_same_check():
    rng = np.random.default_rng(0)
    env = random_environment(rng)
    global_policy, mu = random_global_policy(rng, env, 3), np.array([0.1, 0.2, 0.7])
    kernel = induced_global_kernel(env, global_policy, mu, k=3)
    assert np.abs(kernel - enumerated_kernel(env, global_policy, mu[::-1], 3)).max() > 1e-3
    assert np.abs(kernel - enumerated_kernel(env, 1 - global_policy, mu, 3)).max() > 1e-3


@pytest.mark.parametrize("action", [0, 1])
def test_a_constant_global_policy_induces_its_own_rows(action):
    env = random_environment(np.random.default_rng(0))
    policy = np.full((2, 10), action)
    kernel = induced_global_kernel(env, policy, np.array([0.2, 0.3, 0.5]), k=3)
    np.testing.assert_allclose(kernel, env.transition_global[:, action], rtol=1e-14)


# What an agent expects that is seen itself with probability k/n.


@DETERMINISTIC
@given(environments(max_agents=4), generators())
def test_the_included_kernel_is_a_sum_over_all_populations_and_subsamples(env, rng):
    k = int(rng.integers(1, env.n_agents + 1))
    global_policy, mu = random_global_policy(rng, env, k), random_rows(rng, (env.n_local_states,))
    np.testing.assert_allclose(
        included_global_kernel(env, global_policy, mu, k=k),
        enumerated_included_kernel(env, global_policy, mu, k),
        rtol=0,
        atol=1e-13,
    )


def test_another_probability_of_being_seen_fails_the_same_check():
    rng = np.random.default_rng(0)
    env = random_environment(rng, n_agents=4)
    global_policy, mu = random_global_policy(rng, env, 2), np.array([0.1, 0.2, 0.7])
    kernel = included_global_kernel(env, global_policy, mu, k=2)
    more_agents = dataclasses.replace(env, n_agents=5)
    assert np.abs(kernel - enumerated_included_kernel(more_agents, global_policy, mu, 2)).max() > 1e-3
    assert np.abs(kernel - enumerated_kernel(env, global_policy, mu, 2)[:, None]).max() > 1e-3


def test_a_lone_agent_knows_what_is_seen():
    env = random_environment(np.random.default_rng(0), n_agents=1)
    # Count vectors of one agent in lexicographic order: state 2, 1, 0.
    global_policy = np.array([[0, 1, 1], [1, 0, 1]])
    kernel = included_global_kernel(env, global_policy, np.array([0.2, 0.3, 0.5]), k=1)
    for s_g, s_l in np.ndindex(2, 3):
        np.testing.assert_array_equal(kernel[s_g, s_l], env.transition_global[s_g, global_policy[s_g, 2 - s_l]])


def test_an_agent_of_very_many_is_as_good_as_outside():
    rng = np.random.default_rng(0)
    env, mu = random_environment(rng), random_rows(rng, (3,))
    global_policy = random_global_policy(rng, env, 3)
    outside = induced_global_kernel(env, global_policy, mu, k=3)[:, None]

    def distance(n_agents):
        crowd = dataclasses.replace(env, n_agents=n_agents)
        return included_global_kernel(crowd, global_policy, mu, k=3) - outside

    assert np.abs(distance(3)).max() > 0.01
    np.testing.assert_allclose(1e6 * distance(3 * 10**6), distance(3), rtol=0, atol=1e-8)
    included, alone = (
        l_learn(dataclasses.replace(env, n_agents=10**8), global_policy, np.full((2, 3, 2), 0.5), k=3, observation=kind)
        for kind in ("included", "outside")
    )
    np.testing.assert_allclose(included.policy, alone.policy, rtol=0, atol=1e-6)


# The local agent's MDP.


@pytest.mark.parametrize("observation", ["outside", "included"])
@FEW
@given(environments(max_agents=4), generators())
def test_values_are_those_of_an_independent_solver(observation, env, rng):
    k = int(rng.integers(1, min(env.n_agents, 3) + 1))
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    result = l_learn(env, global_policy, local_policy, k=k, observation=observation, convergence_threshold=1e-9)
    mu = result.mean_field.distribution
    rewards, moves = local_mdp(env, ENUMERATED_KERNELS[observation](env, global_policy, mu, k))
    oracle = DiscreteDP(rewards, moves, env.gamma).solve(method="policy_iteration")
    assert result.converged
    assert result.bound <= 1e-9
    np.testing.assert_allclose(result.value.ravel(), oracle.v, rtol=0, atol=result.bound + 1e-10)


@FEW
@given(environments(), generators())
def test_policies_are_the_softmax_of_the_right_values(env, rng):
    k = int(rng.integers(1, min(env.n_agents, 3) + 1))
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    result = l_learn(env, global_policy, local_policy, k=k, convergence_threshold=1e-10)
    q = reference_q(env, global_policy, local_policy, k)
    for s_g, s_l in np.ndindex(q.shape[:2]):
        temperature = max(0.3, (q[s_g, s_l].max() - q[s_g, s_l].min()) / 3.0)
        weights = [math.exp((x - q[s_g, s_l].max()) / temperature) for x in q[s_g, s_l]]
        np.testing.assert_allclose(result.policy[s_g, s_l], np.array(weights) / sum(weights), rtol=0, atol=1e-8)


def test_without_a_future_only_the_reward_counts():
    env = random_environment(np.random.default_rng(0), gamma=0.0)
    result = l_learn(env, np.zeros((2, 6), dtype=int), uniform_local_policy(env), k=2)
    np.testing.assert_array_equal(result.value, env.reward_local.max(axis=-1))
    np.testing.assert_array_equal(result.policy, softmax_policy(env.reward_local, scale=3.0, minimum=0.3))


def test_the_population_matters_through_its_mean_field_alone():
    rng = np.random.default_rng(1)
    env = random_environment(rng)
    # Local actions that move alike leave the mean field as it is, whatever the policy.
    env = dataclasses.replace(env, transition_local=np.repeat(env.transition_local[:, :, :1], 2, axis=2))
    global_policy = random_global_policy(rng, env, 3)
    first, second = (l_learn(env, global_policy, random_local_policy(rng, env), k=3) for _ in range(2))
    np.testing.assert_allclose(first.policy, second.policy, rtol=0, atol=1e-12)


def test_the_global_policy_and_the_population_both_matter():
    rng = np.random.default_rng(2)
    env = random_environment(rng)
    global_policy, local_policy = random_global_policy(rng, env, 3), random_local_policy(rng, env)
    base = l_learn(env, global_policy, local_policy, k=3).value
    assert np.abs(base - l_learn(env, 1 - global_policy, local_policy, k=3).value).max() > 1e-3
    assert np.abs(base - l_learn(env, global_policy, random_local_policy(rng, env), k=3).value).max() > 1e-4


def test_robots_gather_where_the_coordinator_goes():
    env = robots()
    result = l_learn(env, np.zeros((5, 35), dtype=int), uniform_local_policy(env), k=3)
    stay, up, down = range(3)
    assert result.policy[0, [4, 0, 1]].argmax(axis=-1).tolist() == [up, stay, down]


# The greedy policy.


@pytest.mark.parametrize("observation", ["outside", "included"])
@FEW
@given(environments(max_agents=4), generators())
def test_greedy_policies_are_worth_the_optimal_value(observation, env, rng):
    k = int(rng.integers(1, min(env.n_agents, 3) + 1))
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    result = l_learn(
        env, global_policy, local_policy, k=k, policy="greedy", observation=observation, convergence_threshold=1e-10
    )
    assert (np.sort(result.policy, axis=-1)[..., :-1] == 0).all()
    assert (result.policy.max(axis=-1) == 1).all()
    rewards, moves = local_mdp(
        env, ENUMERATED_KERNELS[observation](env, global_policy, result.mean_field.distribution, k)
    )
    solver = DiscreteDP(rewards, moves, env.gamma)
    worth = solver.evaluate_policy(result.policy.argmax(axis=-1).ravel())
    np.testing.assert_allclose(worth, solver.solve(method="policy_iteration").v, rtol=0, atol=1e-8)


def test_greedy_ties_go_to_the_lowest_action():
    env = random_environment(np.random.default_rng(0), n_local_actions=3, gamma=0.0)
    reward = np.zeros((2, 3, 3))
    reward[0, 0] = [1.0, 1.0, 1.0]
    reward[0, 1] = [0.0, 1.0, 1.0]
    reward[0, 2] = [1.0, 1.0 + 1e-13, 0.0]  # within the tolerance of rounding
    reward[1, 0] = [1.0, 1.0 + 1e-9, 0.0]
    env = dataclasses.replace(env, reward_local=reward)
    result = l_learn(env, np.zeros((2, 6), dtype=int), uniform_local_policy(env), k=2, policy="greedy")
    assert result.policy.argmax(axis=-1).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_differences_below_the_certified_error_are_ties():
    env = robots()
    arguments = (env, np.zeros((5, 15), dtype=int), uniform_local_policy(env))
    rough = l_learn(*arguments, k=2, policy="greedy", max_vi_iterations=1)
    fine = l_learn(*arguments, k=2, policy="greedy")
    assert rough.bound > 10  # more than any two actions differ by
    assert (rough.policy[..., 0] == 1).all()
    assert fine.policy[0, 4, 1] == 1


def test_greedy_is_the_softmax_of_no_temperature():
    env = robots()
    arguments = (env, np.arange(75).reshape(5, 15) % 5, uniform_local_policy(env))
    cold = l_learn(*arguments, k=2, softmax_temperature_scale=1e12, softmax_temperature_min=1e-12)
    np.testing.assert_array_equal(l_learn(*arguments, k=2, policy="greedy").policy, cold.policy)


# The softmax.


@pytest.mark.parametrize("spread", [3.0, 30.0, 1e6, 1e300])
def test_a_wide_range_of_values_is_scaled(spread):
    # Temperature = range / scale: the worst action has exp(-scale) times the best one's weight.
    policy = softmax_policy(np.array([0.0, spread, spread / 2]), scale=2.0, minimum=0.3)
    np.testing.assert_allclose(policy / policy[1], [math.exp(-2), 1.0, math.exp(-1)], rtol=1e-12)


def test_a_narrow_range_of_values_meets_the_lowest_temperature():
    policy = softmax_policy(np.array([100.0, 100.3]), scale=3.0, minimum=0.6)
    assert policy[1] / policy[0] == pytest.approx(math.exp(0.5), rel=1e-12)


@pytest.mark.parametrize("n_actions", [1, 4])
def test_equal_values_give_equal_probabilities(n_actions):
    policy = softmax_policy(np.full((2, n_actions), -7e8), scale=3.0, minimum=1e-9)
    np.testing.assert_array_equal(policy, 1.0 / n_actions)


@DETERMINISTIC
@given(generators(), st.floats(0.1, 100), st.floats(1e-3, 10))
def test_softmax_rows_are_distributions_in_the_order_of_the_values(rng, scale, minimum):
    q = 10 * rng.normal(size=(3, 2, 4))
    policy = softmax_policy(q, scale=scale, minimum=minimum)
    np.testing.assert_allclose(policy.sum(axis=-1), 1.0, rtol=1e-14)
    ordered = np.take_along_axis(policy, q.argsort(axis=-1), axis=-1)
    assert (np.diff(ordered, axis=-1) >= 0).all()
    np.testing.assert_allclose(softmax_policy(q + 50.0, scale=scale, minimum=minimum), policy, rtol=0, atol=1e-10)


def test_temperature_options_reach_the_policy():
    env = robots()
    arguments = (env, np.zeros((5, 15), dtype=int), uniform_local_policy(env))
    base = l_learn(*arguments, k=2).policy
    sharper = l_learn(*arguments, k=2, softmax_temperature_scale=30.0).policy
    flatter = l_learn(*arguments, k=2, softmax_temperature_min=100.0).policy
    assert sharper.max() > base.max() > flatter.max()


# Certificates and refusals.


def test_reaching_the_cap_is_reported():
    env = robots()
    arguments = (env, np.zeros((5, 15), dtype=int), uniform_local_policy(env))
    capped = l_learn(*arguments, k=2, max_vi_iterations=3)
    exact = l_learn(*arguments, k=2, convergence_threshold=1e-9)
    assert (capped.n_iterations, capped.converged) == (3, False)
    assert exact.converged
    assert 1e-6 < np.abs(capped.value - exact.value).max() <= capped.bound + exact.bound


def test_the_mean_field_and_what_is_odd_about_it_are_reported():
    env = random_environment(np.random.default_rng(0), n_local_actions=1)
    stuck = dataclasses.replace(env, transition_local=np.tile(np.eye(3)[:, None, :], (2, 1, 1, 1)))
    result = l_learn(stuck, np.zeros((2, 6), dtype=int), uniform_local_policy(stuck), k=2)
    start = env.initial_local_concentration
    np.testing.assert_allclose(result.mean_field.distribution, start / start.sum(), rtol=1e-14)
    assert result.mean_field.n_recurrent_classes == 3
    cycle = dataclasses.replace(env, transition_local=np.tile(np.roll(np.eye(3), 1, axis=1)[:, None, :], (2, 1, 1, 1)))
    assert l_learn(cycle, np.zeros((2, 6), dtype=int), uniform_local_policy(cycle), k=2).mean_field.period == 3


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.uint64])
def test_global_policies_may_have_any_integer_type(dtype):
    rng = np.random.default_rng(0)
    env = random_environment(rng)
    global_policy = random_global_policy(rng, env, 2)
    first, second = (
        l_learn(env, policy, uniform_local_policy(env), k=2).value
        for policy in (global_policy, global_policy.astype(dtype))
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 7}, r"^k: must be from 1 to n_agents \(6\), got 7"),
        ({"k": 3}, r"^global_policy: .* = \(2, 10\) for k=3"),
        ({"global_policy": np.full((2, 6), 2)}, r"^global_policy: actions must be in 0 \.\. 1"),
        ({"global_policy": np.zeros((2, 6))}, r"^global_policy: must be integers"),
        ({"local_policy": np.ones((2, 3, 2))}, r"^local_policy\[0, 0\]: must sum to 1"),
        ({"convergence_threshold": -1.0}, r"^convergence_threshold: must be positive, got -1"),
        ({"max_vi_iterations": 0}, r"^max_vi_iterations: must be at least 1, got 0"),
        ({"policy": "best"}, r"^policy: must be one of softmax, greedy, got 'best'"),
        ({"observation": "inside"}, r"^observation: must be one of outside, included, got 'inside'"),
        ({"softmax_temperature_scale": 0.0}, r"^softmax_temperature_scale: must be positive, got 0"),
        ({"softmax_temperature_min": math.nan}, r"^softmax_temperature_min: must be positive, got nan"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    env = random_environment(np.random.default_rng(0))
    arguments = {
        "global_policy": np.zeros((2, len(enumerate_counts(2, 3))), dtype=int),
        "local_policy": uniform_local_policy(env),
        "k": 2,
    } | changes
    with pytest.raises(InvalidArgumentError, match=message):
        l_learn(env, **arguments)
