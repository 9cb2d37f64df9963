"""The gaps of a pair of policies without sampling, from the chains of the population and of one deviator."""

from __future__ import annotations

import dataclasses

import numpy as np

from distmarl.dynamics.population import global_action_law
from distmarl.equilibrium.ceilings.gains import most_by_anyone
from distmarl.equilibrium.deviations import (
    averaged_deviation,
    game_that_is_seen,
    global_deviations,
    local_deviations,
    others_given_global,
)
from distmarl.equilibrium.deviator import DeviatorChain, Utility
from distmarl.equilibrium.quantity import Kind, Quantity
from distmarl.equilibrium.welfare import Welfare, informed_worth
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.averages import distinct, solve_surrogate
from distmarl.learning.g_learn import GLearnResult
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.environment import Environment
from distmarl.values.exact_return import (
    ExactReturn,
    PopulationValue,
    exact_return,
    expected_at_start,
    population_value,
)


def exact_gaps(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    *,
    k: int,
    utility: Utility,
    tolerance: float,
    welfare: Welfare,
    max_vectors: int,
) -> dict[str, Quantity]:
    """Return every gap, by its name in :class:`distmarl.NashGap`. Arguments are those of :func:`distmarl.nash_gap`."""
    accuracy = tolerance / 2  # for each of the two values that a gap is the difference of
    try:
        joint = exact_return(env, global_policy, local_policy, k=k, tolerance=accuracy)
        seen, policy = game_that_is_seen(env, global_policy, local_policy, k=k)
        optimum = solve_surrogate(seen, policy, k=k, tolerance=accuracy)
        surrogate = surrogate_gap(seen, global_policy, policy, optimum, k=k, tolerance=accuracy)
        surrogate = named_by_what_is_seen(env, surrogate)
        answer = optimum if k == env.n_agents and env.sees_states else None
        informed = informed_worth(env.with_states_seen(), local_policy, tolerance=accuracy, found=answer)
        globally = global_gap(env, global_policy, local_policy, optimum, informed, joint, k=k, tolerance=accuracy)
        locally = local_gap(env, global_policy, local_policy, joint, k=k, utility=utility, tolerance=accuracy)
    except InvalidArgumentError as error:
        # The arguments have been checked, so it is about precision.
        raise InvalidArgumentError(
            f"tolerance: exact gaps cannot be certified to {tolerance:g}; use a larger one, or method='estimate' "
            f"({error})"
        ) from error
    present = Quantity(joint.value, joint.bound, "exact", "E sum gamma^t r of the pair")
    return {
        "joint_value": present,
        "surrogate": surrogate,
        "global_lower": globally[0],
        "global_upper": globally[1],
        "local_lower": locally[0],
        "local_upper": locally[1],
        "welfare_lower": welfare_gap(welfare, informed, joint),
        "welfare_upper": most_by_anyone(env, present, horizon=None, kind="upper bound", max_vectors=max_vectors),
    }


def surrogate_gap(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    optimum: GLearnResult,
    *,
    k: int,
    tolerance: float,
) -> Quantity:
    """Return what G-LEARN could still gain in its own problem, which is the game of k agents that are all seen.

    ``env`` is the game whose local states are what is seen. ``optimum`` is its solution with exact transitions;
    ``tolerance`` is for the value of the pair.
    """
    surrogate = dataclasses.replace(env, n_agents=k)
    found = exact_return(surrogate, global_policy, local_policy, k=k, tolerance=tolerance)
    best = expected_at_start(surrogate, PopulationValue(optimum.value, optimum.bound, optimum.n_iterations))
    return _gain([best], found, "exact", f"V* - V of pi_g in the surrogate MDP of {k} agents")


def named_by_what_is_seen(env: Environment, surrogate: Quantity) -> Quantity:
    """Return the surrogate gap with the words that it is about a game of classes, where it is."""
    if env.sees_states:
        return surrogate
    return dataclasses.replace(surrogate, of=f"{surrogate.of} in {env.n_classes} classes, weighed as the pair is there")


def global_gap(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    optimum: GLearnResult,
    informed: ExactReturn,
    joint: ExactReturn,
    *,
    k: int,
    tolerance: float,
) -> tuple[Quantity, Quantity]:
    """Return the bracket of what a better global policy would gain over ``joint``; ``informed`` is what sees all."""
    seen, policy = game_that_is_seen(env, global_policy, local_policy, k=k)
    deviations = global_deviations(seen, global_policy, policy, optimum, k=k, largest=env.n_agents, tolerance=tolerance)
    returns = [exact_return(env, policy, local_policy, k=k, tolerance=tolerance) for policy in deviations]
    if k == env.n_agents and env.sees_states:
        of = f"gain of the best global policy, which sees all {k} agents"
        return _gain(returns, joint, "exact", of, floor=0.0), _gain([informed], joint, "exact", of)
    return (
        _gain(returns, joint, "lower bound", f"gain of the best global policy that sees {k} agents", floor=0.0),
        _gain([informed], joint, "upper bound", f"gain of the best global policy that sees {k} agents"),
    )


def local_gap(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    joint: ExactReturn,
    *,
    k: int,
    utility: Utility,
    tolerance: float,
) -> tuple[Quantity, Quantity]:
    """Return the bracket of what a better policy of one local agent would gain, all others as they are."""
    action_law = global_action_law(env, global_policy, k=k)
    present = joint
    if utility == "own":
        # Agents are alike, so each of them has the mean of all: what the system earns without r_g.
        without = dataclasses.replace(env, reward_global=np.zeros_like(env.reward_global))
        present = expected_at_start(without, population_value(without, action_law, local_policy, tolerance=tolerance))
    chain = DeviatorChain(env, action_law, local_policy, utility=utility, tolerance=tolerance)
    best = chain.solve()
    deviations = local_deviations(env, global_policy, local_policy, k=k, tolerance=tolerance)
    mean_field = others_given_global(env, global_policy, local_policy, k=k)
    deviations = distinct([*deviations, averaged_deviation(env, chain, best, mean_field)])
    of = f"gain of the best policy of one local agent on (s_g, s_l), in {utility} utility"
    return (
        _gain([chain.evaluate(policy) for policy in deviations], present, "lower bound", of, floor=0.0),
        _gain([chain.at_start(best)], present, "upper bound", of),
    )


def welfare_gap(welfare: Welfare, informed: ExactReturn, joint: ExactReturn) -> Quantity:
    """Return what the best pair would gain over ``joint``, with a global agent that sees everyone.

    ``informed`` is what such a global agent earns with the present local policy.
    """
    among = f"found from {welfare.n_starts} start{'s' * (welfare.n_starts > 1)}"
    if welfare.is_exhaustive:
        among = f"among the present and {welfare.n_policies:,} deterministic local policies"
    kind: Kind = "exact" if welfare.is_exhaustive else "lower bound"
    of = f"gain of the best full-information pair {among}"
    if welfare.value is None or welfare.error is None:
        return Quantity(None, None, kind, of, welfare.reason)
    best = ExactReturn(welfare.value, welfare.error, 0)
    return _gain([informed, best], joint, kind, of, floor=-np.inf if welfare.is_exhaustive else 0.0)


def _gain(returns: list[ExactReturn], present: ExactReturn, kind: Kind, of: str, *, floor: float = -np.inf) -> Quantity:
    """Return how much more the best of some returns is than the present one."""
    best = max(found.value for found in returns)
    error = max(found.bound for found in returns) + present.bound
    return Quantity(max(best - present.value, floor), error, kind, of)
