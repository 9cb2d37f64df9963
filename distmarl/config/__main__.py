"""Print the JSON schema of sweep files, or all of their keys: ``python -m distmarl.config schema``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from distmarl.config.schema import sweep_schema
from distmarl.config.template import all_keys
from distmarl.games.lookup import GAMES
from distmarl.terminal import DONE, command_parser, run_command

DESCRIPTION = """\
Print the JSON schema of sweep files. An editor that knows it completes keys, shows what they mean and
marks what is wrong. A YAML file names it in its first line:

  # yaml-language-server: $schema=sweep.schema.json

Or print a sweep file with every key, its default and what it means.
"""

EPILOG = """\
examples:
  python -m distmarl.config schema > sweeps/sweep.schema.json
  python -m distmarl.config keys
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.config", DESCRIPTION, EPILOG)
    parser.add_argument("what", choices=["schema", "keys"], help="what to print")
    return run_command(parser, _run, argv)


def _run(arguments: argparse.Namespace, _messages: Console) -> int:
    sys.stdout.write(schema_text() if arguments.what == "schema" else all_keys())
    return DONE


def schema_text() -> str:
    """Return the JSON schema of sweep files as text."""
    return json.dumps(sweep_schema(GAMES), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
