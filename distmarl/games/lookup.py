"""Finding a game by its name.

Games that are built in have a file and a line here each; ``package.module:function`` is a user's own function. Both
return an :class:`Environment`. The parameters of a game are keys of the section ``environment`` of sweep files.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distmarl.errors import EnvironmentLookupError, nearest_name, shown
from distmarl.games.congestion import congestion
from distmarl.games.conventions import conventions
from distmarl.games.demand_response import demand_response
from distmarl.games.federated import federated
from distmarl.games.formation import formation
from distmarl.games.load_balancing import load_balancing
from distmarl.games.observable import observable
from distmarl.games.random import random
from distmarl.games.ring import ring
from distmarl.games.robots import robots
from distmarl.games.types import types
from distmarl.games.warehouse import warehouse
from distmarl.model.environment import Environment

GAMES: dict[str, Callable[..., Environment]] = {
    function.__name__: function
    for function in (
        robots,
        formation,
        conventions,
        congestion,
        ring,
        observable,
        random,
        federated,
        load_balancing,
        types,
        demand_response,
        warehouse,
    )
}


def game(name: str, /, **parameters: Any) -> Environment:
    """Return a game by its name: a built-in one, or a user's own.

    Parameters
    ----------
    name : str
        Name of a built-in game, or ``package.module:function``. ``python -m distmarl.games`` lists those built in.
    **parameters
        What its function is called with.

    Raises
    ------
    EnvironmentLookupError
        When there is no such game, it has no such parameter, or it returns something else than a game.
    InvalidEnvironmentError
        When a parameter is out of its range.

    Examples
    --------
    >>> import distmarl as dm
    >>> dm.game("ring", n_places=4, n_agents=10)
    Environment(G=4, L=4, A_g=4, A_l=2, n_agents=10, gamma=0.9)
    """
    if not isinstance(name, str):
        raise EnvironmentLookupError(f"game: must be named by a string, got {shown(name)}")
    function = find_function(name, lambda: "game")
    known = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for key in parameters:
        if key not in known and not takes_any:
            raise EnvironmentLookupError(f"game {name}: has no parameter {key!r}; {nearest_name(key, known)}")
    built = function(**parameters)
    if type(built) is not Environment:
        raise EnvironmentLookupError(f"game {name}: must return a distmarl.Environment, got a {type(built).__name__}")
    return built


def find_function(name: str, place: Callable[[], str]) -> Callable[..., Environment]:
    """Return the function that a name stands for.

    Parameters
    ----------
    name : str
        Name of a built-in game, or ``package.module:function``.
    place : callable
        Tells where the name was written, and under which key, for messages.

    Raises
    ------
    EnvironmentLookupError
        When there is no such game or function, or its module cannot be imported.
    """
    if name in GAMES:
        return GAMES[name]
    module_name, colon, function_name = name.partition(":")
    if not colon or not module_name or not function_name:
        raise EnvironmentLookupError(
            f"{place()}: must be a built-in environment or 'package.module:function', "
            f"got {name!r}; {nearest_name(name, GAMES)}"
        )
    return import_function(module_name, function_name, place)


def import_function(module_name: str, function_name: str, place: Callable[[], str]) -> Callable[..., Any]:
    """Return a function of a module, as :func:`find_function` does."""
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and module_name.startswith(str(error.name)):
            raise EnvironmentLookupError(
                f"{place()}: there is no module {error.name!r} to import '{module_name}:{function_name}' from; "
                "modules are looked for among what is installed, in the current folder and beside the sweep file"
            ) from error
        raise EnvironmentLookupError(f"{place()}: importing {module_name} {describe_failure(error)}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = f"; {nearest_name(function_name, known)}" if known else ""
        raise EnvironmentLookupError(
            f"{place()}: module {module_name} has no function {function_name!r}{hint} "
            f"(it is {getattr(module, '__file__', 'built in')})"
        )
    return function


def describe_failure(error: BaseException) -> str:
    """Say what a user's code raised, and where."""
    message = f"raised {type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, SyntaxError):  # says itself where it is
        return message
    return f"{message} ({Path(frame.filename).name}:{frame.lineno})"
