"""Tables of a game whose states are numbers: Gaussian moves on grids of cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidEnvironmentError
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.checks import is_number
from distmarl.model.continuous.grid import Grid
from distmarl.model.continuous.pair import ContinuousPair
from distmarl.model.environment import Environment
from distmarl.model.tabulating import (
    GameFunction,
    call_in_words,
    calls_of,
    checked_sizes,
    probabilities_of,
    rewards_of,
)

# Rows of which more mass is beyond the ends do not tell how well a grid keeps a standard deviation.
WHOLE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TabulatedMoves:
    """How moves of one kind of agent came onto their grid.

    Attributes
    ----------
    grid : Grid
        Its cells.
    std_in_cells : float
        The smallest standard deviation of a move, in widths of a cell: below 0.5, take more cells. Infinite where no
        move is normally distributed.
    std_error : float
        By how much the standard deviation of a row misses that of its move, at most, in the unit of the states;
        of moves that are not clipped.
    clipped : ndarray, shape (G, A_g) or (G, L, A_l)
        Mass of each move that is beyond the ends of the grid, and has gone into the cells there.
    """

    grid: Grid
    std_in_cells: float
    std_error: float
    clipped: Array

    def __str__(self) -> str:
        grid = self.grid
        narrowest = "" if np.isinf(self.std_in_cells) else f"narrowest std {self.std_in_cells:.2g} cells, "
        return (
            f"{grid.n_cells} cells of {grid.width:.3g} from {grid.low:g} to {grid.high:g}; {narrowest}"
            f"stds within {self.std_error:.1g}; clipped {self.clipped.mean():.1%}, at most {self.clipped.max():.1%}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tabulated:
    """A game made from continuous moves.

    Attributes
    ----------
    environment : Environment
        The game.
    global_moves, local_moves : TabulatedMoves, optional
        How fine the grid of the global agent and that of local agents are, and what they clipped; None where states
        are no cells.
    """

    environment: Environment
    global_moves: TabulatedMoves | None
    local_moves: TabulatedMoves | None

    def __str__(self) -> str:
        told = (("s_g", self.global_moves), ("s_l", self.local_moves))
        return "\n".join([repr(self.environment), *(f"{name}: {moves}" for name, moves in told if moves is not None)])

    def pair(self, global_policy: GlobalPolicy, local_policy: Array, *, k: int) -> ContinuousPair:
        """Return a pair of policies of this game that acts on numbers again."""
        grids = [None if moves is None else moves.grid for moves in (self.global_moves, self.local_moves)]
        return ContinuousPair(
            self.environment, global_policy, local_policy, k=k, global_grid=grids[0], local_grid=grids[1]
        )


def tabulate(
    transition_global: GameFunction,
    transition_local: GameFunction,
    reward_global: GameFunction,
    reward_local: GameFunction,
    *,
    global_states: Grid | int,
    local_states: Grid | int,
    n_global_actions: int,
    n_local_actions: int,
    n_agents: int,
    gamma: float,
    initial_global: ArrayLike | None = None,
    initial_local_concentration: ArrayLike | None = None,
    initial_shares: ArrayLike | None = None,
    initial_weights: ArrayLike | None = None,
    observation: ArrayLike | None = None,
) -> Tabulated:
    """Return the game whose tables are those of four functions of states that are numbers on a line.

    Parameters
    ----------
    transition_global : callable
        ``P_g(s_g, a_g)``: where the global agent goes. That is a ``statistics.NormalDist(mean, std)``, clipped to the
        grid; or a number, for a move that is certain; or the probabilities of the states.
    transition_local : callable
        ``P_l(s_l, s_g, a_l)``: where a local agent goes, likewise.
    reward_global : callable
        ``r_g(s_g, a_g)``: a number.
    reward_local : callable
        ``r_l(s_l, s_g, a_l)``: a number.
    global_states, local_states : Grid or int
        The grids that the states lie on, whose centres the functions are called with; or a number of states that are
        numbers from 0 and have no place on a line.
    n_global_actions, n_local_actions : int
        Sizes A_g and A_l; actions are numbers from 0.
    n_agents, gamma, initial_global, initial_local_concentration, initial_shares, initial_weights, observation
        As in :class:`Environment`; :meth:`Grid.uniform`, :meth:`Grid.normal` and :meth:`Grid.classes` make some.

    Returns
    -------
    Tabulated
        The game, how fine its grids are and what they clipped.

    Raises
    ------
    InvalidEnvironmentError
        When a function returns something else, or a rule is broken; the message names the call.

    Notes
    -----
    A cell stands for its centre: a row of the tables has the mean and the standard deviation of the move from there
    (:meth:`Grid.normal`), so rewards are those at the centre. Their average over the cell would count the spread
    within it twice. What the game differs by from the continuous one falls with the square of the width; but
    what is clipped goes to the centres of the cells at the ends, half a width inside.

    Examples
    --------
    Walkers on a line who see a beacon, which walks to the left or to the right:

    >>> import distmarl as dm
    >>> from statistics import NormalDist
    >>> line = dm.Grid(-1, 1, 15)
    >>> made = dm.tabulate(
    ...     lambda s_g, a_g: NormalDist(s_g + (-0.2, 0.2)[a_g], 0.1),
    ...     lambda s_l, s_g, a_l: NormalDist(s_l + (-0.1, 0.0, 0.1)[a_l], 0.1),
    ...     lambda s_g, a_g: -(s_g**2),
    ...     lambda s_l, s_g, a_l: 1 - abs(s_l - s_g),
    ...     global_states=line,
    ...     local_states=line,
    ...     n_global_actions=2,
    ...     n_local_actions=3,
    ...     n_agents=50,
    ...     gamma=0.9,
    ...     initial_shares=[line.normal(-0.5, 0.2), line.normal(0.5, 0.2)],
    ...     observation=line.classes(3),
    ... )
    >>> made.environment
    Environment(G=15, L=15 in B=3, A_g=2, A_l=3, n_agents=50, gamma=0.9)
    >>> print(made.local_moves)
    15 cells of 0.133 from -1 to 1; narrowest std 0.75 cells, stds within 4e-06; clipped 5.0%, at most 63.1%
    """
    states = {"global": global_states, "local": local_states}
    n_actions = checked_sizes({"n_global_actions": n_global_actions, "n_local_actions": n_local_actions})
    points = [_points(f"{whose}_states", each) for whose, each in states.items()]
    axes = {"global": [points[0], range(n_actions[0])], "local": [*points, range(n_actions[1])]}
    tables: dict[str, Array] = {}
    moves: dict[str, TabulatedMoves | None] = {}
    for whose, function in zip(axes, (transition_global, transition_local), strict=True):
        name = f"transition_{whose}"
        tables[name], moves[whose] = _tabulated(name, function, axes[whose], states[whose])
    for whose, function in zip(axes, (reward_global, reward_local), strict=True):
        tables[f"reward_{whose}"] = rewards_of(f"reward_{whose}", function, axes[whose])
    start: dict[str, Any] = {"initial_global": initial_global, "initial_shares": initial_shares}
    start |= {"initial_local_concentration": initial_local_concentration, "initial_weights": initial_weights}
    env = Environment(**tables, **start, observation=observation, n_agents=n_agents, gamma=gamma)  # type: ignore[arg-type]
    return Tabulated(env, moves["global"], moves["local"])


def _points(name: str, states: Grid | int) -> Sequence[float]:
    """Return what a function is called with in each state."""
    if isinstance(states, Grid):
        return [*map(float, states.centres)]
    return range(checked_sizes({name: states})[0])


def _tabulated(
    name: str, function: GameFunction, axes: Sequence[Sequence[float]], states: Grid | int
) -> tuple[Array, TabulatedMoves | None]:
    """Return the table of a function's moves, and how they came onto the grid, if it is one."""
    shape = tuple(map(len, axes))
    n_states = states.n_cells if isinstance(states, Grid) else states
    table, means, stds = np.zeros((*shape, n_states)), np.full(shape, np.nan), np.zeros(shape)
    for index, arguments in calls_of(axes):
        returned = function(*arguments)
        if isinstance(states, Grid) and (isinstance(returned, NormalDist) or is_number(returned)):
            move = returned if isinstance(returned, NormalDist) else NormalDist(returned, 0.0)
            if not (math.isfinite(move.mean) and math.isfinite(move.stdev)):
                raise InvalidEnvironmentError(f"{call_in_words(name, arguments)}: must be finite, got {move}")
            means[index], stds[index] = move.mean, move.stdev
        else:
            table[index] = probabilities_of(returned, call_in_words(name, arguments), n_states)
    if not isinstance(states, Grid):
        return table, None
    on_line, clipped = ~np.isnan(means), np.zeros(shape)
    table[on_line] = states.normal(means[on_line], stds[on_line])
    clipped[on_line] = states.beyond(means[on_line], stds[on_line])
    whole = on_line & (clipped < WHOLE)
    kept = np.sqrt(np.maximum(table[whole] @ states.centres**2 - (table[whole] @ states.centres) ** 2, 0.0))
    error = np.abs(kept - stds[whole]).max(initial=0.0)
    finest = stds[stds > 0].min(initial=np.inf) / states.width
    return table, TabulatedMoves(states, float(finest), float(error), clipped)
