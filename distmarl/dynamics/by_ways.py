"""How populations are seen and move in games of many local states, drawn by counts of those who are somewhere.

As in :mod:`distmarl.dynamics.by_counts`, how many agents of a state do what is multinomial. But only states where
somebody is are looked at, and of each only the outcomes that are possible, the likely ones first, until all of its
agents are placed. So a step costs no more than these outcomes, whatever L is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distmarl.dynamics.draws import draw_subsample
from distmarl.dynamics.purposes import OBSERVATION, POPULATION, streams, uniforms
from distmarl.dynamics.sparse_laws import BLOCK, SparseLaws, gathered, outcome_laws, outcome_tables
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed


class DrawsByWays:
    """Draws for S sets of R rollouts, side by side in arrays of S R rows."""

    def __init__(
        self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, seeds: Sequence[Seed], role: Role
    ) -> None:
        self._k, self._n_rollouts = k, n_rollouts
        self._laws = SparseLaws(outcome_laws(env, local_policy), likely_first=True)
        self._next_state, self._reward = outcome_tables(env, self._laws)
        self._block = block_size(env, self._laws.outcomes.shape[1])
        self._observations = streams(seeds, role, OBSERVATION)
        self._populations = streams(seeds, role, POPULATION, k)

    def draw_from(self, rng: np.random.Generator) -> None:
        """Take all numbers from one generator, for a single set of rollouts."""
        self._observations = self._populations = [rng]

    def observe(self, population: Ints) -> Ints:
        """Draw what the global agent sees of each population, by classes, (S R, B) to (S R, B)."""
        numbers = uniforms(self._observations, self._n_rollouts, population.shape[1] - 1)
        return draw_subsample(population, self._k, numbers)

    def move(self, s_g: Ints, population: Ints) -> tuple[Array, Ints]:
        """Draw actions and moves: what the agents of each population earn together, (S R,), and the next one."""
        earned, moved = np.empty(len(population)), np.empty_like(population)
        for number, rng in enumerate(self._populations):
            start = number * self._n_rollouts
            # In the order of the stream, so that what is drawn does not depend on the size of blocks.
            for first in range(start, start + self._n_rollouts, self._block):
                rows = slice(first, min(first + self._block, start + self._n_rollouts))
                earned[rows], moved[rows] = self._moved(s_g[rows], population[rows], rng)
        return earned, moved

    def _moved(self, s_g: Ints, population: Ints, rng: np.random.Generator) -> tuple[Array, Ints]:
        rollout, state = population.nonzero()
        rows = s_g[rollout] * population.shape[1] + state
        drawn = self._laws.draw(rows, population[rollout, state], rng)
        by_state = np.einsum("mo,mo->m", drawn, self._reward[rows])
        earned = np.bincount(rollout, weights=by_state, minlength=len(population))
        return earned.astype(np.float64, copy=False), gathered(self._next_state[rows], drawn, rollout, population.shape)


def block_size(env: Environment, n_outcomes: int) -> int:
    """Return the number of rollouts that are moved at a time."""
    return max(1, BLOCK // (n_outcomes * env.n_local_states))


def bytes_by_ways(env: Environment, n_rows: int) -> int:
    """Return about how much memory the arrays of the rollouts take, in bytes."""
    n_outcomes = env.n_local_states * env.n_local_actions
    return 8 * 4 * n_rows * env.n_local_states + 8 * 6 * max(BLOCK, n_outcomes * env.n_local_states)


def bytes_of_ways_table(env: Environment) -> int:
    """Return about how much memory the laws take, in bytes, whatever the rollouts."""
    return 8 * 5 * env.n_global_states * env.n_local_states**2 * env.n_local_actions
