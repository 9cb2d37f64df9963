"""Run distmarl with the lowest versions that pyproject.toml allows: ``python -m tests.lowest_versions``.

The environment is one of its own, in a folder that is deleted at the end; uv resolves it (``lowest-direct``), on Python
3.10 where there is one. Where the lowest version of a package has no wheel for this Python, the lowest that has one is
taken. In it run a sweep on Ray, its report and its status, and the quick tests.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.commands import REPOSITORY, own_environment

LOWEST_PYTHON = "python3.10"
# What needs neither Ray nor a browser, and is no numerics that only take long. Old packages warn of new ones.
QUICK_TESTS = (
    *("-q", "-n", "auto", "-o", "filterwarnings=default", "-m", "not (ray or cluster or slurm or browser)"),
    *(
        "tests/adapters",
        "tests/config",
        "tests/games",
        "tests/model",
        "tests/new",
        "tests/results",
        "tests/status",
        "tests/study",
    ),
    *("tests/report/test_command.py", "tests/report/test_numbers.py", "tests/report/test_terminal_report.py"),
    *("tests/sweep/test_bad_input.py", "tests/sweep/test_command.py", "tests/sweep/test_session.py"),
    *("tests/test_commands.py", "tests/test_foreign_folder.py", "tests/test_notebook.py", "tests/test_pipes.py"),
    *("tests/test_python_callers.py", "tests/test_terminal.py", "tests/test_wording.py"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all commands; return the exit code of the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.lowest_versions")
    parser.add_argument("--python", default=lowest_python(), help="which Python to use (default: %(default)s)")
    python = parser.parse_args(argv).python
    with tempfile.TemporaryDirectory() as folder:
        for command in commands(Path(folder), python):
            sys.stderr.write(f"== {shlex.join(command)}\n")
            done = subprocess.run(command, cwd=REPOSITORY, env=own_environment(), check=False)
            if done.returncode:
                return done.returncode
    return 0


def lowest_python() -> str:
    """Return Python 3.10, if it is there and starts; else the one that runs."""
    try:
        subprocess.run([LOWEST_PYTHON, "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return sys.executable
    return LOWEST_PYTHON


def commands(folder: Path, python: str) -> Iterator[list[str]]:
    """Yield what is run: first what makes the environment, then what is tried in it."""
    installer, lowest, results = folder / "uv", folder / "lowest", str(folder / "smoke")
    there = str(lowest / "bin" / "python")
    yield [sys.executable, "-m", "venv", str(installer)]
    yield [str(installer / "bin" / "pip"), "install", "-q", "uv"]
    uv = str(installer / "bin" / "uv")
    yield [uv, "venv", "-q", "--no-python-downloads", "--python", python, str(lowest)]
    wheels = ["--only-binary", ":all:", "--no-binary", "distmarl"]
    yield [uv, "pip", "install", "-q", "--python", there, "--resolution", "lowest-direct", *wheels, "-e", ".[test]"]
    yield [uv, "pip", "list", "-q", "--python", there]
    yield [there, "-m", "distmarl.sweep", "sweeps/smoke.yaml", "--out", results]
    yield [there, "-m", "distmarl.report", results]
    yield [there, "-m", "distmarl.status", results]
    yield [there, "-m", "pytest", *QUICK_TESTS]


if __name__ == "__main__":
    sys.exit(main())
