"""Tasks in the command's own process that hear nothing: the process ends, and says so."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from distmarl.sweep.__main__ import main as sweep
from tests.commands import call_in, own_environment, started
from tests.sweep.sweeps import table_bytes, write_sweep

DEAF = "and hears nothing, as code does that is compiled; this process ended with it"
COMMAND = [sys.executable, "-m", "tests.sweep.hanging"]
SERIAL = ["tiny.json", "--executor", "serial"]
# As a shell gives the end by SIGINT, too.
ENDED_BY_SIGINT = -signal.SIGINT


def run_hanging(folder: Path, how: str, *options: str, send: Sequence[signal.Signals] = ()) -> tuple[int, str]:
    """Run a sweep that hangs, send it signals once it does, and return its exit code and what it said."""
    write_sweep(folder)
    words = [*COMMAND, how, *SERIAL, *options]
    with started(words, cwd=folder, env=own_environment(), stderr=subprocess.PIPE, text=True) as process:
        while send and not (folder / "hangs").exists():
            assert process.poll() is None
            time.sleep(0.05)
        for number in send:
            process.send_signal(number)
            time.sleep(0.2)
        _, said = process.communicate()
    return process.returncode, said


def check_going_on(folder: Path) -> None:
    """Check that the lock is free and what was done is kept; that the rest runs, to the same tables as ever."""
    results = folder / "results" / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distmarl.sweep.__main__._report", lambda *_, **__: None)
        done = call_in(folder, sweep)(*SERIAL)
        undisturbed = call_in(folder, sweep)(*SERIAL, "--out", "undisturbed")
    assert done.returncode == undisturbed.returncode == 0
    assert re.search("7 tasks, [123] of them done before", done.stderr)
    assert "took over" not in done.stderr
    assert table_bytes(results) == table_bytes(folder / "undisturbed")


@pytest.mark.parametrize("how", ["holding", "releasing"])
def test_a_deadline_that_nobody_hears_ends_the_process(tmp_path: Path, how: str) -> None:
    code, said = run_hanging(tmp_path, how, "--set", "runner.task_timeout_s=4")
    assert code == 1
    assert "error: evaluate-" in said
    assert f"ran longer than runner.task_timeout_s (4 s) {DEAF}" in said
    assert f"in {how}" in said  # where it hung
    assert "what was done is kept. To go on: " in said
    assert "tests.sweep.hanging" in said
    check_going_on(tmp_path)


@pytest.mark.parametrize(
    ("how", "send"),
    [
        ("holding", [signal.SIGINT]),
        ("holding", [signal.SIGTERM]),
        ("holding", [signal.SIGINT, signal.SIGINT]),
        ("releasing", [signal.SIGHUP]),
    ],
)
def test_a_signal_that_nobody_hears_ends_the_process(tmp_path: Path, how: str, send: list[signal.Signals]) -> None:
    code, said = run_hanging(tmp_path, how, send=send)
    assert code == ENDED_BY_SIGINT
    assert said.count(f"was to stop {DEAF}") == 1
    assert said.count("interrupted; what was done is kept. To go on: ") == 1
    if len(send) == 1 and how == "releasing":
        check_going_on(tmp_path)


def test_a_task_that_hears_is_left_to_end_itself(tmp_path: Path) -> None:
    code, said = run_hanging(tmp_path, "listening", send=[signal.SIGINT])
    assert code == 130
    assert DEAF not in said
    assert said.count("interrupted; what was done is kept. To go on: ") == 1
    check_going_on(tmp_path)


def test_no_guard_outlives_its_command(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    words = [*COMMAND, "holding", *SERIAL]
    with started(words, cwd=tmp_path, env=own_environment(), stderr=subprocess.PIPE, text=True) as process:
        while not (guards := guards_of(process.pid)):
            time.sleep(0.05)
        process.kill()
        process.communicate()
    while any(map(lives, guards)):  # a test that never ends is one that fails
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Return whether a process runs, and does not only wait for somebody to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def guards_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")
    return [int(child) for child in children.read_text().split() if b"guards/process.py" in command_of(child)]


def command_of(pid: str) -> bytes:
    with suppress(OSError):  # it has ended since
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
