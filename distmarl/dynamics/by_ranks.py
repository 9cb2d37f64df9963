"""How populations are seen and move in games of many local states, drawn agent by agent.

Agents stand in the order of their states, and the one of rank i takes the i-th number of its rollout. As in
:mod:`distmarl.dynamics.by_agents`, numbers are 16 bits that name a cell of [0, 1), and further ones where an edge
between outcomes cuts the cell, so the law is exact. There, numbers belong to places (state, agent), n L of them, most
of which nobody has; here they are n. Where neighbouring states have neighbouring numbers, nearly equal populations
take nearly the same numbers, and move nearly alike; equal ones stay equal.

What is seen is drawn by counts of the classes, which are few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.by_agents import N_BITS, Bits, random_bits
from distmarl.dynamics.draws import draw_subsample, fixed_numbers
from distmarl.dynamics.purposes import OBSERVATION, POPULATION, UNDECIDED, streams, uniforms
from distmarl.dynamics.sparse_laws import BLOCK, SparseLaws, outcome_laws, outcome_tables
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed

# Cells of a row for each of its outcomes, and of all rows at most.
CELLS_PER_OUTCOME, MAX_CELLS = 16, 2**22


class DrawsByRanks:
    """Draws for S sets of R rollouts, side by side in arrays of S R rows."""

    def __init__(
        self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, seeds: Sequence[Seed], role: Role
    ) -> None:
        self._k, self._n_agents, self._n_rollouts = k, env.n_agents, n_rollouts
        laws = SparseLaws(outcome_laws(env, local_policy), likely_first=False)
        next_state, reward = outcome_tables(env, laws)
        self._next_state, self._reward = next_state.ravel(), reward.ravel()
        self._table = PlaceTable(laws.probabilities)
        self._observations = streams(seeds, role, OBSERVATION)
        self._populations = streams(seeds, role, POPULATION)
        keys = (rng.bit_generator.random_raw() for rng in streams(seeds, role, UNDECIDED))
        self._keys = np.array([*keys], dtype=np.uint64)
        self._step = 0

    def observe(self, population: Ints) -> Ints:
        """Draw what the global agent sees of each population, by classes, (S R, B) to (S R, B)."""
        numbers = uniforms(self._observations, self._n_rollouts, population.shape[1] - 1)
        return draw_subsample(population, self._k, numbers)

    def move(self, s_g: Ints, population: Ints) -> tuple[Array, Ints]:
        """Draw actions and moves: what the agents of each population earn together, (S R,), and the next one."""
        n_agents, (n_rows, n_states) = self._n_agents, population.shape
        bits = random_bits(self._populations, self._n_rollouts * n_agents)
        earned, moved = np.empty(n_rows), np.empty_like(population)
        rows = s_g[:, None] * n_states + np.arange(n_states)
        size = max(1, BLOCK // n_agents)
        for first in range(0, n_rows, size):
            block = slice(first, first + size)
            agents = slice(first * n_agents, (first + size) * n_agents)
            of_agents = np.repeat(rows[block].ravel(), population[block].ravel())
            place, cut = self._table.look_up(of_agents, bits[agents])
            if len(cut):
                numbers = self._further_numbers(cut + agents.start)
                place[cut] = self._table.decide(of_agents[cut], bits[agents][cut], numbers)
            shape = (-1, n_agents)
            earned[block] = self._reward.take(place).reshape(shape).sum(axis=1)
            arrived = self._next_state.take(place).reshape(shape)
            arrived += np.arange(len(arrived))[:, None] * n_states
            moved[block] = np.bincount(arrived.ravel(), minlength=moved[block].size).reshape(-1, n_states)
        self._step += 1
        return earned, moved

    def _further_numbers(self, agents: Ints) -> Array:
        """Return a uniform number for some of the agents of all rollouts, at places of their own."""
        n_places = self._n_rollouts * self._n_agents
        seed, place = np.divmod(agents, n_places)
        return fixed_numbers(self._keys[seed], self._step * n_places + place)


class PlaceTable:
    """Distributions over few outcomes, (rows, K), as their places in the flat table, for equal cells of [0, 1)."""

    def __init__(self, probabilities: Array) -> None:
        n_rows, self._n_outcomes = probabilities.shape
        self._n_bits = n_cell_bits(n_rows, self._n_outcomes)
        edges = np.minimum(probabilities.cumsum(axis=1)[:, :-1], 1.0)
        self._edges = edges * 2**N_BITS
        self._cells = np.concatenate([self._row(number, row) for number, row in enumerate(edges * 2**self._n_bits)])

    def _row(self, number: int, edges: Array) -> NDArray[np.int32]:
        """Return the place of each cell of a row, -1 where an edge cuts it."""
        first = np.floor(edges).astype(np.int64)
        lengths = np.diff(first, prepend=0, append=2**self._n_bits)
        places = number * self._n_outcomes + np.arange(self._n_outcomes, dtype=np.int32)
        row = np.repeat(places, lengths)
        row[first[first != edges]] = -1
        return row

    def look_up(self, rows: Ints, bits: Bits) -> tuple[NDArray[np.int32], Ints]:
        """Return the places, and where the cells are cut."""
        place = self._cells.take((rows << self._n_bits) + (bits >> (N_BITS - self._n_bits)))
        return place, np.flatnonzero(place < 0)

    def decide(self, rows: Ints, bits: Bits, uniform: Array) -> Ints:
        """Return the places where a further number says where within the bits' own interval the draw lies."""
        outcome: Ints = (self._edges[rows] <= (bits + uniform)[:, None]).sum(axis=1)
        return rows * self._n_outcomes + outcome


def n_cell_bits(n_rows: int, n_outcomes: int) -> int:
    """Return the bits that name a cell of a row."""
    return int(min(N_BITS, max(1, min(math.log2(CELLS_PER_OUTCOME * n_outcomes), math.log2(MAX_CELLS / n_rows)))))


def bytes_by_ranks(env: Environment, n_rows: int) -> int:
    """Return about how much memory the arrays of the rollouts take, in bytes."""
    bits = N_BITS // 8 * n_rows * env.n_agents
    return bits + 8 * 4 * n_rows * env.n_local_states + 8 * 7 * max(BLOCK, env.n_agents)


def bytes_of_ranks_table(env: Environment) -> int:
    """Return about how much memory the laws take, in bytes, whatever the rollouts."""
    n_rows, n_outcomes = env.n_global_states * env.n_local_states, env.n_local_states * env.n_local_actions
    return n_rows * n_outcomes * 8 * 5 + 4 * (n_rows << n_cell_bits(n_rows, n_outcomes))
