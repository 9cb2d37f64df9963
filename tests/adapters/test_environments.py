"""The game as environments of Gymnasium and PettingZoo."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import VectorEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test

import distmarl as dm
from distmarl.errors import InvalidArgumentError, MissingExtraError
from tests.reference import standard_errors_from
from tests.strategies import random_environment, random_global_policy, random_local_policy

K, HORIZON = 2, 4


@pytest.fixture
def game():
    """A game with G = 2, L = 3, A_g = 3, A_l = 2 and 4 agents."""
    return random_environment(np.random.default_rng(0), n_agents=4, n_global_actions=3)


@pytest.fixture
def classes(game):
    """The same with two classes of local states."""
    return replace(game, observation=[1, 0, 1])


def uniform_global(env, k):
    n_counts = len(dm.count_vectors(k, env.n_classes))
    return np.full((env.n_global_states, n_counts, env.n_global_actions), 1 / env.n_global_actions)


# What other libraries ask of an environment.


@pytest.mark.parametrize("name", ["game", "classes"])
@pytest.mark.parametrize("horizon", [None, 5])
def test_pettingzoos_own_tests_pass(name, horizon, request, capsys):
    game = request.getfixturevalue(name)
    parallel_api_test(dm.parallel_env(game, k=K, horizon=horizon), num_cycles=20)
    parallel_seed_test(lambda: dm.parallel_env(game, k=K, horizon=horizon), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["game", "classes"])
def test_gymnasiums_own_test_passes(name, request):
    game = request.getfixturevalue(name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not having a spec.*")  # it is in no registry
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(dm.gym_env(game, dm.uniform_local_policy(game), k=K, horizon=3))


# What is seen and earned.


def play_together(game, policy, *, n_rollouts, seed, k=K, reward="sampled"):
    """The returns of the vectorised environment when ``policy``, (G, C, A_g) or (G, C), is played."""
    rng = np.random.default_rng([seed, 1])  # another stream than that of the games, which is default_rng(seed)
    games = dm.gym_vector_env(
        game, dm.uniform_local_policy(game), k=k, n_rollouts=n_rollouts, horizon=HORIZON, reward=reward
    )
    seen, _ = games.reset(seed=seed)
    returns = np.zeros(n_rollouts)
    for step in range(HORIZON):
        chosen = policy[seen[:, 0], dm.rank(seen[:, 1:])]
        actions = chosen if policy.ndim == 2 else (rng.random((n_rollouts, 1)) >= chosen.cumsum(axis=1)[:, :-1]).sum(1)
        seen, rewards, terminated, truncated, infos = games.step(actions)
        returns += game.gamma**step * rewards
        assert not terminated.any()
        assert (truncated == (step == HORIZON - 1)).all()
        assert (infos["discount"] == game.gamma).all()
    return returns


@pytest.mark.parametrize("reward", ["sampled", "expected"])
@pytest.mark.parametrize("name", ["game", "classes"])
def test_games_side_by_side_earn_the_exact_return(name, reward, request):
    game = request.getfixturevalue(name)
    policy, local_policy = uniform_global(game, K), dm.uniform_local_policy(game)
    returns = play_together(game, policy, n_rollouts=10_000, seed=1, reward=reward)
    assert standard_errors_from(returns, dm.exact_return(game, policy, local_policy, k=K, horizon=HORIZON).value) < 4
    # Negative control: an action that is always the same.
    wrong = dm.exact_return(game, np.zeros(policy.shape[:2], dtype=int), local_policy, k=K, horizon=HORIZON)
    assert standard_errors_from(returns, wrong.value) > 4


def test_many_local_states_are_drawn_by_where_agents_are():
    game = random_environment(np.random.default_rng(7), n_local_states=11, n_agents=2, n_global_actions=3)
    game = replace(game, reward_global=5 * game.reward_global)
    policy, local_policy = uniform_global(game, K), dm.uniform_local_policy(game)
    returns = play_together(game, policy, n_rollouts=4_000, seed=8)
    assert standard_errors_from(returns, dm.exact_return(game, policy, local_policy, k=K, horizon=HORIZON).value) < 4
    # Negative control: an action that is always the same.
    wrong = dm.exact_return(game, np.zeros(policy.shape[:2], dtype=int), local_policy, k=K, horizon=HORIZON)
    assert standard_errors_from(returns, wrong.value) > 4


def test_what_is_seen_is_a_fresh_subsample(game):
    policy, local_policy = random_global_policy(np.random.default_rng(3), game, K), dm.uniform_local_policy(game)
    returns = play_together(game, policy, n_rollouts=20_000, seed=2)
    assert standard_errors_from(returns, dm.exact_return(game, policy, local_policy, k=K, horizon=HORIZON).value) < 4
    # Negative control: the next action.
    other = dm.exact_return(game, (policy + 1) % 3, local_policy, k=K, horizon=HORIZON)
    assert standard_errors_from(returns, other.value) > 4


def test_a_single_game_is_one_of_several(game):
    rng = np.random.default_rng(4)
    leader = dm.gym_env(game, dm.uniform_local_policy(game), k=K, horizon=HORIZON)
    leaders = dm.gym_vector_env(game, dm.uniform_local_policy(game), k=K, n_rollouts=1, horizon=HORIZON)
    for seed in (3, None, None):
        seen, info = leader.reset(seed=seed)
        np.testing.assert_array_equal(leaders.reset(seed=seed)[0], [seen])
        assert info == {"discount": 0.9}
        for _ in range(HORIZON):
            action = rng.integers(3)
            seen, reward, terminated, truncated, info = leader.step(action)
            others = leaders.step(np.array([action]))
            np.testing.assert_array_equal(others[0], [seen])
            assert [each.item() for each in others[1:4]] == [reward, terminated, truncated]
            assert info == {"discount": 0.9}


def test_random_play_of_all_agents_earns_the_exact_return(game):
    rng = np.random.default_rng([5, 1])
    players = dm.parallel_env(game, k=K, horizon=HORIZON)
    players.reset(seed=5)
    returns = np.zeros(1000)
    for number in range(len(returns)):
        players.reset()
        for step in range(HORIZON):
            draws = dict(zip(players.agents, [rng.integers(3), *rng.integers(2, size=4)], strict=True))
            _, rewards, _, _, infos = players.step(draws)
            assert infos["local_0"] == infos["global"] == {"discount": 0.9}
            returns[number] += game.gamma**step * rewards["global"]
    pair = uniform_global(game, K), dm.uniform_local_policy(game)
    assert standard_errors_from(returns, dm.exact_return(game, *pair, k=K, horizon=HORIZON).value) < 4
    # Negative control: local agents that always do the same.
    constant = np.tile(np.eye(2)[1], (2, 3, 1))
    assert standard_errors_from(returns, dm.exact_return(game, pair[0], constant, k=K, horizon=HORIZON).value) > 4


def test_agents_may_each_earn_their_own(game):
    together, apart = dm.parallel_env(game, k=K), dm.parallel_env(game, k=K, rewards="own")
    seen, _ = together.reset(seed=6)
    apart.reset(seed=6)
    for _ in range(10):
        actions = {name: together.action_space(name).sample() for name in together.agents}
        s_g, a_g = seen["global"][0], actions["global"]
        expected = {"global": game.reward_global[s_g, a_g]}
        for name in apart.agents[1:]:
            expected[name] = game.reward_local[s_g, seen[name][1], actions[name]]
        seen, rewards, *_ = together.step(actions)
        own = apart.step(actions)[1]
        assert own == expected
        system = own["global"] + np.mean([own[name] for name in apart.agents[1:]])
        assert list(rewards.values()) == pytest.approx([system] * 5, abs=1e-14)


def test_agents_see_what_they_should(classes):
    players = dm.parallel_env(classes, k=4, n_agents=4)  # it sees everyone, so what it sees can be told
    seen, _ = players.reset(seed=0)
    for _ in range(20):
        own = np.array([seen[f"local_{number}"] for number in range(4)])
        assert (own[:, 0] == seen["global"][0]).all()
        assert seen["global"][1:].tolist() == np.bincount(classes.observation[own[:, 1]], minlength=2).tolist()
        assert all(players.observation_space(name).contains(each) for name, each in seen.items())
        seen, rewards, *_ = players.step({name: players.action_space(name).sample() for name in players.agents})
        assert len(set(rewards.values())) == 1
    assert players.possible_agents == ["global", "local_0", "local_1", "local_2", "local_3"]
    assert len(dm.parallel_env(classes, k=1, n_agents=9).possible_agents) == 10


def test_games_side_by_side_start_anew_together(game):
    games = dm.gym_vector_env(game, random_local_policy(np.random.default_rng(0), game), k=1, n_rollouts=3, horizon=2)
    assert isinstance(games, VectorEnv)
    first, _ = games.reset(seed=7)
    for _ in range(3):
        seen, rewards, _, truncated, _ = games.step(np.zeros(3, dtype=int))
        assert games.observation_space.contains(seen)
    assert not rewards.any()  # this step only started new games
    assert not truncated.any()
    again, _ = games.reset(seed=7)
    np.testing.assert_array_equal(first, again)


def test_a_million_agents_are_no_more_work_than_a_few():
    game = dm.robots(n_agents=1_000_000)
    leader = dm.gym_env(game, dm.uniform_local_policy(game), k=1000, reward="expected")
    seen, _ = leader.reset(seed=0)
    for action in (0, 1, 2):
        seen, reward, *_ = leader.step(action)
        assert seen[1:].sum() == 1000
        assert np.isfinite(reward)


# What is refused.


@pytest.mark.parametrize(
    ("action", "message"),
    [(3, r"^action: must be in 0 \.\. 2, got 3$"), (-1, "got -1$"), (0.5, "got float64"), ([0, 1], r"got int64 of")],
)
def test_impossible_global_actions_are_refused(game, action, message):
    leader = dm.gym_env(game, dm.uniform_local_policy(game), k=K)
    leader.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match=message):
        leader.step(action)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"global": 0}, r"^actions: must have one of each agent, got none of 'local_0'$"),
        ({"global": 3}, r"^actions\['global'\]: must be an integer of 0 \.\. 2, got 3$"),
        ({"global": 0, "local_0": 1.0}, r"^actions\['local_0'\]: must be an integer of 0 \.\. 1, got 1\.0$"),
    ],
)
def test_impossible_actions_of_an_agent_are_refused(game, actions, message):
    players = dm.parallel_env(game, k=K)
    players.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match=message):
        players.step(actions)


def test_a_game_must_have_begun(game):
    leader = dm.gym_env(game, dm.uniform_local_policy(game), k=K, horizon=1)
    players = dm.parallel_env(game, k=K, horizon=1)
    nobody = dict.fromkeys(players.possible_agents, 0)
    for step in (lambda: leader.step(0), lambda: players.step(nobody)):
        with pytest.raises(ResetNeeded, match="call reset first"):
            step()
    leader.reset(seed=0)
    assert leader.step(0)[3] is True
    with pytest.raises(ResetNeeded):
        leader.step(0)
    players.reset(seed=0)
    assert all(players.step(nobody)[3].values())
    assert players.step({}) == ({}, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 5}, "^k: "),
        ({"horizon": 0}, "^horizon: "),
        ({"rewards": "team"}, "^rewards: "),
        ({"n_agents": 1}, "^k: "),
    ],
)
def test_impossible_arguments_are_refused(game, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        dm.parallel_env(game, **{"k": K, **options})
    options = {**options, "reward" if "rewards" in options else "horizon": 0}
    with pytest.raises(InvalidArgumentError):
        dm.gym_env(game, dm.uniform_local_policy(game), k=options.pop("k", K), horizon=0)


@pytest.mark.parametrize("library", ["gymnasium", "pettingzoo"])
def test_a_missing_library_names_the_extra(game, library, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("distmarl.adapters.")]:
        if name.endswith(("global_game", "parallel_game")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(library), *sys.meta_path])
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=rf"^{library}: .* pip install 'distmarl\[gym\]' brings it$"):
        dm.parallel_env(game, k=K)


class Missing:
    """Finds nothing of a library, as where it is not installed."""

    def __init__(self, library):
        self._library = library

    def find_spec(self, name, *_):
        if name.split(".")[0] == self._library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
