from __future__ import annotations

import dataclasses
import tracemalloc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import Environment, count_vectors, evaluate, exact_return, g_learn, robots, uniform_local_policy
from distmarl.dynamics.population import global_action_law
from distmarl.errors import InvalidArgumentError
from distmarl.values.exact_return import check_population_size, expected_at_start, population_bytes, population_value
from tests import reference
from tests.line_game import line_game
from tests.reference import joint_return, standard_errors_from, subsampled_action_law
from tests.strategies import (
    FEW,
    KERNEL_FAMILIES,
    environments,
    generators,
    random_environment,
    random_global_policy,
    random_kernel,
    random_local_policy,
    random_rows,
)


def random_pair(rng, k, **sizes):
    """A random game with a global policy for k and a local policy."""
    env = random_environment(rng, **sizes)
    return env, random_global_policy(rng, env, k), random_local_policy(rng, env)


@pytest.fixture
def game():
    """A game with 4 agents, and a pair of policies for k = 2."""
    return random_pair(np.random.default_rng(0), 2, n_agents=4)


# Against all joint states of all agents.


@pytest.mark.parametrize("horizon", [None, 1, 5])
@pytest.mark.parametrize(("observation", "n_parts", "k"), [([0, 1, 0], 0, 2), ([1, 0, 0], 2, 1), ([0, 1, 1], 3, 4)])
def test_classes_and_mixtures_are_those_of_every_joint_state(observation, n_parts, k, horizon):
    sizes = {"n_agents": 4, "observation": observation, "n_parts": n_parts}
    env, global_policy, local_policy = random_pair(np.random.default_rng(k), k, **sizes)
    found = exact_return(env, global_policy, local_policy, k=k, horizon=horizon, tolerance=1e-10)
    law = subsampled_action_law(env, global_policy, k)
    assert abs(found.value - joint_return(env, law, local_policy, horizon=horizon)) <= found.bound + 1e-11
    # Negative control: another map of the same size.
    other = replace(env, observation=1 - env.observation)
    assert abs(exact_return(other, global_policy, local_policy, k=k, horizon=horizon).value - found.value) > 1e-3


def test_many_states_with_few_classes_are_too_many_populations():
    env = line_game(n_agents=500, n_states=81)
    policy = np.zeros((2, 3), dtype=int)
    with pytest.raises(
        InvalidArgumentError, match=r"^n_agents: 500 agents in 81 local states have about 10\^100 count"
    ):
        exact_return(env, policy, uniform_local_policy(env), k=1)


@FEW
@given(environments(max_agents=4), generators(), st.data(), st.sampled_from([None, 1, 2, 9]))
def test_the_return_is_that_of_every_joint_state(env, rng, data, horizon):
    k = data.draw(st.integers(1, env.n_agents))
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    found = exact_return(env, global_policy, local_policy, k=k, horizon=horizon, tolerance=5e-11)
    expected = joint_return(env, subsampled_action_law(env, global_policy, k), local_policy, horizon=horizon)
    assert abs(found.value - expected) <= found.bound + 1e-12
    assert found.bound <= 5e-11


@pytest.mark.parametrize("horizon", [None, 6])
@pytest.mark.parametrize(("n_agents", "n_local_states", "k"), [(5, 2, 3), (4, 3, 2), (4, 3, 4), (1, 3, 1)])
def test_a_wrong_start_or_a_wrong_timing_is_told_apart(n_agents, n_local_states, k, horizon):
    env, global_policy, local_policy = random_pair(
        np.random.default_rng(n_agents), k, n_agents=n_agents, n_local_states=n_local_states, n_global_actions=3
    )
    law = subsampled_action_law(env, global_policy, k)
    found = exact_return(env, global_policy, local_policy, k=k, horizon=horizon, tolerance=1e-11)
    assert found.value == pytest.approx(joint_return(env, law, local_policy, horizon=horizon), abs=1e-10)
    # Negative controls: each of these mistakes is far outside what is accepted above.
    late = joint_return(env, law, local_policy, horizon=horizon, late_locals=True)
    even = np.full_like(env.initial_local_concentration, 0.3)
    elsewhere = joint_return(replace(env, initial_local_concentration=even), law, local_policy, horizon=horizon)
    shifted = replace(env, initial_global=env.initial_global[::-1])
    other_first = joint_return(shifted, law, local_policy, horizon=horizon)
    for wrong in (late, elsewhere, other_first):
        assert abs(found.value - wrong) > 1e-3


