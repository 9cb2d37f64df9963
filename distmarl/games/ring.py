"""Agents on a ring who step or stay, with certainty: kernels without noise, and a symmetry for every place."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def ring(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    n_places: Annotated[int, Ge(2), Le(50)] = 5,
    cost: Cost = 0.05,
) -> Environment:
    """Return the ring game: the global agent goes where it wants, local agents stay or step, and all earn by meeting.

    The places 0 to R - 1 lie on a circle. a_l is 0 (stay) or 1 (step)::

        s_g' = a_g
        s_l' = s_l + a_l  (mod R)
        r_g  = 0
        r_l  = [s_l = s_g] - cost a_l

    Nothing is random but the start. Turned by any number of places, the game is the same. Somewhere all meet and stay:
    from then on all earn 1, which is the most that there is; every place is such an equilibrium.

    Parameters
    ----------
    n_agents : int
        Number of local agents.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_places : int
        Number of places R, which is G, L and A_g.
    cost : float
        What a step costs.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    Ours.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("ring", n_places=3)
    >>> env
    Environment(G=3, L=3, A_g=3, A_l=2, n_agents=30, gamma=0.9)
    >>> env.transition_local[0, 2, 1]  # a step from place 2
    array([1., 0., 0.])
    """
    here = np.eye(n_places)
    steps = np.stack([here, np.roll(here, 1, axis=1)], axis=1)
    return Environment(
        transition_global=np.tile(here, (n_places, 1, 1)),
        transition_local=np.tile(steps, (n_places, 1, 1, 1)),
        reward_global=np.zeros((n_places, n_places)),
        reward_local=np.tile(here[:, :, None], (1, 1, 2)) - np.array([0.0, cost]),
        n_agents=n_agents,
        gamma=gamma,
    )
