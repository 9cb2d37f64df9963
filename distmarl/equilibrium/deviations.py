"""What one side could play while the other keeps its policy.

The best policy that sees k of n agents, or (s_g, s_l) alone, solves a partially observed problem. So these are
candidates: policies that the side could really play, each of which bounds from below what the best would earn.

A candidate takes the values of someone who sees more, or less, and averages them over what its
player does not know. What a global agent has seen is z; the others are drawn as from an urn that holds z and
a concentration alpha (Pólya's, the law of agents with Dirichlet shares):

    (U f)(z) = sum_j (z_j + alpha_j) / (|z| + |alpha|) f(z + e_j)

completes z by one agent. Elevation (:mod:`distmarl.dynamics.population`) leaves one out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.population import elevate
from distmarl.dynamics.transitions.exact import exact_transitions
from distmarl.equilibrium.deviator import DeviatorChain
from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import GLearnResult, estimated_bytes, learn_global
from distmarl.learning.l_learn import induced_global_kernel, learn_local, multinomial_probabilities
from distmarl.learning.mean_field import find_mean_field
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.counts import count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.model.options import GlobalAgent, LocalAgent, ObservationKind
from distmarl.model.policies import local_kernel, local_reward
from distmarl.values.value_iteration import MAX_ITERATIONS, ValueIterationResult, greedy_actions

AnyPolicy = TypeVar("AnyPolicy", bound=NDArray[Any])

OBSERVATIONS: tuple[ObservationKind, ...] = get_args(ObservationKind)
# How many agents' worth of the mean field the urn holds: the more, the less the seen agents say about the others.
URN_SIZES = (20.0, 100.0, 1e6)
UNVISITED = 1e-12


def solve_surrogate(
    env: Environment, local_policy: Array, *, k: int, tolerance: float, initial_value: Array | None = None
) -> GLearnResult:
    """Return G-LEARN's result with exact transitions."""
    return learn_global(env, local_policy, k=k, options=_exactly(tolerance), initial_value=initial_value)


def surrogate_bytes(env: Environment, k: int) -> int:
    """Return about how much memory :func:`solve_surrogate` takes, in bytes."""
    return estimated_bytes(env, k=k, options=_exactly())


def _exactly(tolerance: float = GlobalAgent.convergence_threshold) -> GlobalAgent:
    return GlobalAgent(transitions="exact", convergence_threshold=tolerance, max_vi_iterations=MAX_ITERATIONS)


def greedy_response(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    *,
    k: int,
    observation: ObservationKind,
    tolerance: float,
) -> Array:
    """Return L-LEARN's best action everywhere, as a policy (G, L, A_l)."""
    options = LocalAgent(
        policy="greedy",
        observation=observation,
        convergence_threshold=tolerance,
        max_vi_iterations=MAX_ITERATIONS,
    )
    return learn_local(env, global_policy, local_policy, k=k, options=options).policy


def global_deviations(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    optimum: GLearnResult,
    *,
    k: int,
    largest: int,
    tolerance: float,
) -> list[GlobalPolicy]:
    """Return global policies that see k agents, each of shape (G, C).

    The first is that of ``optimum``, G-LEARN's at k; at k = n it is the best of all, and the only one. The others take
    G-LEARN's action values at k - 1, at k + 1 and at ``largest``, averaged over which agents are left out or
    completed, by urns of the mean field under ``global_policy``. Sizes at which exact transitions lose too many digits
    are passed over.
    """
    if k == env.n_agents:
        return [optimum.policy]
    mean_field = mean_field_given_global(env, global_policy, local_policy, k=k)
    policies = [optimum.policy]
    for size in sorted({k - 1, k + 1, max(largest, k + 1)} - {0}):
        try:
            values, bound = global_action_values(env, local_policy, k=size, tolerance=tolerance)
        except InvalidArgumentError:
            continue
        for averaged in _averages(values, mean_field, size, k):
            policies.append(greedy_actions(averaged, bound=bound, axis=-1).T.astype(optimum.policy.dtype))
    return distinct(policies)


