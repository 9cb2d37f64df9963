from __future__ import annotations

import dataclasses
import gc
import math
import tracemalloc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quantecon.markov import DiscreteDP

from distmarl import Environment, g_learn, robots, uniform_local_policy
from distmarl.dynamics.transitions.base import SuccessorTransitions, TransitionRecord
from distmarl.dynamics.transitions.kinds import TRANSITIONS
from distmarl.dynamics.transitions.rounded import ROUNDED, rounded_transitions
from distmarl.dynamics.transitions.sampled import sampled_transitions
from distmarl.errors import InvalidArgumentError
from distmarl.learning import surrogate_game
from distmarl.learning.g_learn import estimated_bytes
from distmarl.learning.surrogate_game import NearBases
from distmarl.model.counts import count_vectors
from distmarl.model.options import GlobalAgent
from distmarl.model.policies import local_kernel
from distmarl.study.seconds import training_s
from distmarl.values.value_iteration import AndersonMixer
from tests.reference import (
    action_values,
    dense_kernel,
    enumerate_counts,
    mixed_kernel,
    mixed_reward,
    solve_mdp,
    standard_errors_from,
    surrogate_mdp,
)
from tests.strategies import (
    FEW,
    environments,
    generators,
    random_environment,
    random_local_policy,
    random_rows,
)
from tests.sweep.sweeps import plan_of


def drawn_kernel(env, local_policy, *, k, transitions, n_mc_samples=30, seed=0):
    """The transitions that G-LEARN solves, as matrices (G, C, C)."""
    kernel = local_kernel(env, local_policy)
    if transitions == "exact":
        return dense_kernel(mixed_kernel(env, local_policy), k)
    if transitions == "sampled":
        operator = sampled_transitions(kernel, k=k, n_mc_samples=n_mc_samples, seed=seed)
    else:
        operator = rounded_transitions(kernel, k=k)
    identity = np.eye(len(enumerate_counts(k, env.n_local_states)))
    return np.array([operator.expect(s_g, identity) for s_g in range(env.n_global_states)])


def assert_solves(result, env, rewards, moves):
    """Compare with an independent solver: the value everywhere, actions where they are not ties."""
    oracle = DiscreteDP(rewards, moves, env.gamma).solve(method="policy_iteration")
    tolerance = result.bound + 1e-10
    np.testing.assert_allclose(result.value.ravel(), oracle.v, rtol=0, atol=tolerance)
    q = action_values(rewards, moves, env.gamma, oracle.v)
    if q.shape[1] > 1:
        runner_up, best = np.sort(q, axis=1)[:, -2:].T
        clear = best - runner_up > 4 * tolerance
        np.testing.assert_array_equal(result.policy.ravel()[clear], oracle.sigma[clear])
        chosen = q[np.arange(len(q)), result.policy.ravel()]
        assert (best - chosen).max() <= 4 * tolerance


# Against solvers of the same MDP.


@pytest.mark.parametrize("transitions", TRANSITIONS)
@FEW
@given(env=environments(max_agents=3), rng=generators())
def test_values_and_policies_are_those_of_an_independent_solver(transitions, env, rng):
    k = int(rng.integers(1, env.n_agents + 1))
    local_policy = random_local_policy(rng, env)
    options = {"k": k, "transitions": transitions, "n_mc_samples": 4, "seed": 7}
    result = g_learn(env, local_policy, **options, convergence_threshold=1e-9)
    assert result.converged
    assert_solves(result, env, *surrogate_mdp(env, local_policy, k, drawn_kernel(env, local_policy, **options)))


@pytest.mark.parametrize("transitions", TRANSITIONS)
@pytest.mark.parametrize("reward_global", ["flat", "paper"])
def test_robots_agree_with_an_independent_solver(transitions, reward_global):
    env = robots(reward_global=reward_global)
    local_policy = random_local_policy(np.random.default_rng(0), env)
    options = {"k": 3, "transitions": transitions, "n_mc_samples": 5, "seed": 1}
    result = g_learn(env, local_policy, **options, convergence_threshold=1e-9)
    assert_solves(result, env, *surrogate_mdp(env, local_policy, 3, drawn_kernel(env, local_policy, **options)))


@pytest.fixture
def single_precision(monkeypatch):
    """Let small games, which stay in double precision else, be solved near bases; return the errors that T had."""
    monkeypatch.setattr(surrogate_game, "SINGLE_FROM_SIZE", 0)
    shares, apply = [], NearBases.apply

    def watched(self, value, allowed_error):
        image, error = apply(self, value, allowed_error)
        error_of_t = error - self._game.reward_error
        shares.append(error_of_t / max(self._game.relative_error * np.abs(value).max(), 1e-300))
        return image, error

    monkeypatch.setattr(NearBases, "apply", watched)
    return shares


