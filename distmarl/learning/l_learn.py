"""L-LEARN: the best response of one local agent to a fixed global policy.

The population around the agent is replaced by its mean field mu, so the global state moves by

    P(s' | s_g) = E[P_g(s' | s_g, pi_g(s_g, z))],   z ~ Multinomial(k, mu),

an exact sum over all count vectors, and the agent solves an MDP on (s_g, s_l),

    Q(s_g, s_l, a) = r_l + gamma sum_{s_l'} P_l(s_l' | s_l, s_g, a) sum_{s'} P(s' | s_g) V(s', s_l').

Where the global agent sees classes of local states, z counts them: only the masses of the classes in mu matter.
The policy is a softmax over Q (arXiv 2603.03759), or greedy.

That agent watches from ``outside``: it is never seen itself. But one of n agents is
among the k that are seen with probability k/n. An agent that is ``included`` reckons with that:

    P(s' | s_g, s_l) = k/n E[P_g(s' | s_g, pi_g(s_g, e_{s_l} + y))] + (1 - k/n) P(s' | s_g),

with e_b in the place of e_{s_l} where its class b is seen,
y ~ Multinomial(k - 1, mu), and the first sum over global states above depends on s_l.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from distmarl.learning.aggregation import class_masses
from distmarl.learning.mean_field import MeanField, find_mean_field
from distmarl.model.arrays import EPSILON, Array, GlobalPolicy, read_only
from distmarl.model.checks import check_at_least_one, check_choice, check_positive
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import LocalAgent, LocalPolicyKind, ObservationKind, TemperatureUnit
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy, is_drawn, local_kernel
from distmarl.values.value_iteration import greedy_actions, in_double, iterate_values

# Action values that differ by less than this share of the largest differ by rounding.
SAME = 1e-9
# The largest local reward of the robots game less the smallest, of the default sizes.
REWARD_SPAN_OF_ROBOTS = 10.5 - (2.0 / (1.0 + 2.0) - 0.3)


@dataclass(frozen=True, slots=True, eq=False)
class LLearnResult:
    """What L-LEARN found, with its certificate.

    Attributes
    ----------
    policy : ndarray, shape (G, L, A_l)
        Softmax of Q, or one-hot (``greedy``): the best action, ties going to the lowest.
    value : ndarray, shape (G, L)
        Approximation of the agent's optimal value V*.
    n_iterations : int
        Number of sweeps of value iteration.
    bound : float
        Certified: max |value - V*| <= bound.
    converged : bool
        Whether ``bound`` is at most ``convergence_threshold``.
    mean_field : MeanField
        The population that the agent reckons with, and whether it depends on the start or is periodic.
    minimum_share : float
        Share of (s_g, s_l) at which the softmax has its minimum temperature; 0 for ``greedy``.
    """

    policy: Array = field(repr=False)
    value: Array = field(repr=False)
    n_iterations: int
    bound: float
    converged: bool
    mean_field: MeanField
    minimum_share: float = 0.0


def l_learn(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    policy: LocalPolicyKind = LocalAgent.policy,
    observation: ObservationKind = LocalAgent.observation,
    convergence_threshold: float = LocalAgent.convergence_threshold,
    max_vi_iterations: int = LocalAgent.max_vi_iterations,
    softmax_temperature_scale: float = LocalAgent.softmax_temperature_scale,
    softmax_temperature_min: float = LocalAgent.softmax_temperature_min,
    softmax_temperature_unit: TemperatureUnit = LocalAgent.softmax_temperature_unit,
) -> LLearnResult:
    """Find a local agent's best response to ``global_policy``.

    Parameters
    ----------
    env : Environment
        The game.
    global_policy : array_like, shape (G, C) or (G, C, A_g)
        pi_g over the count vectors of ``k`` agents: actions, or distributions that they are drawn from.
    local_policy : array_like, shape (G, L, A_l)
        The policy that the population follows now; its mean field is used.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    policy : {"softmax", "greedy"}
        What is returned: the softmax of Q, or its best action.
    observation : {"outside", "included"}
        Whether the agent is never among the k that are seen, or with probability k/n.
    convergence_threshold : float
        Stop once the certified error of the value is at most this.
    max_vi_iterations : int
        Sweep at most this often; reaching it shows as ``converged = False``.
    softmax_temperature_scale, softmax_temperature_min : float
        The temperature is ``max(min, (max_a Q - min_a Q) / scale)`` for each (s_g, s_l); ``softmax`` only.
    softmax_temperature_unit : {"reward", "range"}
        Whether the minimum is in units of reward, or for local rewards that span as much as those of
        :func:`robots` and in proportion for others.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> uniform = dm.uniform_local_policy(env)
    >>> found = dm.g_learn(env, uniform, k=2, transitions="exact")
    >>> response = dm.l_learn(env, found.policy, uniform, k=2)
    >>> response.policy[0, 0].round(2)  # probabilities of staying, going up and going down
    array([0.25, 0.71, 0.04])
    """
    options = LocalAgent(
        policy=policy,
        observation=observation,
        convergence_threshold=convergence_threshold,
        max_vi_iterations=max_vi_iterations,
        softmax_temperature_scale=softmax_temperature_scale,
        softmax_temperature_min=softmax_temperature_min,
        softmax_temperature_unit=softmax_temperature_unit,
    )
    return learn_local(env, global_policy, local_policy, k=k, options=options)


def learn_local(
    env: Environment, global_policy: ArrayLike, local_policy: ArrayLike, *, k: int, options: LocalAgent
) -> LLearnResult:
    """Return what :func:`l_learn` finds, with its options as a section of the sweep file."""
    k = checked_k(env, k)
    global_policy = checked_global_policy(env, global_policy, k)
    local_policy = checked_local_policy(env, local_policy)
    _check(options)
    mean_field = find_mean_field(local_kernel(env, local_policy), env.initial_local_weights)
    # One row for each s_g, or for each (s_g, s_l).
    global_kernel = induced_global_kernel(env, global_policy, mean_field.distribution, k=k)[:, None]
    if options.observation == "included":
        global_kernel = included_global_kernel(env, global_policy, mean_field.distribution, k=k)

    def action_values(value: Array) -> Array:
        expected = np.tensordot(global_kernel, value, axes=1)
        return env.reward_local + env.gamma * np.einsum("glam,glm->gla", env.transition_local, expected)

    solution = iterate_values(
        in_double(
            lambda value: action_values(value).max(axis=-1), (env.n_global_states + env.n_local_states) * EPSILON
        ),
        np.zeros((env.n_global_states, env.n_local_states)),
        gamma=env.gamma,
        convergence_threshold=options.convergence_threshold,
        max_iterations=options.max_vi_iterations,
    )
    q = action_values(solution.value)
    if options.policy == "greedy":
        response = np.eye(env.n_local_actions)[greedy_actions(q, bound=solution.bound, axis=-1)]
        minimum_share = 0.0
    else:
        scale, minimum = options.softmax_temperature_scale, minimum_temperature(env, options)
        response, minimum_share = softmax_policy(q, scale=scale, minimum=minimum), share_at_minimum(q, scale, minimum)
    return LLearnResult(
        policy=read_only(response),
        value=read_only(solution.value),
        n_iterations=solution.n_iterations,
        bound=solution.bound,
        converged=solution.converged,
        mean_field=mean_field,
        minimum_share=minimum_share,
    )


def _check(options: LocalAgent) -> None:
    """Refuse options that are out of range."""
    check_choice("policy", options.policy, get_args(LocalPolicyKind))
    check_choice("softmax_temperature_unit", options.softmax_temperature_unit, get_args(TemperatureUnit))
    check_choice("observation", options.observation, get_args(ObservationKind))
    check_positive(
        convergence_threshold=options.convergence_threshold,
        softmax_temperature_scale=options.softmax_temperature_scale,
        softmax_temperature_min=options.softmax_temperature_min,
    )
    check_at_least_one(max_vi_iterations=options.max_vi_iterations)


def induced_global_kernel(env: Environment, global_policy: GlobalPolicy, mu: Array, *, k: int) -> Array:
    """Return P(s' | s_g) = E[P_g(s' | s_g, pi_g(s_g, z))], shape (G, G); z ~ Multinomial(k, mu), or by its classes."""
    return _expected_moves(env, global_policy, multinomial_probabilities(class_masses(env, mu), k=k))


def included_global_kernel(env: Environment, global_policy: GlobalPolicy, mu: Array, *, k: int) -> Array:
    """Return P(s' | s_g, s_l) as an agent in s_l expects it that is seen with probability k/n, shape (G, L, G).

    Notes
    -----
    Takes about G·B·C additions.
    """
    others = multinomial_probabilities(class_masses(env, mu), k=k - 1)
    # Less the agent itself, the vectors that have it are all those of k - 1 agents, in the same order.
    has_itself = count_vectors(k, env.n_classes).T > 0
    by_class = np.stack([_expected_moves(env, global_policy[:, rows], others) for rows in has_itself], axis=1)
    seen, share = by_class[:, env.observation], k / env.n_agents
    return share * seen + (1 - share) * induced_global_kernel(env, global_policy, mu, k=k)[:, None]


def _expected_moves(env: Environment, actions: GlobalPolicy, probabilities: Array) -> Array:
    """Return E[P_g(s' | s_g, a)], a by ``actions[s_g, i]`` and i drawn with ``probabilities``, shape (G, G)."""
    kernel = np.empty((env.n_global_states, env.n_global_states))
    for s_g, row in enumerate(actions):
        if is_drawn(actions):
            action_probabilities = probabilities @ row
        else:
            action_probabilities = np.bincount(row, weights=probabilities, minlength=env.n_global_actions)
        kernel[s_g] = action_probabilities @ env.transition_global[s_g]
    return kernel / kernel.sum(axis=-1, keepdims=True)


def multinomial_probabilities(mu: Array, *, k: int) -> Array:
    """Return the probability of each count vector of k agents drawn from ``mu``, shape (L,) to (C,)."""
    counts = count_vectors(k, len(mu))
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, k + 1)))])
    log_probabilities = log_factorials[k] - log_factorials[counts].sum(axis=1)
    present = mu > 0
    log_probabilities += counts[:, present] @ np.log(mu[present])
    log_probabilities[counts[:, ~present].any(axis=1)] = -np.inf
    probabilities = np.exp(log_probabilities)
    return probabilities / probabilities.sum()


def minimum_temperature(env: Environment, options: LocalAgent) -> float:
    """Return the lowest temperature of the softmax, in units of reward."""
    if options.softmax_temperature_unit == "reward":
        return options.softmax_temperature_min
    span = float(np.ptp(env.reward_local))
    # Where all rewards are the same, so are all actions, at any temperature.
    return options.softmax_temperature_min * (span / REWARD_SPAN_OF_ROBOTS) if span else options.softmax_temperature_min


def share_at_minimum(q: Array, scale: float, minimum: float) -> float:
    """Return the share of (s_g, s_l) with different action values whose temperature is the minimum."""
    ranges = np.ptp(q, axis=-1)
    differ = ranges > SAME * float(np.abs(q).max())
    return float((differ & (ranges / scale < minimum)).mean())


def softmax_policy(q: Array, *, scale: float, minimum: float) -> Array:
    """Return the softmax of Q over its last axis, at a temperature that grows with Q's range."""
    best = q.max(axis=-1, keepdims=True)
    temperature = np.maximum(minimum, (best - q.min(axis=-1, keepdims=True)) / scale)
    weights = np.exp((q - best) / temperature)
    return weights / weights.sum(axis=-1, keepdims=True)