def global_action_values(env: Environment, local_policy: Array, *, k: int, tolerance: float) -> tuple[Array, float]:
    """Return Q*(s_g, z, a_g) of the surrogate MDP up to what all actions share, shape (C, G, A_g), and its error."""
    found = solve_surrogate(env, local_policy, k=k, tolerance=tolerance)
    kernel, reward = local_kernel(env, local_policy), local_reward(env, local_policy)
    transitions = exact_transitions(env, kernel, reward, k=k, tolerance=tolerance)
    value = np.ascontiguousarray(found.value.T)
    values = np.empty((len(value), env.n_global_states, env.n_global_actions))
    for s_g in range(env.n_global_states):
        values[:, s_g] = env.reward_global[s_g]
        values[:, s_g] += transitions.expect(s_g, value) @ (env.gamma * env.transition_global[s_g].T)
    return values, found.bound


def complete(values: Array, concentration: Array, *, k: int) -> Array:
    """Return the mean of ``values`` when k agents are completed by one, drawn from the urn.

    ``values`` are functions of the count vectors of k + 1 agents for each s_g, (C', G, m); what is returned, of those
    of k agents, (C, G, m). The urn holds ``concentration``, (G, L), beside the k agents.
    """
    n_states = concentration.shape[1]
    counts = count_vectors(k, n_states)
    weights = (counts[:, None, :] + concentration) / (k + concentration.sum(axis=1, keepdims=True))
    completed = np.zeros((len(counts), *values.shape[1:]))
    for state, unit in enumerate(np.eye(n_states, dtype=np.int64)):
        completed += weights[:, :, state, None] * values[rank_valid(counts + unit, k + 1)]
    return completed


def mean_field_given_global(env: Environment, global_policy: GlobalPolicy, local_policy: Array, *, k: int) -> Array:
    """Return the distribution of a local agent in the long run given s_g, shape (G, L).

    The global state moves by L-LEARN's induced kernel. Given a global state that is never visited, it is
    the mean field itself.
    """
    kernel = local_kernel(env, local_policy)
    overall = find_mean_field(kernel, env.initial_local_concentration).distribution
    moves = induced_global_kernel(env, global_policy, overall, k=k)
    n_states = kernel.shape[0] * kernel.shape[1]
    joint = np.einsum("gh,glm->glhm", moves, kernel).reshape(1, n_states, n_states)
    start = np.outer(env.initial_global, env.initial_local_concentration).ravel()
    visited = find_mean_field(joint, start).distribution.reshape(kernel.shape[:2]) + UNVISITED * overall
    return visited / visited.sum(axis=1, keepdims=True)


def _averages(values: Array, mean_field: Array, size: int, k: int) -> Iterator[Array]:
    """Yield action values for an observer of k agents, (C, G, A_g), from those for one of another size."""
    if size < k:
        flat = values.reshape(len(values), -1)
        for n_agents in range(size, k):
            flat = elevate(flat, k=n_agents, n_states=mean_field.shape[1])
        yield flat.reshape(-1, *values.shape[1:])
        return
    for urn_size in URN_SIZES:
        averaged = values
        for n_agents in reversed(range(k, size)):
            averaged = complete(averaged, urn_size * mean_field, k=n_agents)
        yield averaged


def local_deviations(
    env: Environment, global_policy: GlobalPolicy, local_policy: Array, *, k: int, tolerance: float
) -> list[Array]:
    """Return deterministic policies of one local agent, each of shape (G, L, A_l): greedy L-LEARN.

    It reckons with the mean field of ``local_policy``: once as an agent that is never seen, and once as one that is
    among the k with probability k/n.
    """
    return distinct(
        [
            greedy_response(env, global_policy, local_policy, k=k, observation=observation, tolerance=tolerance)
            for observation in OBSERVATIONS
        ]
    )


def averaged_deviation(env: Environment, chain: DeviatorChain, best: ValueIterationResult, mean_field: Array) -> Array:
    """Return the policy of a local agent that averages, over the others, the values of one that sees them.

    ``best`` is the solution of the latter's problem, ``chain``. The others are drawn from ``mean_field``, (G, L), given
    s_g. The policy is an array (G, L, A_l).
    """
    weights = np.array([multinomial_probabilities(row, k=env.n_agents - 1) for row in mean_field])
    q = chain.averaged_action_values(best, weights)
    return np.eye(env.n_local_actions)[greedy_actions(q, bound=best.bound, axis=-1)]


def distinct(policies: list[AnyPolicy]) -> list[AnyPolicy]:
    """Return the policies without repetitions."""
    return list({policy.tobytes(): policy for policy in policies}.values())
