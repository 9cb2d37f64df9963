"""Rollouts of the n-agent game in which someone else chooses the global actions; local agents keep to a policy.

They are simulated by counts, as :func:`distmarl.evaluate` does for large populations.
"""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.by_counts import MovesByCounts
from distmarl.dynamics.draws import draw_categorical, draw_subsample
from distmarl.dynamics.rollouts import initial_states
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind
from distmarl.model.policies import local_reward


class CountedPlay:
    """R rollouts side by side, which all have the same number of steps.

    Parameters
    ----------
    env, local_policy, k
        The game, what its local agents do, (G, L, A_l), and how many of them the global agent sees.
    n_rollouts : int
        R.
    reward : {"sampled", "expected"}
        What a step earns, as in :func:`distmarl.evaluate`.
    """

    def __init__(self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, reward: RewardKind) -> None:
        self._env, self._k, self._n_rollouts = env, k, n_rollouts
        self._moves = MovesByCounts(env, local_policy)
        self._expected = local_reward(env, local_policy) if reward == "expected" else None
        self._s_g = np.empty(0, dtype=np.int64)
        self._population = np.empty((0, env.n_local_states), dtype=np.int64)

    def start(self, rng: np.random.Generator) -> Ints:
        """Draw where the rollouts start; return what the global agents observe, (R, 1 + B)."""
        self._s_g, self._population = initial_states(self._env, self._n_rollouts, rng)
        return self._observe(rng)

    def step(self, a_g: Ints, rng: np.random.Generator) -> tuple[Ints, Array]:
        """Take global actions, (R,); return the next observations, (R, 1 + B), and what the step earned, (R,)."""
        env, s_g, population = self._env, self._s_g, self._population
        earned, self._population = self._moves.draw(s_g, population, [rng])
        if self._expected is not None:
            earned = np.einsum("rl,rl->r", population, self._expected[s_g])
        self._s_g = draw_categorical(env.transition_global[s_g, a_g], rng.random(self._n_rollouts))
        return self._observe(rng), env.reward_global[s_g, a_g] + earned / env.n_agents

    def _observe(self, rng: np.random.Generator) -> Ints:
        numbers = rng.random((self._n_rollouts, self._env.n_classes - 1))
        return np.column_stack([self._s_g, draw_subsample(self._env.observed(self._population), self._k, numbers)])