def test_any_behaviour_of_the_global_agent_has_a_value(game):
    # Mixed, and seeing everyone: not a policy of k agents.
    env, _, local_policy = game
    counts = [tuple(z) for z in count_vectors(4, 3).tolist()]
    law = np.moveaxis(random_rows(np.random.default_rng(1), (2, len(counts), 2)), 1, 2)

    def behaviour(s_g, agents):
        return law[s_g, :, counts.index(tuple(np.bincount(agents, minlength=3).tolist()))]

    for horizon in (None, 5):
        found = population_value(env, law, local_policy, horizon=horizon, tolerance=1e-11)
        start = expected_at_start(env, found)
        assert start.value == pytest.approx(joint_return(env, behaviour, local_policy, horizon=horizon), abs=1e-10)
        assert found.bound <= start.bound <= found.bound + 1e-12


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
def test_degenerate_kernels_are_no_special_case(family):
    rng = np.random.default_rng(KERNEL_FAMILIES.index(family))
    env, global_policy, local_policy = random_pair(rng, 2, n_agents=4, n_local_actions=1)
    kernels = np.stack([random_kernel(rng, family, 3) for _ in range(2)])
    env = replace(env, transition_local=kernels[:, :, None, :])
    found = exact_return(env, global_policy, local_policy, k=2, horizon=8)
    assert found.value == pytest.approx(
        reference.exact_return(env, global_policy, local_policy, k=2, horizon=8), abs=1e-10
    )
    assert found.bound < 1e-11


# Against rollouts.


@pytest.mark.parametrize("seed", range(6))
def test_rollouts_estimate_the_return(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 9))
    game = random_pair(rng, k, n_agents=8, n_local_states=4, n_global_states=3, n_global_actions=3)
    returns = evaluate(*game, k=k, n_rollouts=20_000, horizon=12, seed=seed).returns
    assert standard_errors_from(returns, exact_return(*game, k=k, horizon=12).value) < 4
    # Negative control: other actions.
    env, global_policy, local_policy = game
    other = exact_return(env, (global_policy + 1) % 3, local_policy, k=k, horizon=12)
    assert standard_errors_from(returns, other.value) > 4


def test_rollouts_tell_a_wrong_start_or_a_wrong_timing_apart(game):
    env, global_policy, local_policy = game
    returns = evaluate(*game, k=2, n_rollouts=100_000, horizon=8).returns
    law = subsampled_action_law(env, global_policy, 2)
    elsewhere = replace(env, initial_local_concentration=env.initial_local_concentration[::-1])
    assert standard_errors_from(returns, exact_return(*game, k=2, horizon=8).value) < 4
    assert standard_errors_from(returns, exact_return(elsewhere, global_policy, local_policy, k=2, horizon=8).value) > 8
    assert standard_errors_from(returns, joint_return(env, law, local_policy, horizon=8, late_locals=True)) > 8


# Against what is known otherwise.


