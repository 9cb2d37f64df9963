"""G-LEARN: the best global policy against a fixed local policy.

With pi_l fixed, the global agent faces an MDP on (s_g, z): k replicas stand for the population,

    Q(s_g, z, a) = r_g(s_g, a) + (1/k) sum_j z_j r(s_g, j)
                   + gamma sum_{s'} P_g(s' | s_g, a) (T_{s_g} V(s', .))(z),      V = max_a Q,

where ``r`` is the local reward and T the movement of count vectors under pi_l
(arXiv 2603.03759, algorithm 2). T does not depend on a and is linear: it is applied once per sweep to V(s', .) for each
s', or, where there are fewer actions than global states, to the mean of V after each action.

Where the global agent sees classes of local states, all this is about the game of classes
(:mod:`distmarl.learning.aggregation`): j is a class, and the certificate is that of the game of classes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.population import elevate
from distmarl.dynamics.transitions.exact import has_dense_powers
from distmarl.dynamics.transitions.kinds import find_transitions
from distmarl.errors import InvalidArgumentError
from distmarl.learning.aggregation import game_of_classes, game_of_sizes, occupancy_of
from distmarl.learning.surrogate_game import SurrogateGame, bases_bytes
from distmarl.model.arrays import Array, GlobalPolicy, read_only, real_array
from distmarl.model.checks import check_at_least_one, check_positive, checked_integer
from distmarl.model.counts import MAX_COUNT_VECTORS, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import GlobalAgent, TransitionKind
from distmarl.model.policies import (
    checked_k,
    checked_local_policy,
    local_kernel,
    local_reward,
)
from distmarl.model.random_streams import Seed
from distmarl.values.value_iteration import anderson_bytes

# Agents that are seen, at most, where classes are first explored.
COARSE_K = 10
# Error of values in a game of classes that stays behind that of the classes, as a share of the largest difference
# between returns.
COARSE_ACCURACY = 1e-3


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
        Certified: max |value - V*| <= bound. With classes, V* is that of the game of classes.
    converged : bool
        Whether ``bound`` is at most ``convergence_threshold``.
    method : str
        How expectations over count vectors were computed: ``factored`` or ``dense`` (``exact``
        transitions), ``factored+dense`` where kernels differ, ``successors`` (the other kinds).
    n_samples : int
        Draws of an agent's next state: G L k m for ``sampled`` transitions, which all count vectors share; 0 for
        others, which know the tables. Rewards and global transitions are taken from the tables in any case.
    occupancy : ndarray, shape (G, L), or None
        By what local states are weighed within classes; None where the states themselves are seen.
    """

    policy: GlobalPolicy = field(repr=False)
    value: Array = field(repr=False)
    n_iterations: int
    bound: float
    converged: bool
    method: str
    n_samples: int = 0
    occupancy: Array | None = field(repr=False, default=None)


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
    occupancy: ArrayLike | None = None,
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
    occupancy : array_like, shape (G, L), optional
        How often agents are in each local state when the global state is s_g, in any unit; only where the global agent
        sees classes of local states, whose states it weighs. By default the mean of two: that of a global agent that
        takes every action with the same probability, and that of G-LEARN's answer then, for at most ten agents.
    n_threads : int
        Global states that are worked on at the same time. The result does not depend on it.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, or ``exact`` transitions cannot be
        computed precisely enough (the message names the kernel).

    Notes
    -----
    ``bound`` is about the surrogate MDP with the chosen transitions: for ``sampled`` the one of the drawn successors;
    where classes are seen, the one of classes, from which the game itself may differ by more.
    A sweep costs about G·min(G, A_g)·C multiply-adds for ``rounded``, m times that for ``sampled``, and
    L(L - 1)/2·(k/L + 1) times that for ``exact``, twice as much for kernels that cannot be merged pair by pair. Where
    classes are seen, L is their number.

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
        env,
        local_policy,
        k=k,
        options=options,
        seed=seed,
        initial_value=initial_value,
        occupancy=occupancy,
        n_threads=n_threads,
    )


