"""Print the JSON schema of sweep files: ``python -m distmarl.config schema``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import distmarl
from distmarl.config.schema import sweep_schema
from distmarl.games.lookup import GAMES

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
    parser = argparse.ArgumentParser(
        prog="python -m distmarl.config",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["schema"], help="what to print")
    parser.add_argument("--version", action="version", version=f"distmarl {distmarl.__version__}")
    parser.parse_args(argv)
    print(schema_text(), end="")  # noqa: T201
    return 0


def schema_text() -> str:
    """Return the JSON schema of sweep files as text."""
    return json.dumps(sweep_schema(GAMES), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
