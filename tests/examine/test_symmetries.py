"""Symmetries that are known, and that each one found is one."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given

import distmarl as dm
from distmarl.examine.symmetries import find_symmetries
from tests.strategies import FEW, environments


def by_trying(env):
    """All symmetries, by renaming states and actions in every way there is."""
    found = set()
    axes = (env.n_global_states, env.n_local_states, env.n_global_actions, env.n_local_actions)
    for g, s, a, b in itertools.product(*(itertools.permutations(range(size)) for size in axes)):
        same = (
            (env.initial_global[list(g)], env.initial_global),
            (env.initial_local_concentration[list(s)], env.initial_local_concentration),
            (env.reward_global[np.ix_(g, a)], env.reward_global),
            (env.transition_global[np.ix_(g, a, g)], env.transition_global),
            (env.reward_local[np.ix_(g, s, b)], env.reward_local),
            (env.transition_local[np.ix_(g, s, b, s)], env.transition_local),
        )
        if all(np.allclose(*pair, rtol=1e-9, atol=1e-12) for pair in same):
            found.add((g, s))
    return found


def found_in(env):
    return {(each.global_states, each.local_states) for each in find_symmetries(env)}


@pytest.mark.parametrize(
    ("env", "number"),
    [
        (dm.game("ring", n_places=3), 3),
        (dm.game("ring", n_places=4), 4),
        (dm.game("conventions"), 1),
        (dm.game("congestion", advantage=0.0), 2),
        (dm.game("congestion"), 1),
        (dm.robots(n_global_states=3, n_local_states=3, n_global_actions=3), 3),
        (dm.robots(n_global_states=3, n_local_states=3, n_global_actions=3, n_local_actions=1), 6),
        (dm.game("formation", global_reach=1), 2),
        (dm.game("observable", n_places=3), 3),
    ],
)
def test_known_symmetries_are_found(env, number):
    found = found_in(env)
    assert len(found) == number
    if math.prod(map(math.factorial, env.reward_local.shape)) * math.factorial(env.n_global_actions) < 2000:
        assert found == by_trying(env)


@FEW
@given(environments())
def test_random_games_have_those_that_trying_finds(env):
    if env.n_global_states * env.n_local_states * env.n_global_actions * env.n_local_actions <= 36:
        assert found_in(env) == by_trying(env)


@pytest.mark.parametrize("change", ["initial_global", "initial_local_concentration", "reward_global", "reward_local"])
def test_whatever_breaks_a_symmetry_is_seen(change):
    env = dm.game("ring", n_places=3)
    table = getattr(env, change).copy()
    table[(1,) * table.ndim] += 0.5
    broken = dataclasses.replace(env, **{change: table / table.sum() if change == "initial_global" else table})
    assert [each.is_identity for each in find_symmetries(broken)] == [True]


def test_too_many_are_not_tried():
    assert find_symmetries(dm.game("ring", n_places=12)) is None
