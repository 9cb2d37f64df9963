"""Steps of the built-in games, worked out by hand from their equations, and what is known of each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidEnvironmentError
from distmarl.learning.best.starts import start_policy
from tests.strategies import random_local_policy

# Of each game: a row of P_g, a row of P_l, an entry of r_g and one of r_l, each with its index.
BY_HAND = {
    # s_g = 1, a_g = 2 goes to 2, the end; s_l = 1, a_l = 0, s_g = 2 goes to 1 - 2 = -1.
    "formation": [
        ("transition_global", (3, 4), [0, 0, 0, 0, 1]),
        ("transition_local", (4, 2, 1), [1, 0, 0]),
        ("reward_global", (4, 2), 1 + 0.2 + 0.2),
        ("reward_global", (0, 0), 1 + 0.1 + 0.2),
        ("reward_local", (3, 2, 0), (1 - 1) + (0.5 - 0.1) + (0.3 - 0) + 0.2),
        ("reward_local", (4, 0, 1), (1 - 1) + 0.5 + (0.3 - 0.3)),
    ],
    "conventions": [
        ("transition_global", (0, 1), [0.05, 0.95]),
        ("transition_local", (1, 0, 0), [0.95, 0.05]),
        ("reward_global", (1, 0), -0.2),
        ("reward_local", (1, 1, 0), 1.4),
        ("reward_local", (0, 1, 1), 0.6),
    ],
    "congestion": [
        ("transition_global", (0, 1), [0.05, 0.95]),
        ("transition_local", (0, 1, 1), [0.7, 0.3]),
        ("transition_local", (1, 0, 0), [0.9, 0.1]),
        ("reward_global", (0, 1), -0.4),
        ("reward_local", (1, 1, 1), 1.2 - 1.0 - 0.2),
    ],
    "ring": [
        ("transition_global", (3, 1), [0, 1, 0, 0, 0]),
        ("transition_local", (2, 4, 1), [1, 0, 0, 0, 0]),
        ("reward_global", (3, 1), 0),
        ("reward_local", (2, 2, 1), 0.95),
    ],
    "observable": [
        ("transition_global", (3, 1), [0.9, 0, 0, 0.1]),
        ("transition_local", (0, 2, 1), [0.05, 0.85, 0.05, 0.05]),
        ("reward_global", (2, 1), -0.3),
        ("reward_local", (2, 2, 1), 1.5 - 0.2),
        ("reward_local", (2, 1, 1), -0.2),
    ],
    # Large steps, no waiting: s_g = 2. Progress 1, drifted (s_l = 3), two passes: they arrive with probability 0.6, and
    # then bring progress with min(1, 0.6 * 2) / 2 = 0.5; else it is forgotten with 0.1. Drift ends with 0.7 / 2.
    "federated": [
        ("transition_global", (2, 1), [0, 1, 0, 0]),
        (
            "transition_local",
            (2, 3, 2),
            [0.4 * 0.1 * 0.35, 0.4 * 0.1 * 0.65, 0.66 * 0.35, 0.66 * 0.65, 0.6 * 0.5 * 0.35, 0.6 * 0.5 * 0.65],
        ),
        # Small steps, waiting: two passes succeed with 0.6 * 0.5 * 2, and lead to drift with 0.3 * 0.5.
        ("transition_local", (1, 0, 2), [0.4 * 0.85, 0.4 * 0.15, 0.6 * 0.85, 0.6 * 0.15, 0, 0]),
        ("reward_global", (3, 0), -0.2),
        ("reward_global", (2, 3), 0),
        ("reward_local", (2, 3, 2), 0.5 - 0.5 - 0.2),
    ],
    # s_g = 2, x = 4, d = 3 > s_g: on to x = 3, or 3 + 2 - 4 = 1. With s_g = 3, x = d.
    "demand_response": [
        ("transition_global", (1, 0), [1, 0, 0, 0, 0]),
        ("transition_global", (4, 2), [0, 0, 0, 0, 1]),
        ("transition_local", (1, 3 * 5 + 2, 0), np.repeat([0.1, 0, 0.1, 0, 0], 5)),
        ("transition_local", (2, 3 * 5 + 2, 0), np.repeat([0, 0, 0.2, 0, 0], 5)),
        ("reward_global", (1, 0), 7.5 - 1),
        ("reward_global", (2, 2), 5),
        ("reward_local", (1, 3 * 5 + 2, 0), 4 - 0.5),
        ("reward_local", (3, 3 * 5 + 2, 0), 4),
    ],
    # A full queue, slow, at the highest rate: a job is done with 0.4, one arrives with 0.8.
    "load_balancing": [
        ("transition_global", (0, 2), [0, 0, 1]),
        ("transition_local", (2, 4, 0), [0, 0, 0, 0.4 * 0.2, 0.6 + 0.4 * 0.8]),
        ("transition_local", (1, 0, 1), [0.6, 0.4, 0, 0, 0]),
        ("reward_global", (2, 0), -0.2),
        ("reward_local", (2, 4, 1), 0.7 - 0.5 - 0.8 * 0.3 - 0.15),
    ],
    # A fast agent (the first three states) and a slow one step on from the last place, to the first of their own.
    "types": [
        ("transition_global", (2, 0), [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]),
        ("transition_local", (1, 2, 1), [0.9, 0, 0.1, 0, 0, 0]),
        ("transition_local", (1, 5, 1), [0, 0, 0, 0.2, 0, 0.8]),
        ("transition_local", (1, 5, 0), [0, 0, 0, 0, 0, 1]),
        ("reward_global", (2, 0), 0),
        ("reward_local", (1, 4, 1), 1 - 0.05),
        ("reward_local", (1, 5, 0), 0),
    ],
}
STEPS = [(name, *step) for name, steps in BY_HAND.items() for step in steps]


@pytest.mark.parametrize(("name", "table", "index", "expected"), STEPS)
def test_a_step_worked_by_hand(name, table, index, expected):
    np.testing.assert_allclose(getattr(dm.game(name), table)[index], expected, rtol=1e-13, atol=1e-15)


def test_what_is_seen_of_consumers_has_as_many_classes_as_it_says():
    states = list(itertools.product(range(1, 6), range(1, 6)))  # x, d
    expected = {
        "consumption": [x for x, _ in states],
        "direction": [(x, d > x) for x, d in states],
        "state": states,
    }
    for seen, labels in expected.items():
        classes = dm.game("demand_response", seen=seen).observation.tolist()
        assert len({*zip(classes, labels, strict=True)}) == len({*classes}) == len({*labels})


def test_formation_is_mirrored():
    env = dm.game("formation")
    np.testing.assert_array_equal(env.transition_global, env.transition_global[::-1, ::-1, ::-1])
    np.testing.assert_array_equal(env.transition_local, env.transition_local[::-1, ::-1, ::-1, ::-1])
    np.testing.assert_allclose(env.reward_local, env.reward_local[::-1, ::-1, ::-1], rtol=1e-15)
    assert set(np.unique(env.transition_local)) == {0.0, 1.0}
    assert env.reward_local.min() >= 0.1


def test_the_alternation_ends_in_the_worse_convention_from_the_uniform_start_alone():
    env = dm.game("conventions", n_agents=5)
    options = {"transitions": "exact", "policy": "greedy", "joint_value": "exact", "update": "each"}
    worth = {}
    for start in ("uniform", "constant_action 1"):
        pair = dm.train_alternating(env, k=2, initial_local_policy=start_policy(env, start, 0), **options)
        gap = dm.nash_gap(env, pair.global_policy, pair.local_policy, k=2).surrogate
        assert gap.value == pytest.approx(0, abs=1e-5)
        worth[start] = dm.exact_return(env, pair.global_policy, pair.local_policy, k=2).value
    assert worth["constant_action 1"] > worth["uniform"] + 3


def test_congestion_ends_in_several_equilibria():
    env = dm.game("congestion", n_agents=5)
    worths = set()
    for start in ("uniform", "constant_action 0", "constant_action 1"):
        options = {"transitions": "exact", "policy": "greedy", "joint_value": "exact", "update": "each"}
        pair = dm.train_alternating(env, k=1, initial_local_policy=start_policy(env, start, 0), **options)
        worths.add(round(dm.exact_return(env, pair.global_policy, pair.local_policy, k=1).value, 2))
    assert len(worths) == 3


def test_a_ring_may_be_turned():
    env = dm.game("ring", n_places=4)
    for name in ("transition_global", "transition_local", "reward_local"):
        table = getattr(env, name)
        axes = {"transition_global": (0, 1, 2), "transition_local": (0, 1, 3), "reward_local": (0, 1)}[name]
        np.testing.assert_array_equal(np.roll(table, [1] * len(axes), axis=axes), table)


@pytest.mark.parametrize("seed", range(3))
def test_seeing_more_helps_nobody_where_s_g_tells_all(seed):
    """The leader's best answer to any local policy is the same whatever it sees: each k has the same exact return."""
    env = dm.game("observable", n_agents=4)
    local_policy = random_local_policy(np.random.default_rng(seed), env)
    worths = []
    for k in range(1, 5):
        policy = dm.g_learn(env, local_policy, k=k, transitions="exact").policy
        assert (policy == policy[:, :1]).all()
        worths.append(dm.exact_return(env, policy, local_policy, k=k).value)
    assert np.ptp(worths) < 1e-7
    robots = dm.robots(n_agents=4, n_global_states=3, n_local_states=3, n_global_actions=3)
    policy = dm.g_learn(robots, dm.uniform_local_policy(robots), k=2, transitions="exact").policy
    assert (policy != policy[:, :1]).any(), "the control: robots are not like that"


