from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from distmarl import (
    estimate_mean,
    evaluate,
    g_learn,
    l_learn,
    robots,
    train_alternating,
    uniform_local_policy,
)
from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.model.random_streams import Role
from tests.reference import enumerate_counts, exact_return, standard_errors_from
from tests.strategies import random_environment, random_global_policy, random_local_policy


@pytest.fixture
def game():
    """A game with 4 agents, and a pair of policies for k = 2."""
    rng = np.random.default_rng(0)
    env = random_environment(rng, n_agents=4)
    return env, random_global_policy(rng, env, 2), random_local_policy(rng, env)


def test_a_result_is_shown_in_a_line(game):
    result = evaluate(*game, k=2, n_rollouts=9, horizon=5)
    assert repr(result).startswith(
        f"EvaluationResult(mean={result.mean:.6g}, std={result.std:.3g}, n_rollouts=9, horizon=5"
    )
    pair = train_alternating(game[0], k=2, n_outer_iterations=1, n_rollouts=2, horizon=2)
    assert repr(pair).startswith(f"AlternatingResult(joint_value={pair.joint_value!r}, history=")
    for each in (
        g_learn(game[0], pair.local_policy, k=2),
        l_learn(game[0], pair.global_policy, pair.local_policy, k=2),
    ):
        assert "policy=" not in repr(each)


def test_mean_and_standard_deviation_are_the_samples(game):
    result = evaluate(*game, k=2, n_rollouts=9, horizon=5)
    assert result.returns.shape == (9,)
    mean = sum(result.returns) / 9
    assert result.mean == pytest.approx(mean, rel=1e-14)
    assert result.std == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in result.returns) / 8), rel=1e-13)
    assert result.horizon == 5
    assert result.estimate == estimate_mean(result.returns)


def test_a_single_rollout_has_no_standard_deviation(game):
    assert math.isnan(evaluate(*game, k=2, n_rollouts=1).std)


def test_the_mean_estimates_the_exact_return(game):
    exact = exact_return(*game, k=2, horizon=7)
    returns = evaluate(*game, k=2, n_rollouts=40_000, horizon=7).returns
    assert standard_errors_from(returns, exact) < 4
    # Negative control: another policy is worth something else.
    env, global_policy, local_policy = game
    other = evaluate(env, 1 - global_policy, local_policy, k=2, n_rollouts=40_000, horizon=7).returns
    assert standard_errors_from(other, exact) > 4


def test_evaluation_is_the_counted_rollouts_on_its_own_stream(game):
    options = {"k": 2, "n_rollouts": 6, "horizon": 4, "seed": (3, 1)}
    expected = run_rollouts(*game, **options, role=Role.EVALUATION)
    np.testing.assert_array_equal(evaluate(*game, **options).returns, expected.returns)
    assert (run_rollouts(*game, **options, role=Role.JOINT_VALUE).returns != expected.returns).all()


def test_the_default_is_fifty_rollouts_of_fifty_steps(game):
    result = evaluate(*game, k=2)
    np.testing.assert_array_equal(result.returns, evaluate(*game, k=2, n_rollouts=50, horizon=50, seed=0).returns)


def test_seeds_make_returns(game):
    first, again, other = (evaluate(*game, k=2, seed=seed).returns for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_longer_horizons_only_add_to_non_negative_rewards():
    env = robots()
    policy = np.zeros((5, 15), dtype=int)
    short, long = (evaluate(env, policy, uniform_local_policy(env), k=2, horizon=h).returns for h in (10, 11))
    later = long - short
    assert (later > 0).all()
    assert (later <= env.gamma**10 * (1 + env.reward_local.max())).all()


def test_mode_accuracy_is_a_share_where_actions_are_states(game):
    env = robots(n_agents=6)
    counts = np.array(enumerate_counts(6, 5))
    policy = np.tile(counts.argmax(axis=1), (5, 1))
    assert evaluate(env, policy, uniform_local_policy(env), k=6).mode_accuracy == 1.0
    away = np.tile(counts.argmin(axis=1), (5, 1))
    assert evaluate(env, away, uniform_local_policy(env), k=6).mode_accuracy == 0.0
    assert math.isnan(evaluate(*game, k=2).mode_accuracy)


def test_expected_rewards_estimate_the_same_return_with_less_noise():
    # Two agents, whose actions are worth far more than where they are.
    env = random_environment(np.random.default_rng(2), n_agents=2)
    env = dataclasses.replace(env, reward_local=np.add(env.reward_local, [-5.0, 5.0]))
    pair = random_global_policy(np.random.default_rng(3), env, 2), random_local_policy(np.random.default_rng(4), env)
    exact = exact_return(env, *pair, k=2, horizon=7)
    sampled, expected = (
        evaluate(env, *pair, k=2, n_rollouts=40_000, horizon=7, reward=reward) for reward in ("sampled", "expected")
    )
    assert standard_errors_from(sampled.returns, exact) < 4
    assert standard_errors_from(expected.returns, exact) < 4
    assert expected.std < 0.8 * sampled.std


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint64])
def test_policies_may_be_lists_or_any_integers(game, dtype):
    env, global_policy, local_policy = game
    expected = evaluate(*game, k=2).returns
    typed = evaluate(env, global_policy.astype(dtype), local_policy, k=2).returns
    listed = evaluate(env, global_policy.tolist(), local_policy.tolist(), k=2).returns
    np.testing.assert_array_equal(typed, expected)
    np.testing.assert_array_equal(listed, expected)


def test_local_policies_off_by_rounding_are_normalised(game):
    env, global_policy, local_policy = game
    result = evaluate(env, global_policy, local_policy * (1 + 5e-10), k=2)
    np.testing.assert_allclose(result.returns, evaluate(*game, k=2).returns, rtol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 5}, r"^k: must be from 1 to n_agents \(4\), got 5"),
        ({"k": 3}, r"^global_policy: .* = \(2, 10\) for k=3, got int64 of shape \(2, 6\)"),
        ({"n_rollouts": 0}, r"^n_rollouts: must be at least 1, got 0"),
        ({"horizon": 0}, r"^horizon: must be at least 1, got 0"),
        ({"reward": "mean"}, r"^reward: must be one of sampled, expected, got 'mean'"),
        ({"seed": -1}, r"^seed: must be an integer of 0 or more"),
        ({"global_policy": np.full((2, 6), 2)}, r"^global_policy: actions must be in 0 \.\. 1, got 2 \.\. 2"),
        ({"local_policy": np.full((2, 3, 2), 0.4)}, r"^local_policy\[0, 0\]: must sum to 1"),
    ],
)
def test_impossible_arguments_are_refused(game, changes, message):
    env, global_policy, local_policy = game
    arguments = {"global_policy": global_policy, "local_policy": local_policy, "k": 2} | changes
    with pytest.raises(InvalidArgumentError, match=message):
        evaluate(env, **arguments)


def test_results_cannot_be_changed(game):
    with pytest.raises(dataclasses.FrozenInstanceError):
        evaluate(*game, k=2).horizon = 3
