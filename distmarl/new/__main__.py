"""Start a sweep of one's own: ``python -m distmarl.new walkers``."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from distmarl.config.template import sweep_template
from distmarl.errors import ConfigError
from distmarl.model.options import NAME_PATTERN
from distmarl.new import starter_game
from distmarl.terminal import DONE, command_parser, run_command

DESCRIPTION = """\
Write NAME.yaml, a sweep file with every key, its meaning and its default, and NAME_game.py, a small game to make one's
own. Nothing is overwritten.
"""

EPILOG = """\
example:
  python -m distmarl.new walkers

exit codes: 0 done, 2 bad input
"""

HEAD = """\
# A sweep of the game in {game}. Every key that may be left out is commented out, and shows its default.
#   python -m distmarl.sweep {sweep} --plan    what would run
#   python -m distmarl.sweep {sweep}           run it
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.new", DESCRIPTION, EPILOG)
    parser.add_argument("name", metavar="NAME", help="name of the sweep, for example walkers")
    return run_command(parser, _run, argv)


def _run(arguments: argparse.Namespace, messages: Console) -> int:
    sweep, game = _write(arguments.name)
    messages.print(f"wrote {sweep}, the sweep, and {game}, its game. To go on:", markup=False)
    commands = [f"games check {game.stem}:game", f"sweep {sweep} --plan", f"sweep {sweep}"]
    messages.print(*(f"  python -m distmarl.{command}" for command in commands), sep="\n", markup=False)
    return DONE


def _write(name: str) -> tuple[Path, Path]:
    """Write the sweep file and its game, and return their paths.

    Raises
    ------
    ConfigError
        When the name cannot be a module's, or a file is there already or cannot be written.
    """
    # The game is imported by its file's name, and the sweep's names a folder.
    if not (name.isidentifier() and re.fullmatch(NAME_PATTERN, name)):
        near = re.sub(r"\W+|^_+", "_", name, flags=re.ASCII).strip("_")
        hint = f"; {near} would do" if near.isidentifier() else ""
        raise ConfigError(f"NAME: must be letters, digits and _, and start with a letter, got {name!r}{hint}")
    sweep, game = Path(f"{name}.yaml"), Path(f"{name}_game.py")
    for path in (sweep, game):
        if path.exists():
            raise ConfigError(f"{path}: is there already, and is not overwritten; choose another name")
    written = {
        "name": name,
        "environment": {"name": f"{game.stem}:game", "n_agents": 12},
        "experiment": {"k_values": [1, 2, 4]},
    }
    text = HEAD.format(sweep=sweep, game=game) + sweep_template(starter_game.game, written)
    try:
        game.write_text(inspect.getsource(starter_game))
        sweep.write_text(text)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return sweep, game


if __name__ == "__main__":
    sys.exit(main())
