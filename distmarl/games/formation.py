"""A formation of robots behind a leader (arXiv 2412.00661): all moves are deterministic."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def formation(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.95,
    global_reach: Annotated[int, Ge(1), Le(20)] = 2,
    local_reach: Annotated[int, Ge(1), Le(20)] = 1,
) -> Environment:
    """Return the formation game: a leader drifts along a line, and robots are to stay beside it.

    With m = ``global_reach`` and r = ``local_reach``, states and actions are integers: s_g and a_g from -m to m, s_l
    and a_l from -r to r, in this order. clip cuts a number to the range of its state::

        s_g' = clip(s_g + a_g)
        s_l' = clip(s_l + a_l - s_g)
        r_g  = 1 + (0.2 if a_g = 0, else 0.1) + 0.1 |s_g|
        r_l  = max(0.1, (1 - |s_l|) + (0.5 - 0.1 |a_l|) + (0.3 - 0.1 |s_l - s_g|) + (0.2 if |s_l - s_g| <= 1, else 0))

    Parameters
    ----------
    n_agents : int
        Number of robots.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    global_reach : int
        The leader's states and actions are the numbers from -m to m.
    local_reach : int
        The robots' states and actions are the numbers from -r to r.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    The code of Anand, Karmarkar and Qu, arXiv 2412.00661. The start, uniform over s_g, is ours, and so are other
    reaches than 2 and 1.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("formation")
    >>> env
    Environment(G=5, L=3, A_g=5, A_l=3, n_agents=30, gamma=0.95)
    >>> env.reward_local[2, :, 1]  # robots that stay, with the leader in the middle
    array([0.9, 2. , 0.9])
    """
    s_g, s_l = np.arange(-global_reach, global_reach + 1), np.arange(-local_reach, local_reach + 1)
    a_g, a_l = s_g, s_l
    next_global = np.clip(s_g[:, None] + a_g, -global_reach, global_reach)
    next_local = np.clip(s_l[:, None] + a_l - s_g[:, None, None], -local_reach, local_reach)
    apart = np.abs(s_l - s_g[:, None])
    near = (0.3 - 0.1 * apart) + 0.2 * (apart <= 1)
    return Environment(
        transition_global=np.eye(len(s_g))[next_global + global_reach],
        transition_local=np.eye(len(s_l))[next_local + local_reach],
        reward_global=1.0 + np.where(a_g == 0, 0.2, 0.1) + 0.1 * np.abs(s_g)[:, None],
        reward_local=np.maximum(0.1, (1.0 - np.abs(s_l))[:, None] + (0.5 - 0.1 * np.abs(a_l)) + near[:, :, None]),
        n_agents=n_agents,
        gamma=gamma,
    )