@pytest.mark.parametrize("transitions", ["sampled", "exact"])
@pytest.mark.parametrize("n_actions", [2, 5])
def test_values_in_single_precision_near_bases_are_as_good(single_precision, transitions, n_actions):
    n_near = n_double = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        env = random_environment(rng, n_agents=4, n_global_actions=n_actions)
        local_policy = random_local_policy(rng, env)
        options = {"k": 4, "transitions": transitions, "n_mc_samples": 4, "seed": 7}
        start = rng.normal(size=(env.n_global_states, len(enumerate_counts(4, env.n_local_states))))
        result = g_learn(env, local_policy, **options, convergence_threshold=1e-9, initial_value=start)
        assert result.converged
        assert_solves(result, env, *surrogate_mdp(env, local_policy, 4, drawn_kernel(env, local_policy, **options)))
        n_near += sum(share > 10 for share in single_precision)
        n_double += sum(share <= 1.001 for share in single_precision)
        single_precision.clear()
    assert n_near > 2 * n_double > 0


@pytest.mark.parametrize("in_single", [True, False])
@pytest.mark.parametrize(("offset", "threshold"), [(1e8, 1e-8), (1e12, 1e-6)])
def test_rewards_that_cancel_are_not_taken_for_precise(monkeypatch, in_single, offset, threshold):
    monkeypatch.setattr(surrogate_game, "SINGLE_FROM_SIZE", 0 if in_single else 10**9)
    env = random_environment(np.random.default_rng(1), n_global_states=4, n_agents=6)
    shifted = replace(env, reward_global=env.reward_global + offset, reward_local=env.reward_local - offset)
    same = replace(
        env, reward_global=shifted.reward_global - offset, reward_local=shifted.reward_local + offset
    )  # to the bit
    options = {"k": 6, "transitions": "sampled", "n_mc_samples": 5}
    expected = g_learn(same, uniform_local_policy(env), **options, convergence_threshold=1e-11)
    found = g_learn(shifted, uniform_local_policy(env), **options, convergence_threshold=threshold)
    assert np.abs(found.value - expected.value).max() <= found.bound + expected.bound


@pytest.mark.parametrize("transitions", ["sampled", "exact"])
@pytest.mark.parametrize("unit", [1e-30, 1e-42, 1e-100, 1e20, 1e100])
def test_rewards_of_any_unit_are_solved_in_single_precision_or_not_at_all(single_precision, transitions, unit):
    env = random_environment(np.random.default_rng(2), n_global_states=4, n_agents=6)
    scaled = replace(env, reward_global=unit * env.reward_global, reward_local=unit * env.reward_local)
    options = {"k": 6, "transitions": transitions, "n_mc_samples": 5}
    expected = g_learn(env, uniform_local_policy(env), **options, convergence_threshold=1e-9)
    found = g_learn(scaled, uniform_local_policy(env), **options, convergence_threshold=1e-6 * unit)
    assert found.converged
    assert found.n_iterations < 100
    assert np.abs(found.value - unit * expected.value).max() <= 1.01 * (found.bound + unit * expected.bound)
    assert single_precision


@pytest.mark.parametrize(("transitions", "k"), [("sampled", 12), ("exact", 20)])
def test_values_that_are_left_slowly_take_no_more_sweeps_than_others(transitions, k):
    env = robots(n_agents=1000, gamma=0.99)
    n_actions = env.n_local_actions
    greedy = np.eye(n_actions)[np.random.default_rng(1).integers(n_actions, size=(5, 5))]
    assert g_learn(env, greedy, k=k, transitions=transitions).n_iterations < 100


def test_nothing_large_outlives_a_training():
    game_of = []
    with pytest.MonkeyPatch.context() as patch:
        make = NearBases.__init__
        patch.setattr(
            NearBases, "__init__", lambda self, game: (game_of.append(weakref.ref(game)), make(self, game))[-1]
        )
        patch.setattr(surrogate_game, "SINGLE_FROM_SIZE", 0)
        gc.disable()
        try:
            g_learn(robots(), uniform_local_policy(robots()), k=3)
            assert len(game_of) == 1
            assert game_of[0]() is None
        finally:
            gc.enable()


