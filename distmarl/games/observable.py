"""A game in which s_g tells all that matters, so that seeing more agents must not help: a control."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, Probability, Real, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def observable(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    n_places: Annotated[int, Ge(2), Le(50)] = 4,
    noise: Probability = 0.2,
    slip: Probability = 0.1,
    wage: Real = 0.5,
    effort: Cost = 0.2,
    cost: Cost = 0.3,
) -> Environment:
    """Return the observable game: a leader walks a circle, and followers turn up one place ahead of where it was.

    The places 0 to R - 1 lie on a circle. a_g is 0 (stay) or 1 (step); a_l is 0 (rest) or 1 (work)::

        s_g' = s_g + a_g, with probability 1 - slip, else s_g      (mod R)
        s_l' = s_g + 1, with probability 1 - noise, else any place alike      (mod R)
        r_g  = -cost a_g
        r_l  = [s_l = s_g] (1 + wage a_l) - effort a_l

    Where followers go next depends neither on where they are nor on what they do, and their rewards do not depend on
    a_g. So what is best for the leader depends on s_g alone, for every local policy, and one agent seen is as good as
    all of them: every k must have the same return, up to the noise of rollouts.

    Parameters
    ----------
    n_agents : int
        Number of followers.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_places : int
        Number of places R, which is G and L.
    noise : float
        Probability that a follower turns up at a place at random.
    slip : float
        Probability that a step of the leader fails.
    wage : float
        What work earns where the leader is.
    effort : float
        What work costs, wherever it is done.
    cost : float
        What a step costs the leader.

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
    >>> env = dm.game("observable", n_agents=6)
    >>> env
    Environment(G=4, L=4, A_g=2, A_l=2, n_agents=6, gamma=0.9)
    >>> pi_l = dm.uniform_local_policy(env)
    >>> returns = [dm.exact_return(env, dm.g_learn(env, pi_l, k=k).policy, pi_l, k=k).value for k in (1, 6)]
    >>> abs(returns[0] - returns[1]) < 1e-7
    True
    """
    here = np.eye(n_places)
    ahead = np.roll(here, 1, axis=1)
    followers = (1.0 - noise) * ahead + noise / n_places
    meets = here[:, :, None] * np.array([1.0, 1.0 + wage])
    return Environment(
        transition_global=np.stack([here, slip * here + (1.0 - slip) * ahead], axis=1),
        transition_local=np.tile(followers[:, None, None, :], (1, n_places, 2, 1)),
        reward_global=np.tile([0.0, -cost], (n_places, 1)),
        reward_local=meets - np.array([0.0, effort]),
        n_agents=n_agents,
        gamma=gamma,
    )
