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
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.model.arrays import EPSILON, SINGLE_EPSILON, Array, GlobalPolicy
from distmarl.model.counts import count_vectors, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import (
    ERROR_SHARE,
    SINGLE_FROM_SIZE,
    ValueIterationResult,
    centred,
    greedy_actions,
    in_double,
    iterate_values,
    largest,
)

# With more global actions, Q_0 takes more memory than single precision is worth.
MAX_BASE_ACTIONS = 10
# Sums of so many columns stay in the cache.
COLUMNS_AT_A_TIME = 2**12
# Values that are further apart than this stay in double precision.
MAX_SINGLE = 1e25
# Smaller numbers are less precise in single precision.
SMALLEST_STEP = 1e-30


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
        self.env = env
        self._apply_to_each = apply_to_each
        self.operator = operator
        self._largest_local_reward = largest(rewards)
        self._lookahead = [Lookahead(env.gamma * moves) for moves in env.transition_global]
        # Expected local reward, (G, C).
        self.population_reward = np.einsum("gl,cl->gc", rewards / k, count_vectors(k, env.n_local_states))
        is_single = bases_bytes(env, n_count_vectors(k, env.n_local_states)) > 0 and math.isfinite(
            operator.single_error
        )
        self._near_bases = NearBases(self) if is_single else None

    def solve(self, initial_value: Array, convergence_threshold: float, max_iterations: int) -> ValueIterationResult:
        """Return the optimal value, (C, G)."""
        return iterate_values(
            self._near_bases.apply
            if self._near_bases
            else in_double(self._bellman, self.relative_error, self.reward_error),
            initial_value,
            gamma=self.env.gamma,
            convergence_threshold=convergence_threshold,
            max_iterations=max_iterations,
        )

    def greedy_policy(self, solution: ValueIterationResult) -> GlobalPolicy:
        """Return the lowest action whose Q is the best within the certified error, shape (G, C)."""
        env, value, bound, action_values = self.env, solution.value, solution.bound, self.action_values
        if self._near_bases:
            value = centred(value)  # a constant changes all Q alike, and would be far from any base
            bound += self._near_bases.move_to(value, ERROR_SHARE * bound)
            action_values = self._near_bases.action_values
        policy = np.empty(value.shape[::-1], dtype=action_type(env))
        for s_g in range(env.n_global_states):
            policy[s_g] = greedy_actions(action_values(s_g, value), bound=bound, axis=0)
        return policy

    @property
    def relative_error(self) -> float:
        """Rounding of T, and of the sum over next global states."""
        return self.operator.relative_error + self.env.n_global_states * EPSILON

    @property
    def reward_error(self) -> float:
        """Rounding of the sum of all rewards, which may cancel, and of adding it."""
        n_sums = self.env.n_local_states + 3
        return n_sums * EPSILON * (largest(self.env.reward_global) + self._largest_local_reward)

    def _bellman(self, value: Array) -> Array:
        image = np.empty_like(value)

        def update(s_g: int) -> None:
            self.action_values(s_g, value).max(axis=0, out=image[:, s_g])

        self.for_each(update)
        return image

    def for_each(self, update: Callable[[int], None]) -> None:
        """Do something for each global state."""
        collections.deque(self._apply_to_each(update, range(self.env.n_global_states)), maxlen=0)

    def action_values(self, s_g: int, value: Array) -> Array:
        """Return Q(s_g, z, a) as an array (A_g, C)."""
        q = self.ahead(s_g, value)
        q += self.env.reward_global[s_g][:, None]
        q += self.population_reward[s_g]
        return q

    def ahead(self, s_g: int, value: Array) -> Array:
        """Return the discounted value after each action, (A_g, C), in the precision of the value."""
        return self._lookahead[s_g].expect(value, functools.partial(self.operator.expect, s_g))


class NearBases:
    """The Bellman operator of a game in single precision, near one of its bases; the first of them is V_0 = 0.

    Parameters
    ----------
    game : SurrogateGame
        The game.
    """

    def __init__(self, game: SurrogateGame) -> None:
        self._game = weakref.proxy(game)  # which holds this
        self._base, self._base_error = np.zeros((1, 1)), 0.0
        rewards = zip(game.env.reward_global, game.population_reward, strict=True)
        self._base_q = [of_actions[:, None] + of_the_population for of_actions, of_the_population in rewards]
        self._single_error = game.operator.single_error + (game.env.n_global_states + 2) * SINGLE_EPSILON
        self._step: NDArray[Any] | None = None  # from the base; None where that is the value itself

    def move_to(self, value: Array, allowed_error: float) -> float:
        """Go to a value, which is the next base where the error would be too large; return the error of Q."""
        self._step = np.empty_like(value, dtype=np.float32)
        with np.errstate(over="ignore"):
            np.subtract(value, self._base, out=self._step, casting="same_kind")
        distance = largest(self._step) + SMALLEST_STEP
        if distance < MAX_SINGLE and self._single_error * distance <= allowed_error:
            return self._base_error + self._single_error * distance + self._game.reward_error
        self._base, self._base_error, self._step = value, self._game.relative_error * largest(value), None
        return self._base_error + self._game.reward_error

    def action_values(self, s_g: int, value: Array) -> Array:
        """Return Q(s_g, z, a), (A_g, C), at the value that was gone to."""
        if self._step is not None:
            return self._base_q[s_g] + self._game.ahead(s_g, self._step)
        self._base_q[s_g] = self._game.action_values(s_g, value)
        return self._base_q[s_g]

    def apply(self, value: Array, allowed_error: float) -> tuple[Array, float]:
        """Return B(V) and its error."""
        error, image = self.move_to(value, allowed_error), np.empty_like(value)

        def update(s_g: int) -> None:
            if self._step is None:
                self.action_values(s_g, value).max(axis=0, out=image[:, s_g])
            else:
                _best_sums(self._base_q[s_g], self._game.ahead(s_g, self._step), out=image[:, s_g])

        self._game.for_each(update)
        return image, error


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
