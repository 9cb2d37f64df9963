"""How many agents the games may have whose optima are bounds: as many as fit a budget of vectors and the memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from distmarl.dynamics.transitions.labelled import is_labelled
from distmarl.equilibrium.ceilings.joint import joint_bytes, n_joint_vectors
from distmarl.equilibrium.ceilings.prescriptions import n_prescription_vectors, prescription_bytes
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.averages import surrogate_bytes
from distmarl.model.counts import MAX_COUNT_VECTORS
from distmarl.model.environment import Environment
from distmarl.values.exact_return import MAX_BYTES

ControlMethod: TypeAlias = Literal["joint", "prescriptions"]
BoundMethod: TypeAlias = Literal["joint", "prescriptions", "answer"]

# Vectors by state and action (joint), of states and prescriptions, and of states alone (answer), which are labelled
# where few agents are among many states.
MAX_VECTORS: dict[BoundMethod, int] = {"joint": 10**6, "prescriptions": 10**6, "answer": 10**5}
# So many joint vectors take no time. Their optimum is where the other values start from.
SMALL_VECTORS = 20_000
LARGEST_TOLD = 2**70


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """How large the games may be.

    Attributes
    ----------
    m : int, optional
        Their number of agents; by default the largest that fits.
    max_vectors : int, optional
        Vectors that they may have where m is not given; by default ``MAX_VECTORS``.
    """

    m: int | None = None
    max_vectors: int | None = None


def n_vectors(env: Environment, method: BoundMethod, m: int) -> int:
    """Return the number of vectors of a game, however large."""
    if method == "joint":
        return n_joint_vectors(env, m)
    if method == "prescriptions":
        return n_prescription_vectors(env, m)
    if is_labelled(m, env.n_local_states):
        return int(env.n_local_states**m)
    return math.comb(m + env.n_local_states - 1, m)


def n_bytes(env: Environment, method: BoundMethod, m: int) -> int:
    """Return about how much memory a bound takes, in bytes."""
    if method == "joint":
        return joint_bytes(env, m)
    return prescription_bytes(env, m) if method == "prescriptions" else surrogate_bytes(env, m)


def largest_that_fits(env: Environment, method: BoundMethod, max_vectors: int | None) -> int | None:
    """Return the largest m, up to n, of at most so many vectors and bytes; None where not even one agent fits."""
    most = MAX_VECTORS[method] if max_vectors is None else max_vectors

    def fits(m: int) -> bool:
        vectors = n_vectors(env, method, m)
        return vectors <= min(most, MAX_COUNT_VECTORS) and n_bytes(env, method, m) <= MAX_BYTES

    if not fits(1):
        return None
    # Numbers of vectors and bytes rise with m.
    low, step = 1, 1
    while low + step <= env.n_agents and fits(low + step):
        low += step
        step *= 2
    while step:
        if low + step <= env.n_agents and fits(low + step):
            low += step
        step //= 2
    return low


def size_of(env: Environment, method: BoundMethod, limits: SizeLimits) -> int | None:
    """Return the m of a bound, or None where it does not fit."""
    if limits.m is None:
        return largest_that_fits(env, method, limits.max_vectors)
    largest = largest_that_fits(env, method, MAX_COUNT_VECTORS)
    return limits.m if largest is not None and limits.m <= largest else None


def sizes_of(env: Environment, methods: tuple[ControlMethod, ...], limits: SizeLimits) -> dict[ControlMethod, int]:
    """Return the m of each of some bounds of any control, 0 where it does not fit."""
    return {method: size_of(env, method, limits) or 0 for method in methods}


def prefers_prescriptions(env: Environment, sizes: dict[ControlMethod, int]) -> bool:
    """Return whether prescriptions come first: where their game may be larger, or that of all actions takes long."""
    joint, prescribed = sizes.get("joint", 0), sizes.get("prescriptions", 0)
    return prescribed > joint or (prescribed == joint and n_joint_vectors(env, joint) > MAX_VECTORS["joint"])


def largest_size(env: Environment, methods: tuple[BoundMethod, ...]) -> int | None:
    """Return the largest m that fits the memory by any of some methods; None where none does."""
    sizes = [largest_that_fits(env, method, MAX_COUNT_VECTORS) for method in methods]
    return max((m for m in sizes if m is not None), default=None)


def check_sizes(env: Environment, methods: tuple[BoundMethod, ...], limits: SizeLimits) -> None:
    """Refuse a size at which none of some methods fits.

    Raises
    ------
    InvalidArgumentError
        The message says how much memory it would take, and which size would fit.
    """
    if any(size_of(env, method, limits) is not None for method in methods):
        return
    best = largest_size(env, methods)
    fitting = "no m fits" if best is None else f"the largest m that fits is {best}"
    if limits.m is not None:
        least = min(min(n_bytes(env, method, limits.m), LARGEST_TOLD) for method in methods)
        raise InvalidArgumentError(
            f"m: the game of {limits.m} agents would take {least / 2**30:,.1f} GiB, and {MAX_BYTES // 2**30} GiB are "
            f"allowed; {fitting}"
        )
    fewest = min(n_vectors(env, method, 1) for method in methods)
    if limits.max_vectors is not None and best is not None:
        raise InvalidArgumentError(
            f"max_vectors: must be at least {fewest:,}, the number for a single agent, got {limits.max_vectors:,}"
        )
    raise InvalidArgumentError(
        f"env: a game of one agent has {fewest:,} vectors of states and actions already, which is too many for a bound"
    )
