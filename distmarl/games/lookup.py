"""Finding a game by its name.

``robots`` is built in; ``package.module:function`` is a user's function, which returns an :class:`Environment`.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path

from distmarl.errors import EnvironmentLookupError, nearest_name
from distmarl.games.robots import robots
from distmarl.model.environment import Environment

BUILT_IN: dict[str, Callable[..., Environment]] = {"robots": robots}


def find_function(name: str, place: Callable[[], str]) -> Callable[..., Environment]:
    """Return the function that a name stands for.

    Parameters
    ----------
    name : str
        ``robots``, or ``package.module:function``.
    place : callable
        Tells where the name was written, for messages.

    Raises
    ------
    EnvironmentLookupError
        When there is no such game or function, or its module cannot be imported.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    module_name, colon, function_name = name.partition(":")
    if not colon or not module_name or not function_name:
        raise EnvironmentLookupError(
            f"{place()}: environment.name: must be a built-in environment or 'package.module:function', "
            f"got {name!r}; {nearest_name(name, BUILT_IN)}"
        )
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and module_name.startswith(str(error.name)):
            raise EnvironmentLookupError(
                f"{place()}: environment.name: there is no module {error.name!r} to import {name!r} from; "
                "modules are looked for in the current folder and beside the sweep file"
            ) from error
        raise EnvironmentLookupError(
            f"{place()}: environment.name: importing {module_name} {describe_failure(error)}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = f"; {nearest_name(function_name, known)}" if known else ""
        raise EnvironmentLookupError(
            f"{place()}: environment.name: module {module_name} has no function {function_name!r}{hint}"
        )
    return function


def describe_failure(error: BaseException) -> str:
    """Say what a user's code raised, and where."""
    message = f"raised {type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, SyntaxError):  # says itself where it is
        return message
    return f"{message} ({Path(frame.filename).name}:{frame.lineno})"
