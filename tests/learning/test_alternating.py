from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from distmarl import (
    Environment,
    evaluate,
    exact_return,
    g_learn,
    l_learn,
    robots,
    train_alternating,
    uniform_local_policy,
)
from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning import alternating
from distmarl.model.random_streams import Role
from tests import reference
from tests.learning.scripts import Script
from tests.strategies import random_environment


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([10.0, 12.0, 8.0], 1),  # reverted
        ([100.0, 120.0, 119.0], 1),  # converged a little lower
        ([100.0, 120.0, 120.5], 2),
        ([10.0, 12.0, 14.0, 16.0], 3),
        ([10.0, 9.0], 0),
    ],
)
def test_the_returned_pair_is_the_best_one(monkeypatch, values, best):
    script = Script(values)
    monkeypatch.setattr(alternating, "learn_global", lambda _, policy, **__: script.respond_globally(policy))
    monkeypatch.setattr(alternating, "learn_local", lambda _, *policies, **__: script.respond_locally(*policies))
    monkeypatch.setattr(alternating, "uniform_local_policy", lambda _: np.array(-1.0))

    def run_scripted(_, *pair, **__):
        value = script.joint_value(*pair)
        return type("Rollouts", (), {"returns": np.array([value, value])})

    monkeypatch.setattr(alternating, "run_rollouts", run_scripted)
    result = train_alternating(robots(), k=1, n_outer_iterations=4)
    assert (float(result.global_policy), float(result.local_policy)) == (best, best + 0.5)
    assert result.joint_value == values[best]
    assert [outcome.joint_value for outcome in result.history] == values
    assert result.converged == (result.stopped_because == "converged")


# The alternation itself.

QUICK = {"k": 2, "n_mc_samples": 4, "n_rollouts": 10, "horizon": 20}


def test_the_first_proposal_answers_the_uniform_policy():
    env = robots()
    result = train_alternating(env, **QUICK, seed=3, n_outer_iterations=1)
    uniform = uniform_local_policy(env)
    globally = g_learn(env, uniform, k=2, n_mc_samples=4, seed=3)
    locally = l_learn(env, globally.policy, uniform, k=2)
    np.testing.assert_array_equal(result.global_policy, globally.policy)
    np.testing.assert_array_equal(result.local_policy, locally.policy)
    rollouts = run_rollouts(
        env, globally.policy, locally.policy, k=2, n_rollouts=10, horizon=20, seed=3, role=Role.JOINT_VALUE
    )
    assert result.joint_value == rollouts.returns.mean()


def test_later_proposals_answer_the_accepted_pair():
    env = robots()
    first = train_alternating(env, **QUICK, n_outer_iterations=1)
    second = train_alternating(env, **QUICK, n_outer_iterations=2, convergence_rtol=0.0)
    globally = g_learn(env, first.local_policy, k=2, n_mc_samples=4)
    locally = l_learn(env, globally.policy, first.local_policy, k=2)
    assert len(second.history) == 2
    assert second.history[0].joint_value == first.joint_value
    value = run_rollouts(
        env, globally.policy, locally.policy, k=2, n_rollouts=10, horizon=20, seed=0, role=Role.JOINT_VALUE
    ).returns.mean()
    assert second.history[1].joint_value == pytest.approx(value, rel=1e-12)


def test_joint_values_use_numbers_that_no_evaluation_uses():
    env = robots()
    result = train_alternating(env, **QUICK)
    evaluation = evaluate(env, result.global_policy, result.local_policy, k=2, n_rollouts=10, horizon=20, seed=0)
    assert abs(evaluation.mean - result.joint_value) > 1e-6


def test_the_first_proposal_answers_the_policy_that_one_starts_from():
    env = robots()
    up = np.eye(3)[np.ones((5, 5), dtype=int)]
    result = train_alternating(env, **QUICK, initial_local_policy=up, n_outer_iterations=1)
    globally = g_learn(env, up, k=2, n_mc_samples=4)
    np.testing.assert_array_equal(result.global_policy, globally.policy)
    np.testing.assert_array_equal(result.local_policy, l_learn(env, globally.policy, up, k=2).policy)
    uniform, default = (
        train_alternating(env, **QUICK, initial_local_policy=start) for start in (uniform_local_policy(env), None)
    )
    assert repr(uniform.history) == repr(default.history)


def test_exact_joint_values_are_exact_returns_of_as_many_steps():
    env = random_environment(np.random.default_rng(0), n_agents=5)
    exact = {"k": 2, "transitions": "exact", "joint_value": "exact", "horizon": 20}
    result = train_alternating(env, **exact)
    value = exact_return(env, result.global_policy, result.local_policy, k=2, horizon=20)
    assert result.joint_value == value.value
    assert result.joint_value == pytest.approx(
        reference.exact_return(env, result.global_policy, result.local_policy, k=2, horizon=20), abs=1e-10
    )
    # Nothing is drawn.
    other = train_alternating(env, **exact, seed=7, n_rollouts=1)
    assert repr(other.history) == repr(result.history)


