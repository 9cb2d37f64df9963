"""Print the JSON schema of sweep files: ``python -m distmarl.config schema``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from distmarl.config.schema import sweep_schema
from distmarl.games.lookup import GAMES
from distmarl.terminal import DONE, command_parser

DESCRIPTION = """\
Print the JSON schema of sweep files. An editor that knows it completes keys, shows what they mean and
marks what is wrong. A YAML file names it in its first line:

  # yaml-language-server: $schema=sweep.schema.json
"""

EPILOG = """\
example:
  python -m distmarl.config schema > sweeps/sweep.schema.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = command_parser("distmarl.config", DESCRIPTION, EPILOG)
    parser.add_argument("what", choices=["schema"], help="what to print")
    parser.parse_args(argv)
    print(schema_text(), end="")  # noqa: T201
    return DONE


def schema_text() -> str:
    """Return the JSON schema of sweep files as text."""
    return json.dumps(sweep_schema(GAMES), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
