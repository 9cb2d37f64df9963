from __future__ import annotations

import re

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.blind import blind_answer
from distmarl.learning.best.starts import is_papers, start_names, start_policy
from distmarl.model.options import Alternating
from tests.learning.several_equilibria import GAMES
from tests.strategies import random_environment

QUICK = {"k": 2, "transitions": "exact", "policy": "greedy", "joint_value": "exact"}


def test_every_start_has_a_name():
    every = Alternating(starts=("stay", "constant_action", "uniform", "blind"), n_random_starts=2)
    names = ["stay", "constant_action 0", "constant_action 1", "uniform", "blind", "random 0", "random 1"]
    assert start_names(every, n_global_actions=2) == names
    assert is_papers(Alternating())
    assert not is_papers(every)
    assert not any(map(is_papers, (Alternating(n_random_starts=1), Alternating(ascent=True))))


def test_starts_answer_what_their_names_say():
    env = random_environment(np.random.default_rng(3), n_local_states=2, n_global_actions=3)
    for action in range(3):
        np.testing.assert_array_equal(
            start_policy(env, f"constant_action {action}", 0), blind_answer(env, np.full(2, action))
        )
    staying = [int(np.argmax([env.transition_global[s_g, a, s_g] for a in range(3)])) for s_g in range(2)]
    np.testing.assert_array_equal(start_policy(env, "stay", 0), blind_answer(env, np.array(staying)))
    np.testing.assert_array_equal(start_policy(env, "uniform", 0), dm.uniform_local_policy(env))


def test_random_starts_are_drawn_from_the_seed():
    env = dm.robots()
    drawn = [("random 0", 1), ("random 0", 1), ("random 1", 1), ("random 0", 2)]
    first, again, second, other = (start_policy(env, name, seed) for name, seed in drawn)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": ()}, "starts: must list at least one of uniform, constant_action, stay, blind, got none"),
        ({"starts": ["uniform", "sty"]}, "starts: there is no start 'sty'; did you mean 'stay'?"),
        ({"starts": ["stay", "stay"]}, "starts: must not repeat a start, got 'stay' twice"),
        ({"starts": "stay"}, "starts: must be a list of names, as in ['stay'], got 'stay'"),
        ({"starts": None}, "starts: must be a list of names, as in ['stay'], got None"),
        ({"ascent": "no"}, "ascent: must be True or False, got 'no'"),
        ({"n_random_starts": -1}, "n_random_starts: must be at least 0, got -1"),
        ({"ascent": True, "initial_local_policy": np.full((5, 5, 3), 1 / 3)}, "initial_local_policy: takes the place"),
    ],
)
def test_wrong_starts_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=re.escape(message)):
        dm.train_alternating(dm.robots(), k=1, **options)


def test_the_default_is_one_alternation_from_the_uniform_policy():
    env = dm.robots(n_agents=6)
    plain = dm.train_alternating(env, **QUICK)
    written = dm.train_alternating(env, **QUICK, starts=["uniform"], n_random_starts=0, ascent=False)
    given = dm.train_alternating(env, **QUICK, initial_local_policy=dm.uniform_local_policy(env))
    for other in (written, given):
        np.testing.assert_array_equal(plain.local_policy, other.local_policy)
        assert repr(plain.history) == repr(other.history)
    assert {outcome.proposal for outcome in plain.history} == {"pair"}


@pytest.mark.parametrize("update", ["pair", "each"])
def test_a_start_is_valued_itself_and_the_best_pair_never_worse(update):
    env = GAMES["stag hunt"]()
    found = dm.train_alternating(env, **QUICK, update=update, starts=("constant_action", "stay"), ascent=True)
    starts = ["constant_action 0", "constant_action 1", "stay"]
    assert list(dict.fromkeys(outcome.start for outcome in found.history)) == starts
    assert found.start in starts
    for name in starts:
        policy = start_policy(env, name, 0)
        answer = dm.g_learn(env, policy, k=2, transitions="exact").policy
        value = dm.exact_return(env, answer, policy, k=2, horizon=50).value
        own = [outcome for outcome in found.history if outcome.start == name]
        valued = "start" if update == "pair" else "global"
        first = next(outcome for outcome in own if outcome.proposal == valued)
        assert first.joint_value == pytest.approx(value, abs=1e-6)
        assert "ascent" in [outcome.proposal for outcome in own]
        alternated = dm.train_alternating(env, **QUICK, update=update, initial_local_policy=policy)
        exact = dm.exact_return(env, alternated.global_policy, alternated.local_policy, k=2).value
        assert found.joint_value >= max(exact, dm.exact_return(env, answer, policy, k=2).value) - 1e-4
    assert found.joint_value == pytest.approx(
        dm.exact_return(env, found.global_policy, found.local_policy, k=2).value, abs=1e-4
    )
    assert found.stopped_because is not None
