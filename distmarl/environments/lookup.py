"""Building an environment from its section in the sweep file.

``name: robots`` is built in; ``name: "package.module:function"`` calls a user's function
with the section's other keys and takes the :class:`Environment` that it returns.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distmarl.config.reading import RawSweep
from distmarl.config.validation import bind_parameters, nearest_name
from distmarl.environments.robots import robots
from distmarl.errors import ConfigError, DistmarlError, EnvironmentLookupError
from distmarl.model.environment import Environment

BUILT_IN: dict[str, Callable[..., Environment]] = {"robots": robots}


@dataclass(frozen=True, slots=True, eq=False)
class BuiltEnvironment:
    """An environment and where it comes from.

    Attributes
    ----------
    environment : Environment
        The game.
    parameters : dict
        The function's arguments, with defaults filled in; those that are plain data, as in a sweep file.
    """

    environment: Environment
    parameters: dict[str, Any]


def environment_keys(raw: RawSweep) -> set[str]:
    """Return keys that the section ``environment`` is known to take: those written, and the built-in environments'."""
    section = raw.mapping.get("environment")
    written = section if isinstance(section, Mapping) else {}
    return {*written, *(name for function in BUILT_IN.values() for name in inspect.signature(function).parameters)}


def build_environment(section: Mapping[str, Any], raw: RawSweep) -> BuiltEnvironment:
    """Build the environment of a setting.

    Parameters
    ----------
    section : mapping
        ``name`` and the function's keyword arguments.
    raw : RawSweep
        Where they were written, for messages.

    Raises
    ------
    ConfigError
        When a key is unknown, missing or of the wrong type.
    EnvironmentLookupError
        When the function cannot be found, raises, or returns something else.
    """
    name = section["name"]
    place = raw.place(("environment", "name"))
    if not isinstance(name, str):
        raise ConfigError(f"{place}: environment.name: must be a string, got {name!r}")
    function = _find_function(name, place)
    given = {key: value for key, value in section.items() if key != "name"}
    parameters = bind_parameters(function, given, raw, "environment")
    place = raw.place(("environment",))
    try:
        environment = function(**parameters)
    except DistmarlError as error:
        key = str(error).partition(":")[0]
        place = raw.place(("environment", key)) if key in parameters else place
        raise EnvironmentLookupError(f"{place}: environment {name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise EnvironmentLookupError(f"{place}: environment {name} {_describe(error)}") from error
    if type(environment) is not Environment:
        raise EnvironmentLookupError(
            f"{place}: environment {name}: must return a distmarl.Environment, got a {type(environment).__name__}"
        )
    return BuiltEnvironment(environment, {key: value for key, value in parameters.items() if _is_plain(value)})


def _find_function(name: str, place: str) -> Callable[..., Environment]:
    """Return the function that a name stands for."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    module_name, colon, function_name = name.partition(":")
    if not colon or not module_name or not function_name:
        raise EnvironmentLookupError(
            f"{place}: environment.name: must be a built-in environment or 'package.module:function', "
            f"got {name!r}; {nearest_name(name, BUILT_IN)}"
        )
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and module_name.startswith(str(error.name)):
            raise EnvironmentLookupError(
                f"{place}: environment.name: there is no module {error.name!r} to import {name!r} from; "
                "modules are looked for in the current folder and beside the sweep file"
            ) from error
        raise EnvironmentLookupError(
            f"{place}: environment.name: importing {module_name} {_describe(error)}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = f"; {nearest_name(function_name, known)}" if known else ""
        raise EnvironmentLookupError(
            f"{place}: environment.name: module {module_name} has no function {function_name!r}{hint}"
        )
    return function


def _is_plain(value: Any) -> bool:
    """Return whether a value is of a kind that a sweep file can hold."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return type(value) in (str, int, float, bool, type(None))


def _describe(error: BaseException) -> str:
    """Say what a user's code raised, and where."""
    message = f"raised {type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, SyntaxError):  # says itself where it is
        return message
    return f"{message} ({Path(frame.filename).name}:{frame.lineno})"
