"""List the built-in games, show one, or check one of your own: ``python -m distmarl.games``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from distmarl.config.environments import BuiltEnvironment, build_environment
from distmarl.config.reading import KeyPath, RawSweep, nests_too_deeply
from distmarl.config.yaml_text import YAMLError, describe_error, load_yaml
from distmarl.errors import ConfigError
from distmarl.examine.checking import print_check
from distmarl.examine.listing import print_games
from distmarl.examine.showing import print_game
from distmarl.games.lookup import find_function
from distmarl.paths import typed_path
from distmarl.search_path import look_in
from distmarl.terminal import DONE, command_parser, output_console, run_command

DESCRIPTION = """\
List the built-in games; show the tables of a game; or check a game: what its transitions are like, which symmetries it
has, where best responses end, and what a sweep of it would cost. A game is a built-in one or a function of your own, as
module:function, which is looked for among what is installed and in the current folder.
"""

EPILOG = """\
examples:
  python -m distmarl.games
  python -m distmarl.games show formation n_agents=50
  python -m distmarl.games show ring n_places=4 --out ring.png
  python -m distmarl.games check walkers_game:game stickiness=0.5

exit codes: 0 done, 2 bad input
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.games", DESCRIPTION, EPILOG)
    parser.add_argument("what", nargs="?", choices=["list", "show", "check"], default="list", help="list by default")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a built-in game, or module:function")
    parser.add_argument("parameters", nargs="*", metavar="KEY=VALUE", help="parameters of the game, as in a sweep file")
    parser.add_argument("--out", metavar="FILE", help="draw the tables, too (show only): a .png, .pdf or .svg file")
    return run_command(parser, _run, argv)


def _run(arguments: argparse.Namespace, messages: Console) -> int:
    output = output_console()
    if arguments.what == "list":
        if arguments.name is not None or arguments.out is not None:
            raise ConfigError("list: takes nothing more; to see one game, type show NAME")
        print_games(output)
        return DONE
    if arguments.name is None:
        raise ConfigError(f"NAME: {arguments.what} needs a game: a built-in one, or module:function")
    if arguments.out is not None and arguments.what != "show":
        raise ConfigError("--out: is for show alone")
    if ":" in arguments.name:
        look_in(Path.cwd())
    raw = _as_sweep(arguments.name, arguments.parameters)
    _check_complete(raw.mapping["environment"])
    built = build_environment(raw.mapping["environment"], raw)
    if arguments.what == "show":
        print_game(arguments.name, built, output)
        if arguments.out is not None:
            _draw(arguments.name, built, typed_path(arguments.out, ConfigError), messages)
    else:
        print_check(raw, built, output)
    return DONE


def _check_complete(section: Mapping[str, Any]) -> None:
    """Refuse a game of which something is missing that has no default.

    Raises
    ------
    ConfigError
        Saying what to type.
    """
    function = find_function(section["name"], lambda: "NAME: environment.name")
    with suppress(TypeError, ValueError):  # some functions do not tell their parameters
        for key, parameter in inspect.signature(function).parameters.items():
            is_named = parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            if is_named and parameter.default is parameter.empty and key not in section:
                raise ConfigError(f"{section['name']}: {key} has no default; add {key}=VALUE")


def _draw(name: str, built: BuiltEnvironment, path: str, messages: Console) -> None:
    from distmarl.report.game_figure import save_game_figure  # and with it matplotlib

    save_game_figure(built.environment, name, Path(path))
    messages.print(f"wrote {path}", markup=False)


def _as_sweep(name: str, words: Sequence[str]) -> RawSweep:
    """Return a sweep whose game is the one that was typed; messages quote the words.

    Raises
    ------
    ConfigError
        When a word is not of the form KEY=VALUE.
    """
    section: dict[str, Any] = {"name": name}
    origins: dict[KeyPath, str] = {("environment",): "NAME", ("environment", "name"): "NAME"}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.isidentifier():
            raise ConfigError(f"{word}: must be of the form KEY=VALUE, as in n_agents=50")
        if key in section:
            raise ConfigError(f"{word}: {key} is given twice, or names the game; keep one of them")
        try:
            section[key] = load_yaml(text)
        except YAMLError as error:
            raise ConfigError(f"{word}{describe_error(error, with_line=False)}") from None
        except RecursionError:
            raise ConfigError(f"{word}: is nested too deeply") from None
        if nests_too_deeply(section[key]):
            raise ConfigError(f"{word}: is nested too deeply")
        origins["environment", key] = word
    return RawSweep({"name": "check", "environment": section}, "NAME", origins=origins)
