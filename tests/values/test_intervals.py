from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from distmarl import estimate_difference, estimate_mean, evaluate
from distmarl.errors import InvalidArgumentError
from distmarl.values.intervals import student_t_quantile
from tests.reference import enumerate_counts, exact_return
from tests.strategies import random_environment, random_local_policy


@pytest.mark.parametrize("degrees_of_freedom", [*range(1, 12), 30, 99, 500, 999, 1000, 1001, 10**4, 10**9])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.95, 0.975, 0.9995])
def test_quantiles_of_student_are_those_of_scipy(probability, degrees_of_freedom):
    expected = stats.t.ppf(probability, degrees_of_freedom)
    assert student_t_quantile(probability, degrees_of_freedom) == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_quantiles_of_student_are_those_in_every_table():
    found = [round(student_t_quantile(0.975, v), 3) for v in (1, 2, 4, 9, 10**9)]
    assert found == [12.706, 4.303, 2.776, 2.262, 1.960]


def test_an_estimate_is_its_closed_form():
    estimate = estimate_mean([2, 4, 4, 6])
    standard_error = math.sqrt(8 / 3 / 4)
    assert (estimate.n, estimate.mean) == (4, 4.0)
    assert estimate.standard_error == pytest.approx(standard_error)
    assert estimate.ci95_low == pytest.approx(4 - 3.182446 * standard_error)
    assert estimate.ci95_high == pytest.approx(4 + 3.182446 * standard_error)


def test_one_draw_has_a_mean_and_no_interval():
    estimate = estimate_mean([3.0])
    assert (estimate.n, estimate.mean) == (1, 3.0)
    assert all(math.isnan(x) for x in (estimate.standard_error, estimate.ci95_low, estimate.ci95_high))


def test_draws_that_are_all_alike_have_an_interval_of_no_width():
    estimate = estimate_mean([2.5] * 5)
    assert (estimate.standard_error, estimate.ci95_low, estimate.ci95_high) == (0.0, 2.5, 2.5)


def test_a_difference_is_that_of_its_pairs():
    first, second = [1.0, 5.0, 9.0], [2.0, 7.0, 9.0]
    assert estimate_difference(first, second) == estimate_mean([1.0, 2.0, 0.0])


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (lambda: estimate_mean([]), r"^sample: must be a list of one number or more, got shape \(0,\)"),
        (lambda: estimate_mean([[1.0]]), r"^sample: must be a list of one number or more, got shape \(1, 1\)"),
        (lambda: estimate_mean(["a"]), r"^sample: must be a list of numbers, got text"),
        (lambda: estimate_difference([1.0], [1.0, 2.0]), r"^second: must have as many entries as first \(1\), got 2"),
    ],
)
def test_what_is_no_sample_is_refused(estimate, message):
    with pytest.raises(InvalidArgumentError, match=message):
        estimate()


def test_estimates_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate_mean([1.0]).mean = 2.0


# Coverage of the exact return, in a small game.

N_REPETITIONS, N_SEEDS, N_ROLLOUTS, HORIZON = 1000, 10, 8, 4


@pytest.fixture(scope="module")
def repetitions():
    """Returns (repetition, seed, rollout) for k = 1 and k = 2, and what they estimate."""
    rng = np.random.default_rng(1)
    env = random_environment(rng, n_agents=3, concentration=0.3)
    local_policy = random_local_policy(rng, env)
    # Of two agents the global agent heeds one, so that the two policies often do the same.
    heeded = [len(counts) - 1 - np.flatnonzero(counts)[0] for counts in enumerate_counts(2, 3)]
    one = np.array([[0, 1, 0], [1, 1, 0]])
    policies = {1: one, 2: one[:, heeded]}
    returns, exact = {}, {}
    for k in (1, 2):
        pair = policies[k], local_policy
        drawn = evaluate(env, *pair, k=k, n_rollouts=N_REPETITIONS * N_SEEDS * N_ROLLOUTS, horizon=HORIZON).returns
        returns[k] = drawn.reshape(N_REPETITIONS, N_SEEDS, N_ROLLOUTS)
        exact[k] = exact_return(env, *pair, k=k, horizon=HORIZON)
    return returns, exact


def coverage(samples, value, interval=lambda sample: estimate_mean(sample)):
    """Share of the samples' intervals that hold a value."""
    estimates = [interval(sample) for sample in samples]
    return np.mean([estimate.ci95_low <= value <= estimate.ci95_high for estimate in estimates])


@dataclasses.dataclass
class Interval:
    ci95_low: float
    ci95_high: float


def percentile_bootstrap(sample):
    drawn = np.random.default_rng(0).choice(sample, size=(500, len(sample)))
    return Interval(*np.percentile(drawn.mean(axis=1), [2.5, 97.5]))


def normal_interval(sample):
    reach = 1.96 * sample.std(ddof=1) / math.sqrt(len(sample))
    return Interval(sample.mean() - reach, sample.mean() + reach)


@pytest.mark.parametrize("k", [1, 2])
def test_intervals_over_rollouts_cover_the_exact_return(repetitions, k):
    returns, exact = repetitions
    assert 0.93 <= coverage(returns[k].reshape(N_REPETITIONS, -1), exact[k]) <= 0.97


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("n_seeds", [3, 10])
def test_intervals_over_seeds_cover_the_exact_return(repetitions, k, n_seeds):
    returns, exact = repetitions
    assert 0.93 <= coverage(returns[k].mean(axis=2)[:, :n_seeds], exact[k]) <= 0.97


def test_intervals_of_paired_differences_cover_the_exact_difference(repetitions):
    returns, exact = repetitions
    gains = (returns[2] - returns[1]).reshape(N_REPETITIONS, -1)
    assert 0.93 <= coverage(gains, exact[2] - exact[1]) <= 0.97


def test_differences_that_are_taken_for_unpaired_cover_too_much(repetitions):
    returns, exact = repetitions
    before, after = (returns[k].reshape(N_REPETITIONS, -1) for k in (1, 2))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.3

    def unpaired(sample):
        reach = 1.96 * math.hypot(*(half.std(ddof=1) / math.sqrt(len(half)) for half in np.split(sample, 2)))
        gain = sample[len(sample) // 2 :].mean() - sample[: len(sample) // 2].mean()
        return Interval(gain - reach, gain + reach)

    assert coverage(np.concatenate([before, after], axis=1), exact[2] - exact[1], unpaired) > 0.98


def test_the_percentile_bootstrap_over_ten_seeds_covers_too_little(repetitions):
    returns, exact = repetitions
    assert coverage(returns[1].mean(axis=2), exact[1], percentile_bootstrap) < 0.93


def test_normal_quantiles_over_three_seeds_cover_too_little(repetitions):
    returns, exact = repetitions
    assert coverage(returns[1].mean(axis=2)[:, :3], exact[1], normal_interval) < 0.93


def test_another_value_is_not_covered(repetitions):
    returns, exact = repetitions
    assert coverage(returns[1].reshape(N_REPETITIONS, -1), exact[1] + 0.5) < 0.8


def test_seeds_are_batches_of_independent_rollouts(repetitions):
    returns, _ = repetitions
    over_rollouts = returns[1].reshape(N_REPETITIONS, -1).var(axis=1, ddof=1) / (N_SEEDS * N_ROLLOUTS)
    over_seeds = returns[1].mean(axis=2).var(axis=1, ddof=1) / N_SEEDS
    assert over_seeds.mean() == pytest.approx(over_rollouts.mean(), rel=0.05)
