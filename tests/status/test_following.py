"""A status that is told again and again while a sweep runs."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distmarl.results.storage.opening import open_location
from distmarl.results.tables import FAILURES
from distmarl.status import following
from distmarl.status.__main__ import main
from distmarl.status.folder_status import FailedTask, FolderStatus, read_status
from tests.commands import own_environment, started
from tests.places import locked
from tests.report.results_folders import commit_points, failure_row, start_folder
from tests.sweep.sweeps import TINY, changed, write_sweep

LONG = changed(TINY, evaluation={"n_rollouts": 500, "horizon": 300}, experiment={"n_eval_seeds": 30})
COUNT = re.compile(r"(\d+) of \d+ tasks done")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that another process fills meanwhile."""
    sweep = write_sweep(tmp_path, LONG)
    command = [sys.executable, "-m", "distmarl.sweep", str(sweep), "--executor", "serial", "--out", "out"]
    with started(command, cwd=tmp_path, env=own_environment(), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (tmp_path / "out" / "settings" / "data.parquet").exists():
            time.sleep(0.02)
        yield tmp_path / "out"
        process.kill()


def test_a_sweep_is_watched_until_it_ends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--watch", "0.05"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    told = [int(count) for count in COUNT.findall(output.out)]
    assert told[-1] == 63
    assert len(told) > 3
    assert told == sorted(told)
    first, *_, last = output.out.split("\n\n")
    assert "running: process " in first
    assert "running: process " not in last
    assert last.endswith(f"To see the results:\n  python -m distmarl.report {folder}\n")
    assert "\x1b" not in output.out


Look = FolderStatus | BaseException


def seeing(monkeypatch: pytest.MonkeyPatch, *looks: Look) -> list[float]:
    """Let each look at the folder see the next status; return the pauses, once they were made."""
    pauses: list[float] = []
    statuses = iter(looks)

    def read(_folder: object) -> FolderStatus:
        seen = next(statuses)
        if isinstance(seen, BaseException):
            raise seen
        return seen

    monkeypatch.setattr(following, "read_status", read)
    monkeypatch.setattr(following, "sleep", pauses.append)
    return pauses


def states_of(root: Path) -> tuple[FolderStatus, FolderStatus, FolderStatus]:
    """Return a running sweep's status, the same with a task more, and that of the sweep when it has ended."""
    store, location = start_folder(root), open_location(root)
    with locked(root):
        commit_points(store, [("only", 1, 0)], whole=True)
        started = read_status(location)
        commit_points(store, [("only", 1, 1)], whole=True)
        further = read_status(location)
    return started, further, read_status(location)


def test_a_file_is_told_of_changes_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started, further, ended = states_of(tmp_path)
    pauses = seeing(monkeypatch, started, started, further, further, ended)
    assert main([str(tmp_path), "--watch", "3"]) == 0
    told = capsys.readouterr().out.split("\n\n")
    assert [int(COUNT.findall(text)[0]) for text in told] == [2, 3, 3]
    assert pauses == [3.0] * 4


def test_ctrl_c_ends_the_watching_with_the_usual_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = start_folder(tmp_path)
    store.commit("failed", [(FAILURES, [failure_row("only", 2)])])
    with locked(tmp_path):
        seen = replace(read_status(open_location(tmp_path)), failures=[FailedTask("g_learn", "", [("k", 2)], "no")])
    pauses = seeing(monkeypatch, seen, KeyboardInterrupt())
    assert main([str(tmp_path), "--watch"]) == 1
    output = capsys.readouterr()
    assert output.err == ""
    assert len(COUNT.findall(output.out)) == 1
    assert pauses == [5.0]


def test_a_terminal_is_drawn_anew_and_keeps_the_last_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, further, ended = states_of(tmp_path)
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    seeing(monkeypatch, started, further, ended)
    assert main([str(tmp_path), "--watch", "120"]) == 0
    before, _, rest = terminal.getvalue().partition("\x1b[?1049h")  # the terminal's other screen
    frames, _, last = rest.partition("\x1b[?1049l")
    assert before == ""
    assert "looked at every 120 s; Ctrl-C ends it" in frames
    assert list(dict.fromkeys(COUNT.findall(frames))) == ["2", "3"]
    assert "Ctrl-C" not in last
    assert f"  {' '.join(ended.command)} --out={tmp_path}\n" in last


@pytest.mark.parametrize("seconds", ["results/robots", "0", "-1", "nan", "inf"])
def test_what_is_no_time_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["results/robots", f"--watch={seconds}"])
    message = f"must be a number of seconds, got {seconds!r}; the folder stands before --watch"
    assert message in capsys.readouterr().err
