from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from quantecon.markov import DiscreteDP

from distmarl import exact_return
from distmarl.dynamics.population import global_action_law
from distmarl.equilibrium.deviator import DeviatorChain, deviator_bytes
from distmarl.values.value_iteration import ValueIterationResult
from tests.equilibrium.labelled_agents import deviation_law, deviator_mdp, joint_start, policy_value
from tests.reference import action_values, enumerate_counts
from tests.strategies import random_environment, random_global_policy, random_local_policy, random_rows

UTILITIES = ("own", "team")
# n_agents, n_local_states, k
SIZES = [(1, 2, 1), (2, 2, 1), (2, 3, 2), (3, 3, 1), (3, 2, 2), (4, 2, 3), (4, 1, 2)]


def draw_game(seed, n_agents=3, n_local_states=2, k=2, **sizes):
    """A random game, a pair of policies, and the policy of a deviator."""
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_agents=n_agents, n_local_states=n_local_states, **sizes)
    return env, random_global_policy(rng, env, k), random_local_policy(rng, env), random_local_policy(rng, env)


def chain_of(env, global_policy, local_policy, k, utility, tolerance=1e-9):
    law = global_action_law(env, global_policy, k=k)
    return DeviatorChain(env, law, local_policy, utility=utility, tolerance=tolerance)


@pytest.mark.parametrize("utility", UTILITIES)
@pytest.mark.parametrize(("n_agents", "n_local_states", "k"), SIZES)
def test_deviations_earn_what_they_earn_among_labelled_agents(n_agents, n_local_states, k, utility):
    env, global_policy, local_policy, deviation = draw_game(n_agents, n_agents, n_local_states, k)
    found = chain_of(env, global_policy, local_policy, k, utility).evaluate(deviation)
    rewards, moves = deviator_mdp(env, global_policy, local_policy, k, utility)
    expected = joint_start(env) @ policy_value(rewards, moves, env.gamma, deviation_law(env, deviation))
    assert found.bound < 1.01e-9
    assert found.value == pytest.approx(expected, rel=0, abs=found.bound + 1e-11)


@pytest.mark.parametrize("utility", UTILITIES)
@pytest.mark.parametrize(("n_agents", "n_local_states", "k"), SIZES)
def test_the_best_deviation_is_an_independent_solvers(n_agents, n_local_states, k, utility):
    env, global_policy, local_policy, _ = draw_game(n_agents + 10, n_agents, n_local_states, k)
    chain = chain_of(env, global_policy, local_policy, k, utility)
    found = chain.at_start(chain.solve())
    mdp = DiscreteDP(*deviator_mdp(env, global_policy, local_policy, k, utility), env.gamma)
    expected = joint_start(env) @ mdp.solve(method="policy_iteration").v
    assert found.value == pytest.approx(expected, rel=0, abs=found.bound + 1e-10)


def test_another_utility_another_start_and_another_law_fail_the_same_check():
    env, global_policy, local_policy, deviation = draw_game(0)
    law = deviation_law(env, deviation)

    def labelled(start, policy, utility):
        rewards, moves = deviator_mdp(env, policy, local_policy, 2, utility)
        return start @ policy_value(rewards, moves, env.gamma, law)

    found = chain_of(env, global_policy, local_policy, 2, "team").evaluate(deviation).value
    start = joint_start(env)
    assert found == pytest.approx(labelled(start, global_policy, "team"), abs=1e-8)
    for other in (
        labelled(start, global_policy, "own"),
        labelled(np.full(len(start), 1 / len(start)), global_policy, "team"),
        labelled(start, 1 - global_policy, "team"),
    ):
        assert abs(found - other) > 1e-3


@pytest.mark.parametrize("utility", UTILITIES)
def test_who_keeps_the_common_policy_earns_what_all_earn_on_average(utility):
    env, global_policy, local_policy, _ = draw_game(3, n_agents=9, n_local_states=3, k=4, n_global_states=3)
    found = chain_of(env, global_policy, local_policy, 4, utility).evaluate(local_policy)
    if utility == "own":
        env = dataclasses.replace(env, reward_global=np.zeros_like(env.reward_global))
    assert found.value == pytest.approx(exact_return(env, global_policy, local_policy, k=4).value, abs=2e-8)


def test_action_values_are_averaged_with_the_weights():
    env, global_policy, local_policy, _ = draw_game(5, n_agents=3, n_local_states=2, k=1)
    chain = chain_of(env, global_policy, local_policy, 1, "team")
    best = chain.solve()
    others = enumerate_counts(2, 2)
    weights = random_rows(np.random.default_rng(0), (2, len(others)))
    rewards, moves = deviator_mdp(env, global_policy, local_policy, 1, "team")
    q = action_values(rewards, moves, env.gamma, DiscreteDP(rewards, moves, env.gamma).solve("policy_iteration").v)
    q = q.reshape(2, 2, 2, 2, 2)  # s_g, s_0, s_1, s_2, a_0
    expected = np.zeros((2, 2, 2))
    for number, (first, second) in enumerate(others):
        arranged = [0] * first + [1] * second
        expected += weights[:, number, None, None] * q[:, :, arranged[0], arranged[1]]
    averaged = chain.averaged_action_values(best, weights)
    np.testing.assert_allclose(averaged, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("n_agents", [12, 30])
def test_the_memory_that_is_stated_is_about_what_is_taken(n_agents):
    sizes = {"n_local_states": 4, "n_global_states": 3}
    env, global_policy, local_policy, _ = draw_game(0, n_agents, k=2, **sizes)
    chain_of(env, global_policy, local_policy, 2, "team", tolerance=1.0)  # fills the caches
    tracemalloc.start()
    result = chain_of(env, global_policy, local_policy, 2, "team", tolerance=1e-6).solve()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(result, ValueIterationResult)
    assert 0.5 < deviator_bytes(env) / peak < 2.0
