import math

import pandas as pd
import pytest

from distmarl.report.page.headline import headlines, reached_text
from distmarl.report.page.page_tables import RESULTS, SETTINGS, settings_row
from tests.report.pages import baseline_row

N_AGENTS = {"one": 8}


def summary_of(values: dict[int, float], *, exact: dict[int, float] | None = None) -> pd.DataFrame:
    rows = [
        {
            "setting_id": "one",
            "label": "",
            "k": k,
            "mean_return": value,
            "exact_return": (exact or {}).get(k, math.nan),
            "ci95_low": value - 1,
            "ci95_high": value + 1,
        }
        for k, value in values.items()
    ]
    return pd.DataFrame(rows)


def baselines_of(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows or [baseline_row("one", "random", 1.0)])


def headline_of(values: dict[int, float], *rows: dict, exact: dict[int, float] | None = None):
    return headlines(summary_of(values, exact=exact), baselines_of(*rows), N_AGENTS)[0]


def test_the_share_is_reached_at_the_first_k_that_has_it_and_dips_are_named():
    one = headline_of({1: 80.0, 2: 95.0, 3: 94.9, 4: 97.0, 5: 90.0, 8: 100.0})
    assert (one.full.value, one.full.source) == (100.0, "k = n = 8, by rollouts")
    assert (one.reached_at, one.falls_below_at) == (2, (3, 5))
    assert (one.absolute, one.percent) == (20.0, 25.0)


def test_the_baseline_with_full_information_comes_before_k_equal_n_and_exact_before_rollouts():
    rollouts = baseline_row("one", "full_information", 110.0, "rollouts")
    assert headline_of({1: 80.0, 8: 100.0}, rollouts).full.value == 110.0
    one = headline_of({1: 80.0, 2: 115.0, 8: 100.0}, rollouts, baseline_row("one", "full_information", 120.0))
    assert (one.full.value, one.full.source) == (120.0, "the baseline full_information, by the exact return")
    assert (one.reached_at, one.falls_below_at) == (2, (8,))


def test_of_several_trainings_it_is_said_whose_local_policy_full_information_answers():
    summary = summary_of({1: 80.0, 8: 100.0}).assign(n_train_seeds=3)
    (one,) = headlines(summary, baselines_of(baseline_row("one", "full_information", 120.0)), N_AGENTS)
    assert (
        one.full.source == "the baseline full_information (of the first training's local policy), by the exact return"
    )
    (from_k,) = headlines(summary, baselines_of(), N_AGENTS)
    assert from_k.full.source == "k = n = 8, by rollouts"  # a mean over all of them
    for row, is_told in ((settings_row(one, 0), True), (settings_row(headline_of({8: 1.0}), 0), False)):
        (full,) = [one for one in SETTINGS.columns(pd.DataFrame([row]), 2) if one.head == "Full information"]
        assert ("that of the first training" in full.meaning) == is_told


def test_exact_returns_come_before_means():
    one = headline_of({1: 80.0, 2: 96.0, 8: 100.0}, exact={1: 70.0, 2: 94.0, 8: 99.0})
    assert (one.first["known_return"], one.last["known_return"]) == (70.0, 99.0)
    assert (one.full.source, one.reached_at) == ("k = n = 8, by the exact return", 8)


@pytest.mark.parametrize(
    ("values", "words"),
    [({1: 80.0, 2: 100.0}, "not known"), ({1: -9.0, 8: -1.0}, "not defined"), ({8: 100.0}, "8")],
)
def test_where_there_is_no_such_k_the_words_say_why(values, words):
    assert reached_text(headline_of(values)) == words


def test_a_share_that_no_k_reaches_is_said_to_be_so():
    one = headline_of({1: 80.0, 2: 90.0}, baseline_row("one", "full_information", 100.0))
    assert (one.reached_at, reached_text(one)) == (None, "not reached")


def heads_of(*found) -> list[str]:
    rows = pd.DataFrame([settings_row(one, place) for place, one in enumerate(found)])
    return [column.head for column in SETTINGS.columns(rows, 2)]


def test_the_table_of_settings_names_k_in_its_heads_where_all_have_the_same():
    same = headline_of({1: 80.0, 8: 100.0})
    assert heads_of(same, same)[:2] == ["Value, k = 1", "Value, k = 8"]
    assert heads_of(same, headline_of({2: 80.0, 8: 100.0}))[:3] == ["Smallest k", "Value there", "Largest k"]


@pytest.mark.parametrize(
    ("known", "is_told"),
    [
        ({}, False),
        ({"ceiling_share": 0.96}, False),
        ({"ceiling_share": 0.3}, True),
        ({"welfare_lower": 4.0}, False),
        ({"welfare_lower": 6.0}, True),
        ({"ceiling_share": 0.96, "welfare_lower": 6.0}, True),
        ({"welfare_upper": 4.0}, False),
        ({"welfare_upper": 6.0}, True),
        ({"welfare_lower": 4.0, "welfare_upper": 6.0}, False),
        ({"ceiling_share": 0.96, "welfare_upper": 6.0}, False),
    ],
)
def test_a_share_of_full_information_does_not_reassure_where_others_earn_more(known, is_told):
    summary = summary_of({1: 99.0, 8: 100.0}).assign(**known)
    (one,) = headlines(summary, baselines_of(), N_AGENTS)
    assert one.reached_at == 1
    assert one.is_of_poor_pairs == is_told


@pytest.mark.parametrize(
    ("n_train_seeds", "n_seeds", "words"),
    [(3, 0, "paired trainings"), (1, 2, "paired rollouts"), (1, 0, "exact returns")],
)
def test_the_gain_says_what_was_compared(n_train_seeds, n_seeds, words):
    summary = summary_of({1: 80.0, 8: 100.0}).assign(n_train_seeds=n_train_seeds, n_seeds=n_seeds)
    (gain,) = [column for column in RESULTS.columns(summary, 2) if column.head == "Gain"]
    assert f"over the next smaller k, by {words}," in gain.meaning
    row = {"difference": 2.0, "difference_ci95_low": math.nan, "difference_ci95_high": math.nan}
    assert gain.cell(row).text == "+2.00"
