"""Other people's policies as tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from tests.strategies import random_drawn_policy, random_environment, random_global_policy, random_local_policy


@pytest.fixture
def game():
    """A game with G = 2, L = 3, A_g = 3, A_l = 2 and 4 agents."""
    return random_environment(np.random.default_rng(0), n_agents=4, n_global_actions=3)


class Model:
    """A model with the interface of stable-baselines3."""

    def __init__(self, table):
        self.table, self.n_calls = table, 0

    def predict(self, observations, state=None, deterministic=False):
        assert deterministic
        self.n_calls += 1
        return self.table[observations[:, 0], dm.rank(observations[:, 1:])], state


def test_tables_come_back_as_they_were(game):
    rng = np.random.default_rng(1)
    actions, drawn = random_global_policy(rng, game, 2), random_drawn_policy(rng, game, 2)
    for table in (actions, drawn):
        found = dm.tabulate_policy(game, lambda seen, table=table: table[seen[0], dm.rank(seen[1:])], k=2)
        np.testing.assert_array_equal(found.shape, table.shape)
        np.testing.assert_allclose(found, table, rtol=0, atol=4e-16)
    np.testing.assert_array_equal(dm.tabulate_policy(game, Model(actions), k=2), actions)
    local = random_local_policy(rng, game)
    found = dm.tabulate_policy(game, lambda seen: local[tuple(seen)].tolist(), agent="local")
    np.testing.assert_allclose(found, local, rtol=0, atol=4e-16)
    found = dm.tabulate_policy(game, lambda seen: seen[1] % 2, agent="local")
    np.testing.assert_array_equal(found, np.eye(2)[np.tile(np.arange(3) % 2, (2, 1))])


def test_probabilities_may_be_in_single_precision(game):
    drawn = random_drawn_policy(np.random.default_rng(1), game, 2).astype(np.float32)
    assert (abs(drawn.astype(float).sum(axis=2) - 1) > 1e-9).any()
    found = dm.tabulate_policy(game, lambda seen: drawn[seen[0], dm.rank(seen[1:])], k=2)
    np.testing.assert_allclose(found, drawn, rtol=0, atol=3e-7)
    np.testing.assert_allclose(found.sum(axis=2), 1, rtol=0, atol=1e-15)


def test_a_model_is_asked_about_many_observations_at_once(game, monkeypatch):
    monkeypatch.setattr("distmarl.adapters.tabulating.BATCH_SIZE", 5)
    model = Model(random_global_policy(np.random.default_rng(1), game, 2))
    np.testing.assert_array_equal(dm.tabulate_policy(game, model, k=2), model.table)
    assert model.n_calls == 3  # of 12 observations


def test_observations_are_those_of_the_environments(game):
    game = replace(game, observation=[1, 0, 1])
    seen = []
    dm.tabulate_policy(game, lambda observation: seen.append(observation.tolist()) or 0, k=2)
    assert seen == [[s_g, *z] for s_g in range(2) for z in ([0, 2], [1, 1], [2, 0])]
    leader = dm.gym_env(game, dm.uniform_local_policy(game), k=2)
    assert all(leader.observation_space.contains(np.array(each)) for each in seen)
    seen.clear()
    dm.tabulate_policy(game, lambda observation: seen.append(observation.tolist()) or 0, agent="local")
    assert seen == [[s_g, s_l] for s_g in range(2) for s_l in range(3)]
    assert dm.parallel_env(game, k=2).observation_space("local_0").contains(np.array(seen[-1]))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3, r"^policy\(\[1, 0, 2, 0\]\): must return an action, an integer of 0 \.\. 2, got 3$"),
        (-1, r"got -1$"),
        (1.0, r"an integer of 0 \.\. 2, got 1\.0$"),
        (True, r"got True$"),
        ([0.5, 0.5], r"^policy\(\[1, 0, 2, 0\]\): must return 3 probabilities or one action, got shape \(2,\)$"),
        ([0.5, np.nan, 0.5], r"must return probabilities that sum to 1, got \[0\.5, nan, 0\.5\]$"),
        ([0.5, 0.2, 0.2], r"that sum to 1, got \[0\.5, 0\.2, 0\.2\]$"),
        ([1.5, -0.5, 0.0], r"that sum to 1, got \[1\.5, -0\.5, 0\.0\]$"),
        ("left", r"must return an action or probabilities, got"),
        (None, r"must return an action or probabilities, got"),
        ([1.0, 0.0, 0.0], r"^policy\(\[1, 0, 2, 0\]\): must return an action, or probabilities, as it does for other"),
    ],
)
def test_what_is_no_action_is_refused_with_its_observation(game, returned, message):
    with pytest.raises(InvalidArgumentError, match=message):
        dm.tabulate_policy(game, lambda seen: returned if seen.tolist() == [1, 0, 2, 0] else 0, k=2)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros(12, dtype=int), r"^policy\.predict: must return \(actions, state\)"),
        ((np.zeros((12, 1), dtype=int), None), r"an action for each of 12 observations, got shape \(12, 1\)$"),
        ((np.full(12, 3), None), r"^policy\(\[0, 0, 0, 2\]\): must return an action, an integer of 0 \.\. 2, got 3$"),
        ((np.zeros(12), None), r"got 0\.0$"),
        ((np.array([None] * 12), None), r"got None$"),
    ],
)
def test_what_a_model_may_not_return(game, returned, message):
    model = Model(None)
    model.predict = lambda *_args, **_options: returned
    with pytest.raises(InvalidArgumentError, match=message):
        dm.tabulate_policy(game, model, k=2)


@pytest.mark.parametrize(
    ("policy", "options", "message"),
    [
        (len, {}, r"^k: must be given for a global policy"),
        (len, {"k": 2, "agent": "local"}, r"^k: a local policy has no use for it, got 2"),
        (len, {"k": 2, "agent": "both"}, r"^agent: must be one of global, local, got 'both'$"),
        (3, {"k": 2}, r"^policy: must be a function, or a model with predict, got int$"),
    ],
)
def test_impossible_arguments_are_refused(game, policy, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        dm.tabulate_policy(game, policy, **options)


def test_too_many_count_vectors_are_refused_before_any_is_made(game):
    with pytest.raises(InvalidArgumentError, match=r"^k: 100000 agents have more than 2,147,483,647 count vectors"):
        dm.tabulate_policy(replace(game, n_agents=100_000), len, k=100_000)
