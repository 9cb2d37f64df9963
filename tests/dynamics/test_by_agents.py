"""Drawing agent by agent and by counts: tables of outcomes, and what is seen and moves, against their laws."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl.dynamics import by_agents, by_ranks
from distmarl.dynamics.by_agents import N_BITS, DrawsByAgents, OutcomeTable
from distmarl.dynamics.by_counts import DrawsByCounts
from distmarl.dynamics.by_ranks import DrawsByRanks, PlaceTable
from distmarl.dynamics.by_ways import DrawsByWays
from distmarl.model.random_streams import Role
from tests.reference import count_frequencies, enumerate_counts, hypergeometric_pmf, largest_frequency_error
from tests.strategies import DETERMINISTIC, generators, random_environment, random_local_policy, random_rows


def outcome_of(table, row, bits, uniform):
    rows, bits = np.array([row]), np.array([bits], dtype=np.uint16)
    outcome, cut = table.look_up(rows, bits)
    return int(table.decide(rows, bits, np.array([uniform]))[0]) if len(cut) else int(outcome[0])


@DETERMINISTIC
@given(generators(), st.integers(1, 20), st.sampled_from([0.05, 0.5, 5.0]))
def test_a_draw_is_the_inverse_of_the_distribution_function(rng, n_outcomes, concentration):
    probabilities = random_rows(rng, (3, n_outcomes), concentration)
    probabilities[0] = np.eye(n_outcomes)[rng.integers(n_outcomes)]
    table, edges = OutcomeTable(probabilities), np.minimum(probabilities.cumsum(axis=1), 1.0)
    near = np.concatenate([edges.ravel() * 2**N_BITS - 1, edges.ravel() * 2**N_BITS, rng.integers(2**N_BITS, size=20)])
    for row in range(3):
        for bits in np.unique(np.clip(near, 0, 2**N_BITS - 1).astype(int)):
            for uniform in (0.0, 0.3, 0.999):
                point = (bits + uniform) / 2**N_BITS
                assert outcome_of(table, row, bits, uniform) == (point >= edges[row, :-1]).sum()


@DETERMINISTIC
@given(generators(), st.integers(1, 20), st.sampled_from([0.05, 0.5, 5.0]))
def test_places_of_a_flat_table_are_drawn_by_the_same_numbers(rng, n_outcomes, concentration):
    probabilities = random_rows(rng, (3, n_outcomes), concentration)
    tables = OutcomeTable(probabilities), PlaceTable(probabilities)
    for row, bits, uniform in zip([0, 1, 2] * 10, rng.integers(2**N_BITS, size=30), rng.random(30), strict=True):
        outcome, place = (outcome_of(table, row, bits, uniform) for table in tables)
        assert place == row * n_outcomes + outcome


def test_impossible_outcomes_are_never_drawn():
    table = OutcomeTable(np.array([[0.0, 0.5, 0.0, 0.5, 0.0]]))
    bits = np.arange(2**N_BITS).astype(np.uint16)
    outcome, cut = table.look_up(np.zeros(len(bits), dtype=np.int64), bits)
    assert len(cut) == 0
    np.testing.assert_array_equal(np.bincount(outcome, minlength=5), [0, 2**15, 0, 2**15, 0])


def test_more_outcomes_than_a_byte_can_name():
    probabilities = np.full((2, 300), 1 / 300)
    table = OutcomeTable(probabilities)
    found = {outcome_of(table, 1, bits, 0.5) for bits in range(0, 2**N_BITS, 100)}
    assert found == set(range(300))


KINDS = pytest.mark.parametrize("kind", [DrawsByAgents, DrawsByCounts, DrawsByRanks, DrawsByWays])


@KINDS
def test_what_is_seen_is_hypergeometric(kind):
    env = random_environment(np.random.default_rng(0), n_agents=7)
    policy = random_local_policy(np.random.default_rng(1), env)

    def seen(population, k):
        draws = kind(env, policy, k=k, n_rollouts=30_000, seeds=[0], role=Role.EVALUATION)
        return draws.observe(np.tile(population, (30_000, 1)))

    for population, k in (((3, 2, 2), 3), ((1, 0, 6), 2), ((3, 2, 2), 6), ((4, 2, 1), 1)):
        frequencies = count_frequencies(seen(population, k), k)
        assert largest_frequency_error(frequencies, hypergeometric_pmf(population, k)) < 4
    assert (seen((3, 2, 2), 7) == [3, 2, 2]).all()
    assert (seen((0, 7, 0), 4) == [0, 4, 0]).all()


@pytest.mark.parametrize(
    ("kind", "max_cells"),
    [
        (DrawsByAgents, 2**18),
        (DrawsByAgents, 1),
        (DrawsByCounts, None),
        (DrawsByRanks, 2**22),
        (DrawsByRanks, 1),
        (DrawsByWays, None),
    ],
)
def test_moves_and_rewards_are_those_of_independent_agents(kind, max_cells, monkeypatch):
    if max_cells == 1:  # two cells, which nearly always leave the outcome to a further number
        monkeypatch.setattr(by_agents, "MAX_CELLS", 1)
        monkeypatch.setattr(by_agents, "MIN_CELLS_PER_OUTCOME", 2**-8)
        monkeypatch.setattr(by_ranks, "MAX_CELLS", 1)
    rng = np.random.default_rng(3)
    env = random_environment(rng, n_agents=3, n_global_states=2)
    env = dataclasses.replace(env, reward_local=np.round(env.reward_local))
    policy = random_local_policy(rng, env)
    draws = kind(env, policy, k=1, n_rollouts=40_000, seeds=[0], role=Role.EVALUATION)
    earned, moved = draws.move(np.ones(40_000, dtype=np.int64), np.tile([2, 0, 1], (40_000, 1)))
    kernel = np.einsum("la,lam->lm", policy[1], env.transition_local[1])
    law = np.zeros(len(enumerate_counts(3, 3)))
    for first, second, third in np.ndindex(3, 3, 3):
        counts = tuple(np.bincount([first, second, third], minlength=3).tolist())
        law[enumerate_counts(3, 3).index(counts)] += kernel[0, first] * kernel[0, second] * kernel[2, third]
    assert largest_frequency_error(count_frequencies(moved, 3), law) < 4
    # The reward goes with the move: an action that leads elsewhere pays otherwise.
    joint = np.einsum("la,lam->lma", policy[1], env.transition_local[1])
    mean = 2 * (joint[0] * env.reward_local[1, 0]).sum() + (joint[2] * env.reward_local[1, 2]).sum()
    assert abs(earned.mean() - mean) < 4 * earned.std() / 200
    arrived = moved[:, 0] == 3
    alone = [(joint[j, 0] * env.reward_local[1, j]).sum() / joint[j, 0].sum() for j in (0, 2)]
    assert abs(earned[arrived].mean() - 2 * alone[0] - alone[1]) < 4 * earned.std() / np.sqrt(arrived.sum())
