"""Demand response: an operator sets a level, and consumers follow it if they desire more (arXiv 2403.00222)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import with_ranges
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def demand_response(
    *,
    n_agents: Count = 8,
    gamma: Discount = 0.9,
    n_levels: Annotated[int, Ge(2), Le(15)] = 5,
    seen: Literal["consumption", "direction", "state"] = "consumption",
) -> Environment:
    """Return the demand response game: an operator sets a level, which consumers who desire more follow half the time.

    Levels are 1 to m = ``n_levels``; clip cuts numbers to them. s_g is the operator's level, and a_g is -1, 0 or 1, in
    this order. s_l = (x, d) is what a consumer consumes and what it desires, both levels, numbered (x - 1) m + d - 1.
    Consumers have a single action. With b = 0 or 1, both alike::

        s_g' = clip(s_g + a_g)
        x'   = d, if d <= s_g, else clip(d + (s_g - x) b)
        d'   = any level alike
        r_g  = 15 / s_g - [a_g = -1]
        r_l  = x - [x > s_g] / 2

    Parameters
    ----------
    n_agents : int
        Number of consumers.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_levels : int
        Number of levels m, which is G; L is m².
    seen : {"consumption", "direction", "state"}
        What the operator sees of a consumer: x, with m classes; x and whether d > x, with 2 m - 1 classes; or all.
        Whether d > s_g, which decides the move, is no class of consumers, since it changes with s_g: who sees it
        for every s_g sees d.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    An experiment of Anand and Qu, arXiv 2403.00222. What the operator sees, and the start, are ours: any s_g alike,
    and shares of the consumers' states that are drawn.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("demand_response", n_agents=500)
    >>> env
    Environment(G=5, L=25 in B=5, A_g=3, A_l=1, n_agents=500, gamma=0.9)
    >>> moves = env.transition_local[1, 0 * 5 + 4, 0]  # s_g = 2, x = 1, d = 5: on to x = 5, or clip(5 + 2 - 1)
    >>> moves.reshape(5, 5).sum(axis=1)
    array([0., 0., 0., 0., 1.])
    """
    levels = np.arange(1, n_levels + 1)
    consumed, desired = np.repeat(levels, n_levels), np.tile(levels, n_levels)
    changed = np.clip(levels[:, None] + np.array([-1, 0, 1]), 1, n_levels)
    reward_local = consumed - 0.5 * (consumed > levels[:, None])
    return Environment(
        transition_global=np.eye(n_levels)[changed - 1],
        transition_local=_transition_local(levels, consumed, desired)[:, :, None, :],
        reward_global=15.0 / levels[:, None] - np.array([1.0, 0.0, 0.0]),
        reward_local=reward_local[:, :, None],
        n_agents=n_agents,
        gamma=gamma,
        observation=_classes(seen, consumed, desired),  # type: ignore[arg-type]  # None stands for the default
    )


def _transition_local(levels: Ints, consumed: Ints, desired: Ints) -> Array:
    """Return P_l[s_g, s_l, s_l']; what is desired next does not depend on anything."""
    n_levels, level = len(levels), levels[:, None]
    follows = np.clip(desired + level - consumed, 1, n_levels)
    half = np.where((desired <= level)[..., None], 0.0, 0.5)
    consumes = (1 - half) * np.eye(n_levels)[desired - 1] + half * np.eye(n_levels)[follows - 1]
    return np.repeat(consumes, n_levels, axis=-1) / n_levels


def _classes(seen: str, consumed: Ints, desired: Ints) -> Ints | None:
    """Return the class of each consumer's state; None where every state is one."""
    if seen == "consumption":
        return consumed - 1
    if seen == "direction":
        _, classes = np.unique(2 * consumed + (desired > consumed), return_inverse=True)
        return classes
    return None
