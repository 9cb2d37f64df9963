"""Games in which best responses may end in several equilibria, some of them poor."""

from __future__ import annotations

import dataclasses

import numpy as np

from distmarl import Environment, game, robots
from tests.equilibrium.hand_made import followers, stag_hunt
from tests.strategies import random_environment

GAMMA = 0.9


def driving_sides(*, bonus):
    """All drive on the side that the global agent marks; one side is better, and repainting is dear."""
    worths = {"bonus": bonus, "worth_new_under_old": -1.0, "worth_old_under_new": -1.0}
    return game("conventions", n_agents=5, **worths, slip=0.15, cost=1.0)


def externalities():
    """Action 1 costs the agent and helps the global agent to a state that is good for everyone."""
    stay_put = np.array([[0.8, 0.2], [0.2, 0.8]])
    local = np.stack([np.stack([stay_put[state], 1 - stay_put[state]]) for state in (0, 1)])
    return Environment(
        transition_global=np.array([[[0.95, 0.05], [0.5, 0.5]], [[0.4, 0.6], [0.1, 0.9]]]),
        transition_local=np.tile(local[None], (2, 1, 1, 1)),
        reward_global=np.array([[0.0, -0.5], [1.0, 0.5]]),
        reward_local=np.array([[[0.2, -0.3], [0.0, -0.4]], [[0.0, 0.8], [1.2, 0.1]]]),
        n_agents=5,
        gamma=GAMMA,
    )


def asymmetric_robots(seed):
    """Three zones, and rewards that differ a little between them."""
    env = robots(n_agents=5, n_global_states=3, n_local_states=3, n_global_actions=3, n_local_actions=2)
    rng = np.random.default_rng(seed)
    noise = 0.3 * rng.normal(size=(3, 3, 1))
    return dataclasses.replace(env, reward_local=env.reward_local + noise, gamma=GAMMA)


def dirichlet(seed):
    """Tables drawn at random, nearly deterministic."""
    return random_environment(
        np.random.default_rng(seed), n_local_states=3, n_global_states=2, n_agents=4, concentration=0.2
    )


GAMES = {
    "stag hunt": stag_hunt,
    "followers": followers,
    "ring": lambda: game("ring", n_agents=4, n_places=3),
    "congestion": lambda: game("congestion", n_agents=5),
    "conventions": lambda: game("conventions", n_agents=5, bonus=0.5),
    "driving sides": lambda: driving_sides(bonus=0.5),
    "driving sides that hardly differ": lambda: driving_sides(bonus=0.05),
    "externalities": externalities,
    "asymmetric robots 0": lambda: asymmetric_robots(0),
    "asymmetric robots 1": lambda: asymmetric_robots(1),
    **{f"dirichlet {seed}": lambda seed=seed: dirichlet(seed) for seed in range(5)},
}
