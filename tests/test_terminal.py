"""What is written to a terminal, or to a file in its place."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from distmarl.errors import ConfigError
from distmarl.terminal import can_redraw, duration, fitting_label, packed, print_error, shortened


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0123, "12 ms"),
        (0.5, "0.5 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (7, "7 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7530.0, "2 h 5 min"),
        (100_000, "1 d 3 h"),
    ],
)
def test_a_time_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_too_long_loses_its_middle() -> None:
    assert shortened("n_agents=1000", 13) == "n_agents=1000"
    assert shortened("n_agents=1000", 9) == "n_ag…1000"
    assert [len(shortened("n_agents=1000", width)) for width in range(14)] == list(range(14))


def test_a_label_that_is_too_long_keeps_its_values() -> None:
    label = "n_agents=1000, gamma=0.95"
    assert fitting_label(label, 25) == label
    assert fitting_label(label, 24) == "1000, 0.95"
    assert fitting_label(label, 9) == ""


def test_parts_share_lines_as_they_fit() -> None:
    assert list(packed(["one", "", "two", "three"], 9)) == ["one · two", "three"]
    assert list(packed(["one", "two", "three"], 80)) == ["one · two · three"]
    assert all(len(line) <= 4 for line in packed(["twelve", "a", "b"], 4))


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
