"""What nobody could gain more than over a pair: ceilings, less what the pair earns."""

from __future__ import annotations

from collections.abc import Callable

from distmarl.equilibrium.ceilings.sizes import SizeLimits, largest_that_fits, size_of
from distmarl.equilibrium.ceilings.value_bound import ValueBound, answer_bounds, control_bounds
from distmarl.equilibrium.quantity import Kind, Quantity
from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array
from distmarl.model.environment import Environment


def most_by_global_agent(
    env: Environment, local_policy: Array, present: Quantity, *, k: int, horizon: int | None, kind: Kind, of: str
) -> Quantity:
    """Return what no global policy gains more than over ``present``, against the same local policy.

    The bound comes from at least ``k`` agents that are all seen, where so many fit.
    """
    env = env.with_states_seen()
    fitting = largest_that_fits(env, "answer", None) or 0
    limits = SizeLimits() if fitting >= k or size_of(env, "answer", SizeLimits(m=k)) is None else SizeLimits(m=k)
    return _less(lambda: answer_bounds(env, local_policy, [horizon], limits=limits)[0], present, kind, of)


def most_by_anyone(
    env: Environment, present: Quantity, *, horizon: int | None, kind: Kind, max_vectors: int
) -> Quantity:
    """Return what no policies whatever gain more than over ``present``."""
    limits = SizeLimits(max_vectors=max_vectors)
    of = "gain of any policies of everybody"
    return _less(lambda: control_bounds(env, [horizon], limits=limits)[0], present, kind, of)


def _less(bound_of: Callable[[], ValueBound], present: Quantity, kind: Kind, of: str) -> Quantity:
    """Return a ceiling less what the pair earns, or why there is none."""
    try:
        bound = bound_of()
    except InvalidArgumentError as error:
        return Quantity(None, None, kind, of, str(error))
    if present.value is None or present.error is None:
        return Quantity(None, None, kind, of, present.reason)
    of = f"{of}, by the optimum of {bound.m} agents"
    return Quantity(bound.value - present.value, bound.error + present.error, kind, of)