def test_the_best_policy_that_sees_everyone_is_worth_its_value_function():
    env = robots(n_agents=7)
    local_policy = random_local_policy(np.random.default_rng(0), env)
    best = g_learn(env, local_policy, k=7, transitions="exact", convergence_threshold=1e-9)
    found = population_value(env, global_action_law(env, best.policy, k=7), local_policy, tolerance=1e-9)
    # Actions that tie within 2 bound cost at most 2 bound a step.
    allowed = found.bound + best.bound + 4 * best.bound / (1 - env.gamma)
    np.testing.assert_allclose(found.value, best.value, rtol=0, atol=allowed)
    worse = np.where(np.arange(best.policy.shape[1]) % 7 == 0, 0, best.policy)
    of_worse = population_value(env, global_action_law(env, worse, k=7), local_policy, tolerance=1e-9)
    assert (of_worse.value <= best.value + allowed).all()
    assert (of_worse.value < best.value - 1e-3).any()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_a_constant_reward_adds_up_to_a_geometric_series(gamma):
    env, global_policy, local_policy = random_pair(np.random.default_rng(0), 2, n_agents=5, gamma=gamma)
    env = replace(env, reward_global=np.full((2, 2), 1.5), reward_local=np.full((2, 3, 2), -0.25))
    found = exact_return(env, global_policy, local_policy, k=2)
    assert found.value == pytest.approx(1.25 / (1 - gamma), rel=1e-13)
    assert abs(found.value - 1.25 / (1 - gamma)) <= found.bound < 1e-10
    for horizon in (1, 3, 40):
        truncated = exact_return(env, global_policy, local_policy, k=2, horizon=horizon)
        assert truncated.value == pytest.approx(1.25 * (1 - gamma**horizon) / (1 - gamma), rel=1e-13)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_truncated_sums_converge_to_the_infinite_one(gamma):
    game = random_pair(np.random.default_rng(1), 2, n_agents=4, gamma=gamma)
    largest = np.abs(game[0].reward_global).max() + np.abs(game[0].reward_local).max()
    infinite = exact_return(*game, k=2, tolerance=1e-9)
    gaps = []
    for horizon in (1, 10, 100, 1000):
        truncated = exact_return(*game, k=2, horizon=horizon)
        gaps.append(abs(truncated.value - infinite.value))
        assert gaps[-1] <= gamma**horizon * largest / (1 - gamma) + truncated.bound + infinite.bound
    assert gaps[0] > 1e-2
    assert gaps[-1] < 1e-3


def test_a_deterministic_game_is_worth_what_is_counted_by_hand():
    # (s_g, where all agents are): (0, 0) -> (1, 0) -> (1, 1) -> (0, 1) -> (0, 0), since the global agent goes where the
    # one that it sees is not, and the agents go where it was. They meet at every second step; going to 1 costs 1/4.
    follow = np.broadcast_to(np.eye(2)[:, None, None, :], (2, 2, 1, 2))
    env = Environment(
        transition_global=np.tile(np.eye(2), (2, 1, 1)),
        transition_local=follow,
        reward_global=np.array([[0.0, -0.25], [0.0, -0.25]]),
        reward_local=np.eye(2)[:, :, None],
        n_agents=6,
        gamma=0.5,
        initial_global=[1.0, 0.0],
        initial_local_concentration=[1.0, 1e-14],
    )
    away = np.array([[0, 1], [0, 1]])  # count vectors (0, 1) and (1, 0)
    expected = sum(0.5**t * reward for t, reward in enumerate([0.75, -0.25, 1.0, 0.0] * 20))
    assert exact_return(env, away, np.ones((2, 2, 1)), k=1).value == pytest.approx(expected, abs=1e-10)


# Certificates.


def test_a_loose_tolerance_takes_fewer_sweeps_and_keeps_its_word():
    game = random_pair(np.random.default_rng(3), 3, n_agents=5, gamma=0.98)
    exact = joint_return(game[0], subsampled_action_law(game[0], game[1], 3), game[2])
    sweeps = []
    for tolerance in (1.0, 1e-3, 1e-6, 1e-9):
        found = exact_return(*game, k=3, tolerance=tolerance)
        assert abs(found.value - exact) <= found.bound + 1e-11
        assert found.bound <= tolerance
        sweeps.append(found.n_iterations)
    assert sweeps[0] < sweeps[1] < sweeps[2] < sweeps[3]


