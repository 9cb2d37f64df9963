"""Robots on a line and a depot that moves between five aisles, seen as a histogram: a continuous game on grids."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import with_ranges
from distmarl.model.arrays import Array
from distmarl.model.continuous.grid import Grid
from distmarl.model.continuous.tabulate import Tabulated, tabulate
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount

LOW, HIGH = -2.0, 2.0
TARGETS = (-1.6, -0.8, 0.0, 0.8, 1.6)  # centres of the bins, too
PULL, STEPS = 0.6, (0.0, 0.05, -0.05)
GLOBAL_STD, LOCAL_STD = 0.08, 0.04
ON_TARGET, TARGET_WIDTH = 5.0, 0.3
TOGETHER, TOGETHER_WIDTH, EFFORT = 10.0, 0.2, 5.0
LARGER, SMALLER, CLUSTER_STD = 0.55, 0.45, 0.18
FIRST_LOW, FIRST_HIGH = -1.0, 1.0


@with_ranges
def warehouse(
    *,
    n_agents: Count = 500,
    gamma: Discount = 0.95,
    n_global_cells: Annotated[int, Ge(5), Le(101)] = 25,
    n_local_cells: Annotated[int, Ge(5), Le(201)] = 75,
) -> Environment:
    """Return the warehouse: a coordinator goes to one of five targets on a line, and robots earn by being near it.

    s_g and s_l are numbers in [-2, 2], to which clip cuts them. a_g is one of the targets τ = -1.6, -0.8, 0, 0.8, 1.6;
    a_l is a step δ = 0, 0.05 or -0.05. N(0, σ²) is normal noise::

        s_g' = clip(s_g + 0.6 (τ - s_g) + N(0, 0.08²))
        s_l' = clip(s_l + δ + N(0, 0.04²))
        r_g  = 5 exp(-(s_g - τ)² / (2 · 0.3²))
        r_l  = 10 exp(-(s_l - s_g)² / (2 · 0.2²)) - 5 |δ|

    The coordinator sees of k robots how many are in each of five bins, of width 0.8, whose centres are the targets. At
    the start, 55 % of the robots are about one target and 45 % about another, each at N(τ, 0.18²), clipped, and s_g is
    anywhere in [-1, 1]. (How many are about each is binomial.)

    Both lines are cut into cells (:func:`distmarl.tabulate`). Where the number of cells is five times an odd one, the
    targets are centres of cells; where it is a multiple of five, no local cell lies across the edge of a bin. The pairs
    of tests/games/test_warehouse.py earn on the default grids within 1 % of what they earn in the continuum.

    Parameters
    ----------
    n_agents : int
        Number of robots.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_global_cells : int
        Number of the coordinator's cells, which is G. They are 4 / G wide: with fewer than 20, its noise is narrower
        than half a cell.
    n_local_cells : int
        Number of the robots' cells, which is L.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    The second experiment of Anand and Karmarkar, arXiv 2603.03759, in which the states are numbers. The grids are
    ours.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("warehouse")
    >>> env
    Environment(G=25, L=75 in B=5, A_g=5, A_l=3, n_agents=500, gamma=0.95)
    >>> coordinator = dm.Grid(-2, 2, 25)
    >>> mean = env.transition_global[coordinator.cell(0), 4] @ coordinator.centres
    >>> float(mean.round(6))  # 0.6 of the way to 1.6
    0.96
    """
    return tabulated(
        n_agents=n_agents, gamma=gamma, n_global_cells=n_global_cells, n_local_cells=n_local_cells
    ).environment


def tabulated(*, n_agents: int, gamma: float, n_global_cells: int, n_local_cells: int) -> Tabulated:
    """Return the game with its grids."""
    coordinator, robots = Grid(LOW, HIGH, n_global_cells), Grid(LOW, HIGH, n_local_cells)
    return tabulate(
        lambda s_g, a_g: NormalDist(s_g + PULL * (TARGETS[a_g] - s_g), GLOBAL_STD),
        lambda s_l, _, a_l: NormalDist(s_l + STEPS[a_l], LOCAL_STD),
        lambda s_g, a_g: ON_TARGET * _bell(s_g - TARGETS[a_g], TARGET_WIDTH),
        lambda s_l, s_g, a_l: TOGETHER * _bell(s_l - s_g, TOGETHER_WIDTH) - EFFORT * abs(STEPS[a_l]),
        global_states=coordinator,
        local_states=robots,
        n_global_actions=len(TARGETS),
        n_local_actions=len(STEPS),
        n_agents=n_agents,
        gamma=gamma,
        initial_global=coordinator.uniform(FIRST_LOW, FIRST_HIGH),
        initial_shares=_two_clusters(robots),
        observation=robots.classes(len(TARGETS)),
    )


def _bell(distance: float, width: float) -> float:
    return math.exp(-(distance**2) / (2 * width**2))


def _two_clusters(robots: Grid) -> Array:
    """Return the shares of the cells for every ordered pair of targets, a row for each."""
    clusters = robots.normal(TARGETS, CLUSTER_STD)
    pairs = itertools.permutations(range(len(TARGETS)), 2)
    return np.array([LARGER * clusters[first] + SMALLER * clusters[second] for first, second in pairs])
