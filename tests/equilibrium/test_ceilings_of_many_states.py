"""What nobody earns more than in games of many local states, whatever the global agent sees of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import distmarl as dm
from distmarl.dynamics.transitions import exact
from distmarl.equilibrium.ceilings import joint, prescriptions, sizes
from distmarl.equilibrium.ceilings.gains import most_by_global_agent
from distmarl.equilibrium.ceilings.joint import JointControl
from distmarl.equilibrium.quantity import Quantity
from distmarl.errors import InvalidArgumentError
from tests.line_game import line_game
from tests.reference import solve_mdp
from tests.strategies import random_environment, random_global_policy, random_local_policy


@pytest.fixture(scope="module")
def line():
    """A game of 500 agents in 81 states, of which 3 classes are seen, and a local policy."""
    env = line_game(n_agents=500, n_states=81)
    return env, random_local_policy(np.random.default_rng(0), env)


def test_one_agent_of_many_states_is_bounded_by_its_own_optimum(line):
    env, policy = line
    n_global, n_states, n_actions = env.reward_local.shape
    pairs = [(a_g, a_l) for a_g in range(env.n_global_actions) for a_l in range(n_actions)]
    rewards = np.array(
        [
            [env.reward_global[g, a] + env.reward_local[g, s, b] for a, b in pairs]
            for g, s in np.ndindex(n_global, n_states)
        ]
    )
    moves = np.array(
        [
            [np.outer(env.transition_global[g, a], env.transition_local[g, s, b]).ravel() for a, b in pairs]
            for g, s in np.ndindex(n_global, n_states)
        ]
    )
    start = np.outer(env.initial_global, env.initial_local_weights).ravel()
    found = dm.value_bound(env, m=1)
    assert (found.method, found.m) == ("joint", 1)
    assert abs(found.value - start @ solve_mdp(rewards, moves, env.gamma)) <= found.error + 1e-8
    # Two agents do no better, and no global policy does against a given local one.
    assert dm.value_bound(env, local_policy=policy, m=1).value < found.ceiling
    assert dm.value_bound(env, local_policy=policy, m=2).value < dm.value_bound(env, local_policy=policy, m=1).ceiling


def test_what_is_seen_changes_no_ceiling(line):
    env, policy = line
    seeing = env.with_states_seen()
    assert seeing.sees_states
    for options in ({}, {"local_policy": policy}, {"local_policy": policy, "horizon": 5}):
        assert dm.value_bound(env, m=1, **options) == dm.value_bound(seeing, m=1, **options)


@pytest.mark.parametrize("seed", range(3))
def test_no_pair_on_classes_earns_more(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_local_states=4, n_agents=4, observation=[0, 1, 1, 0], n_parts=2, concentration=0.3)
    global_policy, policy = random_global_policy(rng, env, 2), random_local_policy(rng, env)
    earned = dm.exact_return(env, global_policy, policy, k=2)
    for m in range(1, 5):
        for options in ({}, {"local_policy": policy}):
            assert earned.value - earned.bound <= dm.value_bound(env, m=m, **options).ceiling


def test_sizes_are_what_takes_seconds(line):
    env, policy = line
    assert sizes.largest_that_fits(env, "answer", None) == 2
    assert sizes.largest_that_fits(env, "prescriptions", None) is None
    assert sizes.n_vectors(env, "answer", 2) == 81**2
    assert dm.value_bound(env, max_vectors=200).m == 1
    with pytest.raises(
        InvalidArgumentError, match=r"^m: the game of 10 agents would take .* the largest m that fits is"
    ):
        dm.value_bound(env, local_policy=policy, m=10)
    with pytest.raises(InvalidArgumentError, match=r"^m: the game of 1 agents would take .*; no m fits"):
        dm.value_bound(env, m=1, method="prescriptions")


def test_neither_prescriptions_nor_factors_are_tried(line, monkeypatch):
    env, policy = line

    def refuse(*_, **__):
        raise AssertionError("tried")

    monkeypatch.setattr(exact, "precise_moves", refuse)
    monkeypatch.setattr(prescriptions.PrescriptionControl, "__init__", refuse)
    dm.value_bound(env, m=1)
    dm.value_bound(env, local_policy=policy)


def test_states_out_of_reach_are_left_out_of_no_mean(monkeypatch):
    env = dataclasses.replace(line_game(n_agents=2), observation=None)
    value = np.random.default_rng(0).normal(size=(78, 2))
    image = JointControl(env).backup(value)
    monkeypatch.setattr(joint, "MIN_STATES", 100)
    np.testing.assert_allclose(JointControl(env).backup(value), image, rtol=0, atol=1e-13)


def test_a_ceiling_of_fewer_agents_than_are_seen_is_better_than_none(line):
    env, policy = line
    present = Quantity(1.0, 0.1, "estimate", "J")
    found = most_by_global_agent(env, policy, present, k=20, horizon=5, kind="upper bound", of="gain")
    assert found.value is not None
    assert found.of.endswith("by the optimum of 2 agents")
