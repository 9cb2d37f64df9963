"""The most that a global agent earns against a given local policy if it sees all of k agents: G-LEARN's surrogate."""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.transitions.exact import exact_transitions
from distmarl.equilibrium.ceilings.control import Control
from distmarl.model.arrays import EPSILON, Array
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import local_kernel, local_reward


class AnsweringControl(Control):
    """The Bellman operator of whoever chooses a_g while all local agents follow one policy.

    Parameters
    ----------
    env : Environment
        The game of k agents.
    local_policy : ndarray, shape (G, L, A_l)
        pi_l.
    tolerance : float
        Error of the value that the rounding of the expectations may cause.

    Raises
    ------
    InvalidArgumentError
        When the expectations would lose too many digits.
    """

    def __init__(self, env: Environment, local_policy: Array, tolerance: float) -> None:
        super().__init__(env)
        self._reward = local_reward(env, local_policy)
        kernel = local_kernel(env, local_policy)
        self._transitions = exact_transitions(env, kernel, self._reward, k=env.n_agents, tolerance=tolerance)
        self._shares = count_vectors(env.n_agents, env.n_local_states) / env.n_agents

    def backup(self, value: Array) -> Array:
        """Return the best that any a_g makes of the value."""
        image = np.empty_like(value)
        for s_g, rewards in enumerate(self._reward):
            image[:, s_g] = self.best_global_action(s_g, self._transitions.expect(s_g, value))
            image[:, s_g] += self._shares @ rewards
        return image

    @property
    def relative_error(self) -> float:
        """Roundings of the operator, of each agent's kernel, and of the sum over next global states."""
        env = self.env
        sums = env.n_global_states + (env.n_local_actions + 10) * env.n_agents
        return self._transitions.relative_error + sums * EPSILON

    @property
    def reward_error(self) -> float:
        """Error of the mean of the local rewards, and of the sum with r_g."""
        env = self.env
        largest = float(np.abs(env.reward_global).max() + np.abs(env.reward_local).max())
        return (2 * env.n_local_states + env.n_local_actions + 4) * EPSILON * largest
