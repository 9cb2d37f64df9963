"""What nobody earns more than, among any number of agents.

Optima of a few agents bound those of more (:mod:`distmarl.equilibrium.ceilings.control`). Two bounds of any control are
worked out, and the lower is taken: the optimum of all actions of m agents, and that of prescriptions with the
slack of convexity, where m may be larger. Against a given local policy it is G-LEARN's optimum at m.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.population import elevate
from distmarl.equilibrium.ceilings.answering import AnsweringControl
from distmarl.equilibrium.ceilings.control import Control, Solution, at_start, within_horizon
from distmarl.equilibrium.ceilings.joint import JointControl
from distmarl.equilibrium.ceilings.prescriptions import PrescriptionControl
from distmarl.equilibrium.ceilings.sizes import (
    SMALL_VECTORS,
    BoundMethod,
    ControlMethod,
    SizeLimits,
    check_sizes,
    largest_that_fits,
    prefers_prescriptions,
    size_of,
    sizes_of,
)
from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array
from distmarl.model.checks import check_choice, checked_integer, checked_tolerance
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_local_policy

CONTROL_METHODS: tuple[ControlMethod, ...] = get_args(ControlMethod)
TOLERANCE = 1e-3
NO_LIMITS = SizeLimits()
# Prescriptions are enough where their slack is at most this share of what they are below the bound of a few agents.
SMALL_SLACK = 0.5


@dataclass(frozen=True, slots=True)
class ValueBound:
    """An upper bound of what any pair of policies, or any global policy, earns.

    Attributes
    ----------
    value : float
        The bound, before the error.
    error : float
        Certified: nobody earns more than ``value + error``, which is :attr:`ceiling`.
    m : int
        Number of agents in the game whose optimum it is.
    method : {"joint", "prescriptions", "answer"}
        Over all actions of m agents; over prescriptions, with the slack of convexity; or over the
        actions of a global agent that sees m agents, against the given local policy.
    horizon : int or None
        Steps that the return is over; None for all steps to come.
    n_iterations : int
        Sweeps over all states of m agents.
    """

    value: float
    error: float
    m: int
    method: BoundMethod
    horizon: int | None
    n_iterations: int

    @property
    def ceiling(self) -> float:
        """What nobody earns more than."""
        return self.value + self.error


def value_bound(
    env: Environment,
    *,
    local_policy: ArrayLike | None = None,
    horizon: int | None = None,
    m: int | None = None,
    method: ControlMethod | None = None,
    max_vectors: int | None = None,
    tolerance: float = TOLERANCE,
) -> ValueBound:
    """Bound from above what can be earned in a game: by any policies, or by any global policy against a local one.

    Parameters
    ----------
    env : Environment
        The game.
    local_policy : array_like, shape (G, L, A_l), optional
        pi_l. With it, the bound is on what any global policy earns against it; without, on what any control
        of the n agents earns, also one that sees everything and tells every agent what to do.
    horizon : int, optional
        Number of steps that returns are over; by default all of them.
    m : int, optional
        Number of agents in the game that is solved, from 1 to ``env.n_agents``: the more, the lower the bound. By
        default the largest that fits ``max_vectors`` and the memory.
    method : {"joint", "prescriptions"}, optional
        Which bound on any control; by default the lower one, where ``joint`` is left out if prescriptions do nearly
        as well.
    max_vectors : int, optional
        Largest number of vectors that the game of m agents may have: by state and action for ``joint``, of states and
        prescriptions for ``prescriptions``, both 1,000,000 by default; by state against a local policy, 100,000.
    tolerance : float
        Largest error that value iteration may leave.

    Returns
    -------
    ValueBound
        Holds for returns from the start distribution, and for every number of agents from m on.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, the game of m agents does not fit, or the
        bound cannot be certified to the tolerance.

    Notes
    -----
    ``joint`` takes comb(m + L A_l - 1, m) vectors, and about comb(m + L A_l + L - 1, m) G² L multiply-adds a sweep;
    ``prescriptions`` takes A_l^L comb(m + L - 1, m) vectors, and L m G² / 2 times as many multiply-adds. A horizon
    takes up to as many more sweeps as it has steps.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=1000, n_global_states=2, n_local_states=2, n_global_actions=2)
    >>> bound = dm.value_bound(env, max_vectors=300)
    >>> bound.method, bound.m, round(bound.ceiling, 2)
    ('prescriptions', 32, 190.38)
    """
    limits = _checked_limits(env, m, max_vectors)
    horizons = [None if horizon is None else checked_integer("horizon", horizon)]
    tolerance = checked_tolerance(tolerance)
    if method is not None:
        check_choice("method", method, CONTROL_METHODS)
        if local_policy is not None:
            raise InvalidArgumentError(f"method: is for any control; leave it out with a local policy, got {method!r}")
    if local_policy is not None:
        policy = checked_local_policy(env, local_policy)
        return answer_bounds(env, policy, horizons, limits=limits, tolerance=tolerance)[0]
    methods = CONTROL_METHODS if method is None else (method,)
    return control_bounds(env, horizons, limits=limits, methods=methods, tolerance=tolerance)[0]


def control_bounds(
    env: Environment,
    horizons: Sequence[int | None],
    *,
    limits: SizeLimits = NO_LIMITS,
    methods: tuple[ControlMethod, ...] = CONTROL_METHODS,
    tolerance: float = TOLERANCE,
) -> list[ValueBound]:
    """Return a bound of any control over each of some horizons, None for all steps, by the method that is lower."""
    env = env.with_states_seen()
    check_sizes(env, methods, limits)
    found = min(_controls(env, limits, methods, tolerance / 2), key=lambda candidate: candidate.ceiling)
    return [found.bound(horizon, tolerance) for horizon in horizons]


def answer_bounds(
    env: Environment,
    local_policy: Array,
    horizons: Sequence[int | None],
    *,
    limits: SizeLimits = NO_LIMITS,
    tolerance: float = TOLERANCE,
) -> list[ValueBound]:
    """Return a bound of any global policy against a local one over each of some horizons, None for all steps."""
    env = env.with_states_seen()
    check_sizes(env, ("answer",), limits)
    m = size_of(env, "answer", limits)
    while True:
        assert m is not None  # checked above
        game = dataclasses.replace(env, n_agents=m)
        try:
            control = AnsweringControl(game, local_policy, tolerance / 4)
            break
        except InvalidArgumentError:
            # Exact transitions of so many agents lose too many digits; those of fewer do not.
            if limits.m is not None or m == 1:
                raise
            m = m // 2
    shape = (n_count_vectors(m, env.n_local_states), env.n_global_states)
    found = _Candidate(control, control.solve(np.zeros(shape), tolerance / 2), "answer")
    return [found.bound(horizon, tolerance) for horizon in horizons]


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A control with what it earns over all steps."""

    control: Control
    endless: Solution
    method: BoundMethod

    @property
    def ceiling(self) -> float:
        found = at_start(self.control.env, self.endless.value, self.endless.bound, 0)
        return found.value + found.bound

    def bound(self, horizon: int | None, tolerance: float) -> ValueBound:
        """Return the bound over a horizon."""
        env, endless = self.control.env, self.endless
        found = at_start(env, endless.value, endless.bound, 0)
        if horizon is not None:
            found = within_horizon(self.control, endless, horizon, tolerance)
        if not found.bound <= tolerance:
            raise InvalidArgumentError(
                f"tolerance: {tolerance:g} was not reached; the bound is certified to {found.bound:.1e}; use a larger "
                "tolerance"
            )
        n_iterations = endless.n_iterations + found.n_iterations
        return ValueBound(found.value, found.bound, env.n_agents, self.method, horizon, n_iterations)