def learn_global(
    env: Environment,
    local_policy: ArrayLike,
    *,
    k: int,
    options: GlobalAgent,
    seed: Seed = 0,
    initial_value: ArrayLike | None = None,
    occupancy: ArrayLike | None = None,
    n_threads: int = 1,
) -> GLearnResult:
    """Return what :func:`g_learn` finds, with its options as a section of the sweep file."""
    k = checked_k(env, k)
    policy = checked_local_policy(env, local_policy)
    find_transitions(options.transitions)
    check_positive(convergence_threshold=options.convergence_threshold)
    check_at_least_one(max_vi_iterations=options.max_vi_iterations)
    n_threads = checked_integer("n_threads", n_threads)
    if n_count_vectors(k, env.n_classes) > MAX_COUNT_VECTORS:
        raise InvalidArgumentError(
            f"k: {k} agents have more than {MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
        )
    start = None if initial_value is None else _checked_value(env, k, initial_value)
    if env.sees_states:
        return _solve(env, policy, k, options, seed, start, n_threads)
    if occupancy is None:
        occupancy, coarse = explore(env, policy, k=k)
        start = elevated_value(coarse, k=k, n_states=env.n_classes) if start is None else start
    game, policy = game_of_classes(env, policy, occupancy)
    found = _solve(game, policy, k, options, seed, start, n_threads)
    return replace(found, occupancy=read_only(np.array(occupancy, dtype=np.float64)))


def explore(env: Environment, local_policy: Array, *, k: int) -> tuple[Array, GLearnResult]:
    """Return an occupancy, (G, L), to weigh classes by, and what G-LEARN finds with it, of fewer agents.

    The first one is that of a global agent that takes every action with the same probability. G-LEARN's answer then, of
    one that sees :data:`COARSE_K` agents at most, gives another. The result is the mean of both: an answer's own
    occupancy says too little about where agents are in situations that it avoids.
    """
    size = min(k, COARSE_K)
    while size > 1 and not has_dense_powers(size, env.n_classes, env.n_global_states):
        size -= 1
    exploring = occupancy_of(env, local_policy)
    options = GlobalAgent(transitions="exact", convergence_threshold=coarse_accuracy(env))
    first = _solve(*game_of_classes(env, local_policy, exploring), size, options)
    occupancy = (exploring + occupancy_of(env, local_policy, first.policy, k=size)) / 2
    game, policy = game_of_classes(env, local_policy, occupancy)
    return occupancy, _solve(game, policy, size, options, initial_value=first.value)


def coarse_accuracy(env: Environment) -> float:
    """Return the error of a value that is small beside that of classes, in units of return."""
    return COARSE_ACCURACY * max(largest_difference(env), np.finfo(np.float64).tiny)


def largest_difference(env: Environment) -> float:
    """Return by how much two returns can differ, at most."""
    return float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)


def elevated_value(found: GLearnResult, *, k: int, n_states: int) -> Array:
    """Return a first value for k agents, (G, C), from that of fewer agents: its mean over who of them is seen."""
    value, size = np.ascontiguousarray(found.value.T), 1
    while n_count_vectors(size, n_states) < len(value):
        size += 1
    for n_agents in range(size, k):
        value = elevate(value, k=n_agents, n_states=n_states)
    return value.T


def _solve(
    env: Environment,
    local_policy: Array,
    k: int,
    options: GlobalAgent,
    seed: Seed = 0,
    initial_value: Array | None = None,
    n_threads: int = 1,
) -> GLearnResult:
    """Solve the surrogate game of a global agent that sees local states."""
    kind = find_transitions(options.transitions)
    kernel, reward = local_kernel(env, local_policy), local_reward(env, local_policy)
    operator = kind.build(env, kernel, reward, k, options, seed)
    shape = (n_count_vectors(k, env.n_local_states), env.n_global_states)
    start = np.zeros(shape) if initial_value is None else np.ascontiguousarray(initial_value.T)
    with ThreadPoolExecutor(n_threads) as pool:
        game = SurrogateGame(env, reward, operator, k, pool.map if n_threads > 1 else map)
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
    env = game_of_sizes(env)
    n_vectors, n_global_states = n_count_vectors(k, env.n_local_states), env.n_global_states
    n_values = n_vectors * n_global_states
    value_arrays = 8 * 7 * n_values + anderson_bytes(n_values) + bases_bytes(env, n_vectors)
    # Each further thread holds Q of a global state, and what T needs on the way.
    held = 2 * env.n_global_actions + kind.n_arrays * n_global_states
    further_threads = (min(n_threads, n_global_states) - 1) * 8 * n_vectors * held
    return value_arrays + kind.n_bytes(env, k, options) + further_threads


def _checked_value(env: Environment, k: int, initial_value: ArrayLike) -> Array:
    """Return the first value as an array (G, C)."""
    shape = (env.n_global_states, n_count_vectors(k, env.n_classes))
    rule = f"initial_value: must be finite and of shape (G, C) = {shape}"
    try:
        value, _ = real_array(initial_value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{rule}, got {error}") from error
    if value.shape != shape or not np.isfinite(value).all():
        raise InvalidArgumentError(f"{rule}, got {value.shape}")
    return value
