"""Garnets: seeded random games of any size, with few successors of each state."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.errors import InvalidEnvironmentError
from distmarl.games.parameters import Size, with_ranges
from distmarl.model.arrays import Array
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount, Natural


@with_ranges
def random(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.95,
    n_global_states: Size = 4,
    n_local_states: Size = 3,
    n_global_actions: Size = 3,
    n_local_actions: Size = 2,
    branching: Annotated[int, Ge(1), Le(50)] = 2,
    seed: Natural = 0,
) -> Environment:
    """Return a Garnet (generalised average reward non-stationary environment test-bed), for studies of scaling.

    For each state and action, b = ``branching`` successors are drawn without replacement, with probabilities that are
    the lengths of the b pieces into which b - 1 uniform points cut [0, 1]. Rewards are uniform on [0, 1]. The same seed
    gives the same game; other sizes give another one.

    Parameters
    ----------
    n_agents : int
        Number of local agents.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_global_states, n_local_states, n_global_actions, n_local_actions : int
        Sizes G, L, A_g, A_l of the tables.
    branching : int
        Successors of each state and action; where there are fewer states, all of them.
    seed : int
        Draws the tables.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range, or the branching larger than both G and L.

    References
    ----------
    Archibald, McKinnon and Thomas, On the Generation of Markov Decision Processes, Journal of the Operational Research
    Society 46 (1995). One for the global and one for the local transitions, and uniform rewards, are ours.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("random", n_local_states=6, branching=3, seed=1)
    >>> env
    Environment(G=4, L=6, A_g=3, A_l=2, n_agents=30, gamma=0.95)
    >>> set((env.transition_local > 0).sum(axis=-1).ravel().tolist())
    {3}
    """
    if branching > max(n_global_states, n_local_states):
        raise InvalidEnvironmentError(
            f"branching: must be at most the larger of n_global_states ({n_global_states}) and n_local_states "
            f"({n_local_states}), got {branching}"
        )
    rng = np.random.default_rng(seed)
    return Environment(
        transition_global=_sparse_rows(rng, (n_global_states, n_global_actions, n_global_states), branching),
        transition_local=_sparse_rows(
            rng, (n_global_states, n_local_states, n_local_actions, n_local_states), branching
        ),
        reward_global=rng.random((n_global_states, n_global_actions)),
        reward_local=rng.random((n_global_states, n_local_states, n_local_actions)),
        n_agents=n_agents,
        gamma=gamma,
    )


def _sparse_rows(rng: np.random.Generator, shape: tuple[int, ...], branching: int) -> Array:
    """Return distributions along the last axis, each on so many states drawn at random."""
    n_successors = min(branching, shape[-1])
    successors = rng.random(shape).argsort(axis=-1)[..., :n_successors]
    cuts = np.sort(rng.random((*shape[:-1], n_successors - 1)), axis=-1)
    lengths = np.diff(cuts, axis=-1, prepend=0.0, append=1.0)
    rows = np.zeros(shape)
    np.put_along_axis(rows, successors, lengths, axis=-1)
    return rows
