"""A game of many local states, of which few are reached from each: a line."""

from __future__ import annotations

import numpy as np

from distmarl import Environment
from tests.strategies import random_rows

N_STATES = 12
STEPS = {-1: 0.3, 0: 0.5, 1: 0.2}


def line_game(n_agents=9, n_states=N_STATES, n_classes=3):
    """Agents on a line, who are seen in classes of neighbouring states, and earn by where s_g is."""
    moves = np.zeros((2, n_states, 2, n_states))
    for s_g, s_l, a_l in np.ndindex(2, n_states, 2):
        for step, probability in STEPS.items():
            drift = (2 * a_l - 1) * (s_g + 1)
            moves[s_g, s_l, a_l, min(max(s_l + step + drift, 0), n_states - 1)] += probability
    places = np.arange(n_states) / n_states
    return Environment(
        transition_global=np.tile(np.array([[0.8, 0.2], [0.3, 0.7]]), (2, 1, 1)),
        transition_local=moves,
        reward_global=np.array([[0.0, 0.3], [0.2, 0.0]]),
        reward_local=np.stack([places, 1 - places**2])[:, :, None] * np.array([3.0, 2.0]),
        n_agents=n_agents,
        gamma=0.9,
        initial_shares=random_rows(np.random.default_rng(0), (2, n_states), 0.3),
        observation=np.arange(n_states) * n_classes // n_states,
    )
