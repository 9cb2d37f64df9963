"""What all commands have in common."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import distmarl
from distmarl.__main__ import COMMANDS, main
from distmarl.config.__main__ import schema_text
from tests.conftest import REPOSITORY
from tests.places import locked
from tests.report.results_folders import commit_points, grid_of, start_folder

PACKAGE = Path(distmarl.__file__).parent
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def entry_point(module: str) -> Callable[[list[str]], int]:
    return importlib.import_module(f"{module}.__main__").main


def called_as(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    path = "/usr/bin/distmarl" if program == "distmarl" else "/usr/lib/distmarl/__main__.py"
    monkeypatch.setattr(sys, "argv", [path])


def test_every_command_is_listed_with_an_example_of_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert {command.name for command in COMMANDS} == {path.parent.name for path in PACKAGE.glob("*/__main__.py")}
    for command in COMMANDS:
        typed = f"python -m distmarl.{command.name} {command.example}\n"
        assert f"{typed}    {command.summary}\n" in listed
        with pytest.raises(SystemExit, match="0"):
            entry_point(f"distmarl.{command.name}")(["--help"])
        told = capsys.readouterr().out
        assert typed.strip() in told
        assert told.startswith(f"usage: python -m distmarl.{command.name} ")


@pytest.mark.parametrize("program", ["distmarl", "python -m distmarl"])
def test_help_shows_the_way_that_a_command_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    called_as(monkeypatch, program)
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([command.name, "--help"])
        assert capsys.readouterr().out.startswith(f"usage: {program} {command.name} ")
    assert main([]) == 0
    listed = "distmarl sweep" if program == "distmarl" else "python -m distmarl.sweep"
    assert f"\n{listed} sweeps/robots.yaml\n" in capsys.readouterr().out


def test_the_console_command_is_the_same() -> None:
    assert 'distmarl = "distmarl.__main__:main"' in (REPOSITORY / "pyproject.toml").read_text()


def test_a_commands_exit_code_is_returned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path / "absent")]) == 2
    assert "there is no such results folder" in capsys.readouterr().err


def test_the_schema_has_a_shorter_name(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for words in (["schema"], ["config", "schema"]):
        assert main(words) == 0
        printed.append(capsys.readouterr().out)
    assert printed == [schema_text()] * 2


def test_a_command_is_imported_only_when_it_is_used() -> None:
    modules = [f"distmarl.{command.name}.__main__" for command in COMMANDS]
    code = f"import sys; from distmarl.__main__ import main; main([]); print(sorted({set(modules)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"distmarl {distmarl.__version__}\n"


@pytest.mark.parametrize(
    ("word", "meant"), [("swep", "did you mean 'sweep'? Or "), ("stat", "did you mean 'status'? Or "), ("--xyz", "")]
)
def test_what_is_no_command_is_told_what_is(capsys: pytest.CaptureFixture[str], word: str, meant: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([word, "sweeps/robots.yaml"])
    output = capsys.readouterr()
    assert output.out == ""
    hint = f"{meant}type python -m distmarl to see the commands"
    assert output.err.endswith(f"error: {word}: there is no such command or option; {hint}\n")


def in_terminal(monkeypatch: pytest.MonkeyPatch, term: str, no_color: str) -> tuple[Terminal, Terminal]:
    """Make the standard streams a terminal of a kind."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    if no_color:  # an empty one counts in old versions of rich
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
