from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from distmarl import evaluate, g_learn, l_learn, robots, train_alternating, uniform_local_policy
from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning import alternating
from distmarl.learning.alternating import _alternate
from distmarl.learning.g_learn import GLearnResult
from distmarl.learning.l_learn import LLearnResult
from distmarl.learning.mean_field import MeanField
from distmarl.model.random_streams import Role
from tests.strategies import random_environment


class Script:
    """Best responses that only count, and joint values that are read from a list.

    Proposal i is the pair (i, i + 0.5); what each response was given is recorded.
    """

    def __init__(self, values):
        self.values = values
        self.given = []

    def respond_globally(self, local_policy, *, initial_value=None):
        number = len(self.given)
        self.given.append((float(local_policy), initial_value))
        return GLearnResult(np.array(number), np.array(100 + number), 10 + number, 1e-7, True, "factored")

    def respond_locally(self, global_policy, local_policy):
        # Responds to the proposed global policy, and to the population that it was found against.
        assert float(local_policy) == self.given[-1][0]
        mean_field = MeanField(np.ones(1), 2, 3)
        return LLearnResult(global_policy + 0.5, np.zeros(1), 20 + int(global_policy), 1e-8, False, mean_field)

    def joint_value(self, global_policy, local_policy):
        assert float(local_policy) == global_policy + 0.5
        return self.values[int(global_policy)]

    def run(self, n_outer_iterations=10, convergence_rtol=0.01):
        proposals = _alternate(
            np.array(-1.0),
            self.respond_globally,
            self.respond_locally,
            self.joint_value,
            n_outer_iterations,
            convergence_rtol,
        )
        return list(proposals)


def outcomes(values, **options):
    return [proposal.outcome for proposal in Script(values).run(**options)]


# The logic of the alternation, on scripted values.


def test_each_proposal_answers_the_one_before_and_starts_from_its_value():
    script = Script([10.0, 12.0, 14.0])
    script.run(n_outer_iterations=3)
    assert script.given == [(-1.0, None), (0.5, np.array(100)), (1.5, np.array(101))]


def test_a_settled_value_stops_the_alternation():
    history = outcomes([10.0, 12.0, 12.1, 99.0])
    assert [outcome.stopped_because for outcome in history] == [None, None, "converged"]
    assert all(outcome.accepted for outcome in history)


def test_changes_are_relative_to_the_value_before():
    history = outcomes([10.0, 12.0, 11.9, 99.0], convergence_rtol=0.005)
    assert math.isnan(history[0].relative_change)
    assert [outcome.relative_change for outcome in history[1:3]] == pytest.approx([0.2, -0.1 / 12])


def test_changes_of_negative_values_are_relative_to_their_size():
    history = outcomes([-10.0, -8.0, -8.01])
    assert [outcome.relative_change for outcome in history[1:]] == pytest.approx([0.2, -0.00125])
    assert history[-1].stopped_because == "converged"


def test_values_of_zero_do_not_divide_by_zero():
    assert [outcome.stopped_because for outcome in outcomes([0.0, 0.0])] == [None, "converged"]
    assert outcomes([0.0, 5.0], n_outer_iterations=2)[-1].stopped_because == "n_outer_iterations"


def test_a_clear_loss_is_rejected_and_ends_the_alternation():
    history = outcomes([10.0, 8.0, 99.0])
    assert [outcome.accepted for outcome in history] == [True, False]
    assert history[-1].stopped_because == "reverted"


def test_losses_are_against_the_best_value_and_changes_against_the_last():
    # A loss of exactly the tolerance is accepted and settles nothing; only then do best and last differ.
    history = outcomes([8.0, 4.0, 3.0, 99.0], convergence_rtol=0.5)
    assert [outcome.accepted for outcome in history] == [True, True, False]
    assert [outcome.relative_change for outcome in history[1:]] == [-0.5, -0.25]
    assert history[-1].stopped_because == "reverted"


def test_a_small_loss_is_accepted_and_a_rejected_last_pair_is_reported():
    history = outcomes([100.0, 120.0, 119.0], convergence_rtol=0.01, n_outer_iterations=3)
    assert (history[-1].accepted, history[-1].stopped_because) == (True, "converged")
    history = outcomes([100.0, 120.0, 90.0], convergence_rtol=0.01, n_outer_iterations=3)
    assert (history[-1].accepted, history[-1].stopped_because) == (False, "reverted")


def test_losses_of_negative_values_are_losses():
    assert [outcome.accepted for outcome in outcomes([-10.0, -12.0])] == [True, False]


def test_iterations_that_are_used_up_are_the_reason():
    history = outcomes([1.0, 2.0, 3.0, 4.0], n_outer_iterations=3)
    assert [outcome.stopped_because for outcome in history] == [None, None, "n_outer_iterations"]
    assert [outcome.iteration for outcome in history] == [0, 1, 2]


def test_a_single_iteration_is_accepted_whatever_it_is_worth():
    (outcome,) = outcomes([-5.0], n_outer_iterations=1)
    assert (outcome.accepted, outcome.stopped_because, outcome.joint_value) == (True, "n_outer_iterations", -5.0)


def test_certificates_of_both_responses_are_recorded():
    second = outcomes([1.0, 2.0], n_outer_iterations=2)[1]
    assert (second.global_n_iterations, second.global_bound, second.global_converged) == (11, 1e-7, True)
    assert (second.local_n_iterations, second.local_bound, second.local_converged) == (21, 1e-8, False)
    assert (second.n_recurrent_classes, second.mean_field_period) == (2, 3)


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
    monkeypatch.setattr(alternating, "g_learn", lambda _, policy, **__: script.respond_globally(policy))
    monkeypatch.setattr(alternating, "l_learn", lambda _, *policies, **__: script.respond_locally(*policies))
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


def test_equal_arguments_give_equal_results_bit_for_bit():
    env = robots()
    first, again = (train_alternating(env, **QUICK, seed=(2, 1)) for _ in range(2))
    np.testing.assert_array_equal(first.global_policy, again.global_policy)
    np.testing.assert_array_equal(first.local_policy, again.local_policy)
    # NaN of the first relative change compares by its text.
    assert repr(first.history) == repr(again.history)


@pytest.mark.parametrize("seed", range(6))
def test_histories_of_random_games_are_consistent(seed):
    env = random_environment(np.random.default_rng(seed), n_global_states=3, concentration=0.2)
    result = train_alternating(env, **QUICK, n_outer_iterations=6, seed=seed)
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
    env = robots()
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
        ({"k": 31}, r"^k: must be from 1 to n_agents \(30\), got 31"),
        ({"transitions": "none"}, r"^transitions: must be one of"),
        ({"softmax_temperature_min": 0.0}, r"^softmax_temperature_min: must be positive"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        train_alternating(robots(), **(QUICK | changes))


def test_results_cannot_be_changed():
    result = train_alternating(robots(), **QUICK, n_outer_iterations=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.joint_value = 1.0
