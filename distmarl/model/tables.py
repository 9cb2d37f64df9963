"""The tables that define a game: their axes, and the rules that they keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import InvalidEnvironmentError
from distmarl.model.arrays import EPSILON, Array, Ints, real_array, remedy_of

AXES = {
    "transition_global": ("s_g", "a_g", "s_g'"),
    "transition_local": ("s_g", "s_l", "a_l", "s_l'"),
    "reward_global": ("s_g", "a_g"),
    "reward_local": ("s_g", "s_l", "a_l"),
    "initial_global": ("s_g",),
    "initial_local_concentration": ("s_l",),
    "initial_shares": ("part", "s_l"),
    "initial_weights": ("part",),
}
DISTRIBUTIONS = ("transition_global", "transition_local", "initial_global", "initial_shares", "initial_weights")


def checked_table(name: str, table: Array, tolerance: float, sizes: dict[str, int]) -> Array:
    """Return a table that keeps to the rules of its kind, read-only; distributions sum to 1.

    Raises
    ------
    InvalidEnvironmentError
        When a rule is broken; the message names the table, the index and the value.
    """
    axes = AXES[name]
    _check_shape(name, table, axes, sizes)
    _check_finite(name, table, axes)
    if name in DISTRIBUTIONS:
        table = _checked_distributions(name, table, axes, tolerance)
    if name == "initial_local_concentration" and not (table > 0).all():
        _refuse_entry(name, table, ~(table > 0), axes, "must be positive")
    table.flags.writeable = False
    return table


def checked_observation(value: Any, n_states: int) -> Ints:
    """Return the class of each local state, by default the state itself, read-only.

    Raises
    ------
    InvalidEnvironmentError
        When it is no map of all local states onto the classes 0 .. B - 1.
    """
    if value is None:
        value = np.arange(n_states)
    rule = f"observation: must be the class of each of the {n_states} local states, integers from 0"
    try:
        given = np.asarray(value)
    except ValueError:
        raise InvalidEnvironmentError(f"{rule}, got lists of different lengths") from None
    if given.shape != (n_states,) or given.dtype.kind not in "iu":
        raise InvalidEnvironmentError(f"{rule}, got {given.dtype} of shape {given.shape}")
    if given.min() < 0:
        _refuse_entry("observation", given, given < 0, ("s_l",), "must not be negative")
    classes = np.unique(given)
    gaps = np.flatnonzero(classes != np.arange(len(classes)))
    if len(gaps):
        raise InvalidEnvironmentError(
            f"observation: must be onto the classes 0 .. {given.max()}, but no local state has the class "
            f"{gaps[0]}; number the classes from 0 without a gap"
        )
    observation = given.astype(np.int64)
    observation.flags.writeable = False
    return observation


def checked_types(value: Any, n_states: int) -> tuple[str, ...] | None:
    """Return the name of the type that each local state belongs to, if there are types.

    Raises
    ------
    InvalidEnvironmentError
        When it is no sequence of a name for each local state.
    """
    if value is None:
        return None
    names = () if isinstance(value, str) else tuple(value)
    if len(names) != n_states or not all(isinstance(name, str) for name in names):
        raise InvalidEnvironmentError(
            f"local_types: must be the name of the type of each of the {n_states} local states, got {value!r}"
        )
    return names


def as_table(name: str, value: Any) -> tuple[Array, float]:
    """Copy a table, as numbers and with the right number of axes, none empty; return how far sums may be off, too."""
    axes = AXES[name]
    try:
        table, tolerance = real_array(value)
    except (TypeError, ValueError) as error:
        raise InvalidEnvironmentError(f"{name}: must be an array of numbers, got {error}") from error
    if table.ndim != len(axes) or 0 in table.shape:
        raise InvalidEnvironmentError(
            f"{name}: must have the axes [{', '.join(axes)}], each of size 1 or more, got shape {table.shape}"
        )
    return np.array(table), tolerance


def _check_shape(name: str, table: Array, axes: tuple[str, ...], sizes: dict[str, int]) -> None:
    expected = tuple(sizes[axis.rstrip("'")] for axis in axes)
    if table.shape != expected:
        raise InvalidEnvironmentError(
            f"{name}: must have shape {expected} for the axes [{', '.join(axes)}] "
            f"(sizes are read from transition_global and transition_local), got {table.shape}"
        )


def _check_finite(name: str, table: Array, axes: tuple[str, ...]) -> None:
    if not np.isfinite(table).all():
        _refuse_entry(name, table, ~np.isfinite(table), axes, "must be finite")


def _checked_distributions(name: str, table: Array, axes: tuple[str, ...], tolerance: float) -> Array:
    """Return the rows along the last axis as distributions that sum to 1."""
    if (table < 0).any():
        _refuse_entry(name, table, table < 0, axes, "must not be negative")
    sums = table.sum(axis=-1, keepdims=True)
    wrong = np.abs(sums[..., 0] - 1.0) > tolerance
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = "".join(f"{axis}={i}, " for axis, i in zip(axes, index, strict=False)).rstrip(", ")
        raise InvalidEnvironmentError(
            f"{name}[{place or ':'}]: must sum to 1 within {tolerance:.2g}, "
            f"got a sum of {float(sums[index][0])!r}{remedy_of(abs(float(sums[index][0]) - 1))}"
        )
    # Sums that are 1 up to rounding are left alone, so that a game built from its own tables is the same game.
    return np.where(np.abs(sums - 1.0) <= 8 * EPSILON, table, table / sums)


def _refuse_entry(name: str, table: Array, wrong: NDArray[np.bool_], axes: tuple[str, ...], rule: str) -> None:
    """Raise for the first entry that breaks a rule."""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = ", ".join(f"{axis}={i}" for axis, i in zip(axes, index, strict=True))
    raise InvalidEnvironmentError(f"{name}[{place}]: {rule}, got {table[index].item()!r}")