def test_exact_joint_values_are_what_rollouts_estimate():
    env = robots(n_agents=6)
    estimated, exact = (
        train_alternating(env, k=2, transitions="exact", n_outer_iterations=1, joint_value=kind, n_rollouts=2000)
        for kind in ("rollouts", "exact")
    )
    np.testing.assert_array_equal(estimated.local_policy, exact.local_policy)
    spread = evaluate(env, exact.global_policy, exact.local_policy, k=2, n_rollouts=200).std
    assert 0 < abs(estimated.joint_value - exact.joint_value) < 4 * spread / math.sqrt(2000)


def follower():
    """One agent, whom the global agent follows: being in the same state pays 0.8 in state 0 and 1 in state 1.

    To be in state 1 costs the global agent 0.6, which the local agent does not reckon with: it
    stays in state 1, for 0.4 a step. Left to chance it would be in state 0 half of the time, for 0.8.
    """
    moves = np.stack([np.eye(2), [[0.8, 0.2], [0.2, 0.8]]], axis=1)  # stay; try to change
    return Environment(
        transition_global=np.tile(np.eye(2), (2, 1, 1)),
        transition_local=np.tile(moves, (2, 1, 1, 1)),
        reward_global=np.tile([0.0, -0.6], (2, 1)),
        reward_local=np.repeat(np.diag([0.8, 1.0])[:, :, None], 2, axis=2),
        n_agents=1,
        gamma=0.9,
    )


@pytest.mark.parametrize("joint_value", ["rollouts", "exact"])
def test_a_response_that_loses_is_kept_in_a_pair_and_rejected_by_itself(joint_value):
    env = follower()
    options = {"k": 1, "transitions": "exact", "policy": "greedy", "joint_value": joint_value, "n_rollouts": 1000}
    pair, each = (train_alternating(env, **options, update=update) for update in ("pair", "each"))
    # Count vectors of one agent: it is in state 1, or in state 0.
    for result in (pair, each):
        np.testing.assert_array_equal(result.global_policy, [[1, 0], [1, 0]])
    stay, change = range(2)
    assert pair.local_policy.argmax(axis=-1).tolist() == [[change, stay]] * 2
    np.testing.assert_array_equal(each.local_policy, uniform_local_policy(env))
    assert (pair.stopped_because, each.stopped_because) == ("converged", "reverted")
    assert [(outcome.proposal, outcome.accepted) for outcome in each.history] == [("global", True), ("local", False)]
    worth = [
        reference.exact_return(env, result.global_policy, result.local_policy, k=1, horizon=50)
        for result in (pair, each)
    ]
    assert worth[1] > worth[0] + 0.7
    tolerance = 1e-10 if joint_value == "exact" else 0.3
    assert [pair.joint_value, each.joint_value] == pytest.approx(worth, abs=tolerance)


def carousel():
    """Three agents of whom one is seen, in a game whose best responses go round.

    Some local policies make it worth while to react to what is seen. A local agent that takes those reactions for
    chance answers with a policy to which no reaction is the best answer, which brings back the first one.
    """
    likely = np.array([[[1, 0], [1, 1]], [[1, 1], [1, 0]]])
    return Environment(
        transition_global=np.tile(np.eye(2), (2, 1, 1)),
        transition_local=0.9 * np.eye(2)[likely] + 0.05,
        reward_global=np.array([[3.0, 1.0], [3.0, 2.0]]),
        reward_local=np.array([[[2.0, 3.0], [2.0, 0.0]], [[1.0, 1.0], [3.0, 3.0]]]),
        n_agents=3,
        gamma=0.9,
        initial_local_concentration=np.ones(2),
    )


def test_best_responses_that_go_round_are_a_cycle():
    env = carousel()
    start = np.eye(2)[[[1, 0], [0, 1]]]
    result = train_alternating(
        env, k=1, transitions="exact", policy="greedy", joint_value="exact", initial_local_policy=start
    )
    assert [outcome.accepted for outcome in result.history] == [True, True, False]
    assert [outcome.stopped_because for outcome in result.history] == [None, None, "cycle"]
    first, second, third = (outcome.joint_value for outcome in result.history)
    assert first == third == pytest.approx(45.6, abs=0.1)
    assert result.joint_value == second == pytest.approx(54.4, abs=0.1)
    np.testing.assert_array_equal(result.global_policy, np.zeros((2, 2)))
    np.testing.assert_array_equal(result.local_policy, start)
    # The best pair's responses are indeed the first pair again.
    globally = g_learn(env, start, k=1, transitions="exact").policy
    locally = l_learn(env, globally, start, k=1, policy="greedy").policy
    assert exact_return(env, globally, locally, k=1, horizon=50).value == first


def test_equal_arguments_give_equal_results_bit_for_bit():
    env = robots()
    first, again = (train_alternating(env, **QUICK, seed=(2, 1)) for _ in range(2))
    np.testing.assert_array_equal(first.global_policy, again.global_policy)
    np.testing.assert_array_equal(first.local_policy, again.local_policy)
    # NaN of the first relative change compares by its text.
    assert repr(first.history) == repr(again.history)


