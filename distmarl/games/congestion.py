"""Roads of which one has a toll, set by who sees some of the drivers: a crowd is felt through s_g alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, Probability, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def congestion(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    n_roads: Annotated[int, Ge(2), Le(20)] = 2,
    advantage: Cost = 0.2,
    toll: Cost = 1.0,
    luck: Probability = 0.7,
    wander: Probability = 0.1,
    slip: Probability = 0.1,
    change_cost: Cost = 0.2,
    global_change_cost: Cost = 0.4,
) -> Environment:
    """Return the congestion game: an authority puts a toll on one road, and drivers stay or change to the next one.

    The roads 0 to R - 1 lie on a circle. s_g is the road with the toll, a_g the one that gets it, s_l a driver's road;
    a_l is 0 (stay) or 1 (change). A driver who wants to change needs luck, one who wants to stay may wander::

        P_g(s_g' | a_g) = 1 - slip if s_g' = a_g, and slip/R is added for every s_g'
        P_l(s_l + 1 | s_l, a_l) = wander if a_l = 0, luck if a_l = 1, else s_l' = s_l
        r_g = 0 if a_g = s_g, else -global_change_cost
        r_l = 1 + advantage s_l - toll [s_l = s_g] - change_cost a_l

    Rewards of local agents do not depend on each other in this model. What stands for crowding is the toll: who sets it
    is to see where the drivers are, and to keep it from where most of them are.

    Parameters
    ----------
    n_agents : int
        Number of drivers.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_roads : int
        Number of roads R, which is G, L and A_g.
    advantage : float
        What each road earns more than the one before it.
    toll : float
        What the road with the toll earns less.
    luck : float
        Probability that a driver who wants to change does.
    wander : float
        Probability that a driver who wants to stay changes.
    slip : float
        Probability that the toll goes to a road at random.
    change_cost : float
        What it costs a driver to want to change.
    global_change_cost : float
        What it costs to move the toll.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    Ours, after the tolls of Pigou and the congestion games of Rosenthal, International Journal of Game Theory 2 (1973).

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("congestion", n_roads=3)
    >>> env
    Environment(G=3, L=3, A_g=3, A_l=2, n_agents=30, gamma=0.9)
    >>> env.reward_local[0, :, 0]  # drivers who stay, with the toll on road 0
    array([0. , 1.2, 1.4])
    """
    road = np.eye(n_roads)
    following = np.roll(road, 1, axis=1)
    moves = np.stack([(1.0 - p) * road + p * following for p in (wander, luck)], axis=1)
    worth = 1.0 + advantage * np.arange(n_roads) - toll * road
    return Environment(
        transition_global=np.tile((1.0 - slip) * road + slip / n_roads, (n_roads, 1, 1)),
        transition_local=np.tile(moves, (n_roads, 1, 1, 1)),
        reward_global=-global_change_cost * (1.0 - road),
        reward_local=worth[:, :, None] - np.array([0.0, change_cost]),
        n_agents=n_agents,
        gamma=gamma,
    )
