"""What functions ask of their arguments. Numbers may be Python's or numpy's; what is computed with is Python's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from distmarl.errors import InvalidArgumentError, shown

LARGEST_INTEGER = 2**63 - 1


def plain(value: Any) -> Any:
    """Return a scalar of numpy's as Python's own, which has no size to overflow; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def is_integer(value: Any) -> bool:
    """Return whether a value is a whole number, of Python's or numpy's; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, of Python's or numpy's; True and False are none."""
    return is_integer(value) or isinstance(value, (float, np.floating))


def checked_integer(name: str, value: Any, *, least: int = 1) -> int:
    """Return a value that must be a whole number of at least so much; raise InvalidArgumentError where it is not.

    Numbers that no array and no table can hold are refused, too.
    """
    if not is_integer(value):
        raise InvalidArgumentError(f"{name}: must be an integer of {least} or more, got {shown(value)}")
    if value < least:
        raise InvalidArgumentError(f"{name}: must be at least {least}, got {value}")
    if value > LARGEST_INTEGER:
        raise InvalidArgumentError(f"{name}: must be at most {LARGEST_INTEGER:,}, got {shown(value)}")
    return int(value)


def checked_number(name: str, value: Any) -> float:
    """Return a value that must be a real number; raise InvalidArgumentError where it is not."""
    if not is_number(value):
        raise InvalidArgumentError(f"{name}: must be a number, got {shown(value)}")
    return float(value)


def checked_tolerance(value: Any) -> float:
    """Return a tolerance, which must be positive and finite; raise InvalidArgumentError where it is not."""
    if not 0 < (tolerance := checked_number("tolerance", value)) < math.inf:
        raise InvalidArgumentError(f"tolerance: must be positive and finite, got {tolerance!r}")
    return tolerance


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise InvalidArgumentError where a value is none of the choices."""
    if not isinstance(value, str) or value not in tuple(choices):
        raise InvalidArgumentError(f"{name}: must be one of {', '.join(choices)}, got {shown(value)}")


def check_at_least_one(**numbers: int) -> None:
    """Raise InvalidArgumentError for what is no whole number of 1 or more; each is called by its keyword."""
    for name, number in numbers.items():
        checked_integer(name, number)


def check_positive(**numbers: float) -> None:
    """Raise InvalidArgumentError for what is no number above 0; each is called by its keyword."""
    for name, number in numbers.items():
        if not checked_number(name, number) > 0:
            raise InvalidArgumentError(f"{name}: must be positive, got {shown(number)}")
