"""Numbers and names as words."""

from __future__ import annotations

import pytest

from distmarl.wording import ago, counted, duration, fitting_label, fixed, harmless, mebibytes, packed, shortened


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


@pytest.mark.parametrize(
    ("number", "text", "signed"),
    [
        (-0.04, "0.0", "0.0"),
        (0.04, "0.0", "0.0"),
        (-0.0, "0.0", "0.0"),
        (-0.06, "-0.1", "-0.1"),
        (12.34, "12.3", "+12.3"),
        (float("nan"), "nan", "+nan"),
        (float("-inf"), "-inf", "-inf"),
    ],
)
def test_a_number_that_rounds_to_zero_has_no_sign(number: float, text: str, signed: str) -> None:
    assert (fixed(number, 1), fixed(number, 1, signed=True)) == (text, signed)


def test_controls_are_spelt_out_and_all_else_is_as_it_was() -> None:
    assert harmless("\x1b[2J\x07\x9b\u202e\ud800") == r"\x1b[2J\x07\x9b\u202e\ud800"
    assert harmless("n = 30 · ±\n\t中 é\U0001f600") == "n = 30 · ±\n\t中 é\U0001f600"


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
    ("seconds", "text"),
    [(-3, "0 s ago"), (0.4, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (86400, "1 day ago"),
     (200_000, "2 days ago")],
)  # fmt: skip
def test_the_past_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 tasks"), (1, "1 task"), (1.0, "1 task"), (2.0, "2 tasks"), (1234567, "1,234,567 tasks")]
)
def test_there_is_one_or_there_are_several(number: float, text: str) -> None:
    assert counted(number, "task") == text


def test_sizes_are_told_in_mebibytes() -> None:
    assert mebibytes(1.5 * 2**40) == "1,572,864 MiB"
