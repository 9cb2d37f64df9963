"""The best that the global and the local agents could reach together, when the global agent sees everyone.

Pairs are symmetric: one policy pi_l(a_l | s_g, s_l) for all local agents. The best answer to it that sees all
n agents is G-LEARN's at k = n, whose value is what the pair earns. So a local policy is worth what it earns with
that answer, and the search is among local policies alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distmarl.equilibrium.deviations import greedy_response
from distmarl.learning.averages import solve_surrogate
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.environment import Environment
from distmarl.model.policies import uniform_local_policy
from distmarl.model.random_streams import Role, Seed, random_stream
from distmarl.values.exact_return import ExactReturn, PopulationValue, expected_at_start

# Error allowed in the first look at every policy, as a share of the largest difference between returns.
FIRST_LOOK = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The best policy that sees all agents, against a local policy.

    Attributes
    ----------
    global_policy : ndarray of int, shape (G, C_n)
        The answer.
    value : ndarray, shape (G, C_n)
        What the pair earns from each state.
    worth : ExactReturn
        What it earns from the start.
    """

    global_policy: GlobalPolicy
    value: Array
    worth: ExactReturn


def best_answer(
    env: Environment, local_policy: Array, *, tolerance: float, initial_value: Array | None = None
) -> Answer:
    """Return the best global policy that sees all agents, by G-LEARN at k = n with exact transitions."""
    found = solve_surrogate(env, local_policy, k=env.n_agents, tolerance=tolerance, initial_value=initial_value)
    worth = expected_at_start(env, PopulationValue(found.value, found.bound, found.n_iterations))
    return Answer(found.policy, found.value, worth)


def n_deterministic_policies(env: Environment) -> int:
    """Return the number of deterministic local policies, A_l^(G L)."""
    return env.n_local_actions ** (env.n_global_states * env.n_local_states)


def best_deterministic(env: Environment, *, tolerance: float) -> ExactReturn:
    """Return what the best deterministic local policy is worth, by looking at every one.

    The first look is rough. Only policies that may still be the best, by their certified errors, get a second.
    """
    largest_difference = float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)
    policies = _deterministic_policies(env)
    rough = list(_worths(env, policies, tolerance=max(tolerance, FIRST_LOOK * largest_difference)))
    most = np.array([worth.value + worth.bound for worth in rough])
    least = max(worth.value - worth.bound for worth in rough)
    candidates = [policies[number] for number in np.flatnonzero(most >= least)]
    precise = list(_worths(env, candidates, tolerance=tolerance))
    best = max(precise, key=lambda worth: worth.value)
    return dataclasses.replace(best, bound=max(worth.bound for worth in precise))


def best_of_alternations(
    env: Environment, local_policy: Array, *, tolerance: float, n_starts: int, seed: Seed
) -> ExactReturn:
    """Return what the best pair of several alternations of best responses is worth.

    The first starts from ``local_policy``, the second from the uniform policy, the others from
    random deterministic ones. Each goes on for as long as the pair becomes better.
    """
    shape = (env.n_global_states, env.n_local_states)
    starts = [local_policy, uniform_local_policy(env)]
    for number in range(2, n_starts):
        rng = random_stream(seed, Role.WELFARE, number)
        starts.append(np.eye(env.n_local_actions)[rng.integers(env.n_local_actions, size=shape)])
    found = [_alternate(env, start, tolerance=tolerance) for start in starts[:n_starts]]
    return max(found, key=lambda worth: worth.value)


def _alternate(env: Environment, local_policy: Array, *, tolerance: float) -> ExactReturn:
    """Alternate best responses from a local policy, greedy ones of the local agents, for as long as they pay."""
    best = best_answer(env, local_policy, tolerance=tolerance)
    while True:
        local_policy = greedy_response(
            env, best.global_policy, local_policy, k=env.n_agents, observation="included", tolerance=tolerance
        )
        proposed = best_answer(env, local_policy, tolerance=tolerance, initial_value=best.value)
        # By more than the error, so that rounding cannot keep it going.
        if proposed.worth.value <= best.worth.value + tolerance:
            return best.worth
        best = proposed


def _deterministic_policies(env: Environment) -> list[Array]:
    """Return every deterministic local policy, (G, L, A_l) each, neighbours differing little."""
    n_global, n_local, n_actions = env.reward_local.shape
    actions = itertools.product(range(n_actions), repeat=n_global * n_local)
    return [np.eye(n_actions)[np.reshape(chosen, (n_global, n_local))] for chosen in actions]


def _worths(env: Environment, policies: list[Array], *, tolerance: float) -> Iterator[ExactReturn]:
    """Yield what each local policy is worth, each value iteration starting from the last one's value."""
    initial_value: Array | None = None
    for policy in policies:
        answer = best_answer(env, policy, tolerance=tolerance, initial_value=initial_value)
        initial_value = answer.value
        yield answer.worth
