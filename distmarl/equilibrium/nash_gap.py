"""How far a pair of policies is from an equilibrium, and from the best that could be.

- The *surrogate gap* is what G-LEARN has left on the table in its own problem, by sampling or rounding.
- The *global gap* is what the best global policy would gain against the local policy.
- The *local gap* is what one local agent would gain by the best policy of its own, all others as they are.
- The *welfare gap* is what the best pair would gain, the global agent seeing everyone and the local agents being alike.

The best policy that sees k of n agents, or (s_g, s_l) alone, solves a partially observed problem. So the global
and the local gap are brackets: below, the best of some policies that could really be played; above, the
best policy that sees everything. In an approximate Nash equilibrium both gaps are small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, get_args

from numpy.typing import ArrayLike

from distmarl.equilibrium.ceilings.sizes import SMALL_VECTORS
from distmarl.equilibrium.deviator import Utility, deviator_bytes
from distmarl.equilibrium.estimated_gaps import N_ROLLOUTS, estimated_gap_bytes, estimated_gaps
from distmarl.equilibrium.exact_gaps import exact_gaps
from distmarl.equilibrium.quantity import Quantity
from distmarl.equilibrium.welfare import Welfare, best_welfare
from distmarl.learning.best.averages import surrogate_bytes
from distmarl.model.checks import check_choice, checked_integer, checked_tolerance
from distmarl.model.environment import Environment
from distmarl.model.options import Experiment
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy
from distmarl.model.random_streams import Role, Seed, random_stream
from distmarl.values.exact_return import MAX_BYTES, population_bytes, population_refusal

GapMethod: TypeAlias = Literal["exact", "estimate"]

TRUNCATED_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class NashGap:
    """What a pair of policies is worth, and what deviations from it would gain.

    Every number is a :class:`Quantity`, which carries its error and its kind. Gains are in units of discounted return.

    Attributes
    ----------
    k, n_agents : int
        Number of agents that the global agent sees, and of all.
    method : {"exact", "estimate"}
        Without sampling, or by paired rollouts.
    utility : {"team", "own"}
        What a local agent that deviates is after.
    horizon : int or None
        Steps that the returns are over; None for all steps to come (``exact``, and always the surrogate gap).
    joint_value : Quantity
        J, the expected return of the pair.
    surrogate : Quantity
        V* - V of pi_g in the surrogate MDP, under the start distribution.
    global_lower, global_upper : Quantity
        Bracket of what the best global policy that sees k agents would gain; at k = n they are the same number.
    local_lower, local_upper : Quantity
        Bracket of what the best policy of one local agent on (s_g, s_l) would gain.
    welfare_lower : Quantity
        What the best pair found would gain (:func:`best_welfare`). Its kind is ``exact`` where all deterministic local
        policies were compared: it is then the best of those and the present one.
    welfare_upper : Quantity
        What no policies whatever gain more than, also ones that tell every agent what to do: the ceiling of
        :func:`value_bound` less the joint value.
    """

    k: int
    n_agents: int
    method: GapMethod
    utility: Utility
    horizon: int | None
    joint_value: Quantity
    surrogate: Quantity
    global_lower: Quantity
    global_upper: Quantity
    local_lower: Quantity
    local_upper: Quantity
    welfare_lower: Quantity
    welfare_upper: Quantity

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Every number by its name, from ``joint_value`` to ``welfare_upper``."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.type == "Quantity"}

    def __str__(self) -> str:
        lines = [f"  {name:13} {quantity}" for name, quantity in self.quantities.items()]
        return "\n".join([f"NashGap of k={self.k} of n_agents={self.n_agents}:", *lines])


def nash_gap(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    method: GapMethod = "exact",
    utility: Utility = "team",
    tolerance: float = 1e-6,
    welfare: Welfare | None = None,
    max_enumerated: int = Experiment.welfare_max_enumerated,
    n_starts: int | None = Experiment.welfare_starts,
    max_vectors: int = SMALL_VECTORS,
    seed: Seed = 0,
    n_rollouts: int = N_ROLLOUTS,
    horizon: int | None = None,
) -> NashGap:
    """Tell how far a pair of policies is from a Nash equilibrium.

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
    method : {"exact", "estimate"}
        ``exact`` is without sampling; ``estimate`` simulates the pair and its deviations, for any number of agents.
    utility : {"team", "own"}
        What a deviating local agent is after: the system's return, or E sum gamma^t r_l(s_i, s_g, a_i), which is
        not divided by n.
    tolerance : float
        Certified error that each exact gap may have.
    welfare : Welfare, optional
        The best pair, as :func:`best_welfare` finds it (``exact`` only): it is the same for all pairs of a game. By
        default it is searched for.
    max_enumerated, n_starts : int, optional
        Bounds on the effort of that search.
    max_vectors : int
        Size of the game whose optimum bounds the welfare from above, as in :func:`value_bound`; the larger, the closer.
    seed : int or sequence of int
        Root of the random streams of random starts of that search, and of ``estimate``.
    n_rollouts : int
        Rollouts per deviation (``estimate`` only), and as many again to choose the deviation.
    horizon : int, optional
        Steps per rollout (``estimate`` only); by default until gamma^t is below 0.001. The estimates
        are about returns of as many steps.

    Returns
    -------
    NashGap
        What cannot be had has no value, but a reason: of ``estimate`` the local upper bound and the best pair, and
        whatever takes exact transitions of local policies that lose too many digits.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape; with ``exact``, when there are too many agents,
        or values cannot be certified to the tolerance.

    Notes
    -----
    The dearest part of ``exact`` is the chain of one deviating agent, on G·L·comb(n + L - 2, L - 1) states.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=3, n_global_states=2, n_local_states=2, n_global_actions=2)
    >>> pair = dm.train_alternating(env, k=1, transitions="exact", joint_value="exact", policy="greedy")
    >>> gap = dm.nash_gap(env, pair.global_policy, pair.local_policy, k=1)
    >>> round(gap.local_lower.value, 2), round(gap.local_upper.value, 2)  # what one local agent could gain
    (0.0, 3.73)
    """
    k = checked_k(env, k)
    behaviour = checked_global_policy(env, global_policy, k)
    policy = checked_local_policy(env, local_policy)
    check_choice("method", method, get_args(GapMethod))
    check_choice("utility", utility, get_args(Utility))
    tolerance = checked_tolerance(tolerance)
    max_enumerated = checked_integer("max_enumerated", max_enumerated, least=0)
    n_starts = None if n_starts is None else checked_integer("n_starts", n_starts)
    max_vectors = checked_integer("max_vectors", max_vectors)
    n_rollouts = checked_integer("n_rollouts", n_rollouts, least=2)
    horizon = None if horizon is None else checked_integer("horizon", horizon)
    random_stream(seed, Role.DEVIATION)  # refuses what is no seed
    if method == "exact":
        check_gap_size(env)
        if welfare is None:
            welfare = best_welfare(
                env, tolerance=tolerance / 2, max_enumerated=max_enumerated, n_starts=n_starts, seed=seed
            )
        gaps = exact_gaps(
            env,
            behaviour,
            policy,
            k=k,
            utility=utility,
            tolerance=tolerance,
            welfare=welfare,
            max_vectors=max_vectors,
        )
    else:
        horizon = _long_horizon(env.gamma) if horizon is None else horizon
        gaps = estimated_gaps(
            env,
            behaviour,
            policy,
            k=k,
            utility=utility,
            tolerance=tolerance,
            n_rollouts=n_rollouts,
            horizon=horizon,
            max_vectors=max_vectors,
            seed=seed,
        )
    steps = horizon if method == "estimate" else None
    return NashGap(k=k, n_agents=env.n_agents, method=method, utility=utility, horizon=steps, **gaps)


def _long_horizon(gamma: float) -> int:
    """Return the first step whose discount is negligible."""
    return 1 if gamma == 0 else max(1, math.ceil(math.log(TRUNCATED_SHARE) / math.log(gamma)))


def gap_bytes(env: Environment, *, k: int, method: GapMethod) -> int:
    """Return about how much memory :func:`nash_gap` takes, in bytes."""
    if method == "estimate":
        return estimated_gap_bytes(env, k)
    return surrogate_bytes(env, k) + max(population_bytes(env), deviator_bytes(env))


def check_gap_size(env: Environment, *, remedy: str = "use method='estimate'") -> None:
    """Refuse a population that is too large for exact gaps.

    Parameters
    ----------
    env : Environment
        The game.
    remedy : str
        What to do instead, for the message.

    Raises
    ------
    InvalidArgumentError
        When the arrays over its count vectors would take more memory than is allowed.
    """
    needed = population_bytes(env)
    if needed <= MAX_BYTES:
        needed = max(needed, deviator_bytes(env))
    if needed > MAX_BYTES:
        raise population_refusal(env, needed, "exact gaps over them would take at least", remedy)
