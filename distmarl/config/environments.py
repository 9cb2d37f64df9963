"""Building an environment from its section in the sweep file.

``name: robots`` is built in; ``name: "package.module:function"`` calls a user's function
with the section's other keys and takes the :class:`Environment` that it returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distmarl.config.checking import bind_parameters
from distmarl.config.reading import RawSweep, setting_note
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
    function = find_function(name, lambda: f"{raw.place(('environment', 'name'))}: environment.name")
    given = {key: value for key, value in section.items() if key != "name"}
    try:
        parameters = bind_parameters(function, given, raw, "environment")
    except ConfigError as error:
        which = _in_setting(raw) if raw.is_varied(("environment", "name")) else ""
        raise ConfigError(f"{error}{which}") from None
    try:
        environment = function(**parameters)
    except DistmarlError as error:
        named = [key for key in str(error).partition(":")[0].split(", ") if key in parameters]
        varied = [key for key in named if raw.is_varied(("environment", key))]
        place = raw.place(("environment", [*varied, *named][0])) if named else _place(raw)
        raise EnvironmentLookupError(f"{place}: environment {name}: {error}{_in_setting(raw)}") from error
    except (Exception, SystemExit) as error:
        failure = describe_failure(error)
        raise EnvironmentLookupError(f"{_place(raw)}: environment {name} {failure}{_in_setting(raw)}") from error
    if type(environment) is not Environment:
        within = ", whose environment is one" if type(getattr(environment, "environment", None)) is Environment else ""
        raise EnvironmentLookupError(
            f"{_place(raw)}: environment {name}: must return a distmarl.Environment, "
            f"got a {type(environment).__name__}{within}{_in_setting(raw)}"
        )
    plain = {key: value for key, value in parameters.items() if _is_plain(value)}
    return BuiltEnvironment(environment, plain, environment.digest())


def draws_at_random(section: Mapping[str, Any], digest: str) -> bool:
    """Return whether an environment is another game when it is built once more.

    Parameters
    ----------
    section : mapping
        ``name`` and the function's keyword arguments.
    digest : str
        Digest of the game that was built of them before.
    """
    with suppress(DistmarlError):  # it could be built once alone: another fault than the one that is looked for
        return build_environment(section, RawSweep({}, "")).digest != digest
    return False


def _place(raw: RawSweep) -> str:
    """Return where an environment that cannot be built comes from."""
    return raw.varied_place("environment") or raw.place(("environment",))


def _in_setting(raw: RawSweep) -> str:
    """Return in which setting of the grid something is wrong, if there is a grid."""
    return f"\n{setting_note(raw.varied)}" if raw.varied else ""


def _is_plain(value: Any) -> bool:
    """Return whether a value is of a kind that a sweep file can hold."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return type(value) in (str, int, float, bool, type(None))