def test_garnets_have_so_many_successors_and_are_drawn_by_their_seed():
    env = dm.game("random", n_global_states=5, n_local_states=4, branching=3, seed=1)
    assert ((env.transition_global > 0).sum(axis=-1) == 3).all()
    assert ((env.transition_local > 0).sum(axis=-1) == 3).all()
    assert env.digest() == dm.game("random", n_global_states=5, n_local_states=4, branching=3, seed=1).digest()
    assert env.digest() != dm.game("random", n_global_states=5, n_local_states=4, branching=3, seed=2).digest()
    with pytest.raises(
        InvalidEnvironmentError, match=r"branching: must be at most the larger .* \(4\) .* \(3\), got 5"
    ):
        dm.game("random", branching=5)


def test_each_state_is_as_often_a_successor_of_a_garnet():
    counts = np.zeros(4)
    for seed in range(200):
        counts += (dm.game("random", seed=seed).transition_global > 0).sum(axis=(0, 1))
    expected, variance = 200 * 12 * 0.5, 200 * 12 * 0.25
    assert (np.abs(counts - expected) <= 4 * np.sqrt(variance)).all()


def test_waiting_is_never_worse_for_progress_and_drift_of_clients_who_work():
    env = dm.game("federated")
    progress = np.repeat(np.arange(3), 2)
    drift = np.tile([0, 1], 3)
    for size, state, passes in itertools.product((0, 1), range(6), (1, 2)):
        hasty, waiting = (
            env.transition_local[2 * size, state, passes],
            env.transition_local[2 * size + 1, state, passes],
        )
        assert waiting @ progress >= hasty @ progress
        if drift[state]:
            assert waiting @ drift <= hasty @ drift
    still = env.transition_local[:, :, 0]
    assert still[0::2] @ progress == pytest.approx(still[1::2] @ progress), "who does nothing is not waited for"


def test_queues_change_by_one_at_most_and_keep_their_balance():
    """The mean length changes by arrivals less departures, but for what is dropped at a full queue."""
    env = dm.game("load_balancing")
    length, rate, service = np.arange(5), np.array([0.0, 0.4, 0.8]), np.array([0.4, 0.7])
    for level, state, action in np.ndindex(env.reward_local.shape):
        moves = env.transition_local[level, state, action]
        assert not moves[np.abs(length - state) > 1].any()
        served = service[action] if state else 0.0
        dropped = rate[level] * (1 - served) if state == 4 else 0.0
        assert moves @ length - state == pytest.approx(rate[level] - served - dropped, abs=1e-15)
