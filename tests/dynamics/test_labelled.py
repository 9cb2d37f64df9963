"""Moving a few agents among many states one after the other."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

import distmarl as dm
from distmarl.dynamics.transitions import exact, labelled
from distmarl.dynamics.transitions.exact import ExactTransitions, exact_bytes
from distmarl.dynamics.transitions.labelled import LabelledPower, is_labelled
from tests.line_game import line_game
from tests.reference import dense_kernel
from tests.strategies import random_local_policy, random_rows


@pytest.mark.parametrize(("k", "n_states"), [(1, 4), (2, 3), (3, 3), (4, 2), (3, 1)])
def test_the_power_is_that_of_single_agents(k, n_states, monkeypatch):
    rng = np.random.default_rng(k)
    kernel = random_rows(rng, (n_states, n_states), 0.4)
    dense = dense_kernel(kernel[None], k)[0]
    values = rng.normal(size=(len(dense), 5))
    for numbers in (2**21, 2 * n_states**k, 1):  # all columns at a time, or two, or one
        monkeypatch.setattr(labelled, "CACHED_NUMBERS", numbers)
        power = LabelledPower(kernel, k)
        np.testing.assert_allclose(power.expect(values), dense @ values, rtol=0, atol=1e-14)
    late = dense_kernel(kernel[None, ::-1], k)[0]
    if n_states > 1:
        assert np.abs(power.expect(values) - late @ values).max() > 1e-3


def test_a_few_agents_among_many_states_are_labelled():
    assert [k for k in range(6) if is_labelled(k, 81)] == [1, 2, 3]
    assert [k for k in range(8) if is_labelled(k, 12)] == [1, 2, 3]
    assert not any(is_labelled(k, 10) for k in range(8))
    assert not is_labelled(4, 200)
    assert not is_labelled(10**9, 81)


def test_no_kernel_of_many_states_is_factored_for_two_agents(monkeypatch):
    kernel = np.ascontiguousarray(line_game(n_states=81).transition_local[:, :, 0])

    def refuse(*_):
        raise AssertionError("factored")

    monkeypatch.setattr(exact, "precise_moves", refuse)
    transitions = ExactTransitions(kernel, k=2, max_relative_error=1e-12)
    assert transitions.method == "labelled"
    moved = transitions.expect(0, np.ones((81 * 82 // 2, 1)))
    np.testing.assert_allclose(moved, 1.0, rtol=transitions.relative_error)
    with pytest.raises(AssertionError, match="factored"):
        ExactTransitions(kernel, k=4, max_relative_error=1e-12)


def test_answers_to_few_agents_among_many_states_take_labels():
    env = line_game().with_states_seen()
    found = dm.g_learn(env, random_local_policy(np.random.default_rng(0), env), k=2, transitions="exact")
    assert (found.method, found.converged) == ("labelled", True)
    # What sees all agents of a game is worth what it expects.
    smaller = dataclasses.replace(env, n_agents=2)
    worth = dm.exact_return(smaller, found.policy, random_local_policy(np.random.default_rng(0), env), k=2)
    best = dm.value_bound(smaller, local_policy=random_local_policy(np.random.default_rng(0), env))
    assert abs(worth.value - best.value) <= worth.bound + best.error + 2 * found.bound / (1 - env.gamma)


def test_the_memory_that_is_stated_is_about_what_is_taken():
    env = line_game(n_states=60)
    kernel = np.ascontiguousarray(env.transition_local[:, :, 0])
    labelled.labelled_order.cache_clear()
    tracemalloc.start()
    transitions = ExactTransitions(kernel, k=2, max_relative_error=1e-12)
    for s_g in range(2):
        transitions.expect(s_g, np.zeros((60 * 61 // 2, 2)))
    _, taken = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 * taken < exact_bytes(env, 2) < 2 * taken
