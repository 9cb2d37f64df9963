"""Games whose global agent sees classes of local states: how they are aggregated, learnt and answered."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.learning.aggregation import LEAST, SMOOTHING, class_weights, game_of_classes, n_steps, occupancy_of
from distmarl.learning.best import blind
from distmarl.learning.best.ascent import has_ascent
from distmarl.learning.best.averages import mean_field_given_global
from distmarl.learning.surrogate_game import Lookahead
from distmarl.model.policies import local_kernel, local_reward
from tests import reference
from tests.strategies import FEW, random_environment, random_global_policy, random_local_policy, random_rows

CLASSES = [0, 1, 1, 2, 0]


def seeds():
    return st.integers(0, 2**32 - 1)


def lumping_game(rng, classes=CLASSES, **sizes):
    """A game whose states of a class move and earn alike but for where in a class they arrive; and a policy like it."""
    classes = np.asarray(classes)
    coarse = random_environment(rng, n_local_states=classes.max() + 1, n_agents=3, **sizes)
    split = rng.uniform(0.1, 1.0, size=(coarse.n_global_states, len(classes), coarse.n_local_actions, len(classes)))
    for members in np.eye(classes.max() + 1, dtype=bool)[:, classes]:
        split[..., members] /= split[..., members].sum(axis=-1, keepdims=True)
    env = dataclasses.replace(
        coarse,
        transition_local=coarse.transition_local[:, classes][..., classes] * split,
        reward_local=coarse.reward_local[:, classes],
        initial_local_concentration=rng.uniform(0.2, 2.0, size=len(classes)),
        observation=classes,
    )
    return env, random_local_policy(rng, coarse)[:, classes]


def seeing_states(env):
    return dataclasses.replace(env, observation=None)


def given_states(env, values, k):
    """A function of classes, (G, C_B), as one of local states, (G, C_L)."""
    return values[:, dm.rank(env.observed(dm.count_vectors(k, env.n_local_states)))]


@pytest.mark.parametrize("seed", range(3))
def test_where_classes_lump_g_learn_on_classes_is_g_learn_on_states_whatever_the_weights(seed):
    rng = np.random.default_rng(seed)
    env, policy = lumping_game(rng, gamma=0.7)
    options = {"k": 2, "transitions": "exact", "convergence_threshold": 1e-10}
    of_states = dm.g_learn(seeing_states(env), policy, **options)
    for occupancy in (None, rng.uniform(size=(2, 5))):
        of_classes = dm.g_learn(env, policy, occupancy=occupancy, **options)
        np.testing.assert_allclose(given_states(env, of_classes.value, 2), of_states.value, atol=1e-9)


@pytest.mark.parametrize("transitions", ["sampled", "exact", "rounded"])
def test_all_transitions_are_those_of_the_game_of_classes(transitions):
    rng = np.random.default_rng(1)
    env = random_environment(rng, n_local_states=5, observation=CLASSES, n_parts=2)
    policy, occupancy = random_local_policy(rng, env), rng.uniform(size=(2, 5))
    found = dm.g_learn(env, policy, k=3, transitions=transitions, occupancy=occupancy)
    expected = dm.g_learn(*game_of_classes(env, policy, occupancy), k=3, transitions=transitions)
    np.testing.assert_allclose(found.value, expected.value, atol=1e-5)
    assert found.policy.shape == found.value.shape == (2, 10)
    np.testing.assert_array_equal(found.occupancy, occupancy)


@FEW
@given(seeds())
def test_aggregation_is_the_mean_over_weights_within_classes(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_local_states=5, observation=CLASSES, n_parts=2)
    policy, occupancy = random_local_policy(rng, env), rng.uniform(size=(2, 5))
    occupancy[1] = 0.0  # a global state that is never visited
    game, alone = game_of_classes(env, policy, occupancy)
    kernel, reward = local_kernel(env, policy), local_reward(env, policy)
    overall = occupancy.sum(axis=0) / occupancy.sum()
    for s_g, b in itertools.product(range(2), range(3)):
        own = occupancy[s_g] / occupancy[s_g].sum() if occupancy[s_g].any() else np.zeros(5)
        weights = [own[j] + SMOOTHING * overall[j] + LEAST / 5 if CLASSES[j] == b else 0.0 for j in range(5)]
        weights = np.array(weights) / sum(weights)
        assert game.reward_local[s_g, b, 0] == pytest.approx(weights @ reward[s_g])
        for other in range(3):
            moves = sum(weights[j] * kernel[s_g, j, m] for j in range(5) for m in range(5) if CLASSES[m] == other)
            assert game.transition_local[s_g, b, 0, other] == pytest.approx(moves)
    np.testing.assert_allclose(game.initial_shares, env.observed(env.initial_shares))
    assert alone.shape == (2, 3, 1)


def test_where_states_are_seen_nothing_is_aggregated():
    env = random_environment(np.random.default_rng(0))
    policy = dm.uniform_local_policy(env)
    game, same = game_of_classes(env, policy, np.ones((2, 3)))
    assert game is env
    assert same is policy
    assert dm.g_learn(env, policy, k=2).occupancy is None


@pytest.mark.parametrize("drawn", [False, True])
def test_an_occupancy_propagates_the_mean_field(drawn):
    rng = np.random.default_rng(3)
    env = random_environment(rng, n_local_states=5, observation=CLASSES, gamma=0.6)
    policy, k = random_local_policy(rng, env), 2
    global_policy = random_global_policy(rng, env, k)
    law = random_rows(rng, (*global_policy.shape, 2)) if drawn else np.eye(2)[global_policy]
    kernel, counts = local_kernel(env, policy), reference.enumerate_counts(k, 3)
    shares = env.initial_local_concentration / env.initial_local_concentration.sum()
    present, total = np.outer(env.initial_global, shares), np.zeros((2, 5))
    for step in range(n_steps(0.6, 0.01)):
        total += 0.6**step * present
        moved = np.zeros((2, 5))
        for s_g in range(2):
            masses = np.array([present[s_g, np.equal(CLASSES, b)].sum() for b in range(3)]) / present[s_g].sum()
            pmf = reference.multinomial_pmf(k, masses)
            moves = sum(
                pmf[z] * law[s_g, z, a] * env.transition_global[s_g, a] for z in range(len(counts)) for a in range(2)
            )
            moved += np.outer(moves, present[s_g] @ kernel[s_g])
        present = moved
    found = occupancy_of(env, policy, law if drawn else global_policy, k=k)
    np.testing.assert_allclose(found, total / total.sum(), atol=1e-12)


@pytest.mark.parametrize("observation", ["outside", "included"])
def test_l_learn_needs_only_the_masses_of_classes(observation):
    rng = np.random.default_rng(5)
    env = random_environment(rng, n_local_states=5, observation=CLASSES, n_agents=4)
    policy, global_policy = random_local_policy(rng, env), random_global_policy(rng, env, 3)
    of_classes = dm.l_learn(env, global_policy, policy, k=3, observation=observation)
    lifted = given_states(env, global_policy, 3)
    of_states = dm.l_learn(seeing_states(env), lifted, policy, k=3, observation=observation)
    np.testing.assert_allclose(of_classes.value, of_states.value, atol=1e-5)
    np.testing.assert_allclose(of_classes.policy, of_states.policy, atol=1e-5)


def walkers(classes):
    """Three agents that walk on a line of eight places to a leader who jumps to either end."""
    places, targets = np.arange(8), np.array([1, 6])
    steps = np.clip(places[None] + np.sign(targets[:, None] - places), 0, 7)
    moves = 0.5 * np.eye(8)[steps] + 0.5 * np.eye(8)
    return dm.Environment(
        transition_global=np.tile(0.9 * np.eye(2) + 0.05, (2, 1, 1)),
        transition_local=moves[:, :, None],
        reward_global=np.zeros((2, 2)),
        reward_local=np.exp(-0.5 * (places - targets[:, None]) ** 2)[:, :, None],
        n_agents=3,
        gamma=0.9,
        observation=places * classes // 8,
    )


def test_the_bias_of_classes_shrinks_as_they_are_refined():
    worths = []
    for classes in (2, 4, 8):
        env = walkers(classes)
        policy = dm.uniform_local_policy(env)
        found = dm.g_learn(env, policy, k=3, transitions="exact")
        worths.append(dm.exact_return(env, found.policy, policy, k=3).value)
    best = dm.g_learn(walkers(8), policy, k=3, transitions="exact")
    errors = []
    for classes in (2, 4, 8):
        found = dm.g_learn(walkers(classes), policy, k=3, transitions="exact")
        errors.append(np.abs(given_states(walkers(classes), found.value, 3) - best.value).max())
    assert errors[0] > errors[1] > errors[2] == 0
    assert worths[0] <= worths[1] + 1e-9
    assert worths[1] <= worths[2] + 1e-9


@pytest.mark.parametrize(("n_actions", "reachable"), [(2, 5), (4, 2), (6, 5)])
def test_the_operator_is_applied_to_as_few_columns_as_there_are_actions_or_reachable_states(n_actions, reachable):
    rng = np.random.default_rng(0)
    moves = np.zeros((n_actions, 5))
    moves[:, :reachable] = random_rows(rng, (n_actions, reachable))
    value, operator, widths = rng.normal(size=(7, 5)), rng.normal(size=(7, 7)), []

    def apply(columns):
        widths.append(columns.shape[1])
        return operator @ columns

    np.testing.assert_allclose(Lookahead(moves).expect(value, apply), moves @ (operator @ value).T, atol=1e-12)
    assert widths == [min(n_actions, reachable, 5)]


def class_game():
    rng = np.random.default_rng(7)
    return random_environment(rng, n_local_states=5, observation=CLASSES, n_agents=4, n_parts=2)


def test_an_alternation_and_its_starts_and_ascents_know_classes():
    env = dataclasses.replace(class_game(), n_agents=3, gamma=0.6)
    starts = ("uniform", "blind")
    options = {"k": 2, "transitions": "exact", "joint_value": "exact", "policy": "greedy", "horizon": 40}
    pair = dm.train_alternating(env, starts=starts, ascent=True, **options)
    assert pair.global_policy.shape == (2, 6)
    value = dm.exact_return(env, pair.global_policy, pair.local_policy, k=2).value
    assert pair.joint_value == pytest.approx(value, abs=1e-4)
    assert {outcome.start for outcome in pair.history} == set(starts)
    assert any(outcome.proposal == "ascent" for outcome in pair.history)
    assert pair.joint_value >= dm.train_alternating(env, **options).joint_value - 1e-4


def test_the_best_pair_with_classes_beats_blind_pairs_and_those_of_the_alternation():
    env = class_game()
    pair = dm.best_pair(env, k=2, starts=("uniform", "blind"))
    assert pair.value == pytest.approx(dm.exact_return(env, pair.global_policy, pair.local_policy, k=2).value, abs=1e-4)
    assert pair.value >= blind.blind_pair(env).value - 1e-4
    assert all(np.isinf(outcome.bound) for outcome in pair.history)
    answer = dm.best_answer(env, pair.local_policy, k=1)
    assert answer.policy.shape == (2, 3)
    assert answer.value <= pair.value + 0.1


def test_urns_hold_classes():
    env = class_game()
    policy = dm.uniform_local_policy(env)
    held = mean_field_given_global(env, np.zeros((2, 3), dtype=int), policy, k=1)
    assert held.shape == (2, 3)
    np.testing.assert_allclose(held.sum(axis=1), 1)


def test_blind_pairs_of_large_games_are_those_that_solving_finds(monkeypatch):
    env = random_environment(np.random.default_rng(2), n_global_states=3, n_local_states=4)
    solved, uniform = blind.blind_pair(env), dm.uniform_local_policy(env)
    returns = [blind.blind_return(env, [0, 1, 1], uniform, horizon=horizon) for horizon in (None, 7)]
    monkeypatch.setattr(blind, "MAX_SOLVED", 0)
    monkeypatch.setattr(blind, "MAX_ENUMERATED", 0)
    iterated = blind.blind_pair(env)
    assert iterated.value == pytest.approx(solved.value, abs=1e-6)
    np.testing.assert_array_equal(iterated.local_policy, blind.blind_answer(env, iterated.global_actions))
    for horizon, expected in zip((None, 7), returns, strict=True):
        found = blind.blind_return(env, [0, 1, 1], uniform, horizon=horizon)
        assert abs(found.value - expected.value) <= found.bound + expected.bound
        assert found.bound < 1e-6


def test_there_is_no_ascent_where_its_game_has_room_for_one_agent_alone():
    assert has_ascent(class_game())
    assert not has_ascent(dm.game("warehouse"))


@pytest.mark.parametrize(
    ("occupancy", "complaint"),
    [
        (np.ones((2, 3)), r"shape \(G, L\) = \(2, 5\), got shape \(2, 3\)"),
        (-np.ones((2, 5)), "of 0 or more, .* got entries from -1"),
        (np.zeros((2, 5)), "some above 0, .* got entries from 0.0 to 0.0"),
        (np.full((2, 5), np.nan), "got entries from nan"),
        ("many", "occupancy: must be numbers"),
    ],
)
def test_what_is_no_occupancy_is_refused(occupancy, complaint):
    env = class_game()
    with pytest.raises(InvalidArgumentError, match=complaint):
        class_weights(env, occupancy)
