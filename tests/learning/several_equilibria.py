"""Games in which best responses may end in several equilibria, some of them poor."""

from __future__ import annotations

import dataclasses

import numpy as np

from distmarl import Environment, robots
from tests.equilibrium.hand_made import followers, stag_hunt
from tests.strategies import random_environment

GAMMA = 0.9


def deterministic_ring():
    """Agents step along a ring of three, the global agent goes where it wants, and all earn where they meet."""
    places = np.arange(3)
    steps = np.stack([np.eye(3)[(places + step) % 3] for step in (0, 1)], axis=1)
    return Environment(
        transition_global=np.tile(np.eye(3)[None], (3, 1, 1)),
        transition_local=np.tile(steps[None], (3, 1, 1, 1)),
        reward_global=np.zeros((3, 3)),
        reward_local=np.tile(np.eye(3)[:, :, None], (1, 1, 2)) - np.array([0.0, 0.05]),
        n_agents=4,
        gamma=GAMMA,
    )


def congestion():
    """The global agent tolls one of two roads; who takes it pays, and changing roads takes luck."""
    moves = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.7, 0.3], [0.1, 0.9]]])
    return Environment(
        transition_global=np.tile(0.9 * np.eye(2)[None] + 0.05, (2, 1, 1)),
        transition_local=np.tile(moves[None], (2, 1, 1, 1)),
        reward_global=np.array([[0.0, -0.4], [-0.4, 0.0]]),
        reward_local=np.array([[0.0, 1.2], [1.0, 0.1]])[:, :, None] - np.array([0.0, 0.2]),
        n_agents=5,
        gamma=GAMMA,
    )


def conventions(*, bonus=0.5):
    """All drive on the side that the global agent marks; one side is better, and repainting is dear."""
    side = np.tile((0.85 * np.eye(2) + 0.075)[None], (2, 1, 1))  # whatever side an agent is on, it may choose one
    return Environment(
        transition_global=np.tile(0.85 * np.eye(2)[None] + 0.075, (2, 1, 1)),
        transition_local=np.tile(side[None], (2, 1, 1, 1)),
        reward_global=np.array([[0.0, -1.0], [-1.0, 0.0]]),
        reward_local=np.array([[1.0, -1.0], [-1.0, 1.0 + bonus]])[:, :, None].repeat(2, axis=2),
        n_agents=5,
        gamma=GAMMA,
    )


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
    "deterministic ring": deterministic_ring,
    "congestion": congestion,
    "conventions": conventions,
    "conventions that hardly differ": lambda: conventions(bonus=0.05),
    "externalities": externalities,
    "asymmetric robots 0": lambda: asymmetric_robots(0),
    "asymmetric robots 1": lambda: asymmetric_robots(1),
    **{f"dirichlet {seed}": lambda seed=seed: dirichlet(seed) for seed in range(5)},
}
