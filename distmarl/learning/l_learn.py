"""L-LEARN: the best response of one local agent to a fixed global policy.

The population around the agent is replaced by its mean field mu, so the global state moves by

    P(s' | s_g) = E[P_g(s' | s_g, pi_g(s_g, z))],   z ~ Multinomial(k, mu),

an exact sum over all count vectors, and the agent solves an MDP on (s_g, s_l),

    Q(s_g, s_l, a) = r_l + gamma sum_{s_l'} P_l(s_l' | s_l, s_g, a) sum_{s'} P(s' | s_g) V(s', s_l').

The policy is a softmax over Q (arXiv 2603.03759).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distmarl.config.sections import LocalAgent
from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import check_iteration_arguments
from distmarl.learning.mean_field import MeanField, find_mean_field
from distmarl.learning.value_iteration import iterate_values
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy, local_kernel, read_only


@dataclass(frozen=True, slots=True, eq=False)
class LLearnResult:
    """What L-LEARN found, with its certificate.

    Attributes
    ----------
    policy : ndarray, shape (G, L, A_l)
        Softmax policy over Q.
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
    """

    policy: NDArray[np.float64]
    value: NDArray[np.float64]
    n_iterations: int
    bound: float
    converged: bool
    mean_field: MeanField


def l_learn(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    convergence_threshold: float = LocalAgent.convergence_threshold,
    max_vi_iterations: int = LocalAgent.max_vi_iterations,
    softmax_temperature_scale: float = LocalAgent.softmax_temperature_scale,
    softmax_temperature_min: float = LocalAgent.softmax_temperature_min,
) -> LLearnResult:
    """Find a local agent's softmax best response to ``global_policy``.

    Parameters
    ----------
    env : Environment
        The game.
    global_policy : array_like of int, shape (G, C)
        pi_g over the count vectors of ``k`` agents.
    local_policy : array_like, shape (G, L, A_l)
        The policy that the population follows now; its mean field is used.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    convergence_threshold : float
        Stop once the certified error of the value is at most this.
    max_vi_iterations : int
        Sweep at most this often; reaching it shows as ``converged = False``.
    softmax_temperature_scale, softmax_temperature_min : float
        The temperature is ``max(min, (max_a Q - min_a Q) / scale)`` for each (s_g, s_l).

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape.
    """
    k = checked_k(env, k)
    policy = checked_local_policy(env, local_policy)
    check_iteration_arguments(convergence_threshold, max_vi_iterations)
    for name, number in (
        ("softmax_temperature_scale", softmax_temperature_scale),
        ("softmax_temperature_min", softmax_temperature_min),
    ):
        if not number > 0:
            raise InvalidArgumentError(f"{name}: must be positive, got {number!r}")
    mean_field = find_mean_field(local_kernel(env, policy), env.initial_local_concentration)
    global_kernel = induced_global_kernel(
        env, checked_global_policy(env, global_policy, k), mean_field.distribution, k=k
    )

    def action_values(value: NDArray[np.float64]) -> NDArray[np.float64]:
        expected = global_kernel @ value
        return env.reward_local + env.gamma * np.einsum("glam,gm->gla", env.transition_local, expected)

    solution = iterate_values(
        lambda value: action_values(value).max(axis=-1),
        np.zeros((env.n_global_states, env.n_local_states)),
        gamma=env.gamma,
        relative_error=(env.n_global_states + env.n_local_states) * float(np.finfo(np.float64).eps),
        convergence_threshold=convergence_threshold,
        max_iterations=max_vi_iterations,
    )
    return LLearnResult(
        policy=read_only(
            softmax_policy(
                action_values(solution.value), scale=softmax_temperature_scale, minimum=softmax_temperature_min
            )
        ),
        value=read_only(solution.value),
        n_iterations=solution.n_iterations,
        bound=solution.bound,
        converged=solution.converged,
        mean_field=mean_field,
    )


def induced_global_kernel(
    env: Environment, global_policy: NDArray[np.integer], mu: NDArray[np.float64], *, k: int
) -> NDArray[np.float64]:
    """Return P(s' | s_g) = E[P_g(s' | s_g, pi_g(s_g, z))], z ~ Multinomial(k, mu), shape (G, G)."""
    probabilities = multinomial_probabilities(mu, k=k)
    kernel = np.empty((env.n_global_states, env.n_global_states))
    for s_g, actions in enumerate(global_policy):
        action_probabilities = np.bincount(actions, weights=probabilities, minlength=env.n_global_actions)
        kernel[s_g] = action_probabilities @ env.transition_global[s_g]
    return kernel / kernel.sum(axis=-1, keepdims=True)


def multinomial_probabilities(mu: NDArray[np.float64], *, k: int) -> NDArray[np.float64]:
    """Return the probability of each count vector of k agents drawn from ``mu``, shape (L,) to (C,)."""
    counts = count_vectors(k, len(mu))
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, k + 1)))])
    log_probabilities = log_factorials[k] - log_factorials[counts].sum(axis=1)
    present = mu > 0
    log_probabilities += counts[:, present] @ np.log(mu[present])
    log_probabilities[counts[:, ~present].any(axis=1)] = -np.inf
    probabilities = np.exp(log_probabilities)
    return probabilities / probabilities.sum()


def softmax_policy(q: NDArray[np.float64], *, scale: float, minimum: float) -> NDArray[np.float64]:
    """Return the softmax of Q over its last axis, at a temperature that grows with Q's range."""
    best = q.max(axis=-1, keepdims=True)
    temperature = np.maximum(minimum, (best - q.min(axis=-1, keepdims=True)) / scale)
    weights = np.exp((q - best) / temperature)
    return weights / weights.sum(axis=-1, keepdims=True)
