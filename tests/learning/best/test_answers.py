from __future__ import annotations

import itertools

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best import choice
from distmarl.learning.best.answers import choose, larger_size, solve_larger, start_value
from distmarl.learning.best.starts import start_policy
from tests.strategies import random_environment, random_local_policy


def every_global_policy(env, k):
    shape = (env.n_global_states, len(dm.count_vectors(k, env.n_local_states)))
    for actions in itertools.product(range(env.n_global_actions), repeat=int(np.prod(shape))):
        yield np.reshape(actions, shape)


@pytest.mark.parametrize("seed", range(4))
def test_no_answer_is_better_than_the_best_of_all_and_none_above_the_bound(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_local_states=2, n_agents=4, concentration=0.3)
    policy = random_local_policy(rng, env)
    bounds = [start_value(env, solve_larger(env, policy, size), size) for size in range(1, 5)]
    assert all(after <= before + 1e-5 for before, after in itertools.pairwise(bounds))
    worths = [dm.exact_return(env, each, policy, k=1, tolerance=1e-5).value for each in every_global_policy(env, 1)]
    found = dm.best_answer(env, policy, k=1)
    assert found.method == "exact"
    assert max(worths) <= bounds[-1] + 1e-5
    assert min(worths) <= found.value <= max(worths) + 1e-4
    # Of the sixteen, G-LEARN's and the blind ones are among what competes.
    answer = dm.g_learn(env, policy, k=1, transitions="exact").policy
    blind = [np.full((2, 2), action) for action in range(2)]
    assert found.value >= max(dm.exact_return(env, each, policy, k=1).value for each in (answer, *blind)) - 1e-4
    assert found.value == pytest.approx(dm.exact_return(env, found.policy, policy, k=1).value, abs=1e-4)


def test_seeing_everyone_the_best_answer_is_that_of_g_learn():
    rng = np.random.default_rng(5)
    env = random_environment(rng, n_agents=4)
    policy = random_local_policy(rng, env)
    found = dm.best_answer(env, policy, k=4)
    best = dm.g_learn(env, policy, k=4, transitions="exact").policy
    assert found.value == pytest.approx(dm.exact_return(env, best, policy, k=4).value, abs=1e-4)


def test_bounds_fall_with_the_number_of_agents():
    env = dm.robots(n_agents=5)
    policy = dm.uniform_local_policy(env)
    bounds = [start_value(env, solve_larger(env, policy, size), size) for size in range(1, 6)]
    assert all(after < before - 0.1 for before, after in itertools.pairwise(bounds))


def test_who_sees_one_robot_had_better_not_react_to_it():
    env = dm.robots(n_agents=12)
    policy = start_policy(env, "constant_action 0", 0)
    found = dm.best_answer(env, policy, k=1)
    reacting = dm.g_learn(env, policy, k=1, transitions="exact").policy
    assert found.answer == "blind"
    assert found.value > dm.exact_return(env, reacting, policy, k=1).value + 10


@pytest.mark.parametrize("way", ["a few exactly", "rollouts alone"])
def test_rollouts_choose_nearly_as_well_where_exact_values_are_dear(monkeypatch, way):
    env = dm.robots(n_agents=8, n_global_states=3, n_local_states=3, n_global_actions=3)
    rng = np.random.default_rng(0)
    policies = [random_local_policy(rng, env) for _ in range(3)]
    exact = choose(env, policies, k=2, seed=1)
    monkeypatch.setattr(choice, "CHEAP_STATES", 0)
    if way == "rollouts alone":
        monkeypatch.setattr(choice, "MAX_STATES", 0)
    found = choose(env, policies, k=2, seed=1)
    worth = dm.exact_return(env, found.global_policy, found.local_policy, k=2).value
    if way == "rollouts alone" and found.answer != "blind":
        assert found.worth.method == "rollouts"
        assert abs(found.worth.value - worth) < 5 * found.worth.error + 2e-4 * worth
    else:
        assert found.worth.value == pytest.approx(worth, abs=1e-3)
    assert exact.worth.value - 1.0 < worth < exact.worth.value + 1e-3


def test_values_by_rollouts_may_stand_beside_exact_ones(monkeypatch):
    env = dm.robots(n_agents=8, n_global_states=3, n_local_states=3, n_global_actions=3)
    policy = start_policy(env, "stay", 0)
    monkeypatch.setattr(choice, "CHEAP_STATES", 0)
    monkeypatch.setattr(choice, "MAX_STATES", 0)
    monkeypatch.setattr(choice, "N_ROLLOUTS", 20_000)
    found = choose(env, [policy], k=8, seed=1, answer="surrogate")
    exact = dm.exact_return(env, found.global_policy, policy, k=8).value
    assert found.worth.method == "rollouts"
    assert 5 * found.worth.error < 0.006 * exact  # so that a hundredth left out would show
    assert abs(found.worth.value - exact) < 5 * found.worth.error


def test_what_cannot_win_is_passed_over():
    env = dm.robots(n_agents=6)
    good = start_policy(env, "stay", 0)
    uniform = dm.uniform_local_policy(env)
    found = choose(env, [uniform, good], k=6, seed=0)
    assert found.number == 1
    assert [look.is_skipped for look in found.looks] == [True, False]
    assert found.looks[0].bound < found.worth.value <= found.looks[1].bound


def test_the_larger_game_fits():
    assert larger_size(dm.robots(n_agents=9)) == 9
    assert larger_size(dm.robots(n_agents=1000)) == 14
    many = dm.robots(n_agents=30, n_global_states=12, n_local_states=12, n_global_actions=12)
    assert 1 < larger_size(many) < 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"k": 0}, "k: must be from 1"), ({"k": 1, "seed": -1}, "seed: must be"), ({"k": 1.0}, "k: must be an integer")],
)
def test_wrong_arguments_are_refused(arguments, message):
    env = dm.robots(n_agents=3)
    with pytest.raises(InvalidArgumentError, match=message):
        dm.best_answer(env, dm.uniform_local_policy(env), **arguments)
