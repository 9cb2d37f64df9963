"""What functions ask of their arguments."""

from __future__ import annotations

from collections.abc import Iterable

from distmarl.errors import InvalidArgumentError, shown


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise InvalidArgumentError where a value is none of the choices."""
    if value not in tuple(choices):
        raise InvalidArgumentError(f"{name}: must be one of {', '.join(choices)}, got {shown(value)}")


def check_at_least_one(**numbers: int) -> None:
    """Raise InvalidArgumentError for a number below 1; each is called by its keyword."""
    for name, number in numbers.items():
        if number < 1:
            raise InvalidArgumentError(f"{name}: must be at least 1, got {number}")


def check_positive(**numbers: float) -> None:
    """Raise InvalidArgumentError for a number that is not above 0; each is called by its keyword."""
    for name, number in numbers.items():
        if not number > 0:
            raise InvalidArgumentError(f"{name}: must be positive, got {shown(number)}")
