"""The most that any control of m agents earns: an action for every single agent, everybody seen.

Agents are alike, so its states are (s_g, N) with N in Z_m(L), and its actions (a_g, M), where M in Z_m(L A_l) tells how
many agents of each local state take each local action; its margins over the actions are N. E[f(N') | M] is had for all
M by moving one agent at a time: with R the agents that have moved, and K[c, s] the probability that an agent of cell
c = (s_l, a_l) moves to s,

    f(M + e_c, R) = sum_s K[c, s] f(M, R + e_s),        f(0, R) = f(R),

from no agents that move up to all. There are comb(m + L A_l + L - 1, m) such numbers, of which comb(m + L A_l - 1, m)
are kept.
"""

from __future__ import annotations

import math

import numpy as np

from distmarl.dynamics.transitions.labelled import MIN_STATES
from distmarl.equilibrium.ceilings.control import Control
from distmarl.model.arrays import EPSILON, Array
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid, ranks_with_one_more
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import anderson_bytes


class JointControl(Control):
    """The Bellman operator of whoever chooses a_g and every local action."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        n_global, n_local, n_actions = env.reward_local.shape
        self._n_cells = n_local * n_actions
        chosen = count_vectors(env.n_agents, self._n_cells)
        margins = chosen.reshape(-1, n_local, n_actions).sum(axis=2)
        rows = rank_valid(margins, env.n_agents)
        self._order = np.argsort(rows, kind="stable")
        self._first = np.searchsorted(rows[self._order], np.arange(n_count_vectors(env.n_agents, n_local)))
        # Outside of these, no agent of a cell moves. Where there are few states, it is not worth looking.
        self._reached = [
            _reached(rows) if n_local >= MIN_STATES else [slice(None)] * self._n_cells for rows in env.transition_local
        ]
        self._rewards = env.reward_local.reshape(n_global, -1) / env.n_agents @ chosen.T
        self._successors = [ranks_with_one_more(size, n_local) for size in range(env.n_agents)]
        # Room for f of as many agents as have moved, for one less, and for f(., R + e_s): numpy would ask for it anew.
        largest, one_more = _level_sizes(env, env.n_agents)
        self._scratch = [np.empty(n_global * size) for size in (largest, largest, one_more)]

    def backup(self, value: Array) -> Array:
        """Return the best that any (a_g, M) makes of the value."""
        env = self.env
        image = np.empty_like(value)
        for s_g in range(env.n_global_states):
            best = self.best_global_action(s_g, self._expect(s_g, value))
            best += self._rewards[s_g]
            image[:, s_g] = np.maximum.reduceat(best[self._order], self._first)
        return image

    def _expect(self, s_g: int, value: Array) -> Array:
        """Return E[value(N', .) | M] for each M, (C, G) to (C_M, G)."""
        kernel = self.env.transition_local[s_g].reshape(self._n_cells, -1)
        moved = value[None]
        for n_moved in range(1, self.env.n_agents + 1):
            successors = self._successors[self.env.n_agents - n_moved]
            shape = (len(moved), len(successors[0]), value.shape[1])
            one_more = _part(self._scratch[2], (len(successors), *shape))
            for state, rows in enumerate(successors):
                # mode="clip" lets numpy write into `out` unbuffered; every index is in range.
                moved.take(rows, axis=1, out=one_more[state], mode="clip")
            moved = _part(self._scratch[n_moved % 2], (n_count_vectors(n_moved, self._n_cells), *shape[1:]))
            last = 0
            for cell in range(self._n_cells - 1, -1, -1):
                # The M whose first agent is in this cell lie side by side, and less that agent they are
                # the first of those of one agent less, in the same order.
                n_others = _size(n_moved - 1, self._n_cells - cell)
                others = one_more[:, :n_others].reshape(len(successors), -1)
                reached = self._reached[s_g][cell]
                np.matmul(kernel[cell, reached], others[reached], out=moved[last : last + n_others].reshape(-1))
                last += n_others
        return moved[:, 0]

    @property
    def relative_error(self) -> float:
        """Each agent's move is a mean over L states, of probabilities that miss a sum of 1 by roundings."""
        env = self.env
        return (env.n_agents * (env.n_local_states + 10) + env.n_global_states) * EPSILON

    @property
    def reward_error(self) -> float:
        """Error of the mean of the local rewards, and of the sum with r_g."""
        largest = float(np.abs(self.env.reward_global).max() + np.abs(self.env.reward_local).max())
        return (self._n_cells + 4) * EPSILON * largest


def _reached(rows: Array) -> list[slice]:
    """Return from the first to the last state that agents of each cell move to, for moves (L, A_l, L)."""
    possible = rows.reshape(-1, rows.shape[-1]) > 0
    return [slice(int(row.argmax()), len(row) - int(row[::-1].argmax())) for row in possible]


def n_joint_vectors(env: Environment, m: int) -> int:
    """Return the number of M, however large."""
    return _size(m, env.n_local_states * env.n_local_actions)


def n_moves(env: Environment, m: int) -> int:
    """Return the number of f(M, R), however large: each is a mean over L states."""
    return _size(m, env.n_local_states * (env.n_local_actions + 1))


def joint_bytes(env: Environment, m: int) -> int:
    """Return about how much memory the operator and its value iteration take, in bytes."""
    n_global, n_local = env.n_global_states, env.n_local_states
    n_cells = n_local * env.n_local_actions

    largest, one_more = _level_sizes(env, m)
    n_vectors, n_values = _size(m, n_cells), _size(m, n_local) * n_global
    building = n_vectors * (2 * n_cells + n_local + 4 + n_global)  # the vectors once more, as floats
    working = n_vectors * (1 + n_global + env.n_global_actions + 3) + n_global * (2 * largest + one_more)
    return 8 * (max(building, working) + 9 * n_values) + anderson_bytes(n_values)


def _level_sizes(env: Environment, m: int) -> tuple[int, int]:
    """Return how many numbers f(M, R) and f(M, R + e_s) have at most, for any number of agents that have moved."""
    n_local = env.n_local_states
    n_cells = n_local * env.n_local_actions
    levels = [_size(moved, n_cells) * _size(m - moved, n_local) for moved in range(1, m + 1)]
    one_more = [n_local * _size(moved, n_cells) * _size(m - moved - 1, n_local) for moved in range(m)]
    return max(levels), max(one_more)


def _size(n_agents: int, n_states: int) -> int:
    """Return the number of count vectors, however large."""
    return math.comb(n_agents + n_states - 1, n_agents)


def _part(scratch: Array, shape: tuple[int, ...]) -> Array:
    """Return the beginning of a flat array in another shape."""
    return scratch[: math.prod(shape)].reshape(shape)
