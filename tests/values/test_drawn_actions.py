"""Global policies that draw their action from a distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import evaluate, exact_return, l_learn, nash_gap
from distmarl.dynamics.paired_rollouts import run_paired_rollouts
from distmarl.dynamics.population import global_action_law
from distmarl.errors import InvalidArgumentError
from distmarl.learning.l_learn import included_global_kernel, induced_global_kernel
from tests.reference import joint_return, standard_errors_from, subsampled_action_law
from tests.strategies import (
    FEW,
    environments,
    generators,
    random_drawn_policy,
    random_environment,
    random_global_policy,
    random_local_policy,
)

K = 2


@pytest.fixture
def game():
    """A game with A_g = 3 and 5 agents, and a local policy."""
    rng = np.random.default_rng(0)
    env = random_environment(rng, n_agents=5, n_global_actions=3)
    return env, random_local_policy(rng, env)


@pytest.fixture
def policy(game):
    """A policy for K agents that draws its action."""
    return random_drawn_policy(np.random.default_rng(1), game[0], K)


def one_hot(env, actions):
    return np.eye(env.n_global_actions)[actions]


# Against all joint states of all agents.


@FEW
@given(environments(max_agents=4), generators(), st.data(), st.sampled_from([None, 2]))
def test_the_return_is_that_of_every_joint_state(env, rng, data, horizon):
    k = data.draw(st.integers(1, env.n_agents))
    policy, local_policy = random_drawn_policy(rng, env, k), random_local_policy(rng, env)
    found = exact_return(env, policy, local_policy, k=k, horizon=horizon, tolerance=5e-11)
    expected = joint_return(env, subsampled_action_law(env, policy, k), local_policy, horizon=horizon)
    assert abs(found.value - expected) <= found.bound + 1e-12


def test_another_policy_is_told_apart(game, policy):
    env, local_policy = game
    expected = joint_return(env, subsampled_action_law(env, policy, K), local_policy)
    likeliest = exact_return(env, policy.argmax(axis=2), local_policy, k=K)
    assert abs(likeliest.value - expected) > 1e-2


# Against integers, of which these are a special case.


def test_a_policy_that_is_sure_of_its_action_is_that_action(game):
    env, local_policy = game
    actions = random_global_policy(np.random.default_rng(2), env, K)
    actions[0] = 1  # a single action in this global state
    sure = one_hot(env, actions)
    np.testing.assert_allclose(
        global_action_law(env, sure, k=K), global_action_law(env, actions, k=K), rtol=0, atol=4e-16
    )
    returns = [exact_return(env, policy, local_policy, k=K).value for policy in (sure, sure.astype(int), actions)]
    assert returns == pytest.approx([returns[0]] * 3, abs=1e-12)
    played = [evaluate(env, policy, local_policy, k=K, n_rollouts=5, horizon=9) for policy in (sure, actions)]
    np.testing.assert_array_equal(played[0].returns, played[1].returns)
    np.testing.assert_array_equal(played[0].first_rollout.global_actions, played[1].first_rollout.global_actions)
    for observation in ("outside", "included"):
        answers = [
            l_learn(env, policy, local_policy, k=K, observation=observation).policy for policy in (sure, actions)
        ]
        np.testing.assert_allclose(*answers, rtol=0, atol=1e-9)
    gaps = [nash_gap(env, policy, local_policy, k=K, max_enumerated=0, n_starts=1) for policy in (sure, actions)]
    for found, expected in zip(*(gap.quantities.values() for gap in gaps), strict=True):
        assert found.value == pytest.approx(expected.value, abs=1e-6)


def test_what_local_agents_expect_is_the_mixture(game):
    env, _ = game
    rng = np.random.default_rng(3)
    first, second = random_global_policy(rng, env, K), random_global_policy(rng, env, K)
    mixed = 0.3 * one_hot(env, first) + 0.7 * one_hot(env, second)
    mu = rng.dirichlet(np.ones(3))
    for kernel in (induced_global_kernel, included_global_kernel):
        expected = 0.3 * kernel(env, first, mu, k=K) + 0.7 * kernel(env, second, mu, k=K)
        np.testing.assert_allclose(kernel(env, mixed, mu, k=K), expected, rtol=0, atol=1e-14)
        assert np.abs(kernel(env, first, mu, k=K) - expected).max() > 1e-3


# Against rollouts.


@pytest.mark.parametrize("n_agents", [5, 160])  # drawn agent by agent, and by counts
def test_rollouts_draw_the_action(n_agents):
    rng = np.random.default_rng(2)
    env = random_environment(rng, n_agents=n_agents, n_local_states=2, n_global_actions=3)
    policy, local_policy = random_drawn_policy(rng, env, K), random_local_policy(rng, env)
    returns = evaluate(env, policy, local_policy, k=K, n_rollouts=4_000, horizon=4, seed=1).returns
    assert standard_errors_from(returns, exact_return(env, policy, local_policy, k=K, horizon=4).value) < 4
    # Negative control: the likeliest action.
    likeliest = exact_return(env, policy.argmax(axis=2), local_policy, k=K, horizon=4)
    assert standard_errors_from(returns, likeliest.value) > 4


def test_paired_rollouts_draw_the_action(game, policy):
    env, local_policy = game
    likeliest = policy.argmax(axis=2)
    options = {"k": K, "n_rollouts": 4_000, "horizon": 5, "rng": np.random.default_rng(4)}
    worlds = (policy, likeliest)
    team = run_paired_rollouts(env, local_policy, worlds, (local_policy, local_policy), **options).team
    exact = [exact_return(env, each, local_policy, k=K, horizon=5).value for each in worlds]
    for earned, value, other in zip(team, exact, exact[::-1], strict=True):
        assert standard_errors_from(earned, value) < 4
        assert standard_errors_from(earned, other) > 4  # negative control
    alike = run_paired_rollouts(env, local_policy, (policy, policy), (local_policy, local_policy), **options).team
    np.testing.assert_array_equal(*alike)


def test_gaps_of_such_a_pair_are_estimated(game, policy):
    env, local_policy = game
    exact = nash_gap(env, policy, local_policy, k=K, max_enumerated=0, n_starts=1, tolerance=1e-4)
    found = nash_gap(env, policy, local_policy, k=K, method="estimate", n_rollouts=100, horizon=40, tolerance=1e-4)
    for name in ("joint_value", "global_lower"):
        estimate, value = found.quantities[name], exact.quantities[name].value
        # Of an interval of 95 %; and what is left of the discounts after the last step, 0.015, of 10 steps.
        assert abs(estimate.value - value) < 2.1 * estimate.error + 0.15 * np.abs(env.reward_local).max()
    assert found.surrogate.value == pytest.approx(exact.surrogate.value, abs=2e-4)


# What is refused.


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.6, -0.1], r"^global_policy\[1, 4, 2\]: must not be negative, got -0\.1"),
        ([0.5, np.nan, 0.5], r"^global_policy\[1, 4, 1\]: must not be negative, got nan"),
        ([0.5, 0.25, 0.0], r"^global_policy\[1, 4\]: must sum to 1 within 1e-09, got 0\.75"),
    ],
)
def test_rows_that_are_no_distributions_are_refused(game, policy, row, message):
    env, local_policy = game
    policy[1, 4] = row
    for function in (exact_return, evaluate, nash_gap, l_learn):
        with pytest.raises(InvalidArgumentError, match=message):
            function(env, policy, local_policy, k=K)


@pytest.mark.parametrize("shape", [(2, 6, 2), (2, 5, 3), (6, 3), (2, 6, 3, 1)])
def test_other_shapes_are_refused(game, shape):
    env, local_policy = game
    message = r"^global_policy: must be integers of shape .*; distributions of actions .* \(G, C, A_g\) = \(2, 6, 3\)$"
    with pytest.raises(InvalidArgumentError, match=message):
        evaluate(env, np.ones(shape), local_policy, k=K)
