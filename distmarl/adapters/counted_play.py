"""Rollouts of the n-agent game in which someone else chooses the global actions; local agents keep to a policy.

They are simulated by counts, as :func:`distmarl.evaluate` does for large populations.
"""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.by_counts import DrawsByCounts
from distmarl.dynamics.by_ways import DrawsByWays
from distmarl.dynamics.drawing import has_few_states
from distmarl.dynamics.draws import draw_categorical
from distmarl.dynamics.rollouts import initial_states
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind
from distmarl.model.policies import local_reward
from distmarl.model.random_streams import Role


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
        self._env, self._n_rollouts = env, n_rollouts
        kind = DrawsByCounts if has_few_states(env) else DrawsByWays
        self._draws = kind(env, local_policy, k=k, n_rollouts=n_rollouts, seeds=[0], role=Role.EVALUATION)
        self._expected = local_reward(env, local_policy) if reward == "expected" else None
        self._s_g = np.empty(0, dtype=np.int64)
        self._population = np.empty((0, env.n_local_states), dtype=np.int64)

    def start(self, rng: np.random.Generator) -> Ints:
        """Draw where the rollouts start; return what the global agents observe, (R, 1 + B)."""
        self._draws.draw_from(rng)
        self._s_g, self._population = initial_states(self._env, self._n_rollouts, rng)
        return self._observe()

    def step(self, a_g: Ints, rng: np.random.Generator) -> tuple[Ints, Array]:
        """Take global actions, (R,); return the next observations, (R, 1 + B), and what the step earned, (R,)."""
        env, s_g, population = self._env, self._s_g, self._population
        earned, self._population = self._draws.move(s_g, population)
        if self._expected is not None:
            earned = np.einsum("rl,rl->r", population, self._expected[s_g])
        self._s_g = draw_categorical(env.transition_global[s_g, a_g], rng.random(self._n_rollouts))
        return self._observe(), env.reward_global[s_g, a_g] + earned / env.n_agents

    def _observe(self) -> Ints:
        return np.column_stack([self._s_g, self._draws.observe(self._env.observed(self._population))])