@pytest.mark.parametrize("transitions", ["sampled", "exact"])
def test_a_large_game_is_solved_in_single_precision_and_threads_change_nothing(single_precision, transitions):
    env, options = robots(), {"k": 16, "transitions": transitions, "convergence_threshold": 1e-7}
    result = g_learn(env, uniform_local_policy(env), **options)
    assert max(single_precision) > 1e3
    threaded = g_learn(env, uniform_local_policy(env), **options, n_threads=2)
    np.testing.assert_array_equal(threaded.value, result.value)
    single_precision.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surrogate_game, "SINGLE_FROM_SIZE", 10**9)
        in_double = g_learn(env, uniform_local_policy(env), **options)
    assert not single_precision
    assert np.abs(result.value - in_double.value).max() <= result.bound + in_double.bound
    np.testing.assert_array_equal(result.policy, in_double.policy)
    assert result.n_iterations <= 1.3 * in_double.n_iterations


def test_another_seed_is_another_mdp_and_fails_the_same_check():
    env = robots()
    local_policy = uniform_local_policy(env)
    result = g_learn(env, local_policy, k=2, seed=0)
    other = surrogate_mdp(env, local_policy, 2, drawn_kernel(env, local_policy, k=2, transitions="sampled", seed=1))
    with pytest.raises(AssertionError):
        assert_solves(result, env, *other)


# Against the exact expectation.


def root_mean_square_errors(env, local_policy, reference, k, sample_sizes, n_seeds=24):
    """Error of sampled values against ``reference`` for each number of samples, over seeds."""
    return [
        math.sqrt(
            np.mean(
                [
                    np.square(g_learn(env, local_policy, k=k, n_mc_samples=m, seed=seed).value - reference)
                    for seed in range(n_seeds)
                ]
            )
        )
        for m in sample_sizes
    ]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sampled_values_approach_the_exact_ones_like_the_root_of_m(k):
    rng = np.random.default_rng(k)
    env = random_environment(rng, gamma=0.8)
    local_policy, other_policy = random_local_policy(rng, env), random_local_policy(rng, env)

    def exact_value(policy):
        rewards, moves = surrogate_mdp(env, policy, k, dense_kernel(mixed_kernel(env, policy), k))
        return solve_mdp(rewards, moves, env.gamma).reshape(2, -1)

    few, some, many = root_mean_square_errors(env, local_policy, exact_value(local_policy), k, (16, 128, 1024))
    assert 2.0 < few / some < 4.0  # sqrt(8) = 2.83
    assert 2.0 < some / many < 4.0
    # Negative control: the value of another game is not approached.
    few, many = root_mean_square_errors(env, local_policy, exact_value(other_policy), k, (16, 1024), n_seeds=4)
    assert few / many < 1.5


@pytest.mark.parametrize("transitions", TRANSITIONS)
@pytest.mark.parametrize("k", [1, 3, 6])
def test_deterministic_local_moves_have_a_linear_closed_form(transitions, k):
    # One global state and deterministic moves p: V(z) = max r_g / (1 - gamma) + (z / k) (1 - gamma p)^-1 r_l.
    rng = np.random.default_rng(0)
    kernel = np.eye(4)[[1, 2, 0, 0]]
    env = Environment(
        transition_global=np.ones((1, 3, 1)),
        transition_local=kernel[None, :, None, :],
        reward_global=[[1.0, 3.0, 2.0]],
        reward_local=rng.normal(size=(1, 4, 1)),
        n_agents=6,
        gamma=0.9,
    )
    result = g_learn(env, np.ones((1, 4, 1)), k=k, transitions=transitions, convergence_threshold=1e-10)
    local_value = np.linalg.solve(np.eye(4) - 0.9 * kernel, env.reward_local[0, :, 0])
    expected = 30.0 + np.array(enumerate_counts(k, 4)) @ local_value / k
    np.testing.assert_allclose(result.value[0], expected, rtol=0, atol=1e-9)
    assert (result.policy == 1).all()


def fixed_actions(env, rng):
    """The game with a single global action."""
    return dataclasses.replace(
        env,
        transition_global=env.transition_global[:, :1],
        reward_global=rng.normal(size=(env.n_global_states, 1)),
    )


def linear_value(env, local_policy):
    """v[s_g, j] with V(s_g, z) = (1/k) sum_j z_j v[s_g, j], for a game with a single global action.

    One agent is worth v = r_g + r_l + gamma P_g p v, a system of G L equations.
    """
    kernel, moves = mixed_kernel(env, local_policy), env.transition_global[:, 0]
    size = env.n_global_states * env.n_local_states
    joint = np.einsum("gh,gij->gihj", moves, kernel).reshape(size, size)
    rewards = (env.reward_global + mixed_reward(env, local_policy)).ravel()
    return np.linalg.solve(np.eye(size) - env.gamma * joint, rewards).reshape(kernel.shape[:2])


def assert_linear(result, env, local_policy, k):
    """Compare with the closed form of a game with a single global action."""
    expected = linear_value(env, local_policy) @ count_vectors(k, env.n_local_states).T / k
    np.testing.assert_allclose(result.value, expected, rtol=0, atol=result.bound + 1e-12)
    assert (result.policy == 0).all()


