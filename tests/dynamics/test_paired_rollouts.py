from __future__ import annotations

import numpy as np
import pytest

from distmarl import evaluate, robots, uniform_local_policy
from distmarl.dynamics.paired_rollouts import run_paired_rollouts
from tests.equilibrium.labelled_agents import deviation_law, deviator_mdp, joint_start
from tests.reference import standard_errors_from
from tests.strategies import random_environment, random_global_policy, random_local_policy

HORIZON = 6


@pytest.fixture(params=["states", "classes", "many states"])
def game(request, monkeypatch):
    """A game of 4 agents of which 2 are seen, two global policies and two local ones."""
    if request.param == "many states":
        monkeypatch.setattr("distmarl.dynamics.drawing.FEW_STATES", 0)
    rng = np.random.default_rng(0)
    seen = {"observation": [1, 0, 1], "n_parts": 2} if request.param == "classes" else {}
    env = random_environment(rng, n_agents=4, **seen)
    global_policies = random_global_policy(rng, env, 2), random_global_policy(rng, env, 2)
    return env, global_policies, (random_local_policy(rng, env), random_local_policy(rng, env))


def truncated_value(env, global_policy, local_policy, own_policy, utility):
    """What labelled agents earn over the horizon when the first of them follows a policy of its own."""
    rewards, moves = deviator_mdp(env, global_policy, local_policy, 2, utility)
    law = deviation_law(env, own_policy)
    value = np.zeros(len(rewards))
    for _ in range(HORIZON):
        value = (law * (rewards + env.gamma * moves @ value)).sum(axis=1)
    return joint_start(env) @ value


def simulate(env, local_policy, global_policies, own_policies, seed=0, n_rollouts=20_000, horizon=HORIZON, k=2):
    return run_paired_rollouts(
        env,
        local_policy,
        global_policies,
        own_policies,
        k=k,
        n_rollouts=n_rollouts,
        horizon=horizon,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("who", ["global agent", "local agent", "both"])
def test_each_world_has_the_law_of_the_game(game, who):
    env, (first, second), (common, other) = game
    global_policies = (first, first if who == "local agent" else second)
    own_policies = (common, common if who == "global agent" else other)
    found = simulate(env, common, global_policies, own_policies)
    for utility in ("team", "own"):
        for world in range(2):
            expected = truncated_value(env, global_policies[world], common, own_policies[world], utility)
            assert standard_errors_from(getattr(found, utility)[world], expected) < 4
    # Negative control: one world is not the other.
    expected = truncated_value(env, global_policies[0], common, own_policies[0], "team")
    assert standard_errors_from(found.team[1], expected) > 4


def test_worlds_are_the_same_where_nobody_deviates(game):
    env, (policy, _), (common, _) = game
    found = simulate(env, common, (policy, policy), (common, common), n_rollouts=500, horizon=30)
    np.testing.assert_array_equal(found.team[0], found.team[1])
    np.testing.assert_array_equal(found.own[0], found.own[1])
    assert np.unique(found.team[0]).size > 400


def test_differences_are_far_less_noisy_than_returns():
    env = robots(n_agents=1000)
    common = uniform_local_policy(env)
    policy = np.zeros((5, 15), dtype=int)
    upwards = np.zeros_like(common)
    upwards[..., 1] = 1.0
    other = np.where(np.random.default_rng(0).random(policy.shape) < 0.05, 1, policy)
    by_local = simulate(env, common, (policy, policy), (common, upwards), n_rollouts=400, horizon=40)
    by_global = simulate(env, common, (policy, other), (common, common), n_rollouts=400, horizon=40)
    for found, share in ((by_local, 0.01), (by_global, 0.7)):
        apart = found.team[1] - found.team[0]
        assert 0 < apart.std() < share * found.team[0].std()


def test_returns_scatter_like_those_of_plain_rollouts_less_the_noise_of_actions(game):
    env, (policy, _), (common, _) = game
    paired = simulate(env, common, (policy, policy), (common, common)).team[0]
    plain = evaluate(env, policy, common, k=2, n_rollouts=20_000, horizon=HORIZON).returns
    assert paired.mean() == pytest.approx(plain.mean(), abs=4 * plain.std() * np.sqrt(2 / 20_000))
    assert 0.5 * plain.std() < paired.std() < plain.std()


@pytest.mark.parametrize("n_agents", [1, 2])
def test_few_agents_are_enough(n_agents):
    rng = np.random.default_rng(n_agents)
    env = random_environment(rng, n_agents=n_agents)
    pair = random_global_policy(rng, env, 1), random_local_policy(rng, env)
    found = simulate(env, pair[1], (pair[0],) * 2, (pair[1],) * 2, k=1, n_rollouts=4000)
    plain = evaluate(env, *pair, k=1, n_rollouts=4000, horizon=HORIZON).returns
    assert found.team[0].mean() == pytest.approx(plain.mean(), abs=4 * plain.std() * np.sqrt(2 / 4000))
