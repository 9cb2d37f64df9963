from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from distmarl import exact_return, g_learn, robots, uniform_local_policy
from distmarl.learning.best import ascent
from distmarl.learning.best.ascent import SmallGame, ascend, ascent_size
from distmarl.learning.best.starts import start_policy
from tests.strategies import random_environment, random_local_policy


def small_game(seed, n_agents):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_global_states=2, n_local_states=3, n_local_actions=3, n_agents=n_agents)
    return rng, env


@pytest.mark.parametrize(("seed", "n_agents"), [(0, 1), (1, 2), (2, 3)])
def test_what_a_policy_is_worth_is_its_exact_return_with_the_best_answer(seed, n_agents):
    rng, env = small_game(seed, n_agents)
    policy = random_local_policy(rng, env)
    answer = g_learn(env, policy, k=n_agents, transitions="exact").policy
    solved = SmallGame(env, n_agents).solve(policy)
    assert solved.worth == pytest.approx(exact_return(env, answer, policy, k=n_agents).value, abs=1e-6)


def gradient_errors(seed, n_agents, gradient_of, env=None):
    """Differences between directional derivatives by a gradient and by finite differences."""
    rng, random = small_game(seed, n_agents)
    env = random if env is None else env
    game, policy = SmallGame(env, n_agents), random_local_policy(rng, env)
    gradient, step = gradient_of(game, game.solve(policy)), 1e-4
    errors = []
    for _ in range(5):
        direction = rng.normal(size=policy.shape) * policy
        direction -= policy * direction.sum(axis=-1, keepdims=True)  # rows go on to sum to 1
        above, below = (game.solve(policy + sign * step * direction).worth for sign in (1, -1))
        errors.append(abs((above - below) / (2 * step) - (gradient * direction).sum()))
    return errors


@pytest.mark.parametrize(("seed", "n_agents"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_the_gradient_is_that_of_finite_differences(seed, n_agents):
    assert max(gradient_errors(seed, n_agents, SmallGame.gradient)) < 1e-3


def reacting_robots():
    return robots(n_agents=3, n_global_states=3, n_local_states=3, n_global_actions=3)


def test_so_it_is_where_the_global_agent_reacts_to_what_it_sees():
    env = reacting_robots()
    actions = SmallGame(env, 3).solve(uniform_local_policy(env)).global_policy
    assert (actions != actions[:, :1]).any(axis=1).all()
    assert max(gradient_errors(1, 3, SmallGame.gradient, env)) < 1e-3


def test_finite_differences_would_tell_a_gradient_of_another_global_policy():
    def of_one_that_does_not_react(game, solved):
        deaf = np.repeat(solved.global_policy[:, :1], solved.global_policy.shape[1], axis=1)
        return game.gradient(dataclasses.replace(solved, global_policy=deaf))

    assert max(gradient_errors(1, 3, of_one_that_does_not_react, reacting_robots())) > 1e-2


def test_finite_differences_would_tell_a_wrong_gradient():
    def with_later_states(game, solved):
        # As if the agent moved by the next global state's kernel.
        wrong = SmallGame(dataclasses.replace(game.env, transition_local=game.env.transition_local[::-1]), 3)
        return wrong.gradient(solved)

    assert max(gradient_errors(2, 3, with_later_states)) > 1e-2


@pytest.mark.parametrize("seed", range(6))
def test_an_ascent_never_ends_below_its_start(seed):
    rng, env = small_game(seed, 4)
    start = random_local_policy(rng, env) if seed % 2 else start_policy(env, "random 0", seed)
    found = ascend(env, start)
    game = SmallGame(env, found.n_agents)
    assert found.start_value == pytest.approx(game.solve(start).worth, abs=1e-7)
    assert found.value == pytest.approx(game.solve(found.local_policy).worth, abs=1e-7)
    assert found.value >= found.start_value
    assert (found.n_steps == 0) == np.array_equal(found.local_policy, start)
    # At the end no single action helps.
    for s_g, s_l, action in np.ndindex(start.shape):
        changed = found.local_policy.copy()
        changed[s_g, s_l] = np.eye(env.n_local_actions)[action]
        assert game.solve(changed).worth < found.value + 0.05 * abs(found.value)


def test_from_the_uniform_policy_it_climbs_to_the_best_known_pair_of_robots():
    env = robots(n_agents=30)
    found = ascend(env, uniform_local_policy(env))
    assert found.n_agents == 5
    assert found.value == pytest.approx(127.53, abs=0.005)
    assert set(np.unique(found.local_policy)) == {0.0, 1.0}


def test_the_game_that_is_climbed_is_as_large_as_fits(monkeypatch):
    env = robots(n_agents=3)
    assert ascent_size(env) == 3
    monkeypatch.setattr(ascent, "MAX_BYTES", 8 * 5 * 15**2)
    assert ascent_size(env) == 2
    monkeypatch.setattr(ascent, "MAX_BYTES", 1)
    assert ascend(env, uniform_local_policy(env)).n_agents == 1