@pytest.mark.parametrize("offsets", [(0.0, 0.0), (1e8, 0.0), (1e8, -1e8)])
@pytest.mark.parametrize(("gamma", "horizon"), [(0.0, None), (0.9, 1), (0.9, 25)])
def test_the_bound_holds_down_to_the_last_digit(gamma, horizon, offsets):
    # One agent in three states, with probabilities in multiples of 1/256: fractions give its values exactly.
    for seed in range(10):
        rng = np.random.default_rng(seed)
        env = Environment(
            transition_global=np.ones((1, 1, 1)),
            transition_local=rng.multinomial(64, [0.2, 0.3, 0.5], size=(1, 3, 2)) / 64,
            reward_global=rng.normal(size=(1, 1)) + offsets[0],
            reward_local=rng.normal(size=(1, 3, 2)) + offsets[1],
            n_agents=1,
            gamma=gamma,
        )
        law, local_policy = np.ones((1, 1, 3)), np.full((1, 3, 2), [0.25, 0.75])
        found = population_value(env, law, local_policy, horizon=horizon, tolerance=1e-4)
        # Without a future, the first step is all there is. The first count vector, (0, 0, 1), is the last state.
        exact = sum_in_fractions(env, horizon or 1)[::-1]
        error = max(abs(Fraction(float(v)) - e) for v, e in zip(found.value[0], exact, strict=True))
        assert error <= Fraction(found.bound)
        assert found.bound < 1e-12 * max(1.0, *offsets)


def sum_in_fractions(env, horizon):
    """The discounted reward of one agent that takes its second action three times out of four, from each state."""
    shares, gamma = [Fraction(1, 4), Fraction(3, 4)], Fraction(env.gamma)
    chain = []
    for rewards, rows in zip(env.reward_local[0].tolist(), env.transition_local[0].tolist(), strict=True):
        reward = Fraction(float(env.reward_global[0, 0]))
        reward += sum(p * Fraction(r) for p, r in zip(shares, rewards, strict=True))
        row = [sum(p * Fraction(q) for p, q in zip(shares, column, strict=True)) for column in zip(*rows, strict=True)]
        chain.append((reward, row))
    value = [Fraction(0)] * len(chain)
    for _ in range(horizon):
        value = [reward + gamma * sum(p * v for p, v in zip(row, value, strict=True)) for reward, row in chain]
    return value


@pytest.mark.parametrize("horizon", [None, 30])
def test_a_tolerance_below_rounding_is_refused(game, horizon):
    with pytest.raises(InvalidArgumentError, match=r"^tolerance: 1e-14 .* certified to \d\.\de-1\d; use a larger"):
        exact_return(*game, k=2, horizon=horizon, tolerance=1e-14)


def test_sweeps_that_are_used_up_are_no_value(game):
    env, global_policy, local_policy = game
    law = global_action_law(env, global_policy, k=2)
    with pytest.raises(
        InvalidArgumentError, match=r"^tolerance: 1e-08 was not reached; after 3 sweeps .* certified to"
    ):
        population_value(env, law, local_policy, max_iterations=3)
    assert population_value(env, law, local_policy).bound <= 1e-8


def test_kernels_that_lose_too_many_digits_are_refused_with_the_remedy():
    kernel = random_rows(np.random.default_rng(12), (3, 3), 0.5)  # amplification 1.21
    env = random_environment(np.random.default_rng(0), n_local_actions=1, n_agents=150)
    env = replace(env, transition_local=np.tile(kernel[:, None, :], (2, 1, 1, 1)))
    with pytest.raises(
        InvalidArgumentError, match=r"^tolerance: 1e-08 .* 150 agents .* larger tolerance, or .*evaluate"
    ):
        exact_return(env, np.zeros((2, 3), dtype=int), np.ones((2, 3, 1)), k=1)


# Arguments.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 5}, r"^k: must be from 1 to n_agents \(4\), got 5"),
        ({"k": 3}, r"^global_policy: .* = \(2, 10\) for k=3, got int64 of shape \(2, 6\)"),
        ({"horizon": 0}, r"^horizon: must be None \(infinite\) or an integer of 1 or more, got 0"),
        ({"horizon": 2.0}, r"^horizon: must be None \(infinite\) or an integer of 1 or more, got 2\.0"),
        ({"horizon": True}, r"^horizon: must be None .* got True"),
        ({"tolerance": 0.0}, r"^tolerance: must be positive and finite, got 0\.0"),
        ({"tolerance": np.nan}, r"^tolerance: must be positive and finite, got nan"),
        ({"tolerance": np.inf}, r"^tolerance: must be positive and finite, got inf"),
        ({"global_policy": np.full((2, 6), 2)}, r"^global_policy: actions must be in 0 \.\. 1, got 2 \.\. 2"),
        ({"local_policy": np.full((2, 3, 2), 0.4)}, r"^local_policy\[0, 0\]: must sum to 1"),
    ],
)
def test_impossible_arguments_are_refused(game, changes, message):
    env, global_policy, local_policy = game
    arguments = {"global_policy": global_policy, "local_policy": local_policy, "k": 2} | changes
    with pytest.raises(InvalidArgumentError, match=message):
        exact_return(env, **arguments)


