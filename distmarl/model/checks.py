"""What functions ask of their arguments."""

from __future__ import annotations

from typing import get_args

from distmarl.errors import InvalidArgumentError


def check_choice(name: str, value: str, kinds: object) -> None:
    """Refuse a value that is none of the strings of a ``Literal`` type.

    Raises
    ------
    InvalidArgumentError
        When it is not.
    """
    if value not in get_args(kinds):
        raise InvalidArgumentError(f"{name}: must be one of {', '.join(get_args(kinds))}, got {value!r}")
