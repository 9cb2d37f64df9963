"""What all commands have in common."""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import distmarl
from distmarl.__main__ import COMMANDS, main
from tests.places import locked
from tests.report.results_folders import commit_points, grid_of, start_folder

PACKAGE = Path(distmarl.__file__).parent
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def entry_point(module: str) -> Callable[[list[str]], int]:
    return importlib.import_module(f"{module}.__main__").main


def test_every_command_is_listed_with_an_example_of_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    modules = {f"distmarl.{path.parent.name}" for path in PACKAGE.glob("*/__main__.py")}
    assert {command.module for command in COMMANDS} == modules
    for command in COMMANDS:
        typed = f"python -m {command.module} {command.example}\n"
        assert f"{typed}    {command.summary}\n" in listed
        with pytest.raises(SystemExit, match="0"):
            entry_point(command.module)(["--help"])
        assert typed.strip() in capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"distmarl {distmarl.__version__}\n"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("sweep", "type python -m distmarl.sweep"),
        ("swep", "type python -m distmarl to see the commands"),
        ("--swep", "type python -m distmarl to see the commands"),
    ],
)
def test_what_is_no_command_is_told_what_is(capsys: pytest.CaptureFixture[str], word: str, hint: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([word, "sweeps/robots.yaml"])
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.endswith(f"error: {word}: there is no such command or option; {hint}\n")


def in_terminal(monkeypatch: pytest.MonkeyPatch, term: str, no_color: str) -> tuple[Terminal, Terminal]:
    """Make the standard streams a terminal of a kind."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    output, messages = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", messages)
    return output, messages


@pytest.mark.parametrize("module", ["distmarl.sweep", "distmarl.report", "distmarl.status"])
@pytest.mark.parametrize(
    ("term", "no_color", "is_coloured"),
    [("xterm-256color", "", True), ("xterm-256color", "1", False), ("dumb", "", False)],
)
def test_errors_are_coloured_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, term: str, no_color: str, is_coloured: bool
) -> None:
    command = entry_point(module)
    _, messages = in_terminal(monkeypatch, term, no_color)
    assert command([str(tmp_path / "absent")]) == 2
    assert bool(COLOUR.search(messages.getvalue())) == is_coloured
    assert term != "dumb" or "\x1b" not in messages.getvalue()
    assert "error:" in messages.getvalue()


def test_an_error_is_folded_between_words_in_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = entry_point("distmarl.status")
    assert command(["absent"]) == 2
    assert capsys.readouterr().err == "error: absent: there is no such results folder\n"
    _, messages = in_terminal(monkeypatch, "xterm", "1")
    monkeypatch.setenv("COLUMNS", "30")
    assert command(["absent"]) == 2
    lines = re.sub(r"\x1b\[[0-9;]*m", "", messages.getvalue()).splitlines()
    assert [line.strip() for line in lines] == ["error: absent: there is no", "such results folder"]


@pytest.mark.parametrize(
    ("term", "no_color", "is_coloured"),
    [("xterm-256color", "", True), ("xterm-256color", "1", False), ("dumb", "", False)],
)
def test_a_status_is_coloured_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, term: str, no_color: str, is_coloured: bool
) -> None:
    commit_points(start_folder(tmp_path), grid_of(["only"], [1, 2], 2))
    output, _ = in_terminal(monkeypatch, term, no_color)
    with locked(tmp_path):
        assert entry_point("distmarl.status")([str(tmp_path)]) == 0
    assert bool(COLOUR.search(output.getvalue())) == is_coloured
    assert term != "dumb" or "\x1b" not in output.getvalue()
    assert "running" in output.getvalue()
