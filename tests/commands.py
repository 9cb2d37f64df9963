"""Commands as users type them: each in a process of its own, or in this one, which spares a new Python's start."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Any

import pytest

REPOSITORY = Path(__file__).parent.parent

RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]


def own_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, in which commands find this checkout and no cluster."""
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**inherited, "PYTHONPATH": str(REPOSITORY), **changes}


def command_in(folder: Path, module: str) -> RunCommand:
    """Return a function that runs ``python -m module`` in a folder."""

    def run(*arguments: str | Path | int, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=folder,
            env=own_environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def call_in(folder: Path, main: Callable[[list[str]], int]) -> RunCommand:
    """Return a function that does in this process what a command does in its own, started in a folder."""

    def run(*arguments: str | Path | int, **environment: str) -> subprocess.CompletedProcess[str]:
        words, known = [str(each) for each in arguments], set(sys.modules)
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(folder)
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.delenv("RAY_ADDRESS", raising=False)
            for module in folder.glob("*.py"):
                patch.delitem(sys.modules, module.stem, raising=False)  # another folder's
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                code = main(words)
            except SystemExit as left:
                code = int(left.code or 0)
        for name in {*sys.modules} - known:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == folder:
                del sys.modules[name]  # another folder's may have the same name; what lies deeper is a library
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@contextmanager
def blanked_figures() -> Iterator[None]:
    """Let figures be empty in their files."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    save = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, *arguments, **options: save(Figure((1, 1)), *arguments, **options))
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
        yield


@contextmanager
def started(command: list[Any], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; end it where the test ends early, so that nothing waits for it."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def heard(stream: IO[str], start: str) -> str:
    """Return the next line that starts so: a slow machine tells more lines. None has come where it is empty."""
    return next((line for line in stream if line.startswith(start)), "")


@contextmanager
def on_one_core() -> Iterator[None]:
    """Let this process, and what it starts, use one core, as a batch system does."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system ties no process to cores")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
