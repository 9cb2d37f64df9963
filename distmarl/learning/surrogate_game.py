"""The MDP on (s_g, z) that G-LEARN solves, and how its Bellman operator is applied."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.model.arrays import EPSILON, Array, GlobalPolicy
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import ValueIterationResult, greedy_actions, iterate_values


def action_type(env: Environment) -> type[Any]:
    """Return the integer type of global policies."""
    return np.int16 if env.n_global_actions <= np.iinfo(np.int16).max else np.int32


class SurrogateGame:
    """The MDP on (s_g, z). Values are kept as (C, G), so that T moves whole rows."""

    def __init__(
        self,
        env: Environment,
        rewards: Array,
        operator: CountTransitions,
        k: int,
        apply_to_each: Callable[..., Iterable[None]],
    ) -> None:
        self._env = env
        self._apply_to_each = apply_to_each
        self._operator = operator
        self._lookahead = [Lookahead(env.gamma * moves) for moves in env.transition_global]
        # Expected local reward, (G, C).
        self._population_reward = np.einsum("gl,cl->gc", rewards / k, count_vectors(k, env.n_local_states))

    def solve(
        self, initial_value: Array, convergence_threshold: float, max_iterations: int, **mixing: Any
    ) -> ValueIterationResult:
        """Return the optimal value, (C, G); ``mixing`` says how :func:`iterate_values` mixes values."""
        return iterate_values(
            self._bellman,
            initial_value,
            gamma=self._env.gamma,
            relative_error=self._relative_error,
            convergence_threshold=convergence_threshold,
            max_iterations=max_iterations,
            **mixing,
        )

    def greedy_policy(self, solution: ValueIterationResult) -> GlobalPolicy:
        """Return the lowest action whose Q is the best within the certified error, shape (G, C)."""
        env = self._env
        policy = np.empty(solution.value.shape[::-1], dtype=action_type(env))
        for s_g in range(env.n_global_states):
            policy[s_g] = greedy_actions(self._action_values(s_g, solution.value), bound=solution.bound, axis=0)
        return policy

    @property
    def _relative_error(self) -> float:
        """Rounding of T, and of the sum over next global states."""
        return self._operator.relative_error + self._env.n_global_states * EPSILON

    def _bellman(self, value: Array) -> Array:
        image = np.empty_like(value)

        def update(s_g: int) -> None:
            image[:, s_g] = self._action_values(s_g, value).max(axis=0)

        collections.deque(self._apply_to_each(update, range(self._env.n_global_states)), maxlen=0)
        return image

    def _action_values(self, s_g: int, value: Array) -> Array:
        """Return Q(s_g, z, a) as an array (A_g, C)."""
        q = self._lookahead[s_g].expect(value, functools.partial(self._operator.expect, s_g))
        q += self._env.reward_global[s_g][:, None]
        q += self._population_reward[s_g]
        return q


def n_columns_moved(transition_global: Array) -> float:
    """Return how many columns of values T is applied to in a global state, on the average, from (G, A_g, G)."""
    return float(np.mean([Lookahead(moves).n_columns for moves in transition_global]))


class Lookahead:
    """The discounted value after each global action in a global state, of which T is applied to as little as possible.

    Parameters
    ----------
    moves : ndarray, shape (A_g, G)
        gamma P_g(s' | s_g, a).
    """

    def __init__(self, moves: Array) -> None:
        self._moves = moves
        n_actions, n_states = moves.shape
        reachable = np.flatnonzero(moves.any(axis=0))
        self._reachable = reachable if n_actions < n_states and 0 < len(reachable) < n_actions else None
        self._is_by_action = n_actions < n_states and self._reachable is None

    @property
    def n_columns(self) -> int:
        """How many columns of values T is applied to."""
        n_actions, n_states = self._moves.shape
        if self._is_by_action:
            return n_actions
        return n_states if self._reachable is None else len(self._reachable)

    def expect(self, value: Array, apply: Callable[[Array], Array]) -> Array:
        """Return gamma sum_{s'} P_g(s' | s_g, a) (T V(s', .))(z) as an array (A_g, C), from V, (C, G), and T."""
        if self._is_by_action:
            return np.ascontiguousarray(apply(value @ self._moves.T).T)
        if self._reachable is not None:
            return self._moves[:, self._reachable] @ apply(np.ascontiguousarray(value[:, self._reachable])).T
        return self._moves @ apply(value).T
