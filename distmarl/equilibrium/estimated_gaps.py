"""Estimates of the gaps of a pair of policies where there are too many agents for exact values.

A deviation is simulated together with the pair (:mod:`distmarl.dynamics.paired_rollouts`), and the mean difference of
their returns estimates what it gains, which is a lower bound of what the best one would. The deviation is chosen on
rollouts of its own: the largest of several estimates on the same rollouts would be too large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from distmarl.dynamics.paired_rollouts import PairedReturns, paired_bytes, run_paired_rollouts
from distmarl.dynamics.population import global_action_law
from distmarl.equilibrium.ceilings.gains import most_by_anyone, most_by_global_agent
from distmarl.equilibrium.deviations import (
    averaged_deviation,
    game_that_is_seen,
    global_deviations,
    local_deviations,
    others_given_global,
)
from distmarl.equilibrium.deviator import DeviatorChain, Utility
from distmarl.equilibrium.exact_gaps import named_by_what_is_seen, surrogate_gap
from distmarl.equilibrium.quantity import Kind, Quantity
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.averages import distinct, solve_surrogate, surrogate_bytes
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed, random_stream
from distmarl.values.intervals import estimate_mean

# A global policy, and the policy of one local agent.
Deviation: TypeAlias = tuple[GlobalPolicy, Array]

# Rollouts of each deviation, unless nash_gap is told otherwise.
N_ROLLOUTS = 1000
GLOBAL_SIDE, LOCAL_SIDE = range(2)
CHOOSING, ESTIMATING = range(2)
# Smaller populations, in which deviations are looked for, are of so many more than k agents, and of so many count
# vectors: for a global agent that sees all of them, and for a local agent that is one of them.
MOST_UNSEEN = 30
MAX_SEEN, MAX_OTHERS = 50_000, 10_000
NEEDS_EXACT_VALUES = "needs exact values over all count vectors of the population: method='exact', with fewer agents"


def estimated_gaps(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    *,
    k: int,
    utility: Utility,
    tolerance: float,
    n_rollouts: int,
    horizon: int,
    max_vectors: int,
    seed: Seed,
) -> dict[str, Quantity]:
    """Return every gap, by its name in :class:`distmarl.NashGap`, whose arguments these are."""
    simulation = _Simulation(env, global_policy, local_policy, k, n_rollouts, horizon, seed)
    over = f"over {horizon} steps, by {n_rollouts:,} paired rollouts"
    of_global = f"gain of the best global policy that sees {k} agents"
    of_local = f"gain of the best policy of one local agent on (s_g, s_l), in {utility} utility"
    try:
        seen, policy_seen = game_that_is_seen(env, global_policy, local_policy, k=k)
        optimum = solve_surrogate(seen, policy_seen, k=k, tolerance=tolerance / 2)
        surrogate = surrogate_gap(seen, global_policy, policy_seen, optimum, k=k, tolerance=tolerance / 2)
        surrogate = named_by_what_is_seen(env, surrogate)
        policies = global_deviations(
            seen,
            global_policy,
            policy_seen,
            optimum,
            k=k,
            largest=_similar_size(env, k, env.n_classes, MAX_SEEN),
            tolerance=tolerance,
        )
    except InvalidArgumentError as error:
        # Exact transitions of k agents may lose too many digits, or not fit.
        surrogate = Quantity(None, None, "exact", f"V* - V of pi_g in the surrogate MDP of {k} agents", str(error))
        global_lower = Quantity(None, None, "estimate of a lower bound", f"{of_global}, {over}", str(error))
    else:
        deviations = [(policy, local_policy) for policy in policies]
        global_lower = simulation.best_gain(GLOBAL_SIDE, deviations, "team", f"{of_global}, {over}")
    own_policies = _local_deviations(env, global_policy, local_policy, k=k, utility=utility, tolerance=tolerance)
    deviations = [(global_policy, policy) for policy in own_policies]
    joint = simulation.joint_value(f"E sum gamma^t r of the pair, {over}")
    upper: Kind = "estimate of an upper bound"
    return {
        "joint_value": joint,
        "surrogate": surrogate,
        "global_lower": global_lower,
        "global_upper": most_by_global_agent(
            env, local_policy, joint, k=k, horizon=horizon, kind=upper, of=f"{of_global}, over {horizon} steps"
        ),
        "local_lower": simulation.best_gain(LOCAL_SIDE, deviations, utility, f"{of_local}, {over}"),
        "local_upper": Quantity(None, None, "upper bound", of_local, NEEDS_EXACT_VALUES),
        "welfare_lower": Quantity(
            None, None, "lower bound", "gain of the best full-information pair", NEEDS_EXACT_VALUES
        ),
        "welfare_upper": most_by_anyone(env, joint, horizon=horizon, kind=upper, max_vectors=max_vectors),
    }


def estimated_gap_bytes(env: Environment, k: int) -> int:
    """Return about how much memory :func:`estimated_gaps` takes, in bytes.

    Beside G-LEARN at k: the larger game in which deviations are looked for, and paired rollouts, in two worlds.
    """
    larger = _similar_size(env, k, env.n_classes, MAX_SEEN)
    action_values = 8 * n_count_vectors(larger, env.n_classes) * env.n_global_states * env.n_global_actions
    rollouts = paired_bytes(env, N_ROLLOUTS)
    return surrogate_bytes(env, k) + surrogate_bytes(env, larger) + 2 * action_values + rollouts


@dataclass(frozen=True, slots=True, eq=False)
class _Simulation:
    """Paired rollouts of a pair of policies and of deviations from it."""

    env: Environment
    global_policy: GlobalPolicy
    local_policy: Array
    k: int
    n_rollouts: int
    horizon: int
    seed: Seed

    def returns(self, deviation: Deviation, *stream: int) -> PairedReturns:
        """Simulate the pair and a deviation."""
        global_policy, own_policy = deviation
        return run_paired_rollouts(
            self.env,
            self.local_policy,
            (self.global_policy, global_policy),
            (self.local_policy, own_policy),
            k=self.k,
            n_rollouts=self.n_rollouts,
            horizon=self.horizon,
            rng=random_stream(self.seed, Role.DEVIATION, *stream),
        )

    def best_gain(self, side: int, deviations: list[Deviation], utility: Utility, of: str) -> Quantity:
        """Estimate what the best deviation gains: choose it on some rollouts, measure it on others."""

        def gains(deviation: Deviation, purpose: int) -> Array:
            pair, deviating = getattr(self.returns(deviation, side, purpose), utility)
            return deviating - pair

        chosen = deviations[0]
        if len(deviations) > 1:
            chosen = max(deviations, key=lambda deviation: float(gains(deviation, CHOOSING).mean()))
        return _estimate(gains(chosen, ESTIMATING), "estimate of a lower bound", of)

    def joint_value(self, of: str) -> Quantity:
        """Estimate what the pair earns."""
        pair = (self.global_policy, self.local_policy)
        return _estimate(self.returns(pair, LOCAL_SIDE, ESTIMATING).team[0], "estimate", of)


def _local_deviations(
    env: Environment, global_policy: GlobalPolicy, local_policy: Array, *, k: int, utility: Utility, tolerance: float
) -> list[Array]:
    """Return greedy L-LEARN policies of one local agent, and what is best for it in a smaller population.

    What an agent earns for the system, and how often it is seen, both shrink like 1/n, so nearly the same is best in
    both. Where that population has too many count vectors or its transitions lose too many digits, L-LEARN is all.
    """
    policies = local_deviations(env, global_policy, local_policy, k=k, tolerance=tolerance)
    size = _similar_size(env, k, env.n_local_states, MAX_OTHERS)
    if _n_vectors(size, env.n_local_states) > MAX_OTHERS:
        return policies
    smaller = replace(env, n_agents=size)
    law = global_action_law(smaller, global_policy, k=k)
    try:
        chain = DeviatorChain(smaller, law, local_policy, utility=utility, tolerance=tolerance)
    except InvalidArgumentError:
        return policies
    mean_field = others_given_global(env, global_policy, local_policy, k=k)
    return distinct([*policies, averaged_deviation(smaller, chain, chain.solve(), mean_field)])


def _similar_size(env: Environment, k: int, n_states: int, max_vectors: int) -> int:
    """Return a number of agents, from k to n, that have at most so many count vectors where k have."""
    size = min(k + MOST_UNSEEN, env.n_agents)
    while size > k and _n_vectors(size, n_states) > max_vectors:
        size -= 1
    return size


def _n_vectors(size: int, n_states: int) -> int:
    """Return the number of count vectors, however large."""
    return math.comb(size + n_states - 1, size)


def _estimate(sample: Array, kind: Kind, of: str) -> Quantity:
    """Return the mean of a sample, with half the width of its 95 % interval."""
    found = estimate_mean(sample)
    return Quantity(found.mean, (found.ci95_high - found.ci95_low) / 2, kind, of)
