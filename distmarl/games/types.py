"""Fast and slow agents on a ring: two types, of which the slow ones are worth waiting for."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, Probability, with_ranges
from distmarl.model.composing import compose
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def types(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    n_places: Annotated[int, Ge(2), Le(25)] = 3,
    fast: Probability = 0.9,
    slow: Probability = 0.2,
    share_fast: Annotated[float, Ge(0.01), Le(0.99)] = 0.5,
    noise: Probability = 0.1,
    cost: Cost = 0.05,
    concentration: Cost = 0.0,
) -> Environment:
    """Return the game of two types: all earn by being where the global agent is, and some get there faster.

    The places 0 to R - 1 lie on a circle. A local state is a type with a place, fast agents first; a_l is 0 (stay) or 1
    (step), and a step succeeds with the probability of the type, u = fast or slow::

        s_g' = a_g with probability 1 - noise, else any place
        s_l' = s_l + 1 (mod R) with probability u a_l, else s_l
        r_g  = 0
        r_l  = [s_l = s_g] - cost a_l

    Nobody changes type. A global agent that goes to where most agents are misses that the slow ones cannot follow:
    it had better go to where those are.

    Parameters
    ----------
    n_agents : int
        Number of local agents.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_places : int
        Number of places R, which is G and A_g; L is 2 R.
    fast, slow : float
        Probability with which a step succeeds.
    share_fast : float
        Share of the fast agents: the probability that an agent is one.
    noise : float
        Probability that the global agent ends at a place drawn at random.
    cost : float
        What a step costs.
    concentration : float
        0 for a fixed share of fast agents; above, the share is drawn for each rollout, Beta distributed with
        the mean ``share_fast`` and this sum of its parameters.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    The game is ours; types as parts of local states are those of arXiv 2412.00661.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("types", n_places=2)
    >>> env
    Environment(G=2, L=4, A_g=2, A_l=2, n_agents=30, gamma=0.9)
    >>> env.local_types
    ('fast', 'fast', 'slow', 'slow')
    >>> env.transition_local[0, 2, 1]  # a step of a slow agent from place 0
    array([0. , 0. , 0.8, 0.2])
    """
    here = np.eye(n_places)

    def part(speed: float) -> Environment:
        step = (1 - speed) * here + speed * np.roll(here, 1, axis=1)
        return Environment(
            transition_global=np.tile((1 - noise) * here + noise / n_places, (n_places, 1, 1)),
            transition_local=np.tile(np.stack([here, step], axis=1), (n_places, 1, 1, 1)),
            reward_global=np.zeros((n_places, n_places)),
            reward_local=np.tile(here[:, :, None], (1, 1, 2)) - np.array([0.0, cost]),
            n_agents=n_agents,
            gamma=gamma,
        )

    parts = {"fast": part(fast), "slow": part(slow)}
    return compose(parts, shares=[share_fast, 1 - share_fast], concentration=concentration or None)
