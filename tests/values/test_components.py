"""What several trainings say of the method: the interval over them, and the components of their variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

import distmarl as dm
from distmarl.learning.alternating import alternate
from distmarl.learning.g_learn import learn_global
from distmarl.model.options import Alternating, Evaluation, GlobalAgent, LocalAgent
from distmarl.model.random_streams import evaluation_seed, training_seed
from distmarl.results.summary.over_trainings import over_trainings
from distmarl.values.components import estimate_stratified_mean, pooled_std, variance_components
from distmarl.values.evaluate import evaluate_seeds
from distmarl.values.intervals import estimate_mean

N_TRAININGS, N_SEEDS, N_REPETITIONS = 300, 2, 4000
SHORT = {"max_vi_iterations": 50, "convergence_threshold": 1e-3}


def returns_of(train_seed: int) -> list[NDArray[np.float64]]:
    """Train a pair in a small game, with a single draw for each expectation, and evaluate it, as a sweep does."""
    env = dm.robots(n_agents=6, n_global_states=3, n_local_states=3, n_global_actions=3, gamma=0.8)
    options, seed = GlobalAgent(n_mc_samples=1, **SHORT), training_seed(0, train_seed)
    sections = {"local_agent": LocalAgent(policy="greedy", **SHORT), "alternating": Alternating(n_outer_iterations=1)}
    found = alternate(
        env, k=2, seed=seed, global_agent=options, evaluation=Evaluation(n_rollouts=1, horizon=8), **sections
    )
    policy = learn_global(env, found.local_policy, k=2, options=options, seed=seed).policy
    seeds = [evaluation_seed(0, train_seed, number) for number in range(N_SEEDS)]
    evaluation = Evaluation(n_rollouts=100, horizon=8)
    return [
        each.returns for each in evaluate_seeds(env, policy, found.local_policy, k=2, options=evaluation, seeds=seeds)
    ]


@pytest.fixture(scope="module")
def trainings() -> NDArray[np.float64]:
    """The returns of many trainings, (trainings, seeds x rollouts): all that the method can lead to."""
    return np.array([np.concatenate(returns_of(number)) for number in range(N_TRAININGS)])


@pytest.mark.parametrize("n_trainings", [5, 10])
def test_the_interval_over_trainings_contains_what_the_method_earns(
    trainings: NDArray[np.float64], n_trainings: int
) -> None:
    means = trainings.mean(axis=1)
    drawn = np.random.default_rng(1).choice(means, (N_REPETITIONS, n_trainings))
    found = over_trainings(drawn)
    assert 0.93 <= np.mean((found.low <= means.mean()) & (means.mean() <= found.high)) <= 0.97


def test_the_band_of_a_single_training_does_not(trainings: NDArray[np.float64]) -> None:
    # The negative control.
    bands = [estimate_stratified_mean([returns]) for returns in trainings]
    assert np.mean([band.ci95_low <= trainings.mean() <= band.ci95_high for band in bands]) < 0.7


def test_nor_does_that_of_all_rollouts_of_several_trainings(trainings: NDArray[np.float64]) -> None:
    drawn = np.random.default_rng(2).choice(N_TRAININGS, (200, 10))
    bands = [estimate_mean(trainings[each].ravel()) for each in drawn]
    assert np.mean([band.ci95_low <= trainings.mean() <= band.ci95_high for band in bands]) < 0.9


def mixture(between: float, within: float, n_groups: int, sizes: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Return groups of draws whose two standard deviations are known."""
    rng = np.random.default_rng(3)
    levels = rng.normal(5.0, between, n_groups)
    return [level + rng.normal(0, within, sizes[number % len(sizes)]) for number, level in enumerate(levels)]


@pytest.mark.parametrize("sizes", [(10,), (4, 12)])
@pytest.mark.parametrize(("between", "within"), [(3.0, 1.0), (1.0, 3.0)])
def test_the_components_of_a_known_mixture_are_found(between: float, within: float, sizes: tuple[int, ...]) -> None:
    n_groups = 4000
    found = variance_components(mixture(between, within, n_groups, sizes))
    # Four standard errors of a variance from so many groups, whose means scatter by evaluation, too.
    noise = within**2 / min(sizes)
    error = 4 * (between**2 + noise) * math.sqrt(2 / n_groups)
    assert abs(found.between_std**2 - between**2) < error
    assert found.within_std == pytest.approx(within, rel=0.03)
    assert found.between_share == pytest.approx(between**2 / (between**2 + within**2), abs=0.02)
    naive = np.var([group.mean() for group in mixture(between, within, n_groups, sizes)], ddof=1)
    if within > between:  # the negative control: the scatter of the means is that of their evaluation, too
        assert abs(naive - between**2) > error


def test_where_only_the_evaluation_scatters_the_share_of_trainings_is_none() -> None:
    found = variance_components(mixture(0.0, 1.0, 1000, (10,)))
    assert found.between_share < 0.02


def test_single_draws_do_not_tell_the_two_apart() -> None:
    found = variance_components([np.array([1.0]), np.array([2.0]), np.array([4.0])])
    assert math.isnan(found.between_std)
    assert math.isnan(found.within_std)
    assert math.isnan(found.between_share)


def test_of_one_training_the_numbers_are_those_of_before() -> None:
    (group,) = mixture(1.0, 1.0, 1, (7,))
    assert estimate_stratified_mean([group]) == estimate_mean(group)
    assert pooled_std([group]) == group.std(ddof=1)
    assert math.isnan(variance_components([group]).between_std)


def test_the_interval_of_given_trainings_contains_their_mean_whatever_lies_between_them() -> None:
    levels, rng = np.array([0.0, 50.0, 80.0]), np.random.default_rng(4)
    found = [estimate_stratified_mean([level + rng.normal(size=4) for level in levels]) for _ in range(1000)]
    inside = [one.ci95_low <= levels.mean() <= one.ci95_high for one in found]
    assert 0.93 <= np.mean(inside) <= 0.97


def test_a_training_without_a_number_is_left_out() -> None:
    found = over_trainings(np.array([[1.0, np.nan, 3.0], [np.nan] * 3]))
    assert (found.mean[0], found.median[0]) == (2.0, 2.0)
    assert np.isnan(found.mean[1])
