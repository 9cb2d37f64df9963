"""Pairs whose global agent sees nobody."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best import blind
from distmarl.learning.best.blind import blind_answer, blind_pair, blind_return
from tests import reference
from tests.equilibrium.hand_made import followers
from tests.strategies import DETERMINISTIC, FEW, environments, random_environment, random_local_policy


def best_by_brute_force(env):
    """The value of the best answer to each a(s_g), by an independent solver, over all of them."""
    shares = env.initial_local_concentration / env.initial_local_concentration.sum()
    start = np.outer(env.initial_global, shares).ravel()
    worths = {}
    for actions in itertools.product(range(env.n_global_actions), repeat=env.n_global_states):
        states = np.arange(env.n_global_states)
        rewards, moves = reference.local_mdp(env, env.transition_global[states, actions])
        of_global = np.repeat(env.reward_global[states, actions], env.n_local_states)
        worths[actions] = start @ reference.solve_mdp(rewards + of_global[:, None], moves, env.gamma)
    return worths


def as_policy(env, actions):
    """a(s_g) as a policy that sees one agent, (G, L)."""
    return np.repeat(np.asarray(actions)[:, None], env.n_local_states, axis=1)


@DETERMINISTIC
@given(environments())
def test_the_blind_pair_is_the_best_of_all(env):
    worths = best_by_brute_force(env)
    found = blind_pair(env)
    assert found.is_best
    assert found.value == pytest.approx(max(worths.values()), abs=1e-8)
    assert worths[tuple(found.global_actions.tolist())] == pytest.approx(found.value, abs=1e-8)


@FEW
@given(environments())
def test_what_it_earns_is_what_any_number_of_agents_earns(env):
    found = blind_pair(env)
    pair = (as_policy(env, found.global_actions), found.local_policy)
    for n_agents in (1, env.n_agents):
        crowd = dataclasses.replace(env, n_agents=n_agents)
        exact = dm.exact_return(crowd, *pair, k=1)
        assert abs(exact.value - found.value) <= exact.bound + found.worth.bound
        slowly = reference.exact_return(crowd, *pair, k=1, horizon=4)
        within = blind_return(crowd, found.global_actions, found.local_policy, horizon=4)
        assert within.value == pytest.approx(slowly, abs=1e-9)


def test_agents_simulated_one_by_one_earn_as_much_and_late_ones_do_not():
    # The global state changes sides, so local agents had better go where it is not.
    changes, follows = np.array([[0.1, 0.9], [0.9, 0.1]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    env = dm.Environment(
        transition_global=np.stack([changes, np.full((2, 2), 0.5)], axis=1),
        transition_local=np.stack([follows, follows[::-1]], axis=1)[:, None].repeat(2, axis=1),
        reward_global=np.array([[0.0, -1.0], [0.0, -1.0]]),
        reward_local=np.eye(2)[:, :, None].repeat(2, axis=2),
        n_agents=3,
        gamma=0.8,
    )
    found = blind_pair(env)
    exact = blind_return(env, found.global_actions, found.local_policy, horizon=12)
    apart = {}
    for late in (False, True):
        returns, _ = reference.simulate_agents(
            env,
            as_policy(env, found.global_actions),
            found.local_policy,
            k=1,
            n_rollouts=1000,
            horizon=12,
            rng=np.random.default_rng(1),
            late_locals=late,
        )
        apart[late] = reference.standard_errors_from(returns, exact.value)
    assert apart[False] < 4 < apart[True]


def test_the_search_finds_the_best_where_looking_at_all_is_too_much(monkeypatch):
    rng = np.random.default_rng(0)
    games = [random_environment(rng, n_global_states=3, n_global_actions=3, concentration=0.3) for _ in range(12)]
    best = [blind_pair(env).value for env in games]
    monkeypatch.setattr(blind, "MAX_ENUMERATED", 0)
    found = [blind_pair(env) for env in games]
    assert not any(pair.is_best for pair in found)
    gaps = [value - pair.value for value, pair in zip(best, found, strict=True)]
    assert min(gaps) >= -1e-9
    assert sum(gap < 1e-9 for gap in gaps) >= 11


def test_the_search_goes_uphill_by_the_exact_derivative():
    env = random_environment(np.random.default_rng(3), n_global_states=3, n_global_actions=3)
    actions = np.array([0, 2, 1])
    gains, _ = blind._first_order_gains(env, actions)
    policy = blind_answer(env, actions)
    # A global agent that plays another action with a small probability, against the same local policy.
    step = 1e-6
    present = blind_return(env, actions, policy).value
    for s_g, action in np.ndindex(gains.shape):
        moves, rewards = env.transition_global.copy(), env.reward_global.copy()
        moves[s_g, actions[s_g]] += step * (moves[s_g, action] - moves[s_g, actions[s_g]])
        rewards[s_g, actions[s_g]] += step * (rewards[s_g, action] - rewards[s_g, actions[s_g]])
        mixed = dataclasses.replace(env, transition_global=moves, reward_global=rewards)
        assert (blind_return(mixed, actions, policy).value - present) / step == pytest.approx(
            gains[s_g, action], abs=1e-4
        )


def test_the_figures_of_the_robots():
    for n_agents in (30, 1000):
        env = dm.robots(n_agents=n_agents)
        found = blind_pair(env)
        assert found.global_actions.tolist() == [0] * 5
        assert found.value == pytest.approx(111.98, abs=0.005)
        within = blind_return(env, found.global_actions, found.local_policy, horizon=50)
        assert within.value == pytest.approx(102.50, abs=0.005)


def test_a_shepherd_that_stays_needs_no_eyes():
    env = followers()
    found = blind_pair(env)
    assert found.global_actions.tolist() in ([0, 0], [0, 1], [1, 1])
    # Half of the agents are there at first, and all from the next step on.
    assert found.value == pytest.approx(0.5 + 0.9 / 0.1)


@FEW
@given(environments())
def test_a_certified_return_is_one_of_any_local_policy(env):
    rng = np.random.default_rng(2)
    actions = rng.integers(env.n_global_actions, size=env.n_global_states)
    policy = random_local_policy(rng, env)
    found = blind_return(env, actions, policy)
    exact = dm.exact_return(env, as_policy(env, actions), policy, k=1)
    assert abs(found.value - exact.value) <= found.bound + exact.bound


@pytest.mark.parametrize("actions", [[0], [0, 2], [0.0, 1.0], [[0, 1]]])
def test_actions_that_are_none_are_refused(actions):
    with pytest.raises(InvalidArgumentError, match="global_actions: must be"):
        blind_answer(random_environment(np.random.default_rng(0)), actions)