@pytest.mark.parametrize(("n_states", "k"), [(1, 5), (2, 50), (3, 30), (4, 15), (5, 10)])
def test_exact_values_without_a_choice_are_linear_in_the_counts(n_states, k):
    rng = np.random.default_rng(n_states)
    env = random_environment(rng, n_local_states=n_states, n_global_actions=1, n_agents=k, gamma=0.95)
    local_policy = random_local_policy(rng, env)
    result = g_learn(env, local_policy, k=k, transitions="exact", convergence_threshold=1e-7)
    assert result.bound <= 1e-7
    assert_linear(result, env, local_policy, k)
    # Negative controls: sampled values and those of another policy are not these.
    for other in (
        g_learn(env, local_policy, k=k, n_mc_samples=4),
        g_learn(env, random_local_policy(rng, env), k=k, transitions="exact"),
    ):
        if n_states > 1:
            with pytest.raises(AssertionError):
                assert_linear(other, env, local_policy, k)


def test_robots_without_a_choice_are_solved_at_forty_agents():
    rng = np.random.default_rng(0)
    env = fixed_actions(robots(n_agents=40), rng)
    local_policy = random_local_policy(rng, env)
    result = g_learn(env, local_policy, k=40, transitions="exact")
    assert (result.method, result.converged) == ("factored", True)
    assert_linear(result, env, local_policy, 40)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_exact_values_are_those_of_an_independent_solver_at_more_agents(k):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        concentration = (0.1, 0.3, 1.0, 3.0)[seed]
        env = random_environment(rng, n_local_states=4 if k < 6 else 3, n_global_actions=3, concentration=concentration)
        local_policy = random_local_policy(rng, env)
        result = g_learn(env, local_policy, k=k, transitions="exact", convergence_threshold=1e-9)
        assert result.converged
        assert_solves(
            result, env, *surrogate_mdp(env, local_policy, k, dense_kernel(mixed_kernel(env, local_policy), k))
        )


def test_exact_certificates_hold_and_are_not_vacuous():
    ratios = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        env = random_environment(
            rng,
            n_global_states=int(rng.integers(1, 4)),
            n_local_states=int(rng.integers(1, 4)),
            n_global_actions=int(rng.integers(1, 4)),
            gamma=float(rng.choice([0.3, 0.6, 0.9, 0.95])),
            concentration=float(rng.choice([0.1, 0.3, 1.0, 3.0])),
        )
        k, local_policy = int(rng.integers(1, 5)), random_local_policy(rng, env)
        threshold = float(rng.choice([1e-2, 1e-4, 1e-6]))
        result = g_learn(env, local_policy, k=k, transitions="exact", convergence_threshold=threshold)
        dense = dense_kernel(mixed_kernel(env, local_policy), k)
        exact = solve_mdp(*surrogate_mdp(env, local_policy, k, dense), env.gamma)
        error = np.abs(result.value.ravel() - exact).max()
        assert result.bound <= threshold
        assert error <= result.bound + 1e-12  # the oracle is no better than that
        if error > 1e-11:
            ratios.append(result.bound / error)
    # Where the iteration, and not rounding, is what the error is made of.
    assert len(ratios) > 100
    assert np.median(ratios) < 5.0
    assert max(ratios) < 1000.0


def test_sampled_values_approach_those_of_exact_transitions():
    rng = np.random.default_rng(9)
    env = random_environment(rng, gamma=0.8)
    local_policy, other_policy = random_local_policy(rng, env), random_local_policy(rng, env)
    exact, other = (
        g_learn(env, policy, k=5, transitions="exact", convergence_threshold=1e-9).value
        for policy in (local_policy, other_policy)
    )
    few, some, many = root_mean_square_errors(env, local_policy, exact, 5, (16, 128, 1024))
    assert 2.0 < few / some < 4.0  # sqrt(8) = 2.83
    assert 2.0 < some / many < 4.0
    few, many = root_mean_square_errors(env, local_policy, other, 5, (16, 1024), n_seeds=4)
    assert few / many < 1.5


def test_sampled_values_without_a_choice_scatter_around_the_exact_ones():
    # A fixed policy's value has no maximum in it, so that its bias is of order 1/m, far below the scatter.
    rng = np.random.default_rng(4)
    env = random_environment(rng, n_global_actions=1, gamma=0.5)
    local_policy = random_local_policy(rng, env)
    exact = g_learn(env, local_policy, k=4, transitions="exact", convergence_threshold=1e-9).value.mean()
    means = [g_learn(env, local_policy, k=4, n_mc_samples=500, seed=seed).value.mean() for seed in range(60)]
    assert standard_errors_from(means, exact) < 4
    # Negative control: rounded transitions are another game.
    rounded = g_learn(env, local_policy, k=4, transitions="rounded").value.mean()
    assert standard_errors_from(means, rounded) > 4


