"""What one side could play while the other keeps its policy.

The best policy that sees k of n agents, or (s_g, s_l) alone, solves a partially observed problem. So these are
candidates: policies that the side could really play, each of which bounds from below what the best would earn.

A candidate takes the values of someone who sees more, or less, and averages them over what its player does not know:
for the global agent see :mod:`distmarl.learning.best.averages`. Where it sees classes of local states, its candidates
come from the game of classes (:mod:`distmarl.learning.aggregation`), so that they are functions of what it sees.
"""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

import numpy as np

from distmarl.equilibrium.deviator import DeviatorChain
from distmarl.errors import InvalidArgumentError
from distmarl.learning.aggregation import game_of_classes, occupancy_of
from distmarl.learning.best.averages import UNVISITED, averaged_answers, distinct, mean_field_given_global
from distmarl.learning.g_learn import GLearnResult
from distmarl.learning.l_learn import learn_local, multinomial_probabilities
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.environment import Environment
from distmarl.model.options import LocalAgent, ObservationKind
from distmarl.values.value_iteration import MAX_ITERATIONS, ValueIterationResult, greedy_actions

OBSERVATIONS: tuple[ObservationKind, ...] = get_args(ObservationKind)


def game_that_is_seen(
    env: Environment, global_policy: GlobalPolicy, local_policy: Array, *, k: int
) -> tuple[Environment, Array]:
    """Return the game whose local states are what the global agent sees, and the local policy in it.

    Where these are classes, their states are weighed by how long agents are there under the pair.
    """
    if env.sees_states:
        return env, local_policy
    return game_of_classes(env, local_policy, occupancy_of(env, local_policy, global_policy, k=k))


def others_given_global(env: Environment, global_policy: GlobalPolicy, local_policy: Array, *, k: int) -> Array:
    """Return where an agent is given s_g under the pair, (G, L): in the long run, or discounted where classes are seen.

    The latter is what states are weighed by within classes, too.
    """
    if env.sees_states:
        return mean_field_given_global(env, global_policy, local_policy, k=k)
    occupancy = occupancy_of(env, local_policy, global_policy, k=k)
    occupancy += UNVISITED * occupancy.sum(axis=0)
    return occupancy / occupancy.sum(axis=1, keepdims=True)


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
    """Return global policies that see k agents, each of shape (G, C), in a game whose local states are what is seen.

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
        with suppress(InvalidArgumentError):
            policies += averaged_answers(env, local_policy, mean_field, k=k, size=size, tolerance=tolerance)
    return distinct(policies)


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
