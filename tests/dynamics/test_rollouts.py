from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given

from distmarl import Environment, robots
from distmarl.dynamics.purposes import START
from distmarl.dynamics.rollouts import initial_states, run_rollouts, run_seeds
from distmarl.model.random_streams import Role, random_stream
from tests.reference import (
    count_frequencies,
    dirichlet_multinomial_pmf,
    enumerate_counts,
    exact_return,
    largest_frequency_error,
    mixed_reward,
    simulate_agents,
    standard_errors_apart,
    standard_errors_from,
)
from tests.strategies import (
    FEW,
    environments,
    generators,
    random_environment,
    random_global_policy,
    random_local_policy,
)


def roll(env, global_policy, local_policy, *, k, n_rollouts=20_000, horizon=8, seed=0, **options):
    options = {"role": Role.EVALUATION, **options}
    return run_rollouts(
        env, global_policy, local_policy, k=k, n_rollouts=n_rollouts, horizon=horizon, seed=seed, **options
    )


@pytest.fixture(params=["agents", "counts"])
def drawn_by(request, monkeypatch):
    """Draw agent by agent, or as if the population were too large for that."""
    if request.param == "counts":
        monkeypatch.setattr("distmarl.dynamics.drawing.MAX_AGENTS_DRAWN", 0)


@pytest.fixture(params=["agents", "counts", "ranks", "ways"])
def drawn_anyhow(request, monkeypatch):
    """Draw in each of the four ways, as if there were few or many local states, and few or many agents."""
    if request.param in ("ranks", "ways"):
        monkeypatch.setattr("distmarl.dynamics.drawing.FEW_STATES", 0)
    if request.param in ("counts", "ways"):
        monkeypatch.setattr("distmarl.dynamics.drawing.MAX_AGENTS_DRAWN", 0)
        monkeypatch.setattr("distmarl.dynamics.drawing.MAX_AGENTS_PER_WAY", 0)


def follow_the_crowd(env, k):
    """The global policy that goes to the most populated state it sees."""
    counts = np.array(enumerate_counts(k, env.n_local_states))
    return np.tile(counts.argmax(axis=1), (env.n_global_states, 1))


@pytest.mark.parametrize("reward", ["sampled", "expected"])
def test_the_first_rollout_is_recorded(reward: str) -> None:
    env = robots(n_agents=7, gamma=0.9)
    local_policy = random_local_policy(np.random.default_rng(1), env)
    rollouts = roll(env, follow_the_crowd(env, 7), local_policy, k=7, n_rollouts=5, horizon=9, seed=3, reward=reward)
    first, total = rollouts.first, 0.0
    for step, reward_of_step in enumerate(first.rewards):
        total += math.prod([env.gamma] * step) * reward_of_step
    assert total == pytest.approx(rollouts.returns[0], rel=1e-14)
    assert len(set(rollouts.returns)) == 5
    starts = initial_states(env, 5, random_stream(3, Role.EVALUATION, START))
    assert first.global_states[0] == starts[0][0]
    np.testing.assert_array_equal(first.populations[0], starts[1][0])
    assert (first.populations.sum(axis=1) == 7).all()
    # Who sees all agents goes to the most populated state, and that is where this policy goes.
    np.testing.assert_array_equal(first.global_actions, first.populations.argmax(axis=1))
    assert len(np.unique(first.populations, axis=0)) > 1


# A game of few agents, whose expected returns are sums over all of its states.


@pytest.fixture(scope="module")
def small_game():
    rng = np.random.default_rng(5)
    env = random_environment(rng, n_agents=4, concentration=0.3, n_global_states=3)
    return env, random_global_policy(rng, env, 2), random_local_policy(rng, env)


@pytest.mark.usefixtures("drawn_by")
def test_mean_returns_are_the_exact_ones(small_game):
    env, global_policy, local_policy = small_game
    exact = exact_return(env, global_policy, local_policy, k=2, horizon=6)
    assert standard_errors_from(roll(*small_game, k=2, n_rollouts=100_000, horizon=6).returns, exact) < 4


