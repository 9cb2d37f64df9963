from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from distmarl import uniform_local_policy
from distmarl.errors import InvalidArgumentError
from distmarl.model.policies import (
    checked_action_law,
    checked_global_policy,
    checked_k,
    checked_local_policy,
    local_kernel,
    local_reward,
)
from tests.reference import mixed_kernel, mixed_reward
from tests.strategies import DETERMINISTIC, environments, generators, random_environment, random_local_policy


@pytest.fixture
def env():
    """A game with G = 2, L = 3, A_g = 2, A_l = 4 and 6 agents."""
    return random_environment(np.random.default_rng(0), n_local_actions=4)


def test_uniform_policy_takes_every_action_alike(env):
    np.testing.assert_array_equal(uniform_local_policy(env), np.full((2, 3, 4), 0.25))


@DETERMINISTIC
@given(environments(), generators())
def test_kernel_and_reward_average_over_local_actions(env, rng):
    policy = random_local_policy(rng, env)
    np.testing.assert_allclose(local_kernel(env, policy), mixed_kernel(env, policy), rtol=0, atol=1e-14)
    np.testing.assert_allclose(local_reward(env, policy), mixed_reward(env, policy), rtol=0, atol=1e-13)
    np.testing.assert_allclose(local_kernel(env, policy).sum(axis=-1), 1.0, rtol=0, atol=4e-16)


def test_a_deterministic_policy_picks_rows_of_the_tables(env):
    policy = np.zeros((2, 3, 4))
    policy[..., 2] = 1.0
    np.testing.assert_allclose(local_kernel(env, policy), env.transition_local[:, :, 2], rtol=1e-15)
    np.testing.assert_array_equal(local_reward(env, policy), env.reward_local[:, :, 2])


@pytest.mark.parametrize("k", [1, 6, np.int64(3)])
def test_k_may_be_any_integer_up_to_n_agents(env, k):
    assert checked_k(env, k) == k
    assert type(checked_k(env, k)) is int


@pytest.mark.parametrize("k", [0, -1, 7])
def test_k_out_of_range_is_refused(env, k):
    with pytest.raises(InvalidArgumentError, match=rf"^k: must be from 1 to n_agents \(6\), got {k}$"):
        checked_k(env, k)


@pytest.mark.parametrize("k", [2.0, "2", None, True])
def test_k_must_be_an_integer(env, k):
    with pytest.raises(InvalidArgumentError, match=f"^k: must be an integer, got {k!r}$"):
        checked_k(env, k)


def test_local_policies_are_normalised_and_not_changed(env):
    given_policy = uniform_local_policy(env) * (1 + 5e-10)
    before = given_policy.copy()
    np.testing.assert_allclose(checked_local_policy(env, given_policy).sum(axis=-1), 1.0, rtol=0, atol=4e-16)
    np.testing.assert_array_equal(given_policy, before)
    checked_local_policy(env, uniform_local_policy(env).tolist())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.5, 0.5, -0.5], r"^local_policy\[1, 2, 3\]: must not be negative, got .*-0\.5"),
        ([0.5, np.nan, 0.5, 0.0], r"^local_policy\[1, 2, 1\]: .* got .*nan"),
        ([0.5, 0.25, 0.0, 0.0], r"^local_policy\[1, 2\]: must sum to 1 .* got .*0\.75"),
        ([np.inf, 0.0, 0.0, 0.0], r"^local_policy\[1, 2\]: must sum to 1 .* got .*inf"),
        ([0.25, 0.25, 0.25, 0.25 + 2e-9], r"^local_policy\[1, 2\]: must sum to 1 within 1e-09"),
    ],
)
def test_local_policies_that_are_no_distributions_are_refused(env, row, message):
    policy = uniform_local_policy(env)
    policy[1, 2] = row
    with pytest.raises(InvalidArgumentError, match=message):
        checked_local_policy(env, policy)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 4), (2, 3, 3), ()])
def test_local_policies_of_the_wrong_shape_are_refused(env, shape):
    with pytest.raises(InvalidArgumentError, match=r"^local_policy: must have shape \(G, L, A_l\) = \(2, 3, 4\), got"):
        checked_local_policy(env, np.ones(shape))


def test_local_policies_that_are_no_numbers_are_refused(env):
    with pytest.raises(InvalidArgumentError, match=r"^local_policy: "):
        checked_local_policy(env, "uniform")


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64, np.uint8, np.uint64])
def test_global_policies_may_have_any_integer_type(env, dtype):
    policy = np.ones((2, 6), dtype=dtype)
    np.testing.assert_array_equal(checked_global_policy(env, policy, 2), np.ones((2, 6)))


@pytest.mark.parametrize(
    "policy",
    [np.zeros((2, 5), dtype=int), np.zeros((1, 6), dtype=int), np.zeros((2, 6)), np.zeros((2, 6), dtype=bool)],
)
def test_global_policies_of_the_wrong_shape_or_type_are_refused(env, policy):
    with pytest.raises(InvalidArgumentError, match=r"^global_policy: must be integers .* = \(2, 6\) for k=2, got"):
        checked_global_policy(env, policy, 2)


@pytest.mark.parametrize("action", [-1, 2])
def test_global_policies_with_unknown_actions_are_refused(env, action):
    policy = np.zeros((2, 6), dtype=int)
    policy[1, 3] = action
    with pytest.raises(InvalidArgumentError, match=rf"^global_policy: actions must be in 0 \.\. 1, got .*{action}"):
        checked_global_policy(env, policy, 2)


@pytest.fixture
def action_law():
    """A law of the global action for the game: 2 actions over the 28 count vectors of 6 agents."""
    return np.full((2, 2, 28), 0.5)


def test_action_laws_are_normalised_and_not_changed(env, action_law):
    before = action_law.copy()
    np.testing.assert_array_equal(checked_action_law(env, action_law.tolist()), before)
    checked = checked_action_law(env, action_law * (1 + 5e-10))
    np.testing.assert_allclose(checked.sum(axis=1), 1.0, rtol=0, atol=4e-16)
    np.testing.assert_array_equal(action_law, before)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([1.25, -0.25], r"^action_law\[1, 1, 7\]: must not be negative, got -0\.25$"),
        ([np.nan, 0.5], r"^action_law\[1, 0, 7\]: must not be negative, got nan$"),
        ([0.5, 0.25], r"^action_law\[1, :, 7\]: must sum to 1 within 1e-09, got 0\.75$"),
        ([0.5, 0.5 + 2e-9], r"^action_law\[1, :, 7\]: must sum to 1 within 1e-09"),
    ],
)
def test_action_laws_that_are_no_distributions_are_refused(env, action_law, actions, message):
    action_law[1, :, 7] = actions
    with pytest.raises(InvalidArgumentError, match=message):
        checked_action_law(env, action_law)


@pytest.mark.parametrize("shape", [(2, 28, 2), (2, 2, 6), ()])
def test_action_laws_of_the_wrong_shape_are_refused(env, shape):
    with pytest.raises(InvalidArgumentError, match=r"^action_law: must have shape .* = \(2, 2, 28\), got"):
        checked_action_law(env, np.ones(shape))


def test_action_laws_that_are_no_numbers_are_refused(env):
    with pytest.raises(InvalidArgumentError, match=r"^action_law: must be numbers of shape .* = \(2, 2, 28\)"):
        checked_action_law(env, "greedy")
