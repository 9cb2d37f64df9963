"""A game of one's own, to start from: a dispatcher calls for a place, and workers earn by being there.

In the sweep file, ``environment.name`` names the function, and the section's other keys are its parameters.
"""

import numpy as np

import distmarl as dm


def game(*, n_agents: int = 12, gamma: float = 0.9, n_places: int = 3, stickiness: float = 0.8) -> dm.Environment:
    """Return the game; its tables are indexed by states and actions, which are numbers from 0.

    Parameters
    ----------
    n_agents : int
        Number of workers.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_places : int
        Places, which are the states of the dispatcher and of each worker.
    stickiness : float
        Probability that a worker who wants to move stays where it is.
    """
    here = np.eye(n_places)
    stay, move = here, stickiness * here + (1 - stickiness) * np.roll(here, 1, axis=1)
    return dm.Environment(
        transition_global=np.tile(here, (n_places, 1, 1)),  # P_g[s_g, a_g, s_g']: the place that is called next
        transition_local=np.tile(np.stack([stay, move], axis=1), (n_places, 1, 1, 1)),  # P_l[s_g, s_l, a_l, s_l']
        reward_global=np.zeros((n_places, n_places)),  # r_g[s_g, a_g]
        reward_local=np.stack([here, here - 0.1], axis=2),  # r_l[s_g, s_l, a_l]: to move costs a little
        n_agents=n_agents,
        gamma=gamma,
    )