def _controls(
    env: Environment, limits: SizeLimits, methods: tuple[ControlMethod, ...], tolerance: float
) -> Iterator[_Candidate]:
    """Yield the bounds that are worth their time, solved over all steps."""
    sizes = sizes_of(env, methods, limits)
    few = min(largest_that_fits(env, "joint", SMALL_VECTORS) or 0, sizes.get("joint") or max(sizes.values()))
    small = _solved(env, few, None, tolerance) if few else None
    if small is not None and few == sizes.get("joint"):
        yield small
    if prefers_prescriptions(env, sizes):
        try:
            game = dataclasses.replace(env, n_agents=sizes["prescriptions"])
            control = PrescriptionControl(game, tolerance)
        except InvalidArgumentError:
            # Its expectations lose too many digits: those of single agents, one after the other, do not.
            if not sizes.get("joint"):
                raise
        else:
            candidate = _Candidate(control, control.solve(_start(game, small), tolerance), "prescriptions")
            yield candidate
            if small is not None and candidate.endless.slack <= SMALL_SLACK * (small.ceiling - candidate.ceiling):
                return
            del control, candidate
    if sizes.get("joint", 0) > few:
        yield _solved(env, sizes["joint"], small, tolerance)


def _solved(env: Environment, m: int, smaller: _Candidate | None, tolerance: float) -> _Candidate:
    game = dataclasses.replace(env, n_agents=m)
    control = JointControl(game)
    return _Candidate(control, control.solve(_start(game, smaller), tolerance), "joint")


def _start(env: Environment, smaller: _Candidate | None) -> Array:
    """Return values to start from, (C, G): the mean of those of fewer agents over which of the agents these are."""
    if smaller is None:
        return np.zeros((n_count_vectors(env.n_agents, env.n_local_states), env.n_global_states))
    value = smaller.endless.value
    for n_agents in range(smaller.control.env.n_agents, env.n_agents):
        value = elevate(value, k=n_agents, n_states=env.n_local_states)
    return value


def _checked_limits(env: Environment, m: int | None, max_vectors: int | None) -> SizeLimits:
    m = None if m is None else checked_integer("m", m)
    if m is not None and m > env.n_agents:
        raise InvalidArgumentError(f"m: must be at most n_agents ({env.n_agents}), got {m}")
    return SizeLimits(m, None if max_vectors is None else checked_integer("max_vectors", max_vectors))
