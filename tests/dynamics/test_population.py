from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import count_vectors
from distmarl.dynamics.population import elevate, global_action_law, initial_population, initial_population_error
from distmarl.dynamics.rollouts import initial_states
from distmarl.model.counts import rank_valid
from tests import reference
from tests.reference import (
    dirichlet_multinomial_pmf,
    enumerate_counts,
    hypergeometric_pmf,
    subsampled_action_law,
)
from tests.strategies import DETERMINISTIC, FEW, environments, generators, random_environment, random_global_policy

EPSILON = float(np.finfo(float).eps)


def games(rng, **sizes):
    """A random game, and a random global policy for each number k of agents that may be seen."""
    env = random_environment(rng, **sizes)
    return env, {k: random_global_policy(rng, env, k) for k in range(1, env.n_agents + 1)}


# Elevation.


@pytest.mark.parametrize("n_states", [1, 2, 3, 4])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_elevation_leaves_out_one_agent_at_random(n_states, k):
    rng = np.random.default_rng(k)
    values = rng.normal(size=(len(enumerate_counts(k, n_states)), 3))
    elevated = elevate(values, k=k, n_states=n_states)
    np.testing.assert_allclose(elevated, reference.elevate(values, k, n_states), rtol=0, atol=1e-14)


def test_elevation_keeps_constants_and_means():
    counts = count_vectors(7, 3)
    values = np.column_stack([np.ones(len(counts)), counts @ [1.0, -2.0, 5.0] / 7])
    elevated = elevate(values, k=7, n_states=3)
    np.testing.assert_allclose(elevated[:, 0], 1.0, rtol=1e-15)
    np.testing.assert_allclose(elevated[:, 1], count_vectors(8, 3) @ [1.0, -2.0, 5.0] / 8, rtol=0, atol=1e-14)


# The law of the global action.


@DETERMINISTIC
@given(environments(), generators(), st.data())
def test_the_law_of_the_action_is_the_hypergeometric_sum(env, rng, data):
    k = data.draw(st.integers(1, env.n_agents))
    policy = random_global_policy(rng, env, k)
    law = global_action_law(env, policy, k=k)
    for number, population in enumerate(enumerate_counts(env.n_agents, env.n_local_states)):
        seen = hypergeometric_pmf(population, k)
        expected = [np.bincount(actions, seen, env.n_global_actions) for actions in policy]
        np.testing.assert_allclose(law[:, :, number], expected, rtol=1e-14, atol=0)


def test_who_sees_everyone_does_what_the_policy_says():
    env, policies = games(np.random.default_rng(0), n_agents=5)
    law = global_action_law(env, policies[5], k=5)
    np.testing.assert_array_equal(law.argmax(axis=1), policies[5])
    np.testing.assert_array_equal(np.sort(law, axis=1)[:, -1], 1.0)
    np.testing.assert_array_equal(law.sum(axis=1), 1.0)


def test_an_action_that_is_always_taken_is_certain():
    env, _ = games(np.random.default_rng(0), n_global_actions=3)
    law = global_action_law(env, np.array([[2] * 6, [0] * 6]), k=2)
    np.testing.assert_array_equal(law[0], np.array([0.0, 0.0, 1.0])[:, None].repeat(28, axis=1))
    np.testing.assert_array_equal(law[1], np.array([1.0, 0.0, 0.0])[:, None].repeat(28, axis=1))


@pytest.mark.parametrize("rare", [0, 1])
def test_rare_actions_are_as_precise_as_common_ones(rare):
    # The rare action is taken only where all ten agents that are seen are in state 0: comb(N_0, 10) / comb(60, 10).
    env = random_environment(np.random.default_rng(0), n_local_states=2, n_agents=60)
    policy = np.full((2, 11), 1 - rare)
    policy[:, -1] = rare
    law = global_action_law(env, policy, k=10)
    ways = [Fraction(math.comb(here, 10), math.comb(60, 10)) for here in range(61)]
    np.testing.assert_allclose(law[0, rare], [float(p) for p in ways], rtol=4 * 50 * EPSILON, atol=0)
    np.testing.assert_allclose(law[0, 1 - rare], [float(1 - p) for p in ways], rtol=4 * 50 * EPSILON, atol=0)
    assert 0 < law[0, rare, 10] < 1e-10


def test_after_many_elevations_the_law_still_sums_to_one():
    # A sum that is off by 1e-14 would count for more than that: it adds up over all steps of the game.
    env = random_environment(np.random.default_rng(0), n_agents=80, n_global_actions=4)
    law = global_action_law(env, random_global_policy(np.random.default_rng(1), env, 3), k=3)
    np.testing.assert_allclose(law.sum(axis=1), 1.0, rtol=0, atol=4 * EPSILON)


# The start.


@DETERMINISTIC
@given(environments(max_agents=8))
def test_the_start_is_dirichlet_multinomial(env):
    start = initial_population(env)
    expected = dirichlet_multinomial_pmf(env.n_agents, env.initial_local_concentration)
    np.testing.assert_allclose(start, expected, rtol=1e-12, atol=0)
    assert math.fsum(start) == pytest.approx(1.0, abs=4 * EPSILON)