@pytest.mark.parametrize(
    "mistake",
    [
        {"transition_local": lambda table: table[::-1]},
        {"transition_local": lambda table: table[:, ::-1]},
        {"transition_global": lambda table: table[:, ::-1]},
        {"reward_local": lambda table: table[..., ::-1]},
        {"initial_local_concentration": lambda table: table * [9.0, 1.0, 0.1]},
        {"gamma": lambda gamma: gamma - 0.1},
    ],
)
def test_wrong_games_fail_the_same_check(small_game, mistake):
    env, global_policy, local_policy = small_game
    exact = exact_return(env, global_policy, local_policy, k=2, horizon=6)
    changes = {name: change(getattr(env, name)) for name, change in mistake.items()}
    wrong = dataclasses.replace(env, **changes)
    returns = roll(wrong, global_policy, local_policy, k=2, n_rollouts=100_000, horizon=6).returns
    assert standard_errors_from(returns, exact) > 4


@pytest.mark.usefixtures("drawn_by")
@pytest.mark.parametrize("seed", range(4))
def test_mean_returns_of_random_games_are_the_exact_ones(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(
        rng,
        n_global_states=int(rng.integers(1, 4)),
        n_local_states=int(rng.integers(1, 4)),
        n_agents=int(rng.integers(1, 5)),
        n_local_actions=int(rng.integers(1, 4)),
        concentration=0.5,
    )
    k = int(rng.integers(1, env.n_agents + 1))
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    exact = exact_return(env, global_policy, local_policy, k=k, horizon=5)
    returns = roll(env, global_policy, local_policy, k=k, n_rollouts=50_000, horizon=5).returns
    assert standard_errors_from(returns, exact) < 4


# Classes, and starts that are mixtures.


@pytest.fixture(scope="module")
def game_of_classes():
    """A game of 4 agents in 4 states of which 2 classes are seen, with a start of two parts, and a pair."""
    rng = np.random.default_rng(2)
    options = {"n_local_states": 4, "n_agents": 4, "observation": [1, 0, 0, 1], "n_parts": 2, "concentration": 0.3}
    env = random_environment(rng, **options)
    return env, np.array([[0, 1, 1], [1, 0, 0]]), random_local_policy(rng, env)


@pytest.mark.usefixtures("drawn_anyhow")
def test_mean_returns_with_classes_and_a_mixture_are_the_exact_ones(game_of_classes):
    exact = exact_return(*game_of_classes, k=2, horizon=6)
    assert standard_errors_from(roll(*game_of_classes, k=2, n_rollouts=30_000, horizon=6).returns, exact) < 4


@pytest.mark.parametrize(
    "mistake",
    [
        {"observation": [0, 1, 1, 0]},
        {"observation": [0, 0, 1, 1]},
        {"initial_shares": np.eye(4)[:2]},
        {"initial_shares": None, "initial_weights": None},
    ],
)
def test_other_classes_and_other_starts_fail_the_same_check(game_of_classes, mistake):
    env, *pair = game_of_classes
    exact = exact_return(env, *pair, k=2, horizon=6)
    returns = roll(dataclasses.replace(env, **mistake), *pair, k=2, n_rollouts=30_000, horizon=6).returns
    assert standard_errors_from(returns, exact) > 4


@pytest.mark.usefixtures("drawn_anyhow")
def test_seeing_every_state_as_its_own_class_changes_no_number(small_game):
    env, *pair = small_game
    given = dataclasses.replace(env, observation=[0, 1, 2])
    for first, second in zip(
        roll(env, *pair, k=2, n_rollouts=50).returns, roll(given, *pair, k=2, n_rollouts=50).returns, strict=True
    ):
        assert first == second


# Games of more agents, against the simulation of every single one.


@pytest.fixture(scope="module", params=["robots", "random 1", "random 2"])
def big_game(request):
    """A game, its policies, k, and a per-agent simulation of it: right, and with locals that move late."""
    rng = np.random.default_rng(11)
    if request.param == "robots":
        env, k = robots(n_agents=12, gamma=0.9, reward_global="paper"), 4
        pair = (follow_the_crowd(env, k), random_local_policy(rng, env))
    else:
        rng = np.random.default_rng(int(request.param[-1]))
        sizes = {"n_global_states": 3, "n_local_states": 4, "n_global_actions": 4, "n_local_actions": 3}
        env, k = random_environment(rng, **sizes, n_agents=9, concentration=0.2), 3
        env = dataclasses.replace(env, reward_local=3 * env.reward_local)
        pair = (random_global_policy(rng, env, k), random_local_policy(rng, env))
    arguments = {"k": k, "n_rollouts": 1200, "horizon": 8, "rng": rng}
    right = simulate_agents(env, *pair, **arguments)
    late = simulate_agents(env, *pair, **arguments, late_locals=True)
    return env, pair, k, right, late


def accuracy_standard_errors(sample, accuracy, n_rollouts):
    return abs(sample.mean() - accuracy) / (sample.std(ddof=1) * math.sqrt(1 / len(sample) + 1 / n_rollouts))


@pytest.mark.usefixtures("drawn_by")
def test_rollouts_have_the_law_of_single_agents(big_game):
    env, pair, k, (returns, hits), _ = big_game
    counted = roll(env, *pair, k=k)
    assert standard_errors_apart(counted.returns, returns) < 4
    assert standard_errors_apart(counted.returns**2, returns**2) < 4
    assert accuracy_standard_errors(hits, counted.mode_accuracy, 20_000) < 4


def test_locals_that_move_with_the_next_global_state_fail_the_same_check(big_game):
    env, pair, k, _, (returns, _) = big_game
    assert standard_errors_apart(roll(env, *pair, k=k).returns, returns) > 4


def test_a_wrong_kernel_fails_the_same_check(big_game):
    env, pair, k, (returns, _), _ = big_game
    wrong = dataclasses.replace(env, transition_local=np.roll(env.transition_local, 1, axis=-1))
    assert standard_errors_apart(roll(wrong, *pair, k=k).returns, returns) > 4


# The start.


def test_first_populations_are_dirichlet_multinomial():
    env = random_environment(np.random.default_rng(0), n_agents=3)
    states, population = initial_states(env, 30_000, np.random.default_rng(0))
    exact = dirichlet_multinomial_pmf(3, env.initial_local_concentration)
    assert largest_frequency_error(count_frequencies(population, 3), exact) < 4
    assert largest_frequency_error(np.bincount(states, minlength=2), env.initial_global) < 4
    reversed_start = dirichlet_multinomial_pmf(3, env.initial_local_concentration[::-1])
    assert largest_frequency_error(count_frequencies(population, 3), reversed_start) > 4


# Closed forms.


def test_one_step_earns_its_closed_form():
    rng = np.random.default_rng(3)
    env = random_environment(rng, n_agents=20, n_global_states=3)
    k, alpha = 4, env.initial_local_concentration
    global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
    # k agents of a Dirichlet-multinomial population are Dirichlet-multinomial themselves.
    seen = dirichlet_multinomial_pmf(k, alpha)
    chosen = env.reward_global[np.arange(3)[:, None], global_policy] @ seen
    expected = env.initial_global @ (chosen + mixed_reward(env, local_policy) @ (alpha / alpha.sum()))
    returns = roll(env, global_policy, local_policy, k=k, n_rollouts=50_000, horizon=1).returns
    assert standard_errors_from(returns, expected) < 4
    assert standard_errors_from(returns, expected + 0.05) > 4


@FEW
@given(environments(gammas=(0.0,)), generators())
def test_nothing_after_the_first_step_counts_without_a_future(env, rng):
    k = int(rng.integers(1, env.n_agents + 1))
    pair = random_global_policy(rng, env, k), random_local_policy(rng, env)
    first, later = (roll(env, *pair, k=k, n_rollouts=20, horizon=horizon).returns for horizon in (1, 5))
    np.testing.assert_array_equal(first, later)


@FEW
@given(environments(), generators())
def test_a_constant_reward_earns_a_geometric_sum(env, rng):
    k = int(rng.integers(1, env.n_agents + 1))
    flat = dataclasses.replace(
        env, reward_global=np.full_like(env.reward_global, 2.0), reward_local=np.full_like(env.reward_local, 0.5)
    )
    rollouts = roll(flat, random_global_policy(rng, env, k), random_local_policy(rng, env), k=k, n_rollouts=7)
    np.testing.assert_allclose(rollouts.returns, 2.5 * (1 - env.gamma**8) / (1 - env.gamma), rtol=1e-13)


def test_a_deterministic_game_earns_its_closed_form():
    # The global state goes round 0, 1, 2; locals move to where it was, so they are always one step behind.
    gamma, weights = 0.9, np.random.default_rng(0).normal(size=(3, 3))
    follow = np.tile(np.eye(3)[:, None, None, :], (1, 3, 1, 1))
    env = Environment(
        transition_global=np.roll(np.eye(3), 1, axis=1)[:, None, :],
        transition_local=follow,
        reward_global=np.zeros((3, 1)),
        reward_local=weights[:, :, None],
        n_agents=5,
        gamma=gamma,
        initial_global=[1, 0, 0],
        initial_local_concentration=[1e-9, 1e-9, 1e9],
    )
    rollouts = roll(
        env, np.zeros((3, len(enumerate_counts(2, 3))), dtype=int), np.ones((3, 3, 1)), k=2, n_rollouts=6, horizon=12
    )
    one_round = weights[0, 2] + gamma * weights[1, 0] + gamma**2 * weights[2, 1]
    np.testing.assert_allclose(rollouts.returns, one_round * (1 - gamma**12) / (1 - gamma**3), rtol=1e-12)


def test_the_global_action_uses_the_present_count_vector():
    # Every agent is where the global state was a step ago, and the action names that state's number.
    n, gamma = 4, 0.5
    env = Environment(
        transition_global=np.tile(np.roll(np.eye(2), 1, axis=1)[:, None, :], (1, 2, 1)),
        transition_local=np.tile(np.eye(2)[:, None, None, :], (1, 2, 1, 1)),
        reward_global=[[1.0, 20.0], [300.0, 4000.0]],
        reward_local=np.zeros((2, 2, 1)),
        n_agents=n,
        gamma=gamma,
        initial_global=[1, 0],
        initial_local_concentration=[1e-9, 1e9],
    )
    global_policy = np.array([[1, 0, 0], [1, 0, 0]])  # z = (0, 2) means action 1
    returns = roll(env, global_policy, np.ones((2, 2, 1)), k=2, n_rollouts=3, horizon=4).returns
    np.testing.assert_allclose(returns, 20 + gamma * 300 + gamma**2 * 20 + gamma**3 * 300, rtol=1e-14)


# Common random numbers.


def test_initial_states_are_shared_across_k_and_policies_of_one_seed():
    rng = np.random.default_rng(0)
    env = random_environment(rng, n_agents=6)
    # What is earned at once depends on nothing but the initial state here.
    env = dataclasses.replace(
        env,
        reward_global=np.tile(env.reward_global[:, :1], (1, 2)),
        reward_local=np.repeat(env.reward_local[..., :1], 2, axis=-1),
    )

    def first_rewards(k, seed=0, role=Role.EVALUATION):
        pair = random_global_policy(rng, env, k), random_local_policy(rng, env)
        return roll(env, *pair, k=k, n_rollouts=40, horizon=1, seed=seed, role=role).returns

    expected = first_rewards(1)
    for k in (1, 2, 5, 6):
        np.testing.assert_allclose(first_rewards(k), expected, rtol=1e-13)
    assert np.abs(first_rewards(1, seed=1) - expected).max() > 1e-3
    assert np.abs(first_rewards(1, role=Role.JOINT_VALUE) - expected).max() > 1e-3


@pytest.mark.parametrize("n_agents", [20, 1000])
def test_common_random_numbers_make_differences_between_neighbouring_k_less_noisy(n_agents):
    env = robots(n_agents=n_agents)
    local_policy = random_local_policy(np.random.default_rng(0), env)

    def returns(k, seed):
        pair = follow_the_crowd(env, k), local_policy
        return roll(env, *pair, k=k, n_rollouts=400, horizon=30, seed=seed).returns

    paired, unpaired = (returns(7, seed) - returns(6, 0) for seed in (0, 1))
    assert paired.std() < 0.4 * unpaired.std()


def test_rollouts_that_never_meet_a_change_of_the_policy_stay_as_they_are():
    rng = np.random.default_rng(1)
    env = random_environment(rng, n_agents=30)
    global_policy, local_policy = random_global_policy(rng, env, 2), random_local_policy(rng, env)
    other = global_policy.copy()
    other[0, 0] = 1 - other[0, 0]
    first, second = (roll(env, policy, local_policy, k=2, n_rollouts=300).returns for policy in (global_policy, other))
    n_same = int((first == second).sum())
    assert 50 < n_same < 250


def test_populations_that_are_drawn_by_counts_are_drawn_anew_for_each_k():
    # Rollouts of one k share no number with other rollouts of another k, so that their differences are independent.
    def returns(n_agents, k):
        env = robots(n_agents=n_agents)
        blind = np.tile(np.arange(5)[:, None], len(enumerate_counts(k, 5)))
        return roll(env, blind, np.full((5, 5, 3), 1 / 3), k=k, n_rollouts=30).returns

    np.testing.assert_array_equal(returns(30, 1), returns(30, 4))
    assert (returns(500, 1) != returns(500, 4)).all()


def test_the_same_seed_gives_the_same_returns_and_another_seed_others(small_game):
    first, again, other = (
        roll(*small_game, k=2, n_rollouts=50, seed=seed).returns for seed in ((3, 1), (3, 1), (3, 2))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.usefixtures("drawn_anyhow")
@pytest.mark.parametrize("cached_bytes", [1, 2**22])
def test_what_a_seed_yields_does_not_depend_on_the_others(small_game, monkeypatch, cached_bytes):
    monkeypatch.setattr("distmarl.dynamics.rollouts.CACHED_BYTES", cached_bytes)
    options = {"k": 2, "n_rollouts": 7, "horizon": 9, "role": Role.EVALUATION}
    alone = [roll(*small_game, k=2, n_rollouts=7, horizon=9, seed=(5, seed)) for seed in range(4)]
    for seeds in ([0, 1, 2, 3], [3, 0], [2]):
        found = list(run_seeds(*small_game, **options, seeds=[(5, seed) for seed in seeds]))
        assert len(found) == len(seeds)
        for seed, rollouts in zip(seeds, found, strict=True):
            np.testing.assert_array_equal(rollouts.returns, alone[seed].returns)
            np.testing.assert_array_equal(rollouts.first.populations, alone[seed].first.populations)
            np.testing.assert_array_equal(rollouts.first.rewards, alone[seed].first.rewards)
    robots_alone = [
        roll(robots(n_agents=9), follow_the_crowd(robots(), 3), np.full((5, 5, 3), 1 / 3), k=3, n_rollouts=5, seed=seed)
        for seed in range(3)
    ]
    together = run_seeds(
        robots(n_agents=9), follow_the_crowd(robots(), 3), np.full((5, 5, 3), 1 / 3),
        k=3, n_rollouts=5, horizon=8, seeds=range(3), role=Role.EVALUATION,
    )  # fmt: skip
    assert [each.mode_accuracy for each in together] == [each.mode_accuracy for each in robots_alone]


# Expected rewards.


def test_expected_rewards_have_the_exact_mean(small_game):
    env, global_policy, local_policy = small_game
    exact = exact_return(env, global_policy, local_policy, k=2, horizon=6)
    returns = roll(*small_game, k=2, n_rollouts=100_000, horizon=6, reward="expected").returns
    assert standard_errors_from(returns, exact) < 4
    assert (returns != roll(*small_game, k=2, n_rollouts=100_000, horizon=6).returns).all()


def test_expected_rewards_are_earned_in_the_same_states():
    env = robots(n_agents=8)
    pair = follow_the_crowd(env, 3), np.full((5, 5, 3), 1 / 3)
    sampled, expected = (roll(env, *pair, k=3, n_rollouts=50, reward=kind) for kind in ("sampled", "expected"))
    assert sampled.mode_accuracy == expected.mode_accuracy
    only_choice = dataclasses.replace(
        env, transition_local=env.transition_local[:, :, :1], reward_local=env.reward_local[:, :, :1]
    )
    pair = pair[0], np.ones((5, 5, 1))
    sampled, expected = (roll(only_choice, *pair, k=3, n_rollouts=50, reward=kind) for kind in ("sampled", "expected"))
    np.testing.assert_allclose(sampled.returns, expected.returns, rtol=1e-14)


def coin_game(*, lasting):
    """One agent that earns +1 or -1 by a fair choice; where that is ``lasting``, it is taken back in the next step."""
    choice = np.zeros((1, 3, 2, 3))
    choice[0, 0] = np.eye(3)[[1, 2]] if lasting else np.eye(3)[[0, 0]]
    choice[0, 1:] = np.eye(3)[0]
    gamma = 0.5
    return Environment(
        transition_global=np.ones((1, 1, 1)),
        transition_local=choice,
        reward_global=np.zeros((1, 1)),
        reward_local=np.array([[[1.0, -1.0], [-1 / gamma, -1 / gamma], [1 / gamma, 1 / gamma]]]),
        n_agents=1,
        gamma=gamma,
        initial_local_concentration=[1e9, 1e-9, 1e-9],
    )


@pytest.mark.parametrize("lasting", [False, True])
def test_expected_rewards_have_less_variance_unless_later_ones_take_the_chance_back(lasting):
    env = coin_game(lasting=lasting)
    pair = np.zeros((1, 3), dtype=int), np.full((1, 3, 2), 0.5)
    sampled, expected = (
        roll(env, *pair, k=1, n_rollouts=400, horizon=2, reward=kind).returns for kind in ("sampled", "expected")
    )
    without_noise, with_noise = (sampled, expected) if lasting else (expected, sampled)
    np.testing.assert_allclose(without_noise, 0, atol=1e-12)
    assert with_noise.std() > 0.9


# Mode accuracy.


def frozen_game():
    """Two local states that nobody leaves, two agents, and a global action for each local state."""
    return Environment(
        transition_global=np.full((1, 2, 1), 1.0),
        transition_local=np.eye(2)[None, :, None, :],
        reward_global=np.zeros((1, 2)),
        reward_local=np.zeros((1, 2, 1)),
        n_agents=2,
        gamma=0.5,
        initial_local_concentration=[1.0, 2.0],
    )


@pytest.mark.parametrize("action", [0, 1])
def test_an_action_is_accurate_when_it_is_any_of_the_most_populated_states(action):
    env = frozen_game()
    rollouts = roll(env, np.full((1, 3), action), np.ones((1, 2, 1)), k=2, n_rollouts=300, horizon=3)
    _, population = initial_states(env, 300, random_stream(0, Role.EVALUATION, START))
    chosen, other = population[:, action], population[:, 1 - action]
    assert (chosen == other).any()  # ties do occur, and they count
    assert rollouts.mode_accuracy == pytest.approx((chosen >= other).mean(), rel=1e-14)


def test_seeing_everyone_makes_the_crowd_known():
    env = robots(n_agents=7)
    local_policy = np.full((5, 5, 3), 1 / 3)
    assert roll(env, follow_the_crowd(env, 7), local_policy, k=7, n_rollouts=50).mode_accuracy == 1.0
    assert roll(env, follow_the_crowd(env, 1), local_policy, k=1, n_rollouts=50).mode_accuracy < 0.9


def test_accuracy_is_undefined_where_actions_are_no_states(small_game):
    assert math.isnan(roll(*small_game, k=2, n_rollouts=5).mode_accuracy)


# The largest populations.


def test_the_largest_population_can_be_simulated():
    env = robots(n_agents=999_999_999)
    rollouts = roll(
        env, follow_the_crowd(env, 5), np.full((5, 5, 3), 1 / 3), k=5, n_rollouts=10, horizon=30, role=Role.EVALUATION
    )
    lowest, highest = env.reward_local.min() + 1, env.reward_local.max() + 1
    weights = (1 - env.gamma**30) / (1 - env.gamma)
    assert (rollouts.returns > lowest * weights).all()
    assert (rollouts.returns < highest * weights).all()