@pytest.mark.parametrize("update", ["pair", "each"])
@pytest.mark.parametrize("seed", range(6))
def test_histories_of_random_games_are_consistent(seed, update):
    env = random_environment(np.random.default_rng(seed), n_global_states=3, concentration=0.2)
    rounds = []
    result = train_alternating(
        env,
        **QUICK,
        update=update,
        n_outer_iterations=6,
        seed=seed,
        on_iteration=lambda outcome: rounds.append(outcome),
    )
    assert rounds == [outcome for outcome in result.history if outcome.proposal != "global"]
    assert [outcome.iteration for outcome in rounds] == list(range(len(rounds)))
    values = [outcome.joint_value for outcome in result.history]
    assert result.joint_value == max(values)
    assert [outcome.stopped_because is None for outcome in result.history] == [True] * (len(values) - 1) + [False]
    for number, outcome in enumerate(result.history):
        best = max(values[: number + 1])
        assert outcome.accepted == (outcome.joint_value >= best - 0.01 * abs(best))


def test_robots_gain_from_the_alternation():
    env = robots()
    uniform = uniform_local_policy(env)
    result = train_alternating(env, k=3, n_mc_samples=10, n_rollouts=100)
    before = evaluate(env, g_learn(env, uniform, k=3, n_mc_samples=10).policy, uniform, k=3, n_rollouts=100)
    after = evaluate(env, result.global_policy, result.local_policy, k=3, n_rollouts=100)
    # The initial states are shared, so the returns are compared pair by pair.
    gain = after.returns - before.returns
    assert gain.mean() > 4 * gain.std(ddof=1) / 10


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("seed", 1),
        ("k", 3),
        ("n_outer_iterations", 1),
        ("convergence_rtol", 0.1),
        ("initial_local_policy", np.eye(3)[np.ones((5, 5), dtype=int)]),
        ("update", "each"),
        ("joint_value", "exact"),
        ("policy", "greedy"),
        ("observation", "included"),
        ("transitions", "rounded"),
        ("n_mc_samples", 5),
        ("convergence_threshold", 1.0),
        ("max_vi_iterations", 2),
        ("local_convergence_threshold", 1.0),
        ("local_max_vi_iterations", 2),
        ("softmax_temperature_scale", 9.0),
        ("softmax_temperature_min", 3.0),
        ("n_rollouts", 11),
        ("horizon", 21),
    ],
)
def test_every_option_makes_a_difference(option, value):
    env = robots(n_agents=8)
    base = train_alternating(env, **QUICK)
    changed = train_alternating(env, **(QUICK | {option: value}))
    assert repr(changed.history) != repr(base.history)


def test_unconverged_responses_are_reported():
    env = robots()
    (outcome,) = train_alternating(
        env, **QUICK, n_outer_iterations=1, max_vi_iterations=2, local_max_vi_iterations=3
    ).history
    assert (outcome.global_n_iterations, outcome.global_converged) == (2, False)
    assert (outcome.local_n_iterations, outcome.local_converged) == (3, False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_outer_iterations": 0}, r"^n_outer_iterations: must be at least 1, got 0"),
        ({"n_rollouts": 0}, r"^n_rollouts: must be at least 1, got 0"),
        ({"horizon": 0}, r"^horizon: must be at least 1, got 0"),
        ({"convergence_rtol": -0.1}, r"^convergence_rtol: must be 0 or more, got -0\.1"),
        ({"convergence_rtol": math.nan}, r"^convergence_rtol: must be 0 or more, got nan"),
        ({"update": "both"}, r"^update: must be one of pair, each, got 'both'"),
        ({"joint_value": "guessed"}, r"^joint_value: must be one of rollouts, exact, got 'guessed'"),
        ({"policy": "best"}, r"^policy: must be one of softmax, greedy"),
        ({"observation": "inside"}, r"^observation: must be one of outside, included"),
        ({"initial_local_policy": np.ones((5, 5, 3))}, r"^initial_local_policy\[0, 0\]: must sum to 1"),
        ({"initial_local_policy": np.ones((5, 5))}, r"^initial_local_policy: must have shape"),
        ({"k": 31}, r"^k: must be from 1 to n_agents \(30\), got 31"),
        ({"transitions": "none"}, r"^transitions: must be one of"),
        ({"softmax_temperature_min": 0.0}, r"^softmax_temperature_min: must be positive"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        train_alternating(robots(), **(QUICK | changes))


def test_populations_too_large_for_exact_values_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(alternating, "learn_global", None)
    with pytest.raises(InvalidArgumentError, match=r"^n_agents: 1000 agents in 5 local states"):
        train_alternating(robots(n_agents=1000), k=2, joint_value="exact")


def test_results_cannot_be_changed():
    result = train_alternating(robots(), **QUICK, n_outer_iterations=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.joint_value = 1.0