# Special cases.


@pytest.mark.parametrize("transitions", TRANSITIONS)
def test_without_a_future_the_best_reward_decides(transitions):
    rng = np.random.default_rng(0)
    env = random_environment(rng, gamma=0.0, n_global_actions=4)
    local_policy = uniform_local_policy(env)
    result = g_learn(env, local_policy, k=3, transitions=transitions)
    counts = np.array(enumerate_counts(3, 3))
    expected = env.reward_global.max(axis=1)[:, None] + env.reward_local.mean(axis=-1) @ counts.T / 3
    np.testing.assert_allclose(result.value, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(result.policy, np.tile(env.reward_global.argmax(axis=1)[:, None], (1, 10)))
    assert (result.n_iterations, result.converged) == (1, True)


@pytest.mark.parametrize("axis", ["n_global_states", "n_local_states", "n_global_actions", "n_local_actions"])
@pytest.mark.parametrize("transitions", TRANSITIONS)
def test_axes_of_size_one_work(axis, transitions):
    rng = np.random.default_rng(2)
    env = random_environment(rng, **{axis: 1})
    local_policy = random_local_policy(rng, env)
    options = {"k": 2, "transitions": transitions, "n_mc_samples": 3, "seed": 0}
    result = g_learn(env, local_policy, **options)
    assert_solves(result, env, *surrogate_mdp(env, local_policy, 2, drawn_kernel(env, local_policy, **options)))


@pytest.mark.parametrize("transitions", TRANSITIONS)
def test_one_agent_is_enough(transitions):
    rng = np.random.default_rng(3)
    env = random_environment(rng, n_agents=1)
    local_policy = random_local_policy(rng, env)
    options = {"k": 1, "transitions": transitions, "n_mc_samples": 3, "seed": 0}
    result = g_learn(env, local_policy, **options)
    assert result.policy.shape == result.value.shape == (2, 3)
    assert_solves(result, env, *surrogate_mdp(env, local_policy, 1, drawn_kernel(env, local_policy, **options)))


def test_the_number_of_agents_beyond_k_does_not_matter():
    env = robots(n_agents=4)
    first, second = (
        g_learn(game, uniform_local_policy(env), k=3) for game in (env, dataclasses.replace(env, n_agents=10**6))
    )
    np.testing.assert_allclose(first.value, second.value, rtol=0, atol=1e-11)


# Ties.


def test_ties_go_to_the_lowest_action():
    env = robots()
    tripled = dataclasses.replace(
        env,
        transition_global=np.concatenate([env.transition_global] * 3, axis=1),
        reward_global=np.concatenate([env.reward_global] * 3, axis=1),
    )
    first, second = (g_learn(game, uniform_local_policy(env), k=3) for game in (env, tripled))
    assert len(np.unique(first.policy)) == 5
    np.testing.assert_array_equal(first.policy, second.policy)


def test_differences_below_the_certified_error_are_ties():
    env = random_environment(np.random.default_rng(0), n_global_actions=3, gamma=0.5)
    alike = env.transition_global.copy()
    alike[:, 2] = alike[:, 1]
    rewards = env.reward_global.copy()
    rewards[:, 1] += 50.0
    rewards[:, 2] = rewards[:, 1] + 1e-13
    assert (rewards[:, 2] > rewards[:, 1]).all()
    tied = dataclasses.replace(env, transition_global=alike, reward_global=rewards)
    assert (g_learn(tied, uniform_local_policy(env), k=2).policy == 1).all()
    rewards[:, 2] += 1e-3
    better = dataclasses.replace(tied, reward_global=rewards)
    assert (g_learn(better, uniform_local_policy(env), k=2).policy == 2).all()


def test_mirrored_zones_are_ties_that_go_to_the_lower_one():
    # A robot that only stays leaves the ring symmetric: with one robot on either side, up and down are alike.
    env = robots(n_local_actions=1)
    result = g_learn(env, uniform_local_policy(env), k=2, transitions="rounded")
    assert result.policy[0, enumerate_counts(2, 5).index((0, 1, 0, 0, 1))] == 1
    assert result.policy[2, enumerate_counts(2, 5).index((1, 0, 0, 0, 1))] == 0


# Certificates, starts and determinism.


def test_the_certificate_is_reported_and_kept():
    env = robots()
    loose, tight = (g_learn(env, uniform_local_policy(env), k=3, convergence_threshold=t) for t in (1e-1, 1e-9))
    assert loose.n_iterations < tight.n_iterations
    assert tight.bound <= 1e-9 < loose.bound <= 1e-1
    assert np.abs(loose.value - tight.value).max() <= loose.bound + tight.bound


def test_reaching_the_cap_is_reported():
    env = robots()
    capped = g_learn(env, uniform_local_policy(env), k=2, max_vi_iterations=4)
    assert (capped.n_iterations, capped.converged) == (4, False)
    exact = g_learn(env, uniform_local_policy(env), k=2, convergence_threshold=1e-9)
    assert 1e-6 < np.abs(capped.value - exact.value).max() <= capped.bound + exact.bound


def test_robots_converge_in_few_sweeps():
    # Plain value iteration takes about 300 for the largest change, and 60 to 100 for the span.
    env = robots()
    result = g_learn(env, uniform_local_policy(env), k=10)
    assert result.converged
    assert result.n_iterations <= 45


@pytest.mark.parametrize("transitions", TRANSITIONS)
def test_a_warm_start_gives_the_same_policy_sooner(transitions):
    rng = np.random.default_rng(5)
    env = random_environment(rng, n_global_states=3, n_global_actions=3, gamma=0.95)
    local_policy = random_local_policy(rng, env)
    cold = g_learn(env, local_policy, k=4, transitions=transitions)
    near = g_learn(env, random_rows(rng, local_policy.shape), k=4, transitions=transitions)
    for start in (cold.value, near.value, 1e6 * rng.normal(size=cold.value.shape)):
        warm = g_learn(env, local_policy, k=4, transitions=transitions, initial_value=start)
        np.testing.assert_array_equal(warm.policy, cold.policy)
        np.testing.assert_allclose(warm.value, cold.value, rtol=0, atol=warm.bound + cold.bound)
        if start is cold.value:
            assert warm.n_iterations < cold.n_iterations


@pytest.mark.parametrize("transitions", TRANSITIONS)
def test_acceleration_saves_sweeps_and_never_changes_an_action_that_matters(transitions, monkeypatch):
    rng = np.random.default_rng(6)
    games = [(robots(gamma=0.9, reward_global=kind), 3) for kind in ("flat", "paper")]
    games += [(random_environment(rng, n_global_states=3, n_global_actions=4, gamma=0.95), k) for k in (1, 3, 6)]
    solved = []
    for env, k in games:
        options = {"k": k, "transitions": transitions, "n_mc_samples": 3}
        local_policy = random_local_policy(rng, env)
        mdp = surrogate_mdp(env, local_policy, k, drawn_kernel(env, local_policy, **options))
        accelerated = g_learn(env, local_policy, **options, convergence_threshold=1e-4)
        solved.append((env, local_policy, options, mdp, accelerated))
    monkeypatch.setattr(AndersonMixer, "mix", lambda _, image, residual: image + 0.0 * residual)
    for env, local_policy, options, (rewards, moves), accelerated in solved:
        plain = g_learn(env, local_policy, **options, convergence_threshold=1e-4)
        assert accelerated.n_iterations < plain.n_iterations
        np.testing.assert_allclose(accelerated.value, plain.value, rtol=0, atol=accelerated.bound + plain.bound)
        q = action_values(rewards, moves, env.gamma, solve_mdp(rewards, moves, env.gamma))
        runner_up, best = np.sort(q, axis=1)[:, -2:].T
        clear = best - runner_up > 4 * max(accelerated.bound, plain.bound)
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(accelerated.policy.ravel()[clear], plain.policy.ravel()[clear])
        np.testing.assert_array_equal(plain.policy.ravel()[clear], q.argmax(axis=1)[clear])


# The paths of exact transitions.


def hard_game(gamma=0.5):
    """A game whose first kernel has no harmless factors; the second is the identity."""
    env = random_environment(np.random.default_rng(0), n_local_states=4, n_local_actions=1, n_agents=60, gamma=gamma)
    hard = random_rows(np.random.default_rng(15), (4, 4), 0.5)
    return dataclasses.replace(env, transition_local=np.stack([hard, np.eye(4)])[:, :, None, :])


@pytest.mark.parametrize(("threshold", "method"), [(1e-6, "factored"), (1e-12, "factored+dense")])
def test_small_games_take_the_dense_path_where_factors_are_not_precise_enough(threshold, method):
    env = hard_game()
    local_policy = uniform_local_policy(env)
    result = g_learn(env, local_policy, k=6, transitions="exact", convergence_threshold=threshold)
    assert (result.method, result.converged) == (method, True)
    assert_solves(result, env, *surrogate_mdp(env, local_policy, 6, dense_kernel(mixed_kernel(env, local_policy), 6)))


def test_a_game_of_hard_kernels_alone_is_dense():
    env = hard_game()
    env = dataclasses.replace(env, transition_local=np.repeat(env.transition_local[:1], 2, axis=0))
    result = g_learn(env, uniform_local_policy(env), k=6, transitions="exact", convergence_threshold=1e-12)
    assert result.method == "dense"


def test_a_precision_that_no_path_has_is_reported_as_unconverged():
    env = hard_game(gamma=0.9)
    result = g_learn(env, uniform_local_policy(env), k=6, transitions="exact", convergence_threshold=1e-14)
    assert not result.converged
    assert 1e-14 < result.bound < 1e-10
    dense = dense_kernel(mixed_kernel(env, uniform_local_policy(env)), 6)
    exact = solve_mdp(*surrogate_mdp(env, uniform_local_policy(env), 6, dense), env.gamma)
    assert np.abs(result.value.ravel() - exact).max() <= result.bound + 1e-12


def test_large_games_with_unstable_factors_are_refused_by_name():
    env = hard_game(gamma=0.9)
    with pytest.raises(InvalidArgumentError, match=r"s_g=0 at k=60, where convergence_threshold allows .* sampled"):
        g_learn(env, uniform_local_policy(env), k=60, transitions="exact", convergence_threshold=1e-9)


def test_the_other_kinds_say_how_they_were_computed():
    env = robots()
    for transitions in ("sampled", "rounded"):
        assert g_learn(env, uniform_local_policy(env), k=2, transitions=transitions).method == "successors"


def test_exact_transitions_use_neither_seed_nor_samples():
    env = robots()
    first = g_learn(env, uniform_local_policy(env), k=4, transitions="exact", seed=0, n_mc_samples=1)
    second = g_learn(env, uniform_local_policy(env), k=4, transitions="exact", seed=9, n_mc_samples=9)
    np.testing.assert_array_equal(first.value, second.value)
    np.testing.assert_array_equal(first.policy, second.policy)


@pytest.mark.parametrize("n_local_actions", [1, 2])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_deterministic_games_are_solved_exactly(k, n_local_actions):
    rng = np.random.default_rng(k)
    env = random_environment(rng, n_local_actions=n_local_actions)
    moves = np.eye(3)[rng.integers(3, size=env.reward_local.shape)]
    env = dataclasses.replace(env, transition_local=moves)
    local_policy = np.eye(n_local_actions)[rng.integers(n_local_actions, size=(2, 3))]
    result = g_learn(env, local_policy, k=k, transitions="exact", convergence_threshold=1e-10)
    assert_solves(result, env, *surrogate_mdp(env, local_policy, k, dense_kernel(mixed_kernel(env, local_policy), k)))


def test_the_same_arguments_give_the_same_result_bit_for_bit():
    env = robots()
    first, again, other = (g_learn(env, uniform_local_policy(env), k=3, seed=seed) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first.value, again.value)
    np.testing.assert_array_equal(first.policy, again.policy)
    assert (first.value != other.value).any()


def test_rounded_transitions_use_neither_seed_nor_samples():
    env = robots()
    first = g_learn(env, uniform_local_policy(env), k=4, transitions="rounded", seed=0, n_mc_samples=1)
    second = g_learn(env, uniform_local_policy(env), k=4, transitions="rounded", seed=9, n_mc_samples=9)
    np.testing.assert_array_equal(first.value, second.value)


def test_policies_are_small_integers_over_all_count_vectors():
    env = robots()
    result = g_learn(env, uniform_local_policy(env), k=4, n_mc_samples=2)
    assert result.policy.shape == result.value.shape == (5, 70)
    assert result.policy.dtype == np.int16
    assert result.value.flags.c_contiguous


def test_arguments_are_left_alone():
    env = robots()
    local_policy, start = uniform_local_policy(env), np.ones((5, 15))
    g_learn(env, local_policy, k=2, initial_value=start)
    np.testing.assert_array_equal(local_policy, uniform_local_policy(env))
    np.testing.assert_array_equal(start, 1.0)


@pytest.mark.parametrize(("transitions", "k"), [("sampled", 9), ("exact", 11), ("rounded", 11)])
def test_the_memory_estimate_is_about_right(transitions, k):
    env = robots()
    local_policy = uniform_local_policy(env)
    g_learn(env, local_policy, k=k, transitions=transitions, n_mc_samples=20)  # fills the caches
    tracemalloc.start()
    g_learn(env, local_policy, k=k, transitions=transitions, n_mc_samples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 < estimated_bytes(env, k=k, options=GlobalAgent(transitions=transitions, n_mc_samples=20)) / peak < 2.0


# One kind more.


def frozen(env, k):
    """Transitions by which nobody moves."""
    size = len(count_vectors(k, env.n_local_states))
    return SuccessorTransitions(np.tile(np.arange(size, dtype=np.int32), (env.n_global_states, 1, 1)))


FROZEN = TransitionRecord(
    name="frozen",
    meaning="nobody moves",
    build=lambda env, _kernel, _reward, k, _options, _seed: frozen(env, k),
    n_bytes=lambda _env, k, options: 10**9 * k * options.n_mc_samples,
    n_arrays=3,
    n_operations=lambda _env, k, options: float(k * options.n_mc_samples),
    per_kernel_s=lambda _env, _k: 2.0,
    per_operation_s=3.0,
    n_sweeps=7,
)


def test_a_kind_of_transitions_is_a_record_in_one_list(monkeypatch):
    monkeypatch.setitem(TRANSITIONS, "frozen", FROZEN)
    env, k = random_environment(np.random.default_rng(0)), 2
    local_policy, options = uniform_local_policy(env), GlobalAgent(transitions="frozen", n_mc_samples=5)
    result = g_learn(env, local_policy, k=k, transitions="frozen", convergence_threshold=1e-9)
    moves = np.tile(np.eye(len(enumerate_counts(k, env.n_local_states))), (env.n_global_states, 1, 1))
    assert_solves(result, env, *surrogate_mdp(env, local_policy, k, moves))
    with pytest.raises(
        InvalidArgumentError, match=r"^transitions: must be one of sampled, exact, rounded, frozen, got"
    ):
        g_learn(env, local_policy, k=k, transitions="thawed")
    # Its memory: the operator, and on each further thread Q and three arrays of the size of the value.
    n_bytes = estimated_bytes(env, k=k, options=options)
    assert n_bytes - 10**10 == estimated_bytes(env, k=k, options=replace(options, transitions="rounded")) - (
        ROUNDED.n_bytes(env, k, options)
    )
    further = 8 * len(moves[0]) * (2 * env.n_global_actions + 3 * env.n_global_states)
    assert estimated_bytes(env, k=k, options=options, n_threads=2) - n_bytes == further
    # Its time: seven sweeps over 2 kernels and 4 pairs of global states, with 6 vectors and 10 operations each.
    (job,) = plan_of({"global_agent": {"transitions": "frozen", "n_mc_samples": 5}}).jobs
    assert job.setting.global_agent == options
    assert training_s(replace(job, environment=env), k) == 7 * (2 * 2.0 + 4 * 6 * 10 * 3.0)


# Refusals.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, r"^k: must be from 1 to n_agents \(6\), got 0"),
        ({"k": 7}, r"^k: must be from 1 to n_agents \(6\), got 7"),
        ({"k": 2.0}, r"^k: must be an integer, got 2\.0"),
        ({"transitions": "sample"}, r"^transitions: must be one of .*sampled.*rounded.*, got 'sample'"),
        ({"n_mc_samples": 0}, r"^n_mc_samples: must be at least 1, got 0"),
        ({"convergence_threshold": 0.0}, r"^convergence_threshold: must be positive, got 0"),
        ({"convergence_threshold": math.nan}, r"^convergence_threshold: must be positive, got nan"),
        ({"max_vi_iterations": 0}, r"^max_vi_iterations: must be at least 1, got 0"),
        ({"seed": -1}, r"^seed: must be an integer of 0 or more"),
        ({"initial_value": np.zeros((2, 5))}, r"^initial_value: .* shape \(G, C\) = \(2, 6\), got \(2, 5\)"),
        ({"initial_value": np.full((2, 6), np.nan)}, r"^initial_value: must be finite"),
        ({"local_policy": np.ones((2, 3))}, r"^local_policy: must have shape"),
        ({"local_policy": np.ones((2, 3, 2))}, r"^local_policy\[0, 0\]: must sum to 1"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    env = random_environment(np.random.default_rng(0))
    arguments = {"local_policy": uniform_local_policy(env), "k": 2} | changes
    with pytest.raises(InvalidArgumentError, match=message):
        g_learn(env, **arguments)


@FEW
@given(environments(max_agents=4), generators(), st.sampled_from([1e-2, 1e-6]))
def test_values_of_any_game_are_within_their_bound(env, rng, threshold):
    local_policy, k = random_local_policy(rng, env), 1
    result = g_learn(env, local_policy, k=k, n_mc_samples=3, convergence_threshold=threshold)
    dense = drawn_kernel(env, local_policy, k=k, transitions="sampled", n_mc_samples=3)
    exact = solve_mdp(*surrogate_mdp(env, local_policy, k, dense), env.gamma)
    assert np.abs(result.value.ravel() - exact).max() <= result.bound + 1e-11
    assert result.bound <= threshold
