"""The parameters of games: their ranges are annotated once, told by the schema and checked on every call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal, ParamSpec, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from distmarl.errors import InvalidEnvironmentError, shown
from distmarl.model.checks import is_integer, is_number, plain

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Probability: TypeAlias = Annotated[float, Ge(0), Le(1)]
Real: TypeAlias = Annotated[float, Ge(-1e6), Le(1e6)]
Cost: TypeAlias = Annotated[float, Ge(0), Le(1e6)]
# Sizes of tables: more states would make tables of gigabytes.
Size: TypeAlias = Annotated[int, Ge(1), Le(50)]


def with_ranges(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return a game's function that first checks what it is called with against its annotations.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is of another type than annotated, out of its range, or none of its choices.
    """

    @functools.wraps(function)
    def checked(*arguments: Parameters.args, **parameters: Parameters.kwargs) -> Result:
        hints = _hints(function)
        for name, value in parameters.items():
            if name in hints:
                _check(name, plain(value), hints[name])
        return function(*arguments, **parameters)

    return checked


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's annotations, with their ranges."""
    return get_type_hints(function, include_extras=True)


def _check(name: str, value: Any, hint: Any) -> None:
    """Refuse a value that is not of a parameter's type, or out of its range."""
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise InvalidEnvironmentError(f"{name}: must be one of {', '.join(get_args(hint))}, got {shown(value)}")
    kind, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if kind is int and not is_integer(value):
        raise InvalidEnvironmentError(f"{name}: must be an integer, got {shown(value)}")
    if kind is float and not is_number(value):
        raise InvalidEnvironmentError(f"{name}: must be a number, got {shown(value)}")
    for rule in rules:
        if not _holds(rule, value):
            raise InvalidEnvironmentError(f"{name}: must be {_in_words(rule)}, got {shown(value)}")


def _holds(rule: Any, value: Any) -> bool:
    """Return whether a value is in a range; what is not a number is in none."""
    if isinstance(rule, Ge):
        return bool(value >= rule.ge)
    if isinstance(rule, Le):
        return bool(value <= rule.le)
    if isinstance(rule, Gt):
        return bool(value > rule.gt)
    return not isinstance(rule, Lt) or bool(value < rule.lt)


def _in_words(rule: Any) -> str:
    """Return what a range asks for."""
    if isinstance(rule, Ge):
        return f"at least {rule.ge}"
    if isinstance(rule, Le):
        return f"at most {rule.le:g}"
    return f"greater than {rule.gt}" if isinstance(rule, Gt) else f"less than {rule.lt}"
