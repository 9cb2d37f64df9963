"""Gaps of pairs whose global agent sees classes of local states."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from quantecon.markov import DiscreteDP

import distmarl as dm
from distmarl.equilibrium.baselines import baseline_pair, evaluate_baseline
from distmarl.equilibrium.deviations import game_that_is_seen, others_given_global
from distmarl.errors import InvalidArgumentError
from distmarl.learning.aggregation import game_of_classes, occupancy_of
from distmarl.learning.best.averages import mean_field_given_global, solve_surrogate
from distmarl.model.options import Evaluation, GlobalAgent
from tests.equilibrium.labelled_agents import (
    action_law,
    deviation_law,
    deviator_mdp,
    dispatcher_mdp,
    joint_start,
    policy_value,
)
from tests.line_game import line_game
from tests.strategies import random_environment, random_global_policy, random_local_policy


@pytest.fixture(scope="module", params=[(1, 0), (2, 2), (3, 2)], ids=str)
def small_game(request):
    """Three agents in three states, two classes seen, and a pair; its start is a mixture where it has parts."""
    k, n_parts = request.param
    rng = np.random.default_rng(k)
    env = random_environment(rng, n_agents=3, concentration=0.4, observation=[1, 0, 1], n_parts=n_parts)
    return env, random_global_policy(rng, env, k), random_local_policy(rng, env), k


@pytest.fixture(scope="module")
def gaps(small_game):
    *game, k = small_game
    return dm.nash_gap(*game, k=k, max_enumerated=100)


def solved(env, rewards, moves):
    return joint_start(env) @ DiscreteDP(rewards, moves, env.gamma).solve(method="policy_iteration").v


def test_exact_gaps_are_those_of_labelled_agents(small_game, gaps):
    env, global_policy, local_policy, k = small_game
    full, start = dispatcher_mdp(env, local_policy), joint_start(env)

    def earned(policy):
        return start @ policy_value(*full, env.gamma, action_law(env, policy, k))

    joint = earned(global_policy)
    assert gaps.joint_value.value == pytest.approx(joint, abs=2e-6)
    assert gaps.global_upper.value == pytest.approx(solved(env, *full) - joint, abs=2e-6)
    # The best of all policies that see classes is in the bracket.
    every = itertools.product(range(2), repeat=global_policy.size)
    best = max(earned(np.reshape(actions, global_policy.shape)) for actions in every) - joint
    assert 0.5 * best <= gaps.global_lower.value <= best + 2e-6
    assert best <= gaps.global_upper.value + 2e-6
    # Even who sees all agents does not see their states, so that the bracket is one.
    assert (gaps.global_lower.kind, gaps.global_upper.kind) == ("lower bound", "upper bound")
    if k == 2:
        assert best < gaps.global_upper.value - 1e-4
    worths = [solved(env, *dispatcher_mdp(env, local_policy))]
    for actions in itertools.product(range(2), repeat=6):
        worths.append(solved(env, *dispatcher_mdp(env, np.eye(2)[np.reshape(actions, (2, 3))])))
    assert gaps.welfare_lower.value == pytest.approx(max(worths) - joint, abs=2e-6)


def test_the_local_bracket_holds_the_best_of_all_policies(small_game, gaps):
    env, global_policy, local_policy, k = small_game
    problem = deviator_mdp(env, global_policy, local_policy, k, "team")

    def earned(policy):
        return joint_start(env) @ policy_value(*problem, env.gamma, deviation_law(env, policy))

    present = earned(local_policy)
    every = itertools.product(range(2), repeat=6)
    best = max(earned(np.eye(2)[np.reshape(actions, (2, 3))]) for actions in every) - present
    assert gaps.local_upper.value == pytest.approx(solved(env, *problem) - present, abs=2e-6)
    assert 0.7 * best <= gaps.local_lower.value <= best + 2e-6


def test_the_surrogate_gap_says_that_it_is_about_classes(small_game, gaps):
    *_, k = small_game
    of = f"V* - V of pi_g in the surrogate MDP of {k} agents in 2 classes, weighed as the pair is there"
    assert gaps.surrogate.of == of
    assert gaps.surrogate.value >= -gaps.surrogate.error


def lumped_pair():
    """A game of two states, and one in which each is split into two that move and earn alike; a pair of each."""
    rng = np.random.default_rng(3)
    env = random_environment(rng, n_local_states=2, n_agents=4, concentration=0.5)
    shares = rng.uniform(0.2, 0.8, size=2)
    parts = np.concatenate([np.diag(shares), np.diag(1 - shares)], axis=1)  # (2, 4): a state by where in its class
    split = dataclasses.replace(
        env,
        transition_local=np.concatenate([env.transition_local] * 2, axis=1) @ parts,
        reward_local=np.concatenate([env.reward_local] * 2, axis=1),
        initial_local_concentration=env.initial_local_concentration @ parts,
        observation=[0, 1, 0, 1],
    )
    policy = random_local_policy(rng, env)
    return env, split, random_global_policy(rng, env, 2), policy, np.concatenate([policy] * 2, axis=1)


def test_states_that_are_all_the_same_are_as_good_as_one():
    env, split, global_policy, policy, split_policy = lumped_pair()
    one = dm.nash_gap(env, global_policy, policy, k=2)
    many = dm.nash_gap(split, global_policy, split_policy, k=2, max_enumerated=0, n_starts=1)
    for name in ("joint_value", "surrogate", "global_lower", "global_upper", "local_upper"):
        assert getattr(many, name).value == pytest.approx(getattr(one, name).value, abs=4e-6), name
    # Negative control: where the states of a class earn differently, they are not.
    other = dataclasses.replace(split, reward_local=split.reward_local + np.array([0, 0, 1.0, 0])[:, None])
    apart = dm.nash_gap(other, global_policy, split_policy, k=2, max_enumerated=0, n_starts=1)
    assert abs(apart.joint_value.value - one.joint_value.value) > 0.01


def test_estimates_agree_with_exact_gaps(small_game, gaps):
    *game, k = small_game
    estimate = dm.nash_gap(*game, k=k, method="estimate", n_rollouts=1500, seed=1)
    for name in ("joint_value", "global_lower", "local_lower"):
        found, expected = getattr(estimate, name), getattr(gaps, name)
        assert abs(found.value - expected.value) < 2 * found.error + 3e-3 * abs(expected.value) + 1e-6, name
    assert estimate.surrogate == gaps.surrogate
    assert estimate.global_lower.value <= estimate.global_upper.value + estimate.global_upper.error


def test_policies_that_draw_their_actions_have_the_same_gaps_where_they_are_sure(small_game, gaps):
    env, global_policy, local_policy, k = small_game
    found = dm.nash_gap(env, np.eye(2)[global_policy], local_policy, k=k, max_enumerated=100)
    for name in ("joint_value", "surrogate", "global_lower", "local_lower", "local_upper"):
        assert getattr(found, name).value == pytest.approx(getattr(gaps, name).value, abs=1e-6), name


def test_many_agents_in_many_states_have_estimates():
    env = line_game(n_agents=500, n_states=40)
    rng = np.random.default_rng(0)
    pair = random_global_policy(rng, env, 10), random_local_policy(rng, env)
    with pytest.raises(InvalidArgumentError, match=r"^n_agents: 500 agents in 40 local states.* exact gaps"):
        dm.nash_gap(env, *pair, k=10)
    found = dm.nash_gap(env, *pair, k=10, method="estimate", n_rollouts=200, horizon=15, tolerance=1e-3)
    for name in ("joint_value", "surrogate", "global_lower", "global_upper", "local_lower", "welfare_upper"):
        assert getattr(found, name).value is not None, name
    assert found.global_lower.value > 2 * found.global_lower.error > 0
    assert found.local_lower.value > 0 < found.local_lower.error
    for name in ("local_upper", "welfare_lower"):
        assert "needs exact values over all count vectors of the population" in getattr(found, name).reason


def test_deviations_are_functions_of_what_is_seen(small_game):
    env, global_policy, local_policy, k = small_game
    seen, policy = game_that_is_seen(env, global_policy, local_policy, k=k)
    assert (seen.n_local_states, seen.n_local_actions, policy.shape) == (2, 1, (2, 2, 1))
    assert solve_surrogate(seen, policy, k=k, tolerance=1e-6).policy.shape == global_policy.shape
    whole = env.with_states_seen()
    assert game_that_is_seen(whole, random_global_policy(np.random.default_rng(0), whole, k), local_policy, k=k) == (
        whole,
        local_policy,
    )


def test_classes_are_weighed_by_what_is_drawn_as_often_as_it_is(small_game):
    env, global_policy, local_policy, k = small_game
    at_random = np.full((*global_policy.shape, 2), 0.5)
    seen, _ = game_that_is_seen(env, at_random, local_policy, k=k)
    expected, _ = game_of_classes(env, local_policy, occupancy_of(env, local_policy))
    np.testing.assert_allclose(seen.transition_local, expected.transition_local, atol=1e-12)
    others = others_given_global(env, at_random, local_policy, k=k)
    np.testing.assert_allclose(env.observed(others), mean_field_given_global(env, at_random, local_policy, k=k))
    # Negative control: its likeliest actions alone would weigh the classes otherwise.
    likeliest, _ = game_that_is_seen(env, at_random.argmax(axis=2), local_policy, k=k)
    assert np.abs(likeliest.transition_local - expected.transition_local).max() > 1e-4


@pytest.mark.parametrize("method", ["exact", "rollouts"])
def test_full_information_sees_states_behind_classes(small_game, method):
    env, _, local_policy, k = small_game
    options = Evaluation(method=method, n_rollouts=4000, horizon=90)
    pair = baseline_pair(
        env, local_policy, "full_information", k=k, evaluation=options, seed=0, global_agent=GlobalAgent()
    )
    (worth,) = evaluate_baseline(env, pair, evaluation=options, seeds=[0], tolerance=1e-6)
    best = solved(env, *dispatcher_mdp(env, local_policy))
    assert abs(worth.value - best) < 4 * worth.error + 1e-3 * abs(best) + 1e-3
