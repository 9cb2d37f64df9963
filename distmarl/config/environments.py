"""Building an environment from its section in the sweep file.

``name: robots`` is built in; ``name: "package.module:function"`` calls a user's function
with the section's other keys and takes the :class:`Environment` that it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distmarl.config.checking import bind_parameters
from distmarl.config.reading import RawSweep
from distmarl.errors import ConfigError, DistmarlError, EnvironmentLookupError
from distmarl.games.lookup import GAMES, describe_failure, find_function
from distmarl.model.environment import Environment


@dataclass(frozen=True, slots=True, eq=False)
class BuiltEnvironment:
    """An environment and where it comes from.

    Attributes
    ----------
    environment : Environment
        The game.
    parameters : dict
        The function's arguments, with defaults filled in; those that are plain data, as in a sweep file.
    digest : str
        Digest of the game's tables and start.
    """

    environment: Environment
    parameters: dict[str, Any]
    digest: str


def environment_keys(raw: RawSweep) -> set[str]:
    """Return keys that the section ``environment`` is known to take: those written, and the built-in environments'."""
    section = raw.mapping.get("environment")
    written = section if isinstance(section, Mapping) else {}
    return {*written, *(name for function in GAMES.values() for name in inspect.signature(function).parameters)}


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
    if not isinstance(name, str):
        raise ConfigError(f"{raw.place(('environment', 'name'))}: environment.name: must be a string, got {name!r}")
    function = find_function(name, lambda: raw.place(("environment", "name")))
    given = {key: value for key, value in section.items() if key != "name"}
    parameters = bind_parameters(function, given, raw, "environment")
    try:
        environment = function(**parameters)
    except DistmarlError as error:
        key = str(error).partition(":")[0]
        place = raw.place(("environment", key) if key in parameters else ("environment",))
        raise EnvironmentLookupError(f"{place}: environment {name}: {error}") from error
    except (Exception, SystemExit) as error:
        place = raw.place(("environment",))
        raise EnvironmentLookupError(f"{place}: environment {name} {describe_failure(error)}") from error
    if type(environment) is not Environment:
        raise EnvironmentLookupError(
            f"{raw.place(('environment',))}: environment {name}: must return a distmarl.Environment, "
            f"got a {type(environment).__name__}"
        )
    plain = {key: value for key, value in parameters.items() if _is_plain(value)}
    return BuiltEnvironment(environment, plain, environment.digest())


def _is_plain(value: Any) -> bool:
    """Return whether a value is of a kind that a sweep file can hold."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return type(value) in (str, int, float, bool, type(None))
