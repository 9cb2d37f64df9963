"""Run a command, or list them: ``distmarl``, or ``python -m distmarl``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.padding import Padding

import distmarl
from distmarl.errors import nearest_name
from distmarl.terminal import DONE, called_program, output_console, run_guarded


@dataclass(frozen=True, slots=True)
class Command:
    """A command, what it does and how it is typed.

    Attributes
    ----------
    name : str
        What follows ``distmarl``, or ``python -m distmarl.``, whose ``main(argv)`` is imported when it is run.
    summary : str
        What it does.
    example : str
        What follows the name in an example.
    """

    name: str
    summary: str
    example: str


COMMANDS = (
    Command("sweep", "run a sweep file: train, evaluate, write tables and figures", "sweeps/robots.yaml"),
    Command("status", "tell how far a sweep is: done, running, failed, missing", "results/robots"),
    Command("report", "print the numbers and draw the figures again, from the tables", "results/robots"),
    Command("config", "print the JSON schema of sweep files, for editors", "schema"),
    Command("games", "list the built-in games, show the tables of one, or check one of your own", "show formation"),
    Command("new", "write a sweep file with a game of your own, to start from", "walkers"),
)
# What a name stands for that is no command of its own.
SHORTCUTS = {"schema": ["config", "schema"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    words[:1] = SHORTCUTS.get(words[0], words[:1]) if words else []
    if words and words[0] in {command.name for command in COMMANDS}:
        code: int = importlib.import_module(f"distmarl.{words[0]}.__main__").main(words[1:])
        return code
    return run_guarded(lambda _messages: _list(words))


def _list(words: list[str]) -> int:
    """Print the commands; refuse words that are none."""
    program = called_program() or "python -m distmarl"
    parser = argparse.ArgumentParser(
        prog=program,
        description="Run a command; without one, list them.",
        epilog="Each command has --help, which also tells its exit codes.",
    )
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    _, unknown = parser.parse_known_args(words)
    if unknown:
        hint = nearest_name(unknown[0], [*(command.name for command in COMMANDS), *SHORTCUTS])
        meant = f"{hint} Or " if hint.startswith("did you mean") else ""
        parser.error(f"{unknown[0]}: there is no such command or option; {meant}type {program} to see the commands")
    console = output_console()
    console.print(f"distmarl {distmarl.__version__}: {_summary()}\n")
    separator = " " if program == "distmarl" else "."
    for command in COMMANDS:
        console.print(f"[bold]{program}{separator}{command.name}[/] {command.example}")
        console.print(Padding(command.summary, (0, 0, 0, 4), expand=False))
    console.print("\nEach has --help. In Python or a notebook: import distmarl as dm")
    return DONE


def _summary() -> str:
    """Return what distmarl is, from its own docstring."""
    return (distmarl.__doc__ or "").partition("\n")[0].removeprefix("distmarl: ")


if __name__ == "__main__":
    sys.exit(main())
