"""One local agent that leaves the common policy, among n - 1 that keep it.

The law of the game depends on the others only through their counts, so the deviator lives in a chain on
(s_g, s_i, M) with M in Z_{n-1}. The population is N = M + e_{s_i}, and the global action has its law given (s_g, N):
that the deviator is in the subsample with probability k/n is part of it. From the state at time t, all at once,

    a_g ~ beta(. | s_g, N),   s_g' ~ P_g(. | s_g, a_g),   s_i' ~ P_l(. | s_i, s_g, a_i),

and the others move by T_{s_g}. Any of the n agents may be the deviator, so the start is
P(s_i = j, M) = P(N = M + e_j) (M_j + 1) / n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import numpy as np

from distmarl.dynamics.population import initial_population, initial_population_error
from distmarl.dynamics.transitions.exact import exact_bytes, exact_transitions
from distmarl.model.arrays import EPSILON, Array
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.model.policies import local_kernel, local_reward
from distmarl.values.exact_return import ExactReturn
from distmarl.values.value_iteration import (
    MAX_ITERATIONS,
    ValueIterationResult,
    anderson_bytes,
    in_double,
    iterate_values,
)

Utility: TypeAlias = Literal["own", "team"]


class DeviatorChain:
    """The deviator's decision problem. Its values are arrays (C, G, L) at ``[M, s_g, s_i]``.

    Parameters
    ----------
    env : Environment
        The game.
    action_law : ndarray, shape (G, A_g, C_n)
        beta(a_g | s_g, N), the law of the global action given the population of all n agents.
    local_policy : ndarray, shape (G, L, A_l)
        What the n - 1 others do.
    utility : {"own", "team"}
        What the deviator earns: E sum gamma^t r_l(s_i, s_g, a_i), or the system's return.
    tolerance : float
        Error that values may have.

    Raises
    ------
    InvalidArgumentError
        When the others' moves cannot be computed that precisely.

    Notes
    -----
    A sweep applies T_{s_g} to G·L columns for each s_g, L times what G-LEARN does at k = n - 1.
    """

    def __init__(
        self, env: Environment, action_law: Array, local_policy: Array, *, utility: Utility, tolerance: float
    ) -> None:
        self._env, self._tolerance = env, tolerance
        n_agents, n_states = env.n_agents, env.n_local_states
        others = count_vectors(n_agents - 1, n_states)
        # The number of the population M + e_j, (L, C).
        self._population = np.array([rank_valid(others + unit, n_agents) for unit in np.eye(n_states, dtype=np.int64)])
        self._start = initial_population(env)[self._population] * (others.T + 1) / n_agents
        # P(s_g' | s_g, N), (G, G, C_n).
        self._next_global = np.einsum("gac,gah->ghc", action_law, env.transition_global)
        # What the deviator earns whatever it does, given N, (G, C_n), and given M, (G, C); and by what it does.
        self._global_reward = np.einsum("gac,ga->gc", action_law, env.reward_global)
        self._others_reward = local_reward(env, local_policy) @ others.T / n_agents
        self._own_reward = env.reward_local / n_agents
        if utility == "own":
            self._global_reward = np.zeros_like(self._global_reward)
            self._others_reward = np.zeros_like(self._others_reward)
            self._own_reward = env.reward_local
        kernel = local_kernel(env, local_policy)
        self._transitions = exact_transitions(env, kernel, env.reward_local, k=n_agents - 1, tolerance=tolerance)

    def evaluate(self, policy: Array) -> ExactReturn:
        """Return what a deviation pi(a_i | s_g, s_i), of shape (G, L, A_l), earns."""
        return self.at_start(self._iterate(lambda s_g, s_i, q: q @ policy[s_g, s_i]))

    def solve(self) -> ValueIterationResult:
        """Return the value of the best deviation that sees s_g, s_i and all others."""
        return self._iterate(lambda _s_g, _s_i, q: q.max(axis=1))

    def at_start(self, found: ValueIterationResult) -> ExactReturn:
        """Return the mean of the values over where the game starts."""
        low, high = float(found.value.min()), float(found.value.max())
        middle = (low + high) / 2
        by_state = np.einsum("jc,cgj->gj", self._start, found.value - middle)
        mean = middle + float(self._env.initial_global @ by_state.sum(axis=1))
        rounding = (high - low) * (initial_population_error(self._env) + sum(found.value.shape) * EPSILON)
        rounding += self._reward_error / (1 - self._env.gamma) + 4 * EPSILON * max(-low, high)
        return ExactReturn(mean, found.bound + rounding, found.n_iterations)

    def averaged_action_values(self, found: ValueIterationResult, weights: Array) -> Array:
        """Return the mean of Q(s_g, s_i, M, a_i) over M, with weights (G, C), as an array (G, L, A_l)."""
        averaged = np.empty(self._env.reward_local.shape)
        for s_g, s_i, q in self._action_values(found.value):
            averaged[s_g, s_i] = weights[s_g] @ q
        return averaged

    def _iterate(self, choose: Callable[[int, int, Array], Array]) -> ValueIterationResult:
        """Solve V(s_g, s_i, .) = choose(s_g, s_i, Q(s_g, s_i, ., .))."""
        env = self._env

        def bellman(value: Array) -> Array:
            image = np.empty_like(value)
            for s_g, s_i, q in self._action_values(value):
                image[:, s_g, s_i] = choose(s_g, s_i, q)
            return image

        return iterate_values(
            in_double(bellman, self._transitions.relative_error + self._n_roundings * EPSILON),
            np.zeros((self._start.shape[1], env.n_global_states, env.n_local_states)),
            gamma=env.gamma,
            convergence_threshold=self._tolerance,
            max_iterations=MAX_ITERATIONS,
        )

    def _action_values(self, value: Array) -> Iterator[tuple[int, int, Array]]:
        """Yield Q(s_g, s_i, ., .), an array (C, A_l), for each s_g and s_i."""
        env = self._env
        for s_g in range(env.n_global_states):
            expected = self._transitions.expect(s_g, value.reshape(len(value), -1)).reshape(value.shape)
            for s_i, population in enumerate(self._population):
                next_global = self._next_global[s_g].take(population, axis=1)
                moved = np.einsum("hc,chl->cl", next_global, expected)
                q = moved @ (env.gamma * env.transition_local[s_g, s_i].T)
                q += (self._global_reward[s_g].take(population) + self._others_reward[s_g])[:, None]
                q += self._own_reward[s_g, s_i]
                yield s_g, s_i, q

    @property
    def _n_roundings(self) -> int:
        """Roundings in the law of the global action, and in sums over actions and states."""
        env = self._env
        in_law = (env.n_local_states + 2) * env.n_agents
        return in_law + env.n_global_actions + env.n_global_states + env.n_local_states + env.n_local_actions + 4

    @property
    def _reward_error(self) -> float:
        """Rounding error of the rewards."""
        largest = sum(
            float(np.abs(part).max()) for part in (self._global_reward, self._others_reward, self._own_reward)
        )
        return self._n_roundings * EPSILON * largest


def deviator_bytes(env: Environment) -> int:
    """Return about how much memory a :class:`DeviatorChain` takes, in bytes."""
    n_global, n_local = env.n_global_states, env.n_local_states
    n_others, n_populations = (n_count_vectors(n, n_local) for n in (env.n_agents - 1, env.n_agents))
    n_values = n_others * n_global * n_local
    values = 8 * 7 * n_values + anderson_bytes(n_values)
    laws = 8 * n_populations * n_global * (n_global + 2 * env.n_global_actions)
    return values + laws + 8 * 3 * n_others * n_local + exact_bytes(env, env.n_agents - 1)
