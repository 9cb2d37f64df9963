"""The search for the best pair whose global agent sees everyone."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from quantecon.markov import DiscreteDP

import distmarl as dm
from distmarl.equilibrium import welfare as welfare_module
from distmarl.equilibrium.welfare import (
    ORDER,
    best_welfare,
    informed_worth,
    n_deterministic_policies,
    welfare_starts,
)
from distmarl.errors import InvalidArgumentError
from tests.equilibrium.hand_made import stag_hunt
from tests.equilibrium.labelled_agents import dispatcher_mdp, joint_start
from tests.learning.several_equilibria import GAMES
from tests.strategies import random_environment, random_local_policy


def labelled_worth(env, local_policy):
    """What a local policy earns with the best global policy that sees all labelled agents."""
    mdp = DiscreteDP(*dispatcher_mdp(env, local_policy), env.gamma)
    return joint_start(env) @ mdp.solve(method="policy_iteration").v


def deterministic(env, actions):
    return np.eye(env.n_local_actions)[np.reshape(actions, env.reward_local.shape[:2])]


def labelled_worths(env):
    n_choices = env.n_global_states * env.n_local_states
    every = itertools.product(range(env.n_local_actions), repeat=n_choices)
    return [labelled_worth(env, deterministic(env, actions)) for actions in every]


@pytest.mark.parametrize("seed", range(4))
def test_a_local_policy_is_worth_what_it_earns_with_the_best_dispatcher(seed):
    rng = np.random.default_rng(seed)
    env = random_environment(rng, n_agents=3, n_local_states=2)
    local_policy = random_local_policy(rng, env)
    found = informed_worth(env, local_policy, tolerance=1e-9)
    assert found.value == pytest.approx(labelled_worth(env, local_policy), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_enumeration_finds_the_best_of_all_deterministic_policies(seed):
    env = random_environment(np.random.default_rng(seed), n_agents=2, n_local_states=2, concentration=0.3)
    worths = labelled_worths(env)
    assert len(worths) == n_deterministic_policies(env) == 16
    found = best_welfare(env, tolerance=1e-8)
    assert (found.is_exhaustive, found.n_policies, found.n_starts) == (True, 16, 0)
    assert found.source == "enumeration"
    assert found.value == pytest.approx(max(worths), abs=1e-7)
    assert labelled_worth(env, found.local_policy) == pytest.approx(found.value, abs=1e-7)
    assert found.error < 1.1e-8


@pytest.mark.parametrize("seed", range(3))
def test_what_is_passed_over_could_not_have_been_the_best(seed, monkeypatch):
    """Bounds come from fewer agents than play, so that they are no values."""
    monkeypatch.setattr(welfare_module, "FEW_AGENTS", 2)
    env = random_environment(np.random.default_rng(seed), n_agents=4, n_local_states=2, concentration=0.3)
    found = best_welfare(env, tolerance=1e-7)
    assert found.value == pytest.approx(max(labelled_worths(env)), abs=1e-6)
    assert found.n_solved < found.n_policies == 16


def test_policies_that_a_rough_look_cannot_tell_apart_are_looked_at_again():
    env = random_environment(np.random.default_rng(0), n_agents=2, n_local_states=2)
    rewards = np.concatenate([env.reward_global, np.full((2, 1), -1e5)], axis=1)
    moves = np.concatenate([env.transition_global, env.transition_global[:, :1]], axis=1)
    costly = dataclasses.replace(env, reward_global=rewards, transition_global=moves)
    plain, found = (best_welfare(game, tolerance=1e-7) for game in (env, costly))
    assert found.value == pytest.approx(plain.value, abs=2e-7)
    assert found.error < 1.1e-7


@pytest.mark.parametrize("seed", range(3))
def test_starts_find_a_real_pair_and_never_more_than_the_best(seed):
    env = random_environment(np.random.default_rng(seed), n_agents=2, n_local_states=2, concentration=0.3)
    worths = labelled_worths(env)
    found = best_welfare(env, tolerance=1e-8, max_enumerated=0)
    assert labelled_worth(env, found.local_policy) == pytest.approx(found.value, abs=1e-7)
    assert found.value <= max(worths) + 1e-7
    assert not found.is_exhaustive


@pytest.mark.parametrize("game", [name for name, make in GAMES.items() if n_deterministic_policies(make()) <= 256])
def test_where_there_are_several_equilibria_the_starts_find_the_best(game):
    env = GAMES[game]()
    all_of_them, few = (best_welfare(env, max_enumerated=most) for most in (256, 0))
    assert few.value == pytest.approx(all_of_them.value, abs=1e-4)


def test_one_start_after_another_is_taken_and_then_random_ones():
    env = dm.robots(n_agents=3, n_global_states=2, n_local_states=2, n_global_actions=2)
    fixed = ["blind", "stay", "constant_action 0", "constant_action 1", "uniform"]
    assert welfare_starts(env, None) == fixed
    assert welfare_starts(env, 2) == fixed[:2]
    assert welfare_starts(env, 7) == [*fixed, "random 0", "random 1"]
    assert [best_welfare(env, max_enumerated=0, n_starts=number).n_starts for number in (1, 6)] == [1, 6]


def test_the_search_goes_on_with_all_agents(monkeypatch):
    """From a candidate that the game of few agents left where a best response of all earns more."""
    env = stag_hunt()
    hare = deterministic(env, [0, 0, 0, 0])
    candidate = dataclasses.make_dataclass("C", ["start", "proposal", "local_policy"])("stay", "start", None)
    start = next(
        policy
        for actions in itertools.product(range(2), repeat=4)
        if (policy := deterministic(env, actions)) is not None
        and welfare_module.alternate_seeing_all(env, policy)[0] is not policy
    )
    candidate.local_policy = start
    monkeypatch.setattr(welfare_module, "local_candidates", lambda *_: [candidate])
    found = best_welfare(env, max_enumerated=0)
    assert found.value > labelled_worth(env, start) + 1e-3
    assert found.value >= labelled_worth(env, hare) - 1e-6
    assert found.source == "stay, and on from there"
    assert labelled_worth(env, found.local_policy) == pytest.approx(found.value, abs=1e-5)


def test_random_starts_are_drawn_from_the_seed(monkeypatch):
    monkeypatch.setattr(welfare_module, "ORDER", ORDER[:1])
    taken: list[list[np.ndarray]] = []
    real = welfare_module.local_candidates
    monkeypatch.setattr(
        welfare_module, "local_candidates", lambda env, names, seed: taken.append(real(env, names, seed)) or taken[-1]
    )
    for seed in (5, 5, 6):
        best_welfare(stag_hunt(), max_enumerated=0, n_starts=4, seed=seed)
    first, again, other = ([each.local_policy.tolist() for each in found] for found in taken)
    assert first == again != other


@pytest.mark.parametrize("max_enumerated", [100, 0])
def test_without_exact_transitions_there_is_a_reason(monkeypatch, max_enumerated):
    def refuse(*_args, **_options):
        raise InvalidArgumentError("transitions: 'exact' would be off")

    monkeypatch.setattr(welfare_module, "solve_surrogate", refuse)
    found = best_welfare(stag_hunt(), max_enumerated=max_enumerated)
    assert found.value is found.error is found.local_policy is found.source is None
    assert found.reason == "transitions: 'exact' would be off"
    assert found.is_exhaustive == (max_enumerated > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_starts": 0}, r"^n_starts: must be at least 1, got 0"),
        ({"max_enumerated": -1}, r"^max_enumerated: must be at least 0, got -1"),
        ({"tolerance": 0.0}, r"^tolerance: "),
        ({"seed": -1}, r"^seed: must be an integer of 0 or more"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        best_welfare(stag_hunt(), **options)


def test_too_many_agents_are_refused():
    with pytest.raises(InvalidArgumentError, match="n_agents"):
        best_welfare(dm.robots(n_agents=1000))
