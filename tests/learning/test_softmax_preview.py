from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.learning.l_learn import minimum_temperature
from distmarl.learning.softmax_preview import preview_softmax
from distmarl.model.options import LocalAgent

BY_RANGE = LocalAgent(softmax_temperature_unit="range")


def scaled(factor: float) -> dm.Environment:
    env = dm.robots(n_agents=10)
    return dataclasses.replace(env, reward_local=factor * env.reward_local, reward_global=factor * env.reward_global)


def test_relative_to_the_range_robots_keep_their_temperature_to_the_bit():
    env = dm.robots()
    assert minimum_temperature(env, BY_RANGE) == LocalAgent.softmax_temperature_min == 0.3
    answer = dm.g_learn(env, dm.uniform_local_policy(env), k=2, transitions="exact").policy
    plain, relative = (
        dm.l_learn(env, answer, dm.uniform_local_policy(env), k=2, softmax_temperature_unit=unit).policy
        for unit in ("reward", "range")
    )
    np.testing.assert_array_equal(plain, relative)


def test_relative_to_the_range_the_softmax_does_not_depend_on_the_unit_of_reward():
    plain, small = (preview_softmax(scaled(factor), BY_RANGE) for factor in (1.0, 0.01))
    assert small.value == pytest.approx(0.01 * plain.value, rel=1e-6)
    assert small.minimum_share == plain.minimum_share
    assert not plain.is_notable
    assert not small.is_notable


def test_a_minimum_that_decides_is_told_with_its_price():
    robots, small = (preview_softmax(scaled(factor), LocalAgent()) for factor in (1.0, 0.01))
    assert not robots.is_notable
    assert small.is_notable
    assert small.minimum_share == 1.0
    assert small.greedy_value == pytest.approx(0.01 * robots.greedy_value, rel=1e-6)
    assert small.value < 0.8 * small.greedy_value
    assert preview_softmax(scaled(0.01), LocalAgent(policy="greedy")).minimum_share == 0.0


def test_what_it_costs_does_not_depend_on_where_rewards_have_their_zero():
    for factor, is_told in ((1.0, False), (0.01, True)):
        env = scaled(factor)
        for constant in (-2.0, 0.0, 100.0):
            moved = dataclasses.replace(env, reward_global=env.reward_global + constant)
            assert preview_softmax(moved, LocalAgent()).is_notable == is_told, constant


def test_a_game_whose_rewards_are_all_the_same_has_a_temperature():
    env = dataclasses.replace(dm.robots(), reward_local=np.ones((5, 5, 3)))
    assert minimum_temperature(env, BY_RANGE) == 0.3
    assert preview_softmax(env, LocalAgent()).minimum_share == 0.0


def test_an_unknown_unit_is_refused():
    env = dm.robots()
    answer = np.zeros((5, 5), dtype=int)
    with pytest.raises(InvalidArgumentError, match="softmax_temperature_unit"):
        dm.l_learn(env, answer, dm.uniform_local_policy(env), k=1, softmax_temperature_unit="rewards")
