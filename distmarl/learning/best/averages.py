"""Answers of a global agent by averages over what it does not see.

G-LEARN at k takes the k agents that are seen for the whole population, and so overreacts where they are few. An answer
here takes the action values of someone who sees more, or less, and averages them over what is not known. What has
been seen is z; the others are drawn as from an urn that holds z and a concentration alpha (Pólya's, the law of agents
with Dirichlet shares):

    (U f)(z) = sum_j (z_j + alpha_j) / (|z| + |alpha|) f(z + e_j)

completes z by one agent. Elevation (:mod:`distmarl.dynamics.population`) leaves one out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.population import elevate
from distmarl.dynamics.transitions.exact import exact_transitions
from distmarl.learning.aggregation import class_masses, game_of_classes, occupancy_of
from distmarl.learning.g_learn import GLearnResult, estimated_bytes, learn_global
from distmarl.learning.l_learn import induced_global_kernel
from distmarl.learning.mean_field import find_mean_field
from distmarl.learning.surrogate_game import action_type
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.counts import count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.model.options import GlobalAgent
from distmarl.model.policies import local_kernel, local_reward
from distmarl.values.value_iteration import MAX_ITERATIONS, greedy_actions

AnyPolicy = TypeVar("AnyPolicy", bound=NDArray[Any])

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


def averaged_answers(
    env: Environment,
    local_policy: Array,
    mean_field: Array,
    *,
    k: int,
    size: int,
    tolerance: float,
    found: GLearnResult | None = None,
) -> Iterator[GlobalPolicy]:
    """Yield global policies that see k agents, (G, C), by the action values of one that sees ``size`` of them.

    The mean field, (G, B), is what the urns hold; ``found`` is G-LEARN's result at ``size``, if it is known.

    Raises
    ------
    InvalidArgumentError
        When exact transitions of so many agents lose too many digits.
    """
    values, bound = global_action_values(env, local_policy, k=size, tolerance=tolerance, found=found)
    dtype = action_type(env)
    for averaged in _averages(values, mean_field, size, k):
        yield greedy_actions(averaged, bound=bound, axis=-1).T.astype(dtype)


def global_action_values(
    env: Environment, local_policy: Array, *, k: int, tolerance: float, found: GLearnResult | None = None
) -> tuple[Array, float]:
    """Return Q*(s_g, z, a_g) of the surrogate MDP up to what all actions share, shape (C, G, A_g), and its error."""
    found = solve_surrogate(env, local_policy, k=k, tolerance=tolerance) if found is None else found
    if found.occupancy is not None:
        env, local_policy = game_of_classes(env, local_policy, found.occupancy)
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
    the mean field itself. Where the global agent sees classes of local states, what is returned is how they are
    occupied, discounted, shape (G, B).
    """
    if not env.sees_states:
        masses = class_masses(env, occupancy_of(env, local_policy, global_policy, k=k))
        masses += UNVISITED * masses.sum(axis=0)
        return masses / masses.sum(axis=1, keepdims=True)
    kernel = local_kernel(env, local_policy)
    overall = find_mean_field(kernel, env.initial_local_weights).distribution
    moves = induced_global_kernel(env, global_policy, overall, k=k)
    n_states = kernel.shape[0] * kernel.shape[1]
    joint = np.einsum("gh,glm->glhm", moves, kernel).reshape(1, n_states, n_states)
    start = np.outer(env.initial_global, env.initial_local_weights).ravel()
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


def distinct(policies: list[AnyPolicy]) -> list[AnyPolicy]:
    """Return the policies without repetitions."""
    return list({policy.tobytes(): policy for policy in policies}.values())
