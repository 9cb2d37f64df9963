"""How populations are seen and move, drawn by counts: for populations too large to draw agent by agent.

- what the global agent sees: z ~ multivariate hypergeometric(N, k);
- actions and moves: M[j, ., .] ~ Multinomial(N_j, pi_l(a | s_g, j) P_l(s' | j, s_g, a)).

A step costs O(L² A_l) whatever n is. Shares of large populations hardly deviate from their means, so other numbers for
each k cost the comparison of neighbouring k next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distmarl.dynamics.draws import draw_subsample
from distmarl.dynamics.purposes import OBSERVATION, POPULATION, streams, uniforms
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed


class DrawsByCounts:
    """Draws for S sets of R rollouts, side by side in arrays of S R rows."""

    def __init__(
        self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, seeds: Sequence[Seed], role: Role
    ) -> None:
        self._k, self._n_rollouts = k, n_rollouts
        joint = np.einsum("gla,glam->glma", local_policy, env.transition_local)
        self._shape = joint.shape[1:]
        reward = np.broadcast_to(env.reward_local[:, :, None], joint.shape).reshape(*joint.shape[:2], -1)
        joint = joint.reshape(reward.shape)
        # numpy draws outcome by outcome, and is soon done where the likely ones come first.
        order = np.argsort(-joint, axis=-1, kind="stable")
        self._law, self._reward = np.take_along_axis(joint, order, axis=-1), np.take_along_axis(reward, order, axis=-1)
        self._place = np.argsort(order, axis=-1)
        self._observations = streams(seeds, role, OBSERVATION)
        self._populations = streams(seeds, role, POPULATION, k)

    def draw_from(self, rng: np.random.Generator) -> None:
        """Take all numbers from one generator, for a single set of rollouts."""
        self._observations = self._populations = [rng]

    def observe(self, population: Ints) -> Ints:
        """Draw what the global agent sees of each population, (S R, L) to (S R, L)."""
        numbers = uniforms(self._observations, self._n_rollouts, population.shape[1] - 1)
        return draw_subsample(population, self._k, numbers)

    def move(self, s_g: Ints, population: Ints) -> tuple[Array, Ints]:
        """Draw actions and moves: what the agents of each population earn together, (S R,), and the next one."""
        law = self._law[s_g]
        drawn = np.empty(law.shape, dtype=np.int64)
        for number, rng in enumerate(self._populations):
            rows = slice(number * self._n_rollouts, (number + 1) * self._n_rollouts)
            drawn[rows] = rng.multinomial(population[rows], law[rows])
        earned = np.einsum("rjo,rjo->r", drawn, self._reward[s_g])
        first = np.arange(0, drawn.size, law.shape[2]).reshape(len(s_g), -1, 1)
        moved = drawn.take(first + self._place[s_g]).sum(axis=1)
        return earned, moved.reshape(len(moved), *self._shape[1:]).sum(axis=-1)


def bytes_by_counts(env: Environment, n_rows: int) -> int:
    """Return about how much memory rollouts take that are drawn by counts, in bytes."""
    return 8 * 5 * n_rows * env.n_local_states**2 * env.n_local_actions
