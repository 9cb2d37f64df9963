from __future__ import annotations

import math

import numpy as np
import pytest

from distmarl import robots
from distmarl.errors import InvalidEnvironmentError

STAY, UP, DOWN = range(3)


def softmax_entry(logits, index):
    weights = [math.exp(logit) for logit in logits]
    return weights[index] / sum(weights)


def ring_distance(first, second, zones):
    return min((first - second) % zones, (second - first) % zones)


@pytest.mark.parametrize("zones", [1, 2, 3, 5, 6])
def test_global_transitions_have_their_closed_form(zones):
    env = robots(n_global_states=zones, n_local_states=zones, n_global_actions=zones)
    for s_g, a_g, next_s_g in np.ndindex(zones, zones, zones):
        logits = [0.1 + 3.0 * (zone == a_g) + 0.5 * (zone == s_g) for zone in range(zones)]
        expected = softmax_entry(logits, next_s_g)
        assert env.transition_global[s_g, a_g, next_s_g] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("zones", [1, 2, 3, 5, 6])
def test_local_transitions_have_their_closed_form(zones):
    env = robots(n_global_states=zones, n_local_states=zones, n_global_actions=zones)
    for s_g, s_l, a_l, next_s_l in np.ndindex(zones, zones, 3, zones):
        target = {STAY: None, UP: (s_l + 1) % zones, DOWN: (s_l - 1) % zones}[a_l]
        logits = [0.1 + 3.5 * (zone == s_l) + 1.5 * (zone == target) + 0.3 * (zone == s_g) for zone in range(zones)]
        expected = softmax_entry(logits, next_s_l)
        assert env.transition_local[s_g, s_l, a_l, next_s_l] == pytest.approx(expected, rel=1e-14)


def test_one_entry_of_each_table_worked_by_hand():
    env = robots()
    # From zone 1 towards zone 3: logits 0.1, 0.6, 0.1, 3.1, 0.1.
    total = 3 * math.exp(0.1) + math.exp(0.6) + math.exp(3.1)
    assert env.transition_global[1, 3, 3] == pytest.approx(math.exp(3.1) / total, rel=1e-14)
    # A robot in zone 4 goes up, round the ring to zone 0, where the coordinator is: logits 1.9, 0.1, 0.1, 0.1, 3.6.
    total = math.exp(1.9) + 3 * math.exp(0.1) + math.exp(3.6)
    assert env.transition_local[0, 4, UP, 0] == pytest.approx(math.exp(1.9) / total, rel=1e-14)
    # A robot in zone 0 goes down, to zone 4.
    assert env.transition_local[2, 0, DOWN, 4] > env.transition_local[2, 0, DOWN, 1]
    assert env.reward_local[0, 4, UP] == 2.0 / 2 + 0.5
    assert env.reward_local[0, 2, DOWN] == pytest.approx(2.0 / 3 - 0.3, rel=1e-15)
    assert env.reward_local[3, 3, STAY] == 10.0


@pytest.mark.parametrize("zones", [1, 2, 5, 6])
def test_local_rewards_fall_with_the_distance_on_the_ring(zones):
    env = robots(n_global_states=zones, n_local_states=zones, n_global_actions=zones)
    for s_g, s_l, a_l in np.ndindex(zones, zones, 3):
        distance = ring_distance(s_g, s_l, zones)
        expected = (10.0 if distance == 0 else 2.0 / (1.0 + distance)) + (0.0, 0.5, -0.3)[a_l]
        assert env.reward_local[s_g, s_l, a_l] == pytest.approx(expected, rel=1e-15)


def test_the_global_reward_is_flat_or_the_papers():
    np.testing.assert_array_equal(robots().reward_global, np.ones((5, 5)))
    paper = robots(reward_global="paper").reward_global
    for s_g, a_g in np.ndindex(5, 5):
        assert paper[s_g, a_g] == 4 - abs(s_g - a_g)
    smaller = robots(n_global_states=3, n_local_states=3, n_global_actions=3, reward_global="paper").reward_global
    np.testing.assert_array_equal(smaller, [[2, 1, 0], [1, 2, 1], [0, 1, 2]])


def test_defaults_are_the_published_ones():
    env = robots()
    assert (env.n_agents, env.gamma) == (30, 0.95)
    assert (env.n_global_states, env.n_local_states, env.n_global_actions, env.n_local_actions) == (5, 5, 5, 3)
    np.testing.assert_allclose(env.initial_global, 0.2, rtol=1e-15)
    np.testing.assert_array_equal(env.initial_local_concentration, np.full(5, 0.3))


def test_parameters_reach_the_game():
    env = robots(n_agents=1000, gamma=0.5)
    assert (env.n_agents, env.gamma) == (1000, 0.5)


@pytest.mark.parametrize("n_local_actions", [1, 2, 3])
def test_fewer_local_actions_are_the_first_ones(n_local_actions):
    env = robots(n_local_actions=n_local_actions)
    full = robots()
    np.testing.assert_array_equal(env.transition_local, full.transition_local[:, :, :n_local_actions])
    np.testing.assert_array_equal(env.reward_local, full.reward_local[:, :, :n_local_actions])


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_global_states": 4},
        {"n_local_states": 6},
        {"n_global_actions": 3},
        {"n_global_states": 0, "n_local_states": 0, "n_global_actions": 0},
        {"n_global_states": 201, "n_local_states": 201, "n_global_actions": 201},
    ],
)
def test_sizes_that_differ_or_are_empty_are_refused(sizes):
    full = {"n_global_states": 5, "n_local_states": 5, "n_global_actions": 5} | sizes
    got = "{n_global_states}, {n_local_states} and {n_global_actions}".format(**full)
    with pytest.raises(InvalidEnvironmentError, match=f"must be equal, at least 1 and at most 200, got {got}$"):
        robots(**sizes)


@pytest.mark.parametrize("n_local_actions", [0, 4, -1])
def test_impossible_numbers_of_local_actions_are_refused(n_local_actions):
    with pytest.raises(InvalidEnvironmentError, match=f"n_local_actions: must be 1, 2 or 3, got {n_local_actions}"):
        robots(n_local_actions=n_local_actions)


def test_an_unknown_global_reward_is_refused():
    with pytest.raises(InvalidEnvironmentError, match="reward_global: must be 'flat' or 'paper', got 'steep'"):
        robots(reward_global="steep")


@pytest.mark.parametrize("bad", [{"n_agents": 0}, {"gamma": 1.0}])
def test_what_the_environment_refuses_robots_refuse(bad):
    with pytest.raises(InvalidEnvironmentError):
        robots(**bad)
