"""What is written to a terminal, or to a file in its place."""

from __future__ import annotations

import argparse
import io

import pytest
from rich.console import Console

from distmarl.errors import ConfigError
from distmarl.terminal import can_redraw, command_parser, print_error, run_command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "can"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, False),
        (io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_lines_are_drawn_again_only_for_someone_who_watches(
    stream: io.StringIO, environment: dict[str, str], can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert can_redraw(Console(file=stream)) is can


@pytest.mark.parametrize(
    ("stream", "environment", "has_colour", "has_codes"),
    [
        (Terminal(), {"TERM": "xterm"}, True, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        (Terminal(), {"TERM": "dumb"}, False, False),
        (io.StringIO(), {"TERM": "xterm"}, False, False),
    ],
)
def test_errors_are_red_where_there_are_colours(
    stream: io.StringIO,
    environment: dict[str, str],
    has_colour: bool,
    has_codes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    print_error(ConfigError("tiny.yaml:3: experiment.k: [red]wrong[/]"), Console(file=stream, width=40))
    text = stream.getvalue()
    assert ("31m" in text) is has_colour
    assert ("\x1b" in text) is has_codes
    assert "[red]wrong[/]" in text


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (0, 0, ""),
        (1, 1, ""),
        (ConfigError("tiny.yaml: [red]no[/]"), 2, "error: tiny.yaml: [red]no[/]\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_a_command_ends_with_a_code_and_no_traceback(
    outcome: int | BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: argparse.Namespace, _messages: Console) -> int:
        assert not vars(arguments)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    assert run_command(command_parser("distmarl.none", "", ""), run, []) == code
    assert capsys.readouterr() == ("", message)
