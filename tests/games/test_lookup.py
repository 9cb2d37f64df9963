from __future__ import annotations

import numpy as np
import pytest

from distmarl import Environment, robots
from distmarl.config.reading import RawSweep
from distmarl.config.schema import sweep_schema
from distmarl.errors import EnvironmentLookupError
from distmarl.games.lookup import GAMES, find_function
from distmarl.study.plan import make_plan


def coin(*, n_agents: int = 3, gamma: float = 0.5) -> Environment:
    """Return a game of one state, in which nothing happens.

    Parameters
    ----------
    n_agents : int
        Number of agents.
    gamma : float
        Discount factor.
    """
    return Environment(
        transition_global=np.ones((1, 1, 1)),
        transition_local=np.ones((1, 1, 1, 1)),
        reward_global=np.zeros((1, 1)),
        reward_local=np.zeros((1, 1, 1)),
        n_agents=n_agents,
        gamma=gamma,
    )


def test_robots_are_found_by_their_name():
    assert find_function("robots", lambda: "here") is robots


def test_a_game_is_a_function_in_one_list(monkeypatch):
    monkeypatch.setitem(GAMES, "coin", coin)
    raw = RawSweep({"environment": {"name": "coin", "n_agents": 2}, "experiment": {"k_values": [1]}}, "file.yaml")
    (job,) = make_plan(raw).jobs
    assert (job.environment.n_agents, job.environment.gamma, job.environment.n_local_states) == (2, 0.5, 1)
    assert sweep_schema(GAMES)["properties"]["environment"]["properties"]["name"]["anyOf"][0]["enum"] == list(GAMES)
    with pytest.raises(EnvironmentLookupError, match=r"^here: must be a built-in .* did you mean 'coin'"):
        find_function("coins", lambda: "here")
