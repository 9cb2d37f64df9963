"""Rollouts of games of many local states, of which few are reached from each."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from distmarl.dynamics import by_ranks, by_ways, drawing, sparse_laws
from distmarl.dynamics.by_ranks import DrawsByRanks
from distmarl.dynamics.by_ways import DrawsByWays
from distmarl.dynamics.paired_rollouts import paired_bytes, run_paired_rollouts
from distmarl.dynamics.rollouts import rollout_bytes, run_rollouts
from distmarl.dynamics.sparse_laws import SparseLaws, move_counts
from distmarl.model.random_streams import Role
from tests.line_game import line_game
from tests.reference import enumerate_counts, simulate_agents, standard_errors_apart
from tests.strategies import random_local_policy, random_rows


def pair_of(env, k):
    """Go where the most are seen, and move at random."""
    seen = np.array(enumerate_counts(k, env.n_classes)).argmax(axis=1)
    return np.stack([seen % 2, (seen + 1) % 2]), random_local_policy(np.random.default_rng(1), env)


def roll(env, k=3, n_rollouts=20_000, horizon=6, seed=0):
    options = {"k": k, "n_rollouts": n_rollouts, "horizon": horizon, "seed": seed, "role": Role.EVALUATION}
    return run_rollouts(env, *pair_of(env, k), **options)


def few_agents_drawn(monkeypatch, yes):
    monkeypatch.setattr(drawing, "MAX_AGENTS_PER_WAY", 1e9 if yes else 0.0)


@pytest.fixture(scope="module")
def single_agents():
    env = line_game()
    options = {"k": 3, "n_rollouts": 700, "horizon": 6, "rng": np.random.default_rng(5)}
    return simulate_agents(env, *pair_of(env, 3), **options)[0]


@pytest.mark.parametrize("by_agents", [True, False])
def test_rollouts_have_the_law_of_single_agents(single_agents, monkeypatch, by_agents):
    few_agents_drawn(monkeypatch, by_agents)
    returns = roll(line_game()).returns
    assert standard_errors_apart(returns, single_agents) < 4
    assert standard_errors_apart(returns**2, single_agents**2) < 4


def test_another_map_fails_the_same_check(single_agents):
    env = line_game()
    wrong = dataclasses.replace(env, observation=(env.observation + 1) % 3)
    assert standard_errors_apart(roll(wrong).returns, single_agents) > 4


@pytest.mark.parametrize(("n_agents", "draws"), [(9, DrawsByRanks), (29, DrawsByRanks), (30, DrawsByWays)])
def test_the_ways_from_a_state_decide_what_is_drawn(n_agents, draws, monkeypatch):
    # Three ways from each state under each action, most of them different, fewer at the ends.
    monkeypatch.setattr(drawing, "MAX_AGENTS_PER_WAY", 0.5)
    env = line_game(n_agents=n_agents)
    assert drawing.n_ways(env) == 58
    assert drawing.draws_for(env, 30) is draws


@pytest.mark.parametrize(("module", "by_agents"), [(by_ranks, True), (by_ways, False)])
def test_what_is_drawn_at_a_time_changes_no_number(module, by_agents, monkeypatch):
    few_agents_drawn(monkeypatch, by_agents)
    whole = roll(line_game(), n_rollouts=50).returns
    monkeypatch.setattr(module, "BLOCK", 1)
    np.testing.assert_array_equal(roll(line_game(), n_rollouts=50).returns, whole)


def test_neighbouring_k_are_compared_on_the_same_numbers(monkeypatch):
    few_agents_drawn(monkeypatch, yes=True)
    env = line_game(n_agents=60)
    paired, unpaired = (roll(env, 7, 400, 30, seed).returns - roll(env, 6, 400, 30).returns for seed in (0, 1))
    assert paired.std() < 0.5 * unpaired.std()


def test_counts_are_drawn_anew_for_each_k(monkeypatch):
    few_agents_drawn(monkeypatch, yes=False)
    env = dataclasses.replace(line_game(), reward_global=np.zeros((2, 2)))
    still = dataclasses.replace(env, transition_global=np.repeat(env.transition_global[:, :1], 2, axis=1))
    assert (roll(still, 1, 30).returns != roll(still, 2, 30).returns).all()
    few_agents_drawn(monkeypatch, yes=True)
    np.testing.assert_array_equal(roll(still, 1, 30).returns, roll(still, 2, 30).returns)


# Possible outcomes alone.


@pytest.mark.parametrize("likely_first", [True, False])
def test_possible_outcomes_keep_their_probabilities(likely_first):
    laws = np.array([[0.0, 0.2, 0.0, 0.8, 0.0], [0.1, 0.2, 0.3, 0.0, 0.4]])
    kept = SparseLaws(laws, likely_first=likely_first)
    for row, law in enumerate(laws):
        np.testing.assert_array_equal(np.bincount(kept.outcomes[row], kept.probabilities[row], 5), law)
    # What fills up a row is possible, so that nobody goes elsewhere by rounding.
    assert set(kept.outcomes[0]) == {1, 3}
    assert kept.outcomes.shape == (2, 4)
    expected = [4, 2, 1, 0] if likely_first else [0, 1, 2, 4]
    np.testing.assert_array_equal(kept.outcomes[1], expected)


def test_nobody_leaves_what_cannot_be_left():
    # Two types on a line each: a fixed part of the state stays as it is in any number of moves.
    line = line_game().transition_local[0, :6, 0, :6]
    line = line / line.sum(axis=1, keepdims=True)
    kernel = np.kron(np.eye(2), line)
    population = np.tile(np.arange(12) ** 3, (100, 1))
    laws = SparseLaws(kernel, likely_first=True)
    moved, rng = population, np.random.default_rng(0)
    for _ in range(50):
        moved = move_counts(laws, np.zeros(100, dtype=np.int64), moved, rng)
    np.testing.assert_array_equal(moved[:, :6].sum(axis=1), population[:, :6].sum(axis=1))
    np.testing.assert_array_equal(moved[:, 6:].sum(axis=1), population[:, 6:].sum(axis=1))
    assert (moved != population).any()


def test_a_chain_moves_by_its_kernel():
    laws = SparseLaws(random_rows(np.random.default_rng(0), (4, 2), 0.5), likely_first=True)
    population, s_g = np.tile([30, 10], (20_000, 1)), np.repeat([0, 1], 10_000)
    moved = move_counts(laws, s_g, population, np.random.default_rng(1))
    probabilities = np.zeros((4, 2))
    np.put_along_axis(probabilities, laws.outcomes, laws.probabilities, axis=1)
    for state in range(2):
        expected = population[0] @ probabilities.reshape(2, 2, 2)[state]
        mean = moved[s_g == state].mean(axis=0)
        spread = moved[s_g == state].std(axis=0) / 100
        assert (np.abs(mean - expected) < 4 * spread).all()


# Memory.


def peak(run):
    tracemalloc.start()
    run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("by_agents", [True, False])
def test_the_memory_that_is_stated_is_about_what_is_taken(monkeypatch, by_agents):
    monkeypatch.setattr(sparse_laws, "BLOCK", 2**12)
    few_agents_drawn(monkeypatch, by_agents)
    env = line_game(n_agents=400, n_states=60)
    taken = peak(lambda: roll(env, n_rollouts=2000, horizon=2))
    assert 0.5 * taken < rollout_bytes(env, 2000) < 2 * taken


def test_the_memory_of_paired_rollouts_does_not_grow_with_pairs_of_states():
    env = line_game(n_agents=400, n_states=60)
    policy, local_policy = pair_of(env, 3)
    options = {"k": 3, "n_rollouts": 2000, "horizon": 2, "rng": np.random.default_rng(0)}
    taken = peak(lambda: run_paired_rollouts(env, local_policy, (policy,) * 2, (local_policy,) * 2, **options))
    assert 0.5 * taken < paired_bytes(env, 2000) < 2 * taken
