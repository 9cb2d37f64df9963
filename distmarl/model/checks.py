"""What functions ask of their arguments."""

from __future__ import annotations

from collections.abc import Iterable

from distmarl.errors import InvalidArgumentError


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Refuse a value that is none of the choices.

    Raises
    ------
    InvalidArgumentError
        When it is not.
    """
    if value not in tuple(choices):
        raise InvalidArgumentError(f"{name}: must be one of {', '.join(choices)}, got {value!r}")


def check_at_least_one(**numbers: int) -> None:
    """Refuse numbers below 1; each is called by its keyword.

    Raises
    ------
    InvalidArgumentError
        When there is one.
    """
    for name, number in numbers.items():
        if number < 1:
            raise InvalidArgumentError(f"{name}: must be at least 1, got {number}")


def check_positive(**numbers: float) -> None:
    """Refuse numbers that are not above 0; each is called by its keyword.

    Raises
    ------
    InvalidArgumentError
        When there is one.
    """
    for name, number in numbers.items():
        if not number > 0:
            raise InvalidArgumentError(f"{name}: must be positive, got {number!r}")
