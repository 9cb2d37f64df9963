"""G-LEARN: the best global policy against a fixed local policy.

With pi_l fixed, the global agent faces an MDP on (s_g, z): k replicas stand for the population,

    Q(s_g, z, a) = r_g(s_g, a) + (1/k) sum_j z_j r(s_g, j)
                   + gamma sum_{s'} P_g(s' | s_g, a) (T_{s_g} V(s', .))(z),      V = max_a Q,

where ``r`` is the local reward and T the movement of count vectors under pi_l
(arXiv 2603.03759, algorithm 2). T does not depend on a, so it is applied once per sweep.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.dynamics.transitions.kinds import find_transitions
from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import EPSILON, Array, GlobalPolicy, read_only, real_array
from distmarl.model.checks import check_at_least_one, check_positive, checked_integer
from distmarl.model.counts import MAX_COUNT_VECTORS, count_vectors, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import GlobalAgent, TransitionKind
from distmarl.model.policies import checked_k, checked_local_policy, local_kernel, local_reward
from distmarl.model.random_streams import Seed
from distmarl.values.value_iteration import ValueIterationResult, anderson_bytes, greedy_actions, iterate_values


@dataclass(frozen=True, slots=True, eq=False)
class GLearnResult:
    """What G-LEARN found, with its certificate.

    Attributes
    ----------
    policy : ndarray of int16 or int32, shape (G, C)
        The greedy action for each global state and count vector; ties go to the lowest action.
    value : ndarray, shape (G, C)
        Approximation of the optimal value V* of the surrogate MDP.
    n_iterations : int
        Number of sweeps of value iteration.
    bound : float
        Certified: max |value - V*| <= bound.
    converged : bool
        Whether ``bound`` is at most ``convergence_threshold``.
    method : str
        How expectations over count vectors were computed: ``factored`` or ``dense`` (``exact``
        transitions), ``factored+dense`` where kernels differ, ``successors`` (the other kinds).
    n_samples : int
        Draws of an agent's next state: G L k m for ``sampled`` transitions, which all count vectors share; 0 for
        others, which know the tables. Rewards and global transitions are taken from the tables in any case.
    """

    policy: GlobalPolicy = field(repr=False)
    value: Array = field(repr=False)
    n_iterations: int
    bound: float
    converged: bool
    method: str
    n_samples: int = 0


def g_learn(
    env: Environment,
    local_policy: ArrayLike,
    *,
    k: int,
    transitions: TransitionKind = GlobalAgent.transitions,
    n_mc_samples: int = GlobalAgent.n_mc_samples,
    seed: Seed = 0,
    convergence_threshold: float = GlobalAgent.convergence_threshold,
    max_vi_iterations: int = GlobalAgent.max_vi_iterations,
    initial_value: ArrayLike | None = None,
    n_threads: int = 1,
) -> GLearnResult:
    """Find the best global policy on count vectors of k agents against ``local_policy``.

    Parameters
    ----------
    env : Environment
        The game.
    local_policy : array_like, shape (G, L, A_l)
        pi_l, the policy of every local agent.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    transitions : {"sampled", "exact", "rounded"}
        How count vectors move; see :mod:`distmarl.dynamics.transitions.base`.
    n_mc_samples : int
        Draws per global state and count vector (``sampled`` only).
    seed : int or sequence of int
        Root of the random streams (``sampled`` only).
    convergence_threshold : float
        Stop once the certified error of the value is at most this.
    max_vi_iterations : int
        Sweep at most this often; reaching it shows as ``converged = False``.
    initial_value : array_like, shape (G, C), optional
        A value to start from, zero by default.
    n_threads : int
        Global states that are worked on at the same time. The result does not depend on it.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, or ``exact`` transitions cannot be
        computed precisely enough (the message names the kernel).

    Notes
    -----
    ``bound`` is about the surrogate MDP with the chosen transitions: for ``sampled`` the one of the drawn successors.
    A sweep costs about G²·C multiply-adds for ``rounded``, m times that for ``sampled``, and
    L(L - 1)/2·(k/L + 1) times that for ``exact``, twice as much for kernels that cannot be merged pair by pair.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> found = dm.g_learn(env, dm.uniform_local_policy(env), k=2, transitions="exact")
    >>> found.converged
    True
    >>> found.policy[0, dm.rank([[0, 0, 2, 0, 0], [0, 0, 0, 0, 2]])]  # in zone 0, it goes where it sees two robots
    array([2, 4], dtype=int16)
    """
    options = GlobalAgent(
        transitions=transitions,
        n_mc_samples=n_mc_samples,
        convergence_threshold=convergence_threshold,
        max_vi_iterations=max_vi_iterations,
    )
    return learn_global(
        env, local_policy, k=k, options=options, seed=seed, initial_value=initial_value, n_threads=n_threads
    )


def learn_global(
    env: Environment,
    local_policy: ArrayLike,
    *,
    k: int,
    options: GlobalAgent,
    seed: Seed = 0,
    initial_value: ArrayLike | None = None,
    n_threads: int = 1,
) -> GLearnResult:
    """Return what :func:`g_learn` finds, with its options as a section of the sweep file."""
    k = checked_k(env, k)
    policy = checked_local_policy(env, local_policy)
    kind = find_transitions(options.transitions)
    check_positive(convergence_threshold=options.convergence_threshold)
    check_at_least_one(max_vi_iterations=options.max_vi_iterations)
    n_threads = checked_integer("n_threads", n_threads)
    if n_count_vectors(k, env.n_local_states) > MAX_COUNT_VECTORS:
        raise InvalidArgumentError(
            f"k: {k} agents have more than {MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
        )
    kernel, reward = local_kernel(env, policy), local_reward(env, policy)
    operator = kind.build(env, kernel, reward, k, options, seed)
    start = _start(env, k, initial_value)
    with ThreadPoolExecutor(n_threads) as pool:
        game = _SurrogateGame(env, reward, operator, k, pool.map if n_threads > 1 else map)
        solution = game.solve(start, options.convergence_threshold, options.max_vi_iterations)
        global_policy = game.greedy_policy(solution)
    return GLearnResult(
        policy=read_only(global_policy),
        value=read_only(np.ascontiguousarray(solution.value.T)),
        n_iterations=solution.n_iterations,
        bound=solution.bound,
        converged=solution.converged,
        method=operator.method,
        n_samples=kind.n_samples(env, k, options),
    )


def estimated_bytes(env: Environment, *, k: int, options: GlobalAgent, n_threads: int = 1) -> int:
    """Return about how much memory :func:`learn_global` takes, in bytes."""
    kind = find_transitions(options.transitions)
    n_vectors, n_global_states = n_count_vectors(k, env.n_local_states), env.n_global_states
    n_values = n_vectors * n_global_states
    value_arrays = 8 * 7 * n_values + anderson_bytes(n_values)
    # Each further thread holds Q of a global state, and what T needs on the way.
    held = 2 * env.n_global_actions + kind.n_arrays * n_global_states
    further_threads = (min(n_threads, n_global_states) - 1) * 8 * n_vectors * held
    return value_arrays + kind.n_bytes(env, k, options) + further_threads


def action_type(env: Environment) -> type[Any]:
    """Return the integer type of global policies."""
    return np.int16 if env.n_global_actions <= np.iinfo(np.int16).max else np.int32


def _start(env: Environment, k: int, initial_value: ArrayLike | None) -> Array:
    """Return the first value as an array (C, G)."""
    shape = (env.n_global_states, n_count_vectors(k, env.n_local_states))
    if initial_value is None:
        return np.zeros(shape[::-1])
    rule = f"initial_value: must be finite and of shape (G, C) = {shape}"
    try:
        value, _ = real_array(initial_value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{rule}, got {error}") from error
    if value.shape != shape or not np.isfinite(value).all():
        raise InvalidArgumentError(f"{rule}, got {value.shape}")
    return np.ascontiguousarray(value.T)


class _SurrogateGame:
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
        # Expected local reward, (G, C).
        self._population_reward = np.einsum("gl,cl->gc", rewards / k, count_vectors(k, env.n_local_states))

    def solve(self, initial_value: Array, convergence_threshold: float, max_iterations: int) -> ValueIterationResult:
        return iterate_values(
            self._bellman,
            initial_value,
            gamma=self._env.gamma,
            relative_error=self._relative_error,
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
            image[:, s_g] = self._action_values(s_g, value).max(axis=0)

        collections.deque(self._apply_to_each(update, range(self._env.n_global_states)), maxlen=0)
        return image

    def _action_values(self, s_g: int, value: Array) -> Array:
        """Return Q(s_g, z, a) as an array (A_g, C)."""
        env = self._env
        expected = self._operator.expect(s_g, value)
        q = (env.gamma * env.transition_global[s_g]) @ expected.T
        q += env.reward_global[s_g][:, None]
        q += self._population_reward[s_g]
        return q
