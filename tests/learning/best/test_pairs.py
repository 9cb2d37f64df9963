from __future__ import annotations

import math

import numpy as np
import pytest

import distmarl as dm
from distmarl.equilibrium.welfare import best_welfare, n_deterministic_policies
from distmarl.errors import InvalidArgumentError
from tests.learning.several_equilibria import GAMES


@pytest.mark.parametrize("game", GAMES)
def test_the_best_pair_is_no_worse_than_trained_ones(game):
    env = GAMES[game]()
    found = dm.best_pair(env, k=2)
    trained = [dm.train_alternating(env, k=2, seed=seed) for seed in range(5)]
    worths = [dm.exact_return(env, pair.global_policy, pair.local_policy, k=2).value for pair in trained]
    assert found.value >= np.mean(worths) - 1e-4
    exact = dm.exact_return(env, found.global_policy, found.local_policy, k=2).value
    assert found.value == pytest.approx(exact, abs=2 * found.error + 1e-6)


@pytest.mark.parametrize("game", [name for name, make in GAMES.items() if n_deterministic_policies(make()) <= 10_000])
def test_seeing_everyone_it_is_the_best_of_all(game):
    env = GAMES[game]()
    best = best_welfare(env)
    assert best.is_exhaustive
    found = dm.best_pair(env, k=env.n_agents)
    assert found.value == pytest.approx(best.value, abs=1e-4)


@pytest.mark.parametrize("game", GAMES)
def test_no_best_pair_earns_more_than_any_ceiling(game):
    env = GAMES[game]()
    found = dm.best_pair(env, k=env.n_agents)
    for m in range(1, env.n_agents + 1):
        for options in ({}, {"local_policy": found.local_policy}):
            assert found.value - found.error <= dm.value_bound(env, m=m, **options).ceiling


def test_the_history_tells_of_every_candidate():
    env = GAMES["stag hunt"]()
    found = dm.best_pair(env, k=2, n_random_starts=1)
    assert len({(outcome.start, outcome.proposal) for outcome in found.history}) == len(found.history)
    (best,) = [outcome for outcome in found.history if outcome.is_best]
    assert not best.is_skipped
    assert math.inf > best.bound >= found.value - 1e-6
    assert all(outcome.bound < found.value for outcome in found.history if outcome.is_skipped)


def test_thirty_robots_reach_the_best_known_pair():
    found = dm.best_pair(dm.robots(n_agents=30), k=25, starts=["stay"])
    assert found.value > 119.0
    assert (found.method, found.answer) == ("exact", "surrogate")


def test_large_populations_are_valued_by_rollouts():
    env = dm.robots(n_agents=100_000, n_global_states=3, n_local_states=3, n_global_actions=3)
    found = dm.best_pair(env, k=3, starts=["stay", "uniform"])
    assert found.method == "rollouts" or found.answer == "blind"
    (best,) = [outcome for outcome in found.history if outcome.is_best]
    assert found.value - 5 * found.error < best.bound


def test_wrong_arguments_are_refused():
    with pytest.raises(InvalidArgumentError, match="starts: must list at least one"):
        dm.best_pair(dm.robots(), k=1, starts=[])
    with pytest.raises(InvalidArgumentError, match=r"starts: must be a list of names, as in \['stay'\], got 'blind'"):
        dm.best_pair(dm.robots(), k=1, starts="blind")
    with pytest.raises(InvalidArgumentError, match="n_threads: must be at least 1"):
        dm.best_pair(dm.robots(), k=1, n_threads=0)
