"""Policies of a tabulated game that act on numbers again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array, GlobalPolicy, Ints
from distmarl.model.continuous.grid import Grid
from distmarl.model.counts import rank_valid
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy


@dataclass(frozen=True, slots=True, eq=False)
class ContinuousPair:
    """A global and a local policy of a game on grids, which act on states as numbers.

    Each state is taken for the cell that it is in; of local agents the global agent counts the classes of their cells.

    Parameters
    ----------
    environment : Environment
        The game on the grids.
    global_policy : array_like, shape (G, C) of int or (G, C, A_g)
        The global agent's actions over the lexicographic count vectors of k agents, or its distributions of actions.
    local_policy : array_like, shape (G, L, A_l)
        The local agents' distributions of actions.
    k : int
        Number of local agents that the global agent sees.
    global_grid, local_grid : Grid, optional
        The grids of s_g and of s_l; None where states are numbers from 0 themselves.

    Raises
    ------
    InvalidArgumentError
        When a policy does not fit the game, or a grid has another number of cells than there are states.

    Examples
    --------
    A coordinator of the warehouse that goes to the bin in which it sees most robots:

    >>> import distmarl as dm
    >>> import numpy as np
    >>> env = dm.game("warehouse")
    >>> fullest = np.tile(dm.count_vectors(3, 5).argmax(axis=1), (25, 1))
    >>> grids = {"global_grid": dm.Grid(-2, 2, 25), "local_grid": dm.Grid(-2, 2, 75)}
    >>> pair = dm.ContinuousPair(env, fullest, dm.uniform_local_policy(env), k=3, **grids)
    >>> int(pair.act_global(0.31, [-1.5, 0.77, 0.85]))
    3
    >>> pair.act_local(0.31, [-1.5, 0.77, 0.85, 0.0], np.random.default_rng(0)).shape
    (4,)
    """

    environment: Environment
    global_policy: GlobalPolicy
    local_policy: Array
    k: int
    global_grid: Grid | None
    local_grid: Grid | None

    def __post_init__(self) -> None:
        env = self.environment
        object.__setattr__(self, "k", checked_k(env, self.k))
        object.__setattr__(self, "global_policy", checked_global_policy(env, self.global_policy, self.k))
        object.__setattr__(self, "local_policy", checked_local_policy(env, self.local_policy))
        sizes = {"global_grid": env.n_global_states, "local_grid": env.n_local_states}
        for name, n_states in sizes.items():
            grid = getattr(self, name)
            if grid is not None and grid.n_cells != n_states:
                raise InvalidArgumentError(
                    f"{name}: must have as many cells as the game has states ({n_states}), got {grid.n_cells}"
                )

    def act_global(self, s_g: ArrayLike, seen: ArrayLike, rng: np.random.Generator | None = None) -> Ints:
        """Return the global agent's action.

        Parameters
        ----------
        s_g : array_like, shape (...)
            Its own state.
        seen : array_like, shape (..., k)
            The states of the local agents that it sees.
        rng : numpy.random.Generator, optional
            Draws the action of a policy of distributions; without it, the agent takes its most probable one.

        Returns
        -------
        ndarray of int, shape (...)
        """
        states = _states(self.local_grid, seen, self.environment.n_local_states, "seen")
        if states.ndim == 0 or states.shape[-1] != self.k:
            raise InvalidArgumentError(f"seen: must be the states of k = {self.k} agents, got shape {states.shape}")
        classes = np.arange(self.environment.n_classes)
        counts = (self.environment.observation[states][..., None] == classes).sum(axis=-2)
        place = _states(self.global_grid, s_g, self.environment.n_global_states, "s_g")
        here = self.global_policy[place, rank_valid(counts, self.k)]
        return np.asarray(here, np.int64) if self.global_policy.ndim == 2 else _actions(np.asarray(here, float), rng)

    def act_local(self, s_g: ArrayLike, s_l: ArrayLike, rng: np.random.Generator | None = None) -> Ints:
        """Return the local agents' actions.

        Parameters
        ----------
        s_g, s_l : array_like
            States of the global agent and of local agents, of shapes that broadcast: (R, 1) and (R, n) for the n
            agents of each of R games.
        rng : numpy.random.Generator, optional
            Draws the actions; without it, each agent takes its most probable one.

        Returns
        -------
        ndarray of int
        """
        place = _states(self.global_grid, s_g, self.environment.n_global_states, "s_g")
        states = _states(self.local_grid, s_l, self.environment.n_local_states, "s_l")
        return _actions(self.local_policy[place, states], rng)


def _actions(distributions: Array, rng: np.random.Generator | None) -> Ints:
    """Return an action of each distribution, drawn or the most probable one."""
    if rng is None:
        return np.asarray(distributions.argmax(axis=-1))
    drawn = rng.random((*distributions.shape[:-1], 1))
    # The last sum may miss 1 by a rounding error.
    return np.asarray((drawn >= distributions.cumsum(axis=-1)[..., :-1]).sum(axis=-1))


def _states(grid: Grid | None, numbers: ArrayLike, n_states: int, name: str) -> Ints:
    """Return the state that each number stands for."""
    if grid is not None:
        return grid.cell(numbers)
    states = np.asarray(numbers)
    if states.dtype.kind not in "iu" or (states.size and not 0 <= states.min() <= states.max() < n_states):
        raise InvalidArgumentError(f"{name}: must be states, integers from 0 to {n_states - 1}")
    return states.astype(np.int64)
