"""List the commands: ``python -m distmarl``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding

import distmarl


@dataclass(frozen=True, slots=True)
class Command:
    """A command, what it does and how it is typed.

    Attributes
    ----------
    module : str
        What follows ``python -m``.
    summary : str
        What it does.
    example : str
        What follows the module in an example.
    """

    module: str
    summary: str
    example: str


COMMANDS = (
    Command("distmarl.sweep", "run a sweep file: train, evaluate, write tables and figures", "sweeps/robots.yaml"),
    Command("distmarl.status", "tell how far a sweep is: done, running, failed, missing", "results/robots"),
    Command("distmarl.report", "print the numbers and draw the figures again, from the tables", "results/robots"),
    Command("distmarl.config", "print the JSON schema of sweep files, for editors", "schema"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m distmarl",
        description="List the commands.",
        epilog="Each command has --help, which also tells its exit codes.",
    )
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    _, words = parser.parse_known_args(argv)
    if words:
        known = [command.module for command in COMMANDS if command.module.partition(".")[2] == words[0]]
        hint = f"type python -m {known[0]}" if known else "type python -m distmarl to see the commands"
        parser.error(f"{words[0]}: there is no such command or option; {hint}")
    console = Console(highlight=False, emoji=False)
    console.print(f"distmarl {distmarl.__version__}: {_summary()}\n")
    for command in COMMANDS:
        console.print(f"[bold]python -m {command.module}[/] {command.example}")
        console.print(Padding(command.summary, (0, 0, 0, 4), expand=False))
    console.print("\nEach has --help. In Python or a notebook: import distmarl as dm")
    return 0


def _summary() -> str:
    """Return what distmarl is, from its own docstring."""
    return (distmarl.__doc__ or "").partition("\n")[0].removeprefix("distmarl: ")


if __name__ == "__main__":
    sys.exit(main())
