"""The value of a pair of policies in the n-agent game, without sampling.

The law of the game depends on the population only through its count vector N of all n agents. With the local policy
fixed, N moves as the k agents of G-LEARN do (with k = n), and what the global agent does has
a law beta(a | s_g, N) given N (:mod:`distmarl.dynamics.population`). So the value of a pair solves

    V(s_g, N) = sum_a beta(a | s_g, N) [ r_g(s_g, a) + gamma sum_{s'} P_g(s' | s_g, a) (T_{s_g} V(s', .))(N) ]
                + (1/n) sum_j N_j r(s_g, j),

where ``r`` is the local reward. The right-hand side is monotone, a contraction with modulus gamma, and shifts
constants by gamma: the certificate of :mod:`distmarl.values.value_iteration` holds for it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.population import global_action_law, initial_population, initial_population_error
from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.dynamics.transitions.exact import ExactTransitions, exact_transitions
from distmarl.dynamics.transitions.layouts import LAYOUTS_KEPT
from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import EPSILON, Array, read_only
from distmarl.model.checks import check_at_least_one, checked_integer, checked_tolerance, is_integer
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import (
    checked_action_law,
    checked_global_policy,
    checked_k,
    checked_local_policy,
    local_kernel,
    local_reward,
)
from distmarl.values.value_iteration import (
    MAX_ITERATIONS,
    anderson_bytes,
    backward_induction,
    in_double,
    iterate_values,
)

# Memory that the arrays over all populations may take; with G = L = A_g = 5 it is reached at n = 91.
MAX_BYTES = 2**32


@dataclass(frozen=True, slots=True)
class ExactReturn:
    """The expected return of a pair of policies; ``float()`` gives the value.

    Attributes
    ----------
    value : float
        E sum_t gamma^t r(t) in the n-agent game, from the start distribution.
    bound : float
        Certified: |value - E sum_t gamma^t r(t)| <= bound.
    n_iterations : int
        Number of sweeps over all (s_g, N).
    """

    value: float
    bound: float
    n_iterations: int

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class PopulationValue:
    """The expected return from each state of the n-agent game.

    Attributes
    ----------
    value : ndarray, shape (G, C_n)
        For each global state and count vector of all n agents.
    bound : float
        Certified: the largest error of ``value``.
    n_iterations : int
        Number of sweeps over all (s_g, N).
    """

    value: Array
    bound: float
    n_iterations: int


def exact_return(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    horizon: int | None = None,
    tolerance: float = 1e-8,
) -> ExactReturn:
    """Compute E sum_t gamma^t r(t) of a pair of policies in the n-agent game, without sampling.

    Parameters
    ----------
    env : Environment
        The game.
    global_policy : array_like, shape (G, C) or (G, C, A_g)
        pi_g over the count vectors of ``k`` agents: actions, or distributions that they are drawn from.
    local_policy : array_like, shape (G, L, A_l)
        pi_l.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    horizon : int, optional
        Number of steps that the sum is over, as in :func:`distmarl.evaluate`; by default all of them.
    tolerance : float
        Largest certified error that the value may have.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape; when ``env.n_agents`` agents have too many count
        vectors; when the value cannot be certified to the tolerance.

    Notes
    -----
    Works on C = comb(n + L - 1, L - 1) count vectors: 46,376 for 30 agents in 5 states, 635,376 for 60. A sweep costs
    about L(L - 1)/2 (n / L + 1) G² C multiply-adds. Memory is about 8 G C (3 A_g + 20) bytes; populations that need
    more than 4 GiB are refused before work starts.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> policy = dm.uniform_local_policy(env)
    >>> found = dm.g_learn(env, policy, k=2, transitions="exact")
    >>> value = dm.exact_return(env, found.policy, policy, k=2)
    >>> round(value.value, 4), value.bound < 1e-8
    (93.1161, True)
    """
    k = checked_k(env, k)
    policy = checked_local_policy(env, local_policy)
    behaviour = checked_global_policy(env, global_policy, k)
    tolerance, horizon = checked_tolerance(tolerance), _checked_horizon(horizon)
    check_population_size(env)
    transitions = _exact_transitions(env, policy, tolerance)
    chain = _PopulationChain(env, global_action_law(env, behaviour, k=k), policy, transitions)
    # The rest is for rounding in the mean over the start.
    found = expected_at_start(env, chain.value(horizon, 0.9 * tolerance, MAX_ITERATIONS))
    _check_certified(found.bound, tolerance, found.n_iterations)
    return found


def population_value(
    env: Environment,
    action_law: ArrayLike,
    local_policy: ArrayLike,
    *,
    horizon: int | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = MAX_ITERATIONS,
) -> PopulationValue:
    """Compute the expected return from each (s_g, N) under a law of the global action, (G, A_g, C_n).

    The law's entries may be off by the roundings of :func:`distmarl.dynamics.population.global_action_law`, which the
    bound takes in. Where there is no horizon, sweeps at most ``max_iterations`` times. The other arguments, and what
    is refused, are those of :func:`exact_return`.
    """
    policy = checked_local_policy(env, local_policy)
    tolerance, horizon = checked_tolerance(tolerance), _checked_horizon(horizon)
    check_at_least_one(max_iterations=max_iterations)
    check_population_size(env)
    law = checked_action_law(env, action_law)
    chain = _PopulationChain(env, law, policy, _exact_transitions(env, policy, tolerance))
    found = chain.value(horizon, tolerance, max_iterations)
    _check_certified(found.bound, tolerance, found.n_iterations)
    return found


def expected_at_start(env: Environment, found: PopulationValue) -> ExactReturn:
    """Return the mean of the values over where the game starts."""
    low, high = float(found.value.min()), float(found.value.max())
    middle = (low + high) / 2
    mean = middle + math.fsum(env.initial_global @ (found.value - middle) * initial_population(env))
    rounding = (high - low) * (initial_population_error(env) + env.n_global_states * EPSILON)
    rounding += 4 * EPSILON * max(-low, high)
    return ExactReturn(mean, found.bound + rounding, found.n_iterations)


class _PopulationChain:
    """The n-agent game under a law of the global action. Values are kept as (C, G), so that T moves whole rows."""

    def __init__(self, env: Environment, action_law: Array, local_policy: Array, transitions: CountTransitions) -> None:
        self._env = env
        self._action_law = action_law
        self._transitions = transitions
        local = local_reward(env, local_policy)
        counts = count_vectors(env.n_agents, env.n_local_states)
        self._reward = counts @ (local.T / env.n_agents)
        self._reward += np.einsum("ga,gac->cg", env.reward_global, action_law)
        # Roundings of the law, of the kernel of each agent, and of sums over actions and states.
        n_law = (env.n_local_states + 2) * env.n_agents
        n_kernel = (env.n_local_actions + 3) * env.n_agents
        n_sums = env.n_global_actions + env.n_global_states + env.n_local_states + 4
        self._relative_error = self._transitions.relative_error + (n_law + n_kernel + n_sums) * EPSILON
        largest_reward = float(np.abs(env.reward_global).max() + np.abs(local).max())
        self._reward_error = EPSILON * (n_law * float(np.ptp(env.reward_global)) + n_sums * largest_reward)

    def value(self, horizon: int | None, tolerance: float, max_iterations: int) -> PopulationValue:
        """Return the sum over the first steps, or over all of them to a certified tolerance."""
        if horizon is not None:
            return self._sum_to(horizon)
        rounding = self._reward_error / (1 - self._env.gamma)
        solution = iterate_values(
            in_double(self._backup, self._relative_error),
            np.zeros(self._reward.shape),
            gamma=self._env.gamma,
            convergence_threshold=tolerance - rounding,
            max_iterations=max_iterations,
        )
        value = np.ascontiguousarray(solution.value.T)
        return PopulationValue(read_only(value), solution.bound + rounding, solution.n_iterations)

    def _sum_to(self, horizon: int) -> PopulationValue:
        steps = backward_induction(
            self._backup,
            self._reward.shape,
            gamma=self._env.gamma,
            relative_error=self._relative_error,
            reward_error=self._reward_error,
        )
        value, bound = next(itertools.islice(steps, horizon - 1, None))
        return PopulationValue(read_only(np.ascontiguousarray(value.T)), bound, horizon)

    def _backup(self, value: Array) -> Array:
        """Return the right-hand side of the equation of V."""
        env = self._env
        image = np.empty_like(value)
        for s_g in range(env.n_global_states):
            later = env.transition_global[s_g] @ self._transitions.expect(s_g, value).T
            np.einsum("ac,ac->c", self._action_law[s_g], later, out=image[:, s_g])
        image *= env.gamma
        image += self._reward
        return image


def _exact_transitions(env: Environment, local_policy: Array, tolerance: float) -> ExactTransitions:
    """Return how the population moves, precisely enough for the tolerance."""
    kernel, reward = local_kernel(env, local_policy), local_reward(env, local_policy)
    try:
        return exact_transitions(env, kernel, reward, k=env.n_agents, tolerance=tolerance)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"tolerance: {tolerance:g} cannot be certified: exact transitions of {env.n_agents} agents lose too "
            "many digits under this local policy; use a larger tolerance, or estimate the return with dm.evaluate"
        ) from error


def population_bytes(env: Environment) -> int:
    """Return about how much memory :func:`exact_return` takes, in bytes."""
    n_agents, n_global, n_local = env.n_agents, env.n_global_states, env.n_local_states
    size = _n_populations(env)
    action_law = 8 * size * n_global * env.n_global_actions
    values = 8 * 9 * size * n_global + anderson_bytes(size * n_global)
    n_moves = n_global * n_local * (n_local - 1)
    orders = size * 4 * 2 * min(n_moves, LAYOUTS_KEPT)
    weights = 8 * n_moves * (n_agents + 1) ** 2 + 8 * 4 * n_local * n_agents
    return max(5 * action_law, 2 * action_law + values + orders + weights)


def check_population_size(env: Environment) -> None:
    """Refuse a population with too many count vectors.

    Raises
    ------
    InvalidArgumentError
        When the arrays over them would take more than :data:`MAX_BYTES`.
    """
    needed = population_bytes(env)
    if needed > MAX_BYTES:
        raise population_refusal(
            env, needed, "exact values over them would take", "estimate the return with dm.evaluate (rollouts)"
        )


def population_refusal(env: Environment, needed: int, takes: str, remedy: str) -> InvalidArgumentError:
    """Return the refusal of a population with too many count vectors, with what can be done instead.

    Parameters
    ----------
    env : Environment
        The game.
    needed : int
        Bytes that it would take.
    takes : str
        What would take them, with its verb.
    remedy : str
        What to do, at a cost that does not grow with the number of agents.
    """
    return InvalidArgumentError(
        f"n_agents: {env.n_agents} agents in {env.n_local_states} local states have "
        f"{_in_words(_n_populations(env))} count vectors, and {takes} {_in_words(-(-needed // 2**30))} GiB, more than "
        f"the {MAX_BYTES // 2**30} GiB allowed; {remedy}, whose cost does not grow with n_agents; what earns most "
        "without seeing anybody (the baseline blind) has an exact value for any number of agents"
    )


def _n_populations(env: Environment) -> int:
    """Return the number of count vectors of all agents, however large."""
    return math.comb(env.n_agents + env.n_local_states - 1, env.n_local_states - 1)


def _in_words(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"about 10^{math.log10(number):.0f}"


def _checked_horizon(horizon: int | None) -> int | None:
    """Return a number of steps, or None for all of them; refuse what is neither."""
    if horizon is not None and not (is_integer(horizon) and horizon >= 1):
        raise InvalidArgumentError(f"horizon: must be None (infinite) or an integer of 1 or more, got {shown(horizon)}")
    return None if horizon is None else checked_integer("horizon", horizon)


def _check_certified(bound: float, tolerance: float, n_iterations: int) -> None:
    """Refuse a value whose bound is above the tolerance."""
    if not bound <= tolerance:
        raise InvalidArgumentError(
            f"tolerance: {tolerance:g} was not reached; after {n_iterations} sweeps the value is certified to "
            f"{bound:.1e}; use a larger tolerance"
        )
