from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from quantecon.markov import DiscreteDP

from distmarl import (
    Quantity,
    exact_return,
    g_learn,
    nash_gap,
    robots,
    train_alternating,
    uniform_local_policy,
)
from distmarl.equilibrium.deviations import global_deviations
from distmarl.equilibrium.deviator import deviator_bytes
from distmarl.equilibrium.welfare import Welfare, best_welfare
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.averages import solve_surrogate
from distmarl.values.exact_return import population_bytes
from tests.equilibrium.hand_made import (
    FROM_NEXT_STEP,
    FROM_NOW_ON,
    beacon,
    dominant_actions,
    followers,
    frozen_crowd,
    stag_hunt,
)
from tests.equilibrium.labelled_agents import (
    action_law,
    deviation_law,
    deviator_mdp,
    dispatcher_mdp,
    joint_start,
    policy_value,
)
from tests.reference import dirichlet_multinomial_pmf, enumerate_counts, hypergeometric_pmf
from tests.strategies import (
    FEW,
    environments,
    generators,
    random_environment,
    random_global_policy,
    random_local_policy,
)

GAPS = ("surrogate", "global_lower", "global_upper", "local_lower", "local_upper", "welfare_lower")


def always(env, k, action):
    """The global policy that takes one action whatever it sees."""
    n_counts = len(enumerate_counts(k, env.n_local_states))
    return np.full((env.n_global_states, n_counts), action)


def everywhere(env, action):
    """The local policy that takes one action in every state."""
    policy = np.zeros(env.reward_local.shape)
    policy[..., action] = 1.0
    return policy


def assert_gaps(found, **expected):
    """Compare gaps with known numbers; those that are not named must be 0."""
    for name in GAPS:
        gap = getattr(found, name)
        assert gap.error < 1e-5
        assert gap.value == pytest.approx(expected.get(name, 0.0), rel=0, abs=gap.error + 1e-9), name
    most = found.welfare_upper
    assert most.value + most.error >= max(found.welfare_lower.value, found.global_upper.value) - 1e-5


def bracket(side, value):
    return {f"{side}_lower": value, f"{side}_upper": value}


# Games that are known by hand.


