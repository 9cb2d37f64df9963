"""Games whose equilibria, and distances from them, are known by hand. All have gamma = 0.9."""

from __future__ import annotations

import numpy as np

from distmarl import Environment

GAMMA = 0.9
FROM_NOW_ON = 1 / (1 - GAMMA)
FROM_NEXT_STEP = GAMMA / (1 - GAMMA)


def dominant_actions(rng, *, n_agents=5, n_states=2):
    """Actions move nothing: the global action 1 earns 1 more than the others, the local action 0 earns 2 more.

    Best is whatever earns most at once, for everyone and whatever is seen.
    """
    rows = rng.dirichlet(np.ones(n_states), size=n_states)
    local_rows = rng.dirichlet(np.ones(n_states), size=(n_states, n_states))
    return Environment(
        transition_global=np.tile(rows[:, None, :], (1, 3, 1)),
        transition_local=np.tile(local_rows[:, :, None, :], (1, 1, 2, 1)),
        reward_global=rng.normal(size=(n_states, 1)) + np.array([0.0, 1.0, 0.0]),
        reward_local=rng.normal(size=(n_states, n_states, 1)) + np.array([2.0, 0.0]),
        n_agents=n_agents,
        gamma=GAMMA,
    )


def stag_hunt(*, n_agents=4):
    """Everyone goes where it wants, and earns most where the others go, too.

    At s_g = 0 an agent earns 3 in state 0 and 2 in state 1; at s_g = 1 it earns 0 and 4. All in 0 and all in 1 are
    equilibria, worth 3 and 4 per step from the next one on. Where locals are anywhere, s_g = 0 is the better bet.
    """
    go_there = np.eye(2)
    return Environment(
        transition_global=np.tile(go_there[None], (2, 1, 1)),
        transition_local=np.tile(go_there[None, None], (2, 2, 1, 1)),
        reward_global=np.zeros((2, 2)),
        reward_local=np.array([[3.0, 2.0], [0.0, 4.0]])[:, :, None].repeat(2, axis=2),
        n_agents=n_agents,
        gamma=GAMMA,
    )


def followers(*, n_agents=4):
    """Local agents may go where the global agent is (action 0) or stay (1), and earn 1 where it is.

    The global agent goes where it wants. It should stay and be followed: then everyone earns 1 from the next step on,
    and nobody can earn more.
    """
    follow, stay = np.tile(np.eye(2)[:, None, :], (1, 2, 1)), np.tile(np.eye(2)[None], (2, 1, 1))
    return Environment(
        transition_global=np.tile(np.eye(2)[None], (2, 1, 1)),
        transition_local=np.stack([follow, stay], axis=2),
        reward_global=np.zeros((2, 2)),
        reward_local=np.eye(2)[:, :, None].repeat(2, axis=2),
        n_agents=n_agents,
        gamma=GAMMA,
    )


def frozen_crowd(*, n_agents=3):
    """Local agents cannot move, and earn 1 where the global agent is, which goes where it wants."""
    return Environment(
        transition_global=np.tile(np.eye(2)[None], (2, 1, 1)),
        transition_local=np.tile(np.eye(2)[None, :, None, :], (2, 1, 1, 1)),
        reward_global=np.zeros((2, 2)),
        reward_local=np.eye(2)[:, :, None],
        n_agents=n_agents,
        gamma=GAMMA,
    )


def beacon(*, n_agents):
    """Whoever is in state 1 and seen is worth 1 to the system, if the global agent then takes action 1.

    Local agents go where they want and earn nothing.
    """
    return Environment(
        transition_global=np.ones((1, 2, 1)),
        transition_local=np.tile(np.eye(2)[None, None], (1, 2, 1, 1)),
        reward_global=[[0.0, 1.0]],
        reward_local=np.zeros((1, 2, 2)),
        n_agents=n_agents,
        gamma=GAMMA,
    )