def test_impossible_arguments_of_the_inner_function_are_refused(game):
    env, global_policy, local_policy = game
    law = global_action_law(env, global_policy, k=2)
    with pytest.raises(InvalidArgumentError, match=r"^max_iterations: must be at least 1, got 0"):
        population_value(env, law, local_policy, max_iterations=0)
    with pytest.raises(InvalidArgumentError, match=r"^action_law: must have shape .* = \(2, 2, 15\), got \(2, 2, 14\)"):
        population_value(env, law[:, :, 1:], local_policy)
    with pytest.raises(InvalidArgumentError, match=r"^tolerance: must be positive"):
        population_value(env, law, local_policy, tolerance=-1.0)


@pytest.mark.parametrize(
    ("n_agents", "size", "memory"), [(100, "4,598,126", "6 GiB"), (10**6, "about 10^23", "about 10^17 GiB")]
)
def test_too_many_populations_are_refused_with_what_to_do_instead(n_agents, size, memory):
    with pytest.raises(InvalidArgumentError) as refusal:
        check_population_size(robots(n_agents=n_agents))
    assert str(refusal.value) == (
        f"n_agents: {n_agents} agents in 5 local states have {size} count vectors, and exact values over them would "
        f"take {memory}, more than the 4 GiB allowed; estimate the return with dm.evaluate (rollouts), whose cost does "
        "not grow with n_agents; what earns most without seeing anybody (the baseline blind) has an exact value for "
        "any number of agents"
    )


def test_too_many_populations_are_refused_before_any_work():
    env = robots(n_agents=10**6)
    with pytest.raises(InvalidArgumentError, match=r"^n_agents: 1000000 agents in 5 local states"):
        exact_return(env, np.zeros((5, 5), dtype=int), uniform_local_policy(env), k=1)
    with pytest.raises(InvalidArgumentError, match=r"^n_agents: 1000000 agents in 5 local states"):
        population_value(env, np.ones((5, 5, 1)), uniform_local_policy(env))


def test_sixty_robots_are_not_refused():
    check_population_size(robots(n_agents=60))
    assert population_bytes(robots(n_agents=60)) < 2**30


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_agents": 17, "n_local_states": 5, "n_global_states": 4},
        {"n_agents": 26, "n_local_states": 4, "n_global_actions": 30},
        {"n_agents": 150, "n_local_states": 3, "n_global_actions": 1},
    ],
)
def test_the_memory_that_is_stated_is_about_what_is_taken(sizes):
    env, *pair = random_pair(np.random.default_rng(0), 2, **sizes)
    exact_return(replace(env, n_agents=2), *pair, k=2)  # how to factor the kernels is found and kept
    tracemalloc.start()
    exact_return(env, *pair, k=2, tolerance=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 < peak / population_bytes(env) < 1.3


# Results.


def test_a_return_is_a_number(game):
    found = exact_return(*game, k=2)
    assert float(found) == found.value
    assert f"{float(found):.3f}" == f"{found.value:.3f}"
    assert type(found.value) is type(found.bound) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.value = 0.0


def test_a_horizon_is_as_many_sweeps(game):
    found = exact_return(*game, k=2, horizon=np.int64(7))
    assert found.n_iterations == 7
    assert type(found.n_iterations) is int


def test_values_are_read_only_and_arguments_left_alone(game):
    env, global_policy, local_policy = game
    law = global_action_law(env, global_policy, k=2)
    before = law.copy()
    for horizon in (None, 4):
        found = population_value(env, law, local_policy, horizon=horizon)
        assert found.value.shape == (2, 15)
        assert not found.value.flags.writeable
    np.testing.assert_array_equal(law, before)


def test_policies_may_be_lists(game):
    env, global_policy, local_policy = game
    assert exact_return(env, global_policy.tolist(), local_policy.tolist(), k=2) == exact_return(*game, k=2)
