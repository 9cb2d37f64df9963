"""Q-learners: what they converge to where that is known, what they count, and what they depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import distmarl as dm
from distmarl.dynamics.rollouts import initial_states
from distmarl.errors import InvalidArgumentError
from distmarl.learning.model_free.generative import GenerativeModel
from distmarl.learning.model_free.learners import LEARNERS, learn
from distmarl.learning.model_free.playing import Players
from distmarl.learning.model_free.tables import QTable
from tests.strategies import random_environment, random_local_policy

ENV = random_environment(np.random.default_rng(7), n_local_states=2, n_agents=2, gamma=0.7)
LOCAL = random_local_policy(np.random.default_rng(8), ENV)
PLAY = {"independent_q": dm.independent_q, "subsampled_q": dm.subsampled_q}


@pytest.fixture(scope="module")
def learnt_values() -> np.ndarray:
    """What independent Q-learning against a fixed local policy finds, for several seeds: (seeds, G, C)."""
    options = {"k": 2, "n_samples": 200_000, "epsilon": 0.5, "local_policy": LOCAL}
    return np.stack([dm.independent_q(ENV, seed=seed, **options).global_value for seed in range(4)])


def deviation(learnt: np.ndarray, env: dm.Environment) -> float:
    """How far learnt values are at most from those of a game, in standard errors of their mean over seeds."""
    exact = dm.g_learn(env, LOCAL, k=2, transitions="exact")
    standard_error = np.maximum(learnt.std(axis=0, ddof=1) / np.sqrt(len(learnt)), 0.004)
    return float((np.abs(learnt.mean(axis=0) - exact.value) / standard_error).max())


def test_against_a_fixed_local_policy_all_seen_it_finds_what_g_learn_finds(learnt_values: np.ndarray) -> None:
    assert deviation(learnt_values, ENV) < 4


@pytest.mark.parametrize("wrong", [{"gamma": 0.85}, {"reward_global": ENV.reward_global + 0.03}])
def test_the_comparison_tells_a_slightly_different_game_apart(learnt_values: np.ndarray, wrong: dict) -> None:
    assert deviation(learnt_values, replace(ENV, **wrong)) > 4


@pytest.mark.parametrize("name", PLAY)
def test_it_learns_the_best_answer_to_a_fixed_local_policy(name: str) -> None:
    exact = dm.g_learn(ENV, LOCAL, k=2, transitions="exact")
    learnt = PLAY[name](ENV, k=2, n_samples=200_000, local_policy=LOCAL)
    assert (learnt.local_policy == LOCAL).all()
    best, found = (dm.exact_return(ENV, pi_g, LOCAL, k=2).value for pi_g in (exact.policy, learnt.global_policy))
    assert found == pytest.approx(best, abs=1e-3)


def test_local_agents_learn_the_optimum_of_their_own_game_where_nobody_leads() -> None:
    env = random_environment(np.random.default_rng(3), n_local_states=2, n_global_actions=1, n_agents=5, gamma=0.7)
    lone = np.zeros((2, 6), dtype=np.int64)
    best = dm.l_learn(env, lone, dm.uniform_local_policy(env), k=5, policy="greedy")
    learnt = dm.independent_q(env, k=5, n_samples=200_000, global_policy=lone)
    assert (learnt.local_policy == best.policy).all()
    assert np.abs(learnt.local_value - best.value).max() < 0.05


@pytest.mark.parametrize("name", PLAY)
def test_a_seed_reproduces_to_the_bit_and_another_does_not(name: str) -> None:
    first, again, other = (PLAY[name](ENV, k=1, n_samples=5_000, seed=seed) for seed in (5, 5, 6))
    assert first.global_value.tobytes() == again.global_value.tobytes()
    assert first.local_value.tobytes() == again.local_value.tobytes()
    assert first.global_value.tobytes() != other.global_value.tobytes()


@pytest.mark.parametrize("name", PLAY)
@pytest.mark.parametrize("option", [{"epsilon": 0.9}, {"horizon": 3}])
def test_every_option_changes_what_is_learnt(name: str, option: dict) -> None:
    usual, changed = (PLAY[name](ENV, k=1, n_samples=5_000, **given) for given in ({}, option))
    assert usual.global_value.tobytes() != changed.global_value.tobytes()


@pytest.mark.parametrize(("name", "n_agents"), [("independent_q", 7), ("subsampled_q", 3)])
def test_every_draw_of_a_next_state_is_counted(monkeypatch: pytest.MonkeyPatch, name: str, n_agents: int) -> None:
    env = replace(ENV, n_agents=7)
    drawn = 0
    unwrapped = GenerativeModel.step

    def counting(model, s_g, populations, *others):
        nonlocal drawn
        step = unwrapped(model, s_g, populations, *others)
        drawn += len(step.global_states) + int(step.moves.sum())
        assert (populations.sum(axis=1) == n_agents).all()
        return step

    monkeypatch.setattr(GenerativeModel, "step", counting)
    result = PLAY[name](env, k=3, n_samples=3_000)
    assert result.n_samples == drawn
    assert 2_000 < result.n_samples <= 3_000


def test_each_agent_that_moves_is_learnt_from_once() -> None:
    players = Players(ENV, k=1, epsilon=0.1, start=initial_states, horizon=9, rng=np.random.default_rng(0))
    (result,) = players.play([3_000])
    visits = [int(table.visits.sum()) for table in (players._global, players._local)]
    assert visits == [result.n_samples // 3, result.n_samples // 3 * 2]


@pytest.mark.parametrize("name", PLAY)
def test_one_run_is_looked_at_after_each_budget(name: str) -> None:
    several = list(learn(ENV, name, k=2, budgets=[2_000, 6_000], seed=1))
    alone = PLAY[name](ENV, k=2, n_samples=6_000, seed=1)
    assert several[0].n_samples < several[1].n_samples == alone.n_samples
    assert several[1].global_value.tobytes() == alone.global_value.tobytes()
    assert several[0].global_value.tobytes() != alone.global_value.tobytes()


def test_policies_are_over_the_classes_that_are_seen() -> None:
    env = random_environment(np.random.default_rng(1), n_local_states=3, n_agents=6)
    seen = dm.Environment(
        **{name: getattr(env, name) for name in ("transition_global", "transition_local")},
        reward_global=env.reward_global,
        reward_local=env.reward_local,
        n_agents=6,
        gamma=0.9,
        observation=[0, 1, 0],
    )
    for name in PLAY:
        found = PLAY[name](seen, k=4, n_samples=3_000)
        assert found.global_policy.shape == (2, 5)
        dm.evaluate(seen, found.global_policy, found.local_policy, k=4, n_rollouts=2, horizon=2)


def test_updates_weigh_how_often_something_occurred() -> None:
    weighted, repeated = QTable(1, 2, 0.5), QTable(1, 2, 0.5)
    weighted.learn(np.array([0, 0]), np.array([1, 1]), np.array([4.0, 1.0]), np.array([2, 1]))
    repeated.learn(np.zeros(3, dtype=int), np.ones(3, dtype=int), np.array([4.0, 4.0, 1.0]))
    # The mean of the targets, 3, by the step 1 / (1 + 0.5 * 3 / 3).
    assert weighted.values.tolist() == repeated.values.tolist() == [[0.0, pytest.approx(2.0)]]
    assert weighted.visits.tolist() == [[0, 3]]
    weighted.learn(np.array([0]), np.array([1]), np.array([5.0]))
    assert weighted.values[0, 1] == pytest.approx(2 + 3 / (1 + 0.5 * 4))


def test_exploration_fades_to_its_least() -> None:
    table = QTable(2, 2, 0.5)
    assert table.explored_law(np.array([0]), 0.1).tolist() == [[0.5, 0.5]]
    table.visits[1] = 99_999, 0
    table.values[1] = 0.0, 1.0
    assert table.explored_law(np.array([1]), 0.1)[0] == pytest.approx([0.05, 0.95])
    table.visits[1] = 8, 0
    assert table.explored_law(np.array([1]), 0.1)[0] == pytest.approx([1 / 6, 5 / 6])


def test_where_nobody_was_it_takes_what_was_best_on_average() -> None:
    table = QTable(4, 3, 0.5)
    table.values[:] = [[9, 2, 1], [9, 9, 9], [9, 3, 9], [7, 7, 7]]
    table.visits[:] = [[0, 2, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    # What was never tried is not chosen; the second is new, the fourth is the only one of its group.
    assert table.greedy(np.array([0, 0, 0, 1])).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 100}, "n_samples: must be at least 498, a step of 166 rollouts with 2 local agents, got 100"),
        ({"epsilon": 1.5}, "epsilon: must be from 0 to 1, got 1.5"),
        ({"horizon": 0}, "horizon: must be at least 1, got 0"),
        ({"k": 3}, r"k: must be from 1 to n_agents \(2\), got 3"),
        (
            {"global_policy": np.zeros((2, 3), dtype=int), "local_policy": LOCAL},
            "local_policy: with global_policy given, too, nobody learns; leave one of them out",
        ),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        dm.independent_q(ENV, **{"k": 2, **options})


def test_every_learner_has_a_stream_of_its_own() -> None:
    numbers = [learner.number for learner in LEARNERS.values()]
    assert len(set(numbers)) == len(numbers)
    assert set(LEARNERS) == set(PLAY)