@pytest.mark.parametrize("utility", ["own", "team"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_dominant_actions_are_an_equilibrium(k, utility):
    env = dominant_actions(np.random.default_rng(k))
    assert_gaps(nash_gap(env, always(env, k, 1), everywhere(env, 0), k=k, utility=utility))


@pytest.mark.parametrize(("utility", "share"), [("own", 1.0), ("team", 1 / 5)])
@pytest.mark.parametrize("k", [2, 5])
def test_gaps_of_a_pair_that_is_wrong_by_a_known_amount(k, utility, share):
    env = dominant_actions(np.random.default_rng(k))
    local_policy = 0.7 * everywhere(env, 0) + 0.3 * everywhere(env, 1)
    found = nash_gap(env, always(env, k, 2), local_policy, k=k, utility=utility)
    dispatcher, agent = 1.0 * FROM_NOW_ON, 0.3 * 2.0 * FROM_NOW_ON
    assert_gaps(
        found,
        surrogate=dispatcher,
        **bracket("global", dispatcher),
        **bracket("local", agent * share),
        welfare_lower=dispatcher + agent,
    )


@pytest.mark.parametrize("utility", ["own", "team"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_being_followed_is_an_equilibrium_that_needs_no_sight(k, utility):
    env = followers()
    stay = np.tile(np.arange(2)[:, None], (1, k + 1))
    assert_gaps(nash_gap(env, stay, everywhere(env, 0), k=k, utility=utility))


@pytest.mark.parametrize("utility", ["own", "team"])
@pytest.mark.parametrize("k", [2, 4])
def test_the_alternation_is_stuck_in_the_worse_of_two_equilibria(k, utility):
    env = stag_hunt()
    pair = train_alternating(env, k=k, transitions="exact", policy="greedy", joint_value="exact")
    np.testing.assert_array_equal(pair.global_policy, always(env, k, 0))
    np.testing.assert_array_equal(pair.local_policy, everywhere(env, 0))
    found = nash_gap(env, pair.global_policy, pair.local_policy, k=k, utility=utility)
    assert_gaps(found, welfare_lower=(4.0 - 3.0) * FROM_NEXT_STEP)
    assert found.welfare_lower.kind == "exact"
    better = nash_gap(env, always(env, k, 1), everywhere(env, 1), k=k, utility=utility)
    assert_gaps(better)
    assert better.joint_value.value - found.joint_value.value == pytest.approx(1.0 * FROM_NEXT_STEP, abs=1e-6)


def test_a_mixture_of_both_equilibria_is_none():
    env = stag_hunt()
    found = nash_gap(env, always(env, 2, 0), everywhere(env, 1), k=2)
    # Locals go to 1, so the global agent would earn 4 for 2; an agent alone would earn 3 for 2, a quarter of the team.
    assert_gaps(
        found,
        surrogate=2.0 * FROM_NEXT_STEP,
        **bracket("global", 2.0 * FROM_NEXT_STEP),
        **bracket("local", 1.0 / 4 * FROM_NEXT_STEP),
        welfare_lower=2.0 * FROM_NEXT_STEP,
    )


@pytest.mark.parametrize(("n_agents", "k"), [(3, 1), (5, 3), (5, 2)])
def test_what_full_sight_is_worth_is_the_upper_bound(n_agents, k):
    env = frozen_crowd(n_agents=n_agents)
    seen = np.array(enumerate_counts(k, 2))
    majority = np.tile((seen[:, 1] > seen[:, 0]).astype(int), (2, 1))
    populations = np.array(enumerate_counts(n_agents, 2))
    chosen = [hypergeometric_pmf(N, k) @ N[majority[0]] / n_agents for N in populations]
    missed = populations.max(axis=1) / n_agents - chosen
    expected = dirichlet_multinomial_pmf(n_agents, env.initial_local_concentration) @ missed * FROM_NEXT_STEP
    assert expected > 0.05
    found = nash_gap(env, majority, uniform_local_policy(env), k=k)
    # Nobody who sees k agents of a fresh sample can do better than to follow it.
    assert_gaps(found, global_upper=expected, welfare_lower=expected)
    assert (found.global_lower.kind, found.global_upper.kind) == ("lower bound", "upper bound")


@pytest.mark.parametrize(("n_agents", "k"), [(2, 1), (5, 2), (6, 6), (7, 1)])
def test_a_deviator_is_seen_with_probability_k_over_n(n_agents, k):
    env = beacon(n_agents=n_agents)
    if_any = (np.array(enumerate_counts(k, 2))[:, 1] > 0).astype(int)[None]
    found = nash_gap(env, if_any, everywhere(env, 0), k=k)
    expected = k / n_agents * FROM_NEXT_STEP
    assert found.local_upper.value == pytest.approx(expected, abs=1e-6)
    assert found.local_lower.value == pytest.approx(expected, abs=1e-6)
    own = nash_gap(env, if_any, everywhere(env, 0), k=k, utility="own")
    assert own.local_upper.value == pytest.approx(0.0, abs=1e-6)
    # Always taking action 1 earns 1 from the first step on, whoever is seen.
    assert found.joint_value.value + found.global_lower.value == pytest.approx(FROM_NOW_ON, abs=1e-6)


# Any game.


@pytest.mark.parametrize("utility", ["own", "team"])
@FEW
@given(env=environments(max_agents=4), rng=generators())
def test_gaps_are_not_negative_and_brackets_are_in_order(utility, env, rng):
    k = int(rng.integers(1, env.n_agents + 1))
    pair = random_global_policy(rng, env, k), random_local_policy(rng, env)
    found = nash_gap(env, *pair, k=k, utility=utility, max_enumerated=100, n_starts=2)
    for name in GAPS:
        gap = getattr(found, name)
        assert gap.value >= -gap.error, name
        assert 0 <= gap.error <= 1.01e-6
    for lower, upper in ((found.global_lower, found.global_upper), (found.local_lower, found.local_upper)):
        assert lower.value <= upper.value + lower.error + upper.error
    assert found.global_upper.value <= found.welfare_lower.value + found.welfare_lower.error + found.global_upper.error


@pytest.fixture(scope="module", params=[(2, 2, 1), (3, 2, 2), (3, 2, 1), (2, 3, 2)], ids=str)
def small_game(request):
    """A game that can be solved with labelled agents, and a pair of policies."""
    n_agents, n_states, k = request.param
    rng = np.random.default_rng(n_agents * 10 + n_states + k)
    env = random_environment(rng, n_agents=n_agents, n_local_states=n_states, concentration=0.4)
    return env, random_global_policy(rng, env, k), random_local_policy(rng, env), k


def solved(env, rewards, moves):
    return joint_start(env) @ DiscreteDP(rewards, moves, env.gamma).solve(method="policy_iteration").v


def test_exact_gaps_are_those_of_the_full_chain(small_game):
    env, global_policy, local_policy, k = small_game
    found = nash_gap(env, global_policy, local_policy, k=k)
    full = dispatcher_mdp(env, local_policy)
    law = action_law(env, global_policy, k)
    joint = joint_start(env) @ policy_value(*full, env.gamma, law)
    assert found.joint_value.value == pytest.approx(joint, abs=2e-6)
    assert found.global_upper.value == pytest.approx(solved(env, *full) - joint, abs=2e-6)

    surrogate = dataclasses.replace(env, n_agents=k)
    problem = dispatcher_mdp(surrogate, local_policy)
    present = policy_value(*problem, env.gamma, action_law(surrogate, global_policy, k))
    expected = solved(surrogate, *problem) - joint_start(surrogate) @ present
    assert found.surrogate.value == pytest.approx(expected, abs=2e-6)

    worths = [solved(env, *full)]
    shape = env.reward_local.shape
    for actions in itertools.product(range(2), repeat=shape[0] * shape[1]):
        worths.append(solved(env, *dispatcher_mdp(env, np.eye(2)[np.reshape(actions, shape[:2])])))
    assert found.welfare_lower.value == pytest.approx(max(worths) - joint, abs=2e-6)
    assert found.welfare_lower.kind == "exact"


@pytest.mark.parametrize("utility", ["own", "team"])
def test_the_local_bracket_holds_the_best_of_all_policies(small_game, utility):
    env, global_policy, local_policy, k = small_game
    found = nash_gap(env, global_policy, local_policy, k=k, utility=utility)
    problem = deviator_mdp(env, global_policy, local_policy, k, utility)

    def earned(policy):
        return joint_start(env) @ policy_value(*problem, env.gamma, deviation_law(env, policy))

    present = earned(local_policy)
    shape = env.reward_local.shape
    every = itertools.product(range(2), repeat=shape[0] * shape[1])
    best = max(earned(np.eye(2)[np.reshape(actions, shape[:2])]) for actions in every) - present
    assert found.local_upper.value == pytest.approx(solved(env, *problem) - present, abs=2e-6)
    assert found.local_lower.value <= best + 2e-6
    assert found.local_lower.value >= 0.9 * best
    assert best <= found.local_upper.value + 2e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_global_bracket_holds_the_best_of_all_policies(seed):
    rng = np.random.default_rng(seed)
    env = frozen_crowd(n_agents=3)
    # Agents that move a little, so that it matters who is seen.
    env = dataclasses.replace(env, transition_local=0.8 * env.transition_local + 0.2 * rng.dirichlet([1, 1], (2, 2, 1)))
    global_policy, local_policy, k = random_global_policy(rng, env, 1), uniform_local_policy(env), 1
    found = nash_gap(env, global_policy, local_policy, k=k)
    full, start = dispatcher_mdp(env, local_policy), joint_start(env)
    best = max(
        start @ policy_value(*full, env.gamma, action_law(env, np.reshape(actions, global_policy.shape), k))
        for actions in itertools.product(range(2), repeat=global_policy.size)
    )
    best -= found.joint_value.value
    assert found.global_lower.value == pytest.approx(best, abs=2e-6)
    assert best < found.global_upper.value - 1e-2


# What is told.


def test_the_best_candidate_is_the_lower_bound():
    env = robots(n_agents=8, n_global_states=4, n_local_states=4, n_global_actions=4)
    pair = train_alternating(env, k=2)
    found = nash_gap(env, pair.global_policy, pair.local_policy, k=2, n_starts=1)
    optimum = solve_surrogate(env, pair.local_policy, k=2, tolerance=1e-7)

    def gains(largest):
        candidates = global_deviations(
            env, pair.global_policy, pair.local_policy, optimum, k=2, largest=largest, tolerance=1e-7
        )
        returns = [exact_return(env, policy, pair.local_policy, k=2).value for policy in candidates]
        return [value - found.joint_value.value for value in returns]

    assert found.global_lower.value == pytest.approx(max(gains(8)), abs=2e-6)
    # What one who sees all agents would do, averaged over the unseen, beats the neighbours by far.
    assert found.global_lower.value > max(gains(3)) + 1.0
    assert found.global_upper.value > found.global_lower.value + 1.0
    assert 0 < found.local_lower.value < found.local_upper.value
    assert found.surrogate.value > 0.01
    assert found.welfare_lower.kind == "lower bound"
    assert found.welfare_lower.value > found.global_upper.value


def test_the_present_local_policy_is_among_those_of_the_best_pair():
    env = dominant_actions(np.random.default_rng(0))
    pair = always(env, 2, 1), everywhere(env, 1)
    worse = Welfare(-1e3, 1e-9, pair[1], "enumeration", True, 1, 1, 0)
    assert nash_gap(env, *pair, k=2, welfare=worse).welfare_lower.value == pytest.approx(0.0, abs=2e-6)


def test_at_full_sight_both_global_numbers_are_exact_and_the_same():
    env = robots(n_agents=4)
    local_policy = uniform_local_policy(env)
    policy = g_learn(env, local_policy, k=4).policy
    found = nash_gap(env, policy, local_policy, k=4, n_starts=1)
    assert found.global_lower.kind == found.global_upper.kind == "exact"
    assert found.global_lower.value > 0.01
    assert found.global_lower.value == pytest.approx(found.global_upper.value, abs=2e-6)
    assert found.surrogate.value == pytest.approx(found.global_upper.value, abs=2e-6)


def test_every_number_says_what_it_is():
    env = stag_hunt()
    found = nash_gap(env, always(env, 2, 0), everywhere(env, 0), k=2, utility="own")
    kinds = {name: getattr(found, name).kind for name in ("joint_value", *GAPS, "welfare_upper")}
    assert kinds == {
        "joint_value": "exact",
        "surrogate": "exact",
        "global_lower": "lower bound",
        "global_upper": "upper bound",
        "local_lower": "lower bound",
        "local_upper": "upper bound",
        "welfare_lower": "exact",
        "welfare_upper": "upper bound",
    }
    assert (found.k, found.n_agents, found.method, found.utility) == (2, 4, "exact", "own")
    lines = str(found).splitlines()
    assert lines[0] == "NashGap of k=2 of n_agents=4:"
    assert len(lines) == 9
    assert lines[-1].endswith("(upper bound): gain of any policies of everybody, by the optimum of 4 agents")
    assert lines[-2].startswith("  welfare_lower 9 ± ")
    assert lines[-2].endswith(
        "(exact): gain of the best full-information pair among the present and 16 deterministic local policies"
    )
    assert "in own utility" in lines[5]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.surrogate = None
    assert (
        str(Quantity(None, None, "upper bound", "a gain", "too large")) == "no value (upper bound): a gain; too large"
    )


@pytest.mark.parametrize("tolerance", [1e-2, 1e-8])
def test_errors_are_within_the_tolerance_and_hold(tolerance):
    rng = np.random.default_rng(1)
    env = random_environment(rng, n_agents=6, n_global_actions=3)
    pair = random_global_policy(rng, env, 3), random_local_policy(rng, env)
    found = nash_gap(env, *pair, k=3, tolerance=tolerance)
    precise = nash_gap(env, *pair, k=3, tolerance=1e-9)
    for name in ("joint_value", *GAPS):
        rough = getattr(found, name)
        assert rough.error <= 1.01 * tolerance
        # The errors of both sides of a difference, and the surrogate gap is about another game.
        assert rough.error >= found.joint_value.error or name == "surrogate"
        assert rough.value == pytest.approx(getattr(precise, name).value, rel=0, abs=rough.error + 1e-9)
    if tolerance == 1e-2:
        assert found.global_upper.error > 1e-6


def test_welfare_is_enumerated_up_to_a_number_of_policies():
    env = stag_hunt()
    pair = always(env, 2, 0), everywhere(env, 0)
    all_of_them, some = (nash_gap(env, *pair, k=2, max_enumerated=most).welfare_lower for most in (16, 15))
    assert (all_of_them.kind, some.kind) == ("exact", "lower bound")
    assert all_of_them.value == pytest.approx(9.0, abs=1e-5)
    assert some.value == pytest.approx(all_of_them.value, abs=2e-6)
    assert "among the present and 16 deterministic" in all_of_them.of
    assert "found from 5 starts" in some.of
    assert "found from 1 start" in nash_gap(env, *pair, k=2, max_enumerated=15, n_starts=1).welfare_lower.of


def test_a_best_pair_that_is_given_is_not_searched_for_again(monkeypatch):
    env = stag_hunt()
    pair = always(env, 2, 0), everywhere(env, 0)
    expected = nash_gap(env, *pair, k=2)
    found = best_welfare(env, tolerance=5e-7)
    monkeypatch.delattr("distmarl.equilibrium.nash_gap.best_welfare")
    assert nash_gap(env, *pair, k=2, welfare=found) == expected
    lower = dataclasses.replace(found, value=found.value - 1.0)
    assert nash_gap(env, *pair, k=2, welfare=lower).welfare_lower.value == pytest.approx(8.0, abs=1e-5)


@pytest.mark.parametrize("is_exhaustive", [True, False])
def test_welfare_without_a_best_pair_has_the_reason(is_exhaustive):
    env = stag_hunt()
    none = Welfare(None, None, None, None, is_exhaustive, 0, 0, 0, "transitions: 'exact' would be off")
    found = nash_gap(env, always(env, 2, 0), everywhere(env, 0), k=2, welfare=none)
    assert found.welfare_lower.value is found.welfare_lower.error is None
    assert found.welfare_lower.reason == "transitions: 'exact' would be off"
    assert found.local_upper.value == pytest.approx(0.0, abs=1e-6)


# Refusals.


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 5}, r"^k: must be from 1 to n_agents \(4\), got 5"),
        ({"global_policy": np.zeros((2, 4), dtype=int)}, r"^global_policy: must be integers of shape"),
        ({"local_policy": np.ones((2, 2, 2))}, r"^local_policy\[0, 0\]: must sum to 1"),
        ({"method": "guess"}, r"^method: must be one of exact, estimate, got 'guess'"),
        ({"utility": "social"}, r"^utility: must be one of own, team, got 'social'"),
        ({"tolerance": 0.0}, r"^tolerance: must be positive and finite, got 0\.0"),
        (
            {"tolerance": 1e-15},
            r"^tolerance: exact gaps cannot be certified to 1e-15; use a larger one, or method='est",
        ),
        ({"n_starts": 0}, r"^n_starts: must be at least 1, got 0"),
        ({"max_enumerated": -1}, r"^max_enumerated: must be at least 0, got -1"),
        ({"n_rollouts": 1}, r"^n_rollouts: must be at least 2, got 1"),
        ({"horizon": 0}, r"^horizon: must be at least 1, got 0"),
        ({"seed": -1, "max_enumerated": 0}, r"^seed: must be an integer of 0 or more"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    env = stag_hunt()
    arguments = {"global_policy": always(env, 2, 0), "local_policy": everywhere(env, 0), "k": 2} | changes
    with pytest.raises(InvalidArgumentError, match=message):
        nash_gap(env, **arguments)


@pytest.mark.parametrize(
    ("n_agents", "size", "memory"),
    [
        (80, "1,929,501", "6 GiB"),
        (95, "3,764,376", "5 GiB"),
        (1000, "42,084,793,751", "54,560 GiB"),
        (10**8, "about 10^31", "about 10^25 GiB"),
    ],
)
def test_too_many_agents_are_refused_with_the_size_and_the_alternatives(n_agents, size, memory, monkeypatch):
    monkeypatch.delattr("distmarl.equilibrium.nash_gap.exact_gaps")  # nothing is begun
    env = robots(n_agents=n_agents)
    with pytest.raises(InvalidArgumentError) as refusal:
        nash_gap(env, np.zeros((5, 5), dtype=int), uniform_local_policy(env), k=1)
    assert str(refusal.value) == (
        f"n_agents: {n_agents} agents in 5 local states have {size} count vectors, and exact gaps over them would take "
        f"at least {memory}, more than the 4 GiB allowed; use method='estimate', whose cost does not grow with "
        "n_agents; what earns most without seeing anybody (the baseline blind) has an exact value for any number of "
        "agents"
    )
    assert max(deviator_bytes(robots(n_agents=70)), population_bytes(robots(n_agents=80))) < 2**32
