"""Two settings compared over their trainings, in a notebook and on the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distmarl as dm
from distmarl.report.numbers import read_numbers
from distmarl.report.page.table import filled
from distmarl.report.page.training_tables import COMPARISONS
from distmarl.results.tables import EVALUATIONS
from distmarl.values.comparison import compare_samples
from tests.places import snapshot_of
from tests.report.results_folders import evaluation_row, start_folder

SETTINGS = {
    "a": {"local_agent.policy": "softmax", "experiment.seed": 0},
    "b": {"local_agent.policy": "greedy", "experiment.seed": 0},
    "c": {"local_agent.policy": "greedy", "experiment.seed": 1},
}
RETURNS = {"a": [9.0, 12.0, 10.0, 15.0], "b": [10.0, 13.5, 10.5, 16.5], "c": [8.0, 20.0, 11.0, 30.0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compared")
    store = start_folder(path, k_values=[1, 3], n_eval_seeds=1, n_train_seeds=4, settings=SETTINGS)
    rows = [
        evaluation_row(name, k, 0, value + k) | {"train_seed": train_seed}
        for name, values in RETURNS.items()
        for k in (1, 3)
        for train_seed, value in enumerate(values)
        if not (name == "c" and k == 3)
    ]
    store.commit("all", [(EVALUATIONS, rows)])
    store.publish()
    return path


def test_trainings_of_the_same_seeds_are_paired(folder: Path) -> None:
    found = dm.compare(dm.open(folder), {"policy": "greedy", "seed": 0}, {"policy": "softmax"})
    assert found["k"].tolist() == [1, 3]
    first, second = np.array(RETURNS["b"]), np.array(RETURNS["a"])
    expected = dm.estimate_difference(second, first)
    for row in found.to_dict("records"):
        assert row["is_paired"]
        assert (row["n_a"], row["n_b"], row["difference"]) == (4, 4, expected.mean)
        assert (row["ci95_low"], row["ci95_high"]) == pytest.approx((expected.ci95_low, expected.ci95_high))
        assert row["probability"] == compare_samples(first, second).probability


def test_those_of_other_seeds_are_not(folder: Path) -> None:
    (row,) = dm.compare(dm.open(folder), "c", "a").to_dict("records")
    assert not row["is_paired"]
    assert row["k"] == 1
    expected = compare_samples(np.array(RETURNS["c"]), np.array(RETURNS["a"]))
    assert (row["ci95_low"], row["ci95_high"]) == pytest.approx((expected.ci95_low, expected.ci95_high))


def test_what_cannot_be_compared_is_refused(folder: Path) -> None:
    r = dm.open(folder)
    with pytest.raises(dm.DistmarlError, match=r"k: must be one that both settings have .* got 3; both have k = 1"):
        dm.compare(r, "c", "a", k=3)
    with pytest.raises(dm.DistmarlError, match=r"setting: .* has 3; must name one"):
        dm.compare(r, {"policy": "greedy"}, "a")


def test_the_page_compares_each_setting_with_the_first(folder: Path) -> None:
    table = filled(COMPARISONS, read_numbers(snapshot_of(folder)))
    assert table is not None
    assert "softmax" in table.introduction
    texts = [[cell.text for cell in row] for row in table.rows]
    assert [row[1] for row in texts] == ["1", "3", "1"]
    assert [row[6] for row in texts] == ["pairs", "pairs", "Welch"]
    assert texts[0][4] == "+1.12"


def test_single_trainings_have_no_such_table(tmp_path: Path) -> None:
    store = start_folder(tmp_path, n_eval_seeds=1, settings=SETTINGS)
    rows = [evaluation_row(name, 1, 0, 5.0) for name in SETTINGS]
    store.commit("all", [(EVALUATIONS, rows)])
    assert filled(COMPARISONS, read_numbers(snapshot_of(tmp_path))) is None