@pytest.mark.parametrize(
    "concentration",
    [(0.3, 0.3, 0.3), (0.2, 1.0, 7.5), (1e-300, 2.0, 1e-9), (1e6, 3e6, 0.5), (1e300, 1e300, 1e299), (1e12, 1e-12, 1.0)],
)
def test_the_start_is_exact_within_its_bound_for_any_concentration(concentration):
    env = replace(random_environment(np.random.default_rng(0), n_agents=12), initial_local_concentration=concentration)
    shares = [Fraction(a) for a in concentration]
    exact = []
    for counts in enumerate_counts(12, 3):
        ways = Fraction(math.factorial(12), math.prod(math.factorial(c) for c in counts))
        rising = [math.prod((a + i for i in range(c)), start=Fraction(1)) for a, c in zip(shares, counts, strict=True)]
        exact.append(ways * math.prod(rising) / math.prod(sum(shares) + i for i in range(12)))
    assert sum(exact) == 1
    error = initial_population_error(env)
    assert error < 1e-10
    for found, wanted in zip(initial_population(env), exact, strict=True):
        assert abs(Fraction(float(found)) - wanted) <= Fraction(error) * wanted + Fraction(5e-324)


def test_even_concentrations_of_one_make_all_populations_alike():
    env = replace(random_environment(np.random.default_rng(0), n_agents=9), initial_local_concentration=np.ones(3))
    np.testing.assert_allclose(initial_population(env), 1 / 55, rtol=1e-14)


def test_the_start_is_what_rollouts_draw():
    env = random_environment(np.random.default_rng(0), n_agents=3)
    n_draws = 40_000
    _, populations = initial_states(env, n_draws, np.random.default_rng(1))
    frequency = np.bincount(rank_valid(populations, 3), minlength=10) / n_draws

    def standard_errors(start):
        return (np.abs(frequency - start) / np.sqrt(start * (1 - start) / n_draws)).max()

    assert standard_errors(initial_population(env)) < 4
    # Negative control: another concentration.
    other = replace(env, initial_local_concentration=env.initial_local_concentration + 0.1)
    assert standard_errors(initial_population(other)) > 4


@FEW
@given(environments(), generators(), st.data())
def test_what_is_seen_at_the_start_is_the_start_of_fewer_agents(env, rng, data):
    # k of n agents with Dirichlet shares are k agents with Dirichlet shares.
    k = data.draw(st.integers(1, env.n_agents))
    policy = random_global_policy(rng, env, k)
    seen = initial_population(replace(env, n_agents=k))
    law = global_action_law(env, policy, k=k)
    for s_g, actions in enumerate(policy):
        expected = np.bincount(actions, seen, env.n_global_actions)
        np.testing.assert_allclose(law[s_g] @ initial_population(env), expected, rtol=0, atol=1e-14)


# Classes, and mixtures.


@pytest.mark.parametrize("k", [1, 2, 4, 5])
@pytest.mark.parametrize("observation", [[0, 1, 1], [1, 0, 0], [0, 0, 0], [2, 0, 1]])
def test_the_law_of_the_action_is_that_of_every_subsample_of_classes(observation, k):
    rng = np.random.default_rng(k)
    env = random_environment(rng, n_agents=5, n_global_actions=3, observation=observation)
    policy = random_global_policy(rng, env, k)
    law, by_subsamples = global_action_law(env, policy, k=k), subsampled_action_law(env, policy, k)
    assert law.shape == (2, 3, 21)
    for number, population in enumerate(enumerate_counts(5, 3)):
        agents = np.repeat(np.arange(3), population)
        expected = [by_subsamples(s_g, agents) for s_g in range(2)]
        np.testing.assert_allclose(law[:, :, number], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n_parts", [1, 3])
def test_the_start_of_a_mixture_is_the_mean_of_multinomials(n_parts):
    env = random_environment(np.random.default_rng(n_parts), n_agents=6, n_parts=n_parts)
    env = replace(env, initial_shares=np.vstack([env.initial_shares[:-1], [[0.0, 0.25, 0.75]]]))
    start = initial_population(env)
    expected = reference.start_pmf(env)
    assert (np.abs(start - expected) <= (initial_population_error(env) + 1e-12) * expected).all()
    assert math.fsum(start) == pytest.approx(1.0, abs=4 * EPSILON)
    np.testing.assert_allclose(expected @ count_vectors(6, 3), 6 * env.initial_local_weights, rtol=1e-12)


def test_a_mixture_is_drawn_part_by_part():
    env = random_environment(np.random.default_rng(0), n_agents=3, n_parts=2)
    env = replace(env, initial_shares=[[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    _, populations = initial_states(env, 40_000, np.random.default_rng(1))
    frequencies = reference.count_frequencies(populations, 3)
    assert reference.largest_frequency_error(frequencies, initial_population(env)) < 4
    # Negative control: shares that are mixed for each agent, and not for all together.
    alone = replace(env, initial_shares=[env.initial_local_weights], initial_weights=[1.0])
    assert reference.largest_frequency_error(frequencies, initial_population(alone)) > 4
