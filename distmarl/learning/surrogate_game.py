"""The MDP on (s_g, z) that G-LEARN solves, and how its Bellman operator is applied.

Q is affine in V, so that it is known everywhere from a base V_0 with its Q_0 in double precision:

    Q(V) = Q_0 + gamma sum_{s'} P_g(s' | s_g, a) T_{s_g} (V - V_0)(s', .).

As V nears the solution, V - V_0 becomes small, and T of it in single precision, at half the cost, precise: its error is
a part of max |V - V_0|. When that is too much, V is the next base. Three bases serve for a solution to 1e-6 (robots).
"""

from __future__ import annotations

import collections
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.model.arrays import EPSILON, SINGLE_EPSILON, Array, GlobalPolicy
from distmarl.model.counts import count_vectors, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import (
    SINGLE_FROM_SIZE,
    Bellman,
    ValueIterationResult,
    greedy_actions,
    in_double,
    iterate_values,
)

# With more global actions, Q_0 takes more memory than single precision is worth.
MAX_BASE_ACTIONS = 10
# Sums of so many columns stay in the cache.
COLUMNS_AT_A_TIME = 2**12
# Values that are further apart than this stay in double precision.
MAX_SINGLE = 1e30


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
        self._n_vectors = n_count_vectors(k, env.n_local_states)
        self._apply_to_each = apply_to_each
        self._operator = operator
        self._lookahead = [Lookahead(env.gamma * moves) for moves in env.transition_global]
        # Expected local reward, (G, C).
        self._population_reward = np.einsum("gl,cl->gc", rewards / k, count_vectors(k, env.n_local_states))

    def solve(self, initial_value: Array, convergence_threshold: float, max_iterations: int) -> ValueIterationResult:
        """Return the optimal value, (C, G)."""
        return iterate_values(
            self._near_a_base() if self._is_single else in_double(self._bellman, self._relative_error),
            initial_value,
            gamma=self._env.gamma,
            convergence_threshold=convergence_threshold,
            max_iterations=max_iterations,
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
            self._action_values(s_g, value).max(axis=0, out=image[:, s_g])

        self._for_each(update)
        return image

    def _for_each(self, update: Callable[[int], None]) -> None:
        """Do something for each global state."""
        collections.deque(self._apply_to_each(update, range(self._env.n_global_states)), maxlen=0)

    def _action_values(self, s_g: int, value: Array) -> Array:
        """Return Q(s_g, z, a) as an array (A_g, C)."""
        q = self._ahead(s_g, value)
        q += self._env.reward_global[s_g][:, None]
        q += self._population_reward[s_g]
        return q

    def _ahead(self, s_g: int, value: Array) -> Array:
        """Return the discounted value after each action, (A_g, C), in the precision of the value."""
        return self._lookahead[s_g].expect(value, functools.partial(self._operator.expect, s_g))

    @property
    def _is_single(self) -> bool:
        """Whether single precision serves: where there is much to move, and Q_0 is small beside what mixing keeps."""
        return bases_bytes(self._env, self._n_vectors) > 0 and math.isfinite(self._operator.single_error)

    def _near_a_base(self) -> Bellman:
        """Return the Bellman operator, in single precision near one of its bases; the first is V_0 = 0."""
        env, base = self._env, np.zeros((1, 1))
        rewards = zip(env.reward_global, self._population_reward, strict=True)
        base_q = [global_reward[:, None] + of_the_population for global_reward, of_the_population in rewards]
        single_error = self._operator.single_error + (env.n_global_states + 2) * SINGLE_EPSILON

        def apply(value: Array, allowed_error: float) -> tuple[Array, float]:
            nonlocal base
            step: NDArray[Any] = np.empty_like(value, dtype=np.float32)
            with np.errstate(over="ignore"):
                np.subtract(value, base, out=step, casting="same_kind")
            distance = max(float(step.max()), -float(step.min()))
            is_near = distance < MAX_SINGLE and single_error * distance <= allowed_error
            if not is_near:
                base, distance = value, 0.0
            image = np.empty_like(value)

            def update(s_g: int) -> None:
                if is_near:
                    _best_sums(base_q[s_g], self._ahead(s_g, step), out=image[:, s_g])
                else:
                    base_q[s_g] = self._action_values(s_g, value)
                    base_q[s_g].max(axis=0, out=image[:, s_g])

            self._for_each(update)
            return image, self._relative_error * float(np.abs(base).max()) + single_error * distance

        return apply


def bases_bytes(env: Environment, n_vectors: int) -> int:
    """Return how much memory a base takes with its Q_0, and a step away from it, in bytes."""
    n_values = env.n_global_states * n_vectors
    if n_values < SINGLE_FROM_SIZE or env.n_global_actions > MAX_BASE_ACTIONS:
        return 0
    return n_values * (8 + 8 * env.n_global_actions + 4)


def _best_sums(left: Array, right: Array, *, out: Array) -> None:
    """Write the largest of each column of a sum, (A, C), of which a part at a time is in memory."""
    for start in range(0, len(out), COLUMNS_AT_A_TIME):
        columns = slice(start, start + COLUMNS_AT_A_TIME)
        np.max(left[:, columns] + right[:, columns], axis=0, out=out[columns])


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
        self._moves, self._single_moves = moves, moves.astype(np.float32)
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
        moves = self._single_moves if value.dtype == np.float32 else self._moves
        if self._is_by_action:
            return np.ascontiguousarray(apply(value @ moves.T).T)
        if self._reachable is not None:
            return moves[:, self._reachable] @ apply(np.ascontiguousarray(value[:, self._reachable])).T
        return moves @ apply(value).T
