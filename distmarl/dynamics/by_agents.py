"""How populations are seen and move, drawn agent by agent: for small populations, several times as fast as counts.

An agent's action and next state are one draw from a row of a table, by 16 random bits that name a cell of [0, 1).
Nearly every cell lies within one outcome; where an edge between outcomes cuts it, a further number decides, so the law
is exact. Agent m in state j takes its numbers from place (j, m). So populations that are nearly the same move nearly
alike, and what has become the same stays the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.draws import fixed_numbers
from distmarl.dynamics.purposes import OBSERVATION, POPULATION, UNDECIDED, streams, uniforms
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed

Bits: TypeAlias = NDArray[np.uint16]

N_BITS, PIECES_PER_WORD = 16, 4
# Tables of at most so many cells stay in the cache; but a row has at least so many cells for each of its outcomes.
MAX_CELLS, MIN_CELLS_PER_OUTCOME = 2**18, 64


class DrawsByAgents:
    """Draws for S sets of R rollouts, side by side in arrays of S R rows."""

    def __init__(
        self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, seeds: Sequence[Seed], role: Role
    ) -> None:
        self._k, self._n_agents, self._n_rollouts = k, env.n_agents, n_rollouts
        self._n_states = n_states = env.n_local_states
        n_rows, n_actions = n_rollouts * len(seeds), env.n_local_actions
        # Outcomes are ordered by the next state first: neighbouring numbers lead to neighbouring states.
        joint = np.einsum("gla,glam->glma", local_policy, env.transition_local)
        self._table = OutcomeTable(joint.reshape(-1, n_states * n_actions))
        self._next_state = np.repeat(np.arange(n_states), n_actions)
        self._reward = np.tile(env.reward_local[:, :, None], (1, 1, n_states, 1)).ravel()
        self._observations = streams(seeds, role, OBSERVATION)
        self._populations = streams(seeds, role, POPULATION)
        keys = (rng.bit_generator.random_raw() for rng in streams(seeds, role, UNDECIDED))
        self._keys = np.array([*keys], dtype=np.uint64)
        self._n_places = n_rollouts * n_states * env.n_agents
        self._step = 0
        self._first_place = np.arange(n_rows * n_states) * env.n_agents
        self._agents = np.arange(n_rows * env.n_agents)
        self._first_count = np.arange(n_rows)[:, None] * n_states

    def observe(self, population: Ints) -> Ints:
        """Draw what the global agent sees of each population, (S R, L) to (S R, L): the k agents of smallest keys."""
        if self._k == self._n_agents:
            return population
        keys = uniforms(self._observations, self._n_rollouts, self._n_agents)
        largest = np.partition(keys, self._k - 1, axis=1)[:, self._k - 1, None]
        n_seen = np.zeros(keys.size + 1, dtype=np.int64)  # among the first agents of the first populations
        np.cumsum(keys <= largest, out=n_seen[1:])
        return np.diff(n_seen.take(population.cumsum()), prepend=0).reshape(population.shape)

    def move(self, s_g: Ints, population: Ints) -> tuple[Array, Ints]:
        """Draw actions and moves: what the agents of each population earn together, (S R,), and the next one."""
        counts = population.ravel()
        rows = np.repeat((s_g[:, None] * self._n_states + np.arange(self._n_states)).ravel(), counts)
        before: Ints = counts.cumsum() - counts
        places = np.repeat(self._first_place - before, counts) + self._agents
        outcome, cut = self._table.look_up(rows, bits := random_bits(self._populations, self._n_places).take(places))
        seed, place = np.divmod(places[cut], self._n_places)
        numbers = fixed_numbers(self._keys[seed], self._step * self._n_places + place)
        outcome[cut] = self._table.decide(rows[cut], bits[cut], numbers)
        self._step += 1
        shape = (len(population), self._n_agents)
        earned = self._reward.take(rows * len(self._next_state) + outcome).reshape(shape).sum(axis=1)
        arrived = self._next_state.take(outcome).reshape(shape) + self._first_count
        return earned, np.bincount(arrived.ravel(), minlength=population.size).reshape(population.shape)


def random_bits(generators: Sequence[np.random.Generator], n_places: int) -> Bits:
    """Draw 16 bits for each of some places of each stream, one stream after the other."""
    n_words = -(-n_places // PIECES_PER_WORD)
    words = (rng.bit_generator.random_raw(n_words) for rng in generators)
    return np.concatenate([each.astype("<u8", copy=False).view("<u2")[:n_places] for each in words])


class OutcomeTable:
    """Distributions over a few outcomes, (rows, O), as the outcomes of equal cells of [0, 1)."""

    def __init__(self, probabilities: Array) -> None:
        n_rows, n_outcomes = probabilities.shape
        dtype: type[Any] = np.uint8 if n_outcomes < np.iinfo(np.uint8).max else np.uint16
        self._unknown = int(np.iinfo(dtype).max)
        n_bits = max(math.log2(MAX_CELLS / n_rows), math.log2(MIN_CELLS_PER_OUTCOME * n_outcomes))
        self._n_bits = int(min(N_BITS, max(1, n_bits)))
        edges = np.minimum(probabilities.cumsum(axis=1)[:, :-1], 1.0)
        self._edges = edges * 2**N_BITS
        self._cells = np.concatenate([self._row(each * 2**self._n_bits, dtype) for each in edges])

    def _row(self, edges: Array, dtype: type[Any]) -> NDArray[Any]:
        """Return the outcome of each cell; the cells that an edge cuts are unknown."""
        first = np.floor(edges).astype(np.int64)
        lengths = np.diff(first, prepend=0, append=2**self._n_bits)
        row = np.repeat(np.arange(len(edges) + 1, dtype=dtype), lengths)
        row[first[first != edges]] = self._unknown
        return row

    def look_up(self, rows: Ints, bits: Bits) -> tuple[NDArray[Any], Ints]:
        """Return the outcomes, and where the cells are cut."""
        outcome = self._cells.take((rows << self._n_bits) + (bits >> (N_BITS - self._n_bits)))
        return outcome, np.flatnonzero(outcome == self._unknown)

    def decide(self, rows: Ints, bits: Bits, uniform: Array) -> Ints:
        """Return the outcomes where a further number says where within the bits' own interval the draw lies."""
        outcome: Ints = (self._edges[rows] <= (bits + uniform)[:, None]).sum(axis=1)
        return outcome


def bytes_by_agents(env: Environment, n_rows: int) -> int:
    """Return about how much memory rollouts take that are drawn agent by agent, in bytes."""
    places = N_BITS // 8 * n_rows * env.n_local_states * env.n_agents
    return places + 8 * 7 * n_rows * env.n_agents + MAX_CELLS
