from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from quantecon.markov import DiscreteDP

from distmarl.equilibrium.welfare import best_answer, best_deterministic, best_of_alternations, n_deterministic_policies
from tests.equilibrium.hand_made import stag_hunt
from tests.equilibrium.labelled_agents import dispatcher_mdp, joint_start
from tests.strategies import random_environment, random_local_policy


def labelled_worth(env, local_policy):
    """What a local policy earns with the best global policy that sees all labelled agents."""
    mdp = DiscreteDP(*dispatcher_mdp(env, local_policy), env.gamma)
    return joint_start(env) @ mdp.solve(method="policy_iteration").v


def deterministic(env, actions):
    return np.eye(env.n_local_actions)[np.reshape(actions, env.reward_local.shape[:2])]


def labelled_worths(env):
    n_choices = env.n_global_states * env.n_local_states
    every = itertools.product(range(env.n_local_actions), repeat=n_choices)
    return [labelled_worth(env, deterministic(env, actions)) for actions in every]


@pytest.mark.parametrize("seed", range(4))
def test_a_local_policy_is_worth_what_it_earns_with_the_best_dispatcher(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_agents=3, n_local_states=2)
    local_policy = random_local_policy(rng, env)
    found = best_answer(env, local_policy, tolerance=1e-9).worth
    assert found.value == pytest.approx(labelled_worth(env, local_policy), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_enumeration_finds_the_best_of_all_deterministic_policies(seed):
    env = random_environment(np.random.default_rng(seed), n_agents=2, n_local_states=2, concentration=0.3)
    worths = labelled_worths(env)
    assert len(worths) == n_deterministic_policies(env) == 16
    found = best_deterministic(env, tolerance=1e-8)
    assert found.value == pytest.approx(max(worths), abs=1e-7)
    assert found.value > sorted(worths)[-2] - 1e-7
    assert found.bound < 1.1e-8


def test_policies_that_a_rough_look_cannot_tell_apart_are_looked_at_again():
    env = random_environment(np.random.default_rng(0), n_agents=2, n_local_states=2)
    rewards = np.concatenate([env.reward_global, np.full((2, 1), -1e5)], axis=1)
    moves = np.concatenate([env.transition_global, env.transition_global[:, :1]], axis=1)
    costly = dataclasses.replace(env, reward_global=rewards, transition_global=moves)
    plain, found = (best_deterministic(game, tolerance=1e-7) for game in (env, costly))
    assert found.value == pytest.approx(plain.value, abs=2e-7)
    assert found.bound < 1.1e-7


@pytest.mark.parametrize("seed", range(3))
def test_alternations_find_a_real_pair_and_never_more_than_the_best(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_agents=2, n_local_states=2, concentration=0.3)
    start = random_local_policy(rng, env)
    worths = [*labelled_worths(env), labelled_worth(env, start)]
    found = best_of_alternations(env, start, tolerance=1e-8, n_starts=3, seed=0).value
    assert min(abs(found - worth) for worth in worths) < 1e-7
    assert labelled_worth(env, start) - 1e-7 <= found <= max(worths) + 1e-7


def test_more_starts_find_the_better_equilibrium():
    env = stag_hunt()
    hare = deterministic(env, [0, 0, 0, 0])
    few = best_of_alternations(env, hare, tolerance=1e-8, n_starts=2, seed=0).value
    many = best_of_alternations(env, hare, tolerance=1e-8, n_starts=12, seed=0).value
    best = best_deterministic(env, tolerance=1e-8).value
    assert few == pytest.approx(labelled_worth(env, hare), abs=1e-7)
    assert many == pytest.approx(best, abs=1e-7)
    assert best - few == pytest.approx(9.0, abs=1e-7)


def test_starts_are_drawn_from_the_seed():
    env = stag_hunt()
    hare = deterministic(env, [0, 0, 0, 0])
    found = {seed: best_of_alternations(env, hare, tolerance=1e-8, n_starts=3, seed=seed).value for seed in range(8)}
    assert len(set(found.values())) > 2
    assert best_of_alternations(env, hare, tolerance=1e-8, n_starts=3, seed=5).value == found[5]
