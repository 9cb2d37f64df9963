import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from distmarl.report.terminal_report import improvement_lines, label_lines, terminal_table


def summary_of(labels: list[str], **columns: object) -> pd.DataFrame:
    rows = [
        {"setting_id": f"s{number}", "label": label, "k": k, "mean_return": value + number, "std_return": 0.5}
        for number, label in enumerate(labels)
        for k, value in ((1, 75.123), (25, 81.199))
    ]
    frame = pd.DataFrame(rows).assign(
        train_seconds=[0.25, 100.0] * len(labels), converged=True, exact_return=np.nan, n_seeds=3
    )
    return frame.assign(**columns).astype({"converged": "boolean"})


def rendered(summary: pd.DataFrame) -> list[list[str]]:
    """Return the cells of each printed line."""
    stream = io.StringIO()
    Console(file=stream, width=100).print(terminal_table(summary))
    return [line.split() for line in stream.getvalue().splitlines() if line.strip()]


def test_the_table_has_k_value_and_training_time():
    head, _, *rows = rendered(summary_of([""]))
    assert head == ["k", "Value", "(mean", "±", "std)", "Train", "(s)"]
    assert rows == [["1", "75.12", "±", "0.50", "0.25"], ["25", "81.20", "±", "0.50", "100.00"]]


def test_exact_returns_have_a_column_of_their_own_beside_rollouts() -> None:
    head, _, first, *_ = rendered(summary_of(["n=1"], exact_return=[75.12345, np.nan]))
    assert "Exact" in head
    assert "75.1235" in first
    alone = rendered(summary_of(["n=1"], exact_return=75.12345, n_seeds=0))
    assert "Exact" not in alone[0]


def test_a_setting_without_exact_returns_has_dashes_beside_one_that_has_them() -> None:
    _, _, *rows = rendered(summary_of(["n=1", "n=2"], exact_return=[75.0, 81.0, np.nan, np.nan]))
    assert [row[-2] for row in rows] == ["75.0000", "81.0000", "-", "-"]


def test_one_seed_has_a_value_without_a_deviation():
    _, _, first, _ = rendered(summary_of([""], std_return=float("nan")))
    assert first == ["1", "75.12", "0.25"]


def test_a_time_that_was_not_stored_is_a_dash():
    _, _, first, _ = rendered(summary_of([""], train_seconds=float("nan")))
    assert first == ["1", "75.12", "±", "0.50", "-"]


def test_settings_are_groups_named_once():
    head, _, *rows = rendered(summary_of(["n_agents=30", "[red]=100"]))
    assert head[0] == "setting"
    assert [row[0] for row in rows] == ["n_agents=30", "25", "[red]=100", "25"]


def test_unconverged_trainings_are_marked():
    _, _, first, second, note = rendered(summary_of([""], converged=[False, True]))
    assert (first[0], second[0]) == ("1*", "25")
    assert " ".join(note) == "* training has not converged"


def test_small_values_keep_three_digits():
    _, _, first, _ = rendered(summary_of([""], mean_return=[0.0123, 0.0456], std_return=0.001))
    assert first[1] == "0.0123"


def test_the_improvement_is_told_as_range_and_percentage():
    assert improvement_lines(summary_of([""])) == [
        "Reward range: 75.12 (k=1) → 81.20 (k=25)",
        "Improvement: 8.1%",
    ]


def test_each_setting_has_its_own_improvement():
    lines = improvement_lines(summary_of(["n_agents=30", "n_agents=100"]))
    assert lines[0] == "n_agents=30:"
    assert lines[3] == "n_agents=100:"
    assert lines[4] == "  Reward range: 76.12 (k=1) → 82.20 (k=25)"


def test_one_k_has_no_improvement():
    assert improvement_lines(summary_of([""]).head(1)) == []


@pytest.mark.parametrize("first", [0.0, -0.0])
def test_an_improvement_on_nothing_is_told_as_a_difference(first):
    assert improvement_lines(summary_of([""], mean_return=[first, 2.5]))[1] == "Improvement: 2.50"


LONG_LABELS = [
    "n_agents=30, convergence_threshold=1e-06, transitions=sampled",
    "n_agents=1000, convergence_threshold=0.0001, transitions=exact",
]


@pytest.mark.parametrize("width", [120, 80, 60, 40])
@pytest.mark.parametrize("labels", [[""], ["n_agents=30", "n_agents=100"], LONG_LABELS])
@pytest.mark.parametrize("exact", [np.nan, 75.12345])
def test_no_number_is_cut_in_a_narrow_terminal(width: int, labels: list[str], exact: float) -> None:
    stream = io.StringIO()
    Console(file=stream, width=width).print(terminal_table(summary_of(labels, exact_return=exact), width))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = text.split()
    for number in ("0.50", "0.25", "100.00", "25", *(["75.1235"] if exact > 0 else [])):
        assert words.count(number) >= len(labels)
    assert {"75.12", "81.20"} <= set(words)
    for label in labels:
        assert all(value in text for part in label.split(", ") for value in part.split("="))


def test_a_label_is_broken_between_keys_and_a_key_is_shortened_before_a_value_is() -> None:
    label = "n_agents=30, convergence_threshold=1e-06, gamma=0.9"
    assert label_lines(label, 80) == [label]
    assert label_lines(label, 30) == ["n_agents=30,", "convergence_threshold=1e-06,", "gamma=0.9"]
    assert label_lines(label, 16) == ["n_agents=30,", "converg…reshold=", "1e-06,", "gamma=0.9"]
    assert label_lines("", 10) == [""]
