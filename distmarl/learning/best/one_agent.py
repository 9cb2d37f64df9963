"""A local agent and a global agent that sees nobody: the chain of (s_g, s_l), and the best answer, by iteration.

Given s_g both move independently. So an expectation over the next (s_g', s_l') is one over s_g' and then one over s_l',
about G·L·(G + L) multiply-adds, and no matrix of (G·L)² entries is needed, which large games have no room for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from distmarl.learning.aggregation import n_steps
from distmarl.model.arrays import EPSILON, Array, Ints
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import MAX_ITERATIONS, in_double, iterate_values

# Certified errors of values, and of those that a search compares, as shares of the largest one there may be.
ACCURACY, COARSE_ACCURACY = 1e-9, 1e-6
# Discounted time that an occupancy leaves out, as a share.
LEFT_OUT = 1e-3


def value_of(env: Environment, moves_global: Array, kernel: Array, reward: Array) -> tuple[Array, float]:
    """Return what an agent earns from each state, (G, L), and its certified error.

    The moves of s_g are (G, G), those of s_l are (G, L, L); the reward is (G, L).
    """
    return _iterated(env, lambda value: reward + env.gamma * expected(moves_global, kernel, value))


def value_of_steps(
    env: Environment, moves_global: Array, kernel: Array, reward: Array, horizon: int
) -> tuple[Array, float]:
    """Return the same of the first ``horizon`` steps."""
    value, bound, largest = np.zeros(reward.shape), 0.0, float(np.abs(reward).max())
    for _ in range(horizon):
        value = reward + env.gamma * expected(moves_global, kernel, value)
        bound = env.gamma * bound + _n_sums(env) * EPSILON * (largest + 2 * float(np.abs(value).max()))
    return value, bound


def best_value(
    env: Environment, global_actions: Ints, *, accuracy: float = ACCURACY, initial_value: Array | None = None
) -> tuple[Array, float]:
    """Return what an agent earns from each state, (G, L), by its best answer to a(s_g), and its certified error."""
    states = np.arange(env.n_global_states)
    moves_global = env.transition_global[states, global_actions]
    reward = env.reward_local + env.reward_global[states, global_actions][:, None, None]
    flat = env.transition_local.reshape(env.n_global_states, -1, env.n_local_states)

    def bellman(value: Array) -> Array:
        later = (flat @ (moves_global @ value)[:, :, None]).reshape(reward.shape)
        best: Array = (reward + env.gamma * later).max(axis=-1)
        return best

    return _iterated(env, bellman, accuracy, initial_value)


def occupancy(env: Environment, moves_global: Array, kernel: Array, start: Array) -> Array:
    """Return the discounted visits of each (s_g, s_l) from a distribution of the first, (G, L), but for the last."""
    present, visits, discount = start, start.copy(), 1.0
    for _ in range(n_steps(env.gamma, LEFT_OUT) - 1):
        present, discount = moves_global.T @ (present[:, None] @ kernel)[:, 0], discount * env.gamma
        visits += discount * present
    return np.asarray(visits)


def largest_value(env: Environment) -> float:
    """Return what the absolute value of a return is at most."""
    return float(np.abs(env.reward_global).max() + np.abs(env.reward_local).max()) / (1 - env.gamma)


def expected(moves_global: Array, kernel: Array, value: Array) -> Array:
    """Return the mean of a function of the next (s_g, s_l), (G, L) to (G, L)."""
    return np.asarray((kernel @ (moves_global @ value)[:, :, None])[:, :, 0])


def _iterated(
    env: Environment, bellman: Callable[[Array], Array], accuracy: float = ACCURACY, initial_value: Array | None = None
) -> tuple[Array, float]:
    found = iterate_values(
        in_double(bellman, _n_sums(env) * EPSILON),
        np.zeros((env.n_global_states, env.n_local_states)) if initial_value is None else initial_value,
        gamma=env.gamma,
        convergence_threshold=accuracy * max(largest_value(env), np.finfo(np.float64).tiny),
        max_iterations=MAX_ITERATIONS,
    )
    return found.value, found.bound


def _n_sums(env: Environment) -> int:
    """Return how many terms the sums of a step have, at most."""
    return sum(env.reward_local.shape) + env.n_global_actions + 4
