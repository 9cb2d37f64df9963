"""Readers that go and disks that are full, at the ends of every command."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import pytest

from distmarl.results.tables import FAILURES
from tests.commands import own_environment, started
from tests.places import locked
from tests.report.results_folders import commit_points, failure_row, grid_of, start_folder
from tests.sweep.sweeps import write_sweep

# What is typed, and the exit code of the command.
COMMANDS: dict[str, tuple[list[str], int]] = {
    "distmarl": ([], 0),
    "distmarl.new": (["--help"], 0),
    "distmarl.games": ([], 0),
    "distmarl.config": (["schema"], 0),
    "distmarl.status": (["results"], 1),
    "distmarl.report": (["results"], 0),
    "distmarl.sweep": (["tiny.json", "--plan"], 0),
}
every_command = pytest.mark.parametrize("module", COMMANDS)
pytestmark = pytest.mark.usefixtures("blank_figures")


def unread() -> TextIO:
    """Return a stream into a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def full() -> TextIO:
    """Return a stream onto a disk that is full."""
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("there is no /dev/full here")
    return path.open("w")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a sweep file, and with results of which a task has failed."""
    store = start_folder(tmp_path / "results", k_values=[1, 2])
    commit_points(store, grid_of(["only"], [1], 2))
    store.commit("failed", [(FAILURES, [failure_row("only", 2)])])
    write_sweep(tmp_path)
    return tmp_path


def print_to(
    stream: TextIO, folder: Path, module: str, words: Sequence[str], patch: pytest.MonkeyPatch, *names: str
) -> int:
    """Do what a command does, with other standard streams; return its exit code."""
    patch.chdir(folder)
    main: Callable[[Sequence[str]], int] = importlib.import_module(f"{module}.__main__").main
    for name in names:
        patch.setattr(sys, name, stream)
    with stream:  # at the end of which Python writes what it still keeps back, as at its own end
        try:
            return main(words)
        except SystemExit as left:
            return int(left.code or 0)


@every_command
def test_a_command_ends_quietly_when_its_reader_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    words, code = COMMANDS[module]
    assert print_to(unread(), folder, module, words, monkeypatch, "stdout") == code
    assert not re.search("[Ee]rr(or|no)|Broken|Traceback", capsys.readouterr().err)


@every_command
def test_a_full_disk_is_a_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    assert print_to(full(), folder, module, COMMANDS[module][0], monkeypatch, "stdout") == 2
    assert capsys.readouterr().err == "error: standard output: cannot be written: No space left on device\n"


def test_python_has_nothing_to_complain_of_at_its_end() -> None:
    typed = [sys.executable, "-m", "distmarl.status", "--help"]
    with unread() as pipe:
        done = subprocess.run(typed, env=own_environment(), stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


SWEEP = ["tiny.json", "--executor", "serial", "--out", "new"]


def test_a_sweep_goes_on_to_its_end_when_nobody_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert print_to(unread(), folder, "distmarl.sweep", SWEEP, monkeypatch, "stdout", "stderr") == 0
    (session,) = json.loads((folder / "new" / "provenance.json").read_text())["sessions"]
    assert session["outcome"] == "ended"
    assert (folder / "new" / "report.html").exists()


def test_a_sweep_whose_numbers_cannot_be_printed_has_its_own_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert print_to(full(), folder, "distmarl.sweep", SWEEP, monkeypatch, "stdout") == 0
    told = capsys.readouterr().err
    assert "warning: standard output: cannot be written: No space left on device\n" in told
    assert "\nresults in new\n" in told


def test_who_watches_a_sweep_for_nobody_ends(folder: Path) -> None:
    """A sweep that hangs prints nothing by which its watcher could learn that its reader has gone."""
    typed = [sys.executable, "-m", "distmarl.status", str(folder / "results"), "--watch", "0.1"]
    with (
        locked(folder / "results"),
        unread() as pipe,
        started(typed, env=own_environment(), stdout=pipe) as watcher,
    ):
        assert watcher.wait() == 1
