"""Pairs of policies from elsewhere in a sweep: ``experiment.policies``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import distmarl as dm
from distmarl.config.reading import RawSweep, names_function
from distmarl.errors import ConfigError
from distmarl.report.numbers import read_numbers
from distmarl.report.page.page_tables import PAGE_TABLES
from distmarl.report.page.table import filled
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.opening import open_location
from tests.sweep.sweeps import TINY, changed, plan_of, run
from tests.sweep.test_session import CountingExecutor


def shy(env: dm.Environment, k: int) -> tuple[Any, Any]:
    """A global agent that draws its action, whatever it sees, among trained local agents."""
    n_counts = len(dm.count_vectors(k, env.n_classes))
    return np.full((env.n_global_states, n_counts, env.n_global_actions), 1 / env.n_global_actions), None


def still(env: dm.Environment, k: int) -> tuple[Any, Any]:
    """Local agents that stay, led by the trained global agent."""
    return None, dm.tabulate_policy(env, lambda _observation: k * 0, agent="local")


def both(env: dm.Environment, k: int) -> tuple[Any, Any]:
    """Neither is trained."""
    return dm.tabulate_policy(env, lambda observation: observation[1:].argmax(), k=k), still(env, k)[1]


PAIRS = {"shy": shy, "still": still, "both": both}
NAMES = {name: f"elsewhere:{name}" for name in PAIRS}
ASKED = changed(TINY, evaluation={"method": "both"}, experiment={"policies": NAMES, "n_train_seeds": 2})


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that the sweep files name."""
    module = ModuleType("elsewhere")
    vars(module).update(PAIRS)
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("policies")
    with pytest.MonkeyPatch.context() as patch:
        module = ModuleType("elsewhere")
        vars(module).update(PAIRS)
        patch.setitem(sys.modules, "elsewhere", module)
        run(place, changed(ASKED, experiment={"bound": "exact"}))
        yield place


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "policies").set_index(["policy", "k", "train_seed"]).sort_index()


def test_pairs_are_evaluated_with_the_seeds_of_the_trained_one(folder: Path) -> None:
    rows, results = rows_of(folder), dm.open(folder)
    env = results.environment()
    assert len(rows) == 3 * 2 * 2
    for (name, k, train_seed), row in rows.iterrows():  # type: ignore[misc]
        ours, theirs = PAIRS[name](env, k)
        ours = results.global_policy(k, train_seed=train_seed) if ours is None else ours
        theirs = results.local_policy(train_seed=train_seed) if theirs is None else theirs
        seeds = [(0, train_seed, number) if train_seed else (0, number) for number in range(2)]
        played = [dm.evaluate(env, ours, theirs, k=k, n_rollouts=4, horizon=5, seed=seed).returns for seed in seeds]
        assert row["mean_return"] == pytest.approx(np.mean(played), rel=1e-12)
        assert (row["n_rollouts"], row["function"]) == (8, f"elsewhere:{name}")
        assert row["exact_return"] == pytest.approx(dm.exact_return(env, ours, theirs, k=k, horizon=5).value, abs=1e-6)
    # Negative control: trained parts differ between trainings, and so do the pairs that have one.
    assert rows["exact_return"].groupby(["policy", "k"]).nunique().to_dict()["still", 3] == 2
    assert rows["exact_return"].groupby(["policy", "k"]).nunique().to_dict()["both", 3] == 1


def test_they_are_drawn_and_told_beside_the_trained_pairs(folder: Path) -> None:
    numbers = read_numbers(Snapshot(open_location(folder)))
    policies = numbers.policies
    ceiling = numbers.bounds.query("horizon == 5").iloc[0]
    expected = (policies["exact_return"] - ceiling["random"]) / (ceiling["ceiling"] - ceiling["random"])
    np.testing.assert_allclose(policies["ceiling_share"], expected)
    assert (policies["ceiling_share"] < 1).all()
    figure = dm.open(folder).figures.reward_vs_k()
    assert [text.get_text() for legend in figure.legends for text in legend.get_texts()][-3:] == [
        "shy",
        "still",
        "both",
    ]
    means = policies.groupby(["policy", "k"])["exact_return"].mean()
    for line, name in zip(figure.axes[0].lines[-3:], NAMES, strict=True):
        np.testing.assert_allclose(line.get_ydata(), means[name])
    table = filled(PAGE_TABLES["policies"], numbers)
    assert table is not None
    assert len(table.rows) == 12


def test_only_what_is_missing_or_has_changed_runs(tmp_path: Path, elsewhere: ModuleType) -> None:
    asked = changed(TINY, experiment={"policies": {"shy": NAMES["shy"]}})
    run(tmp_path, asked)
    first = rows_of(tmp_path)
    for policies, change, kinds in (
        (["shy"], None, []),
        (["shy", "both"], None, ["policies"] * 2),
        (["both"], None, []),
        (["both"], still, ["policies"] * 2),
        ([], None, []),
    ):
        if change is not None:
            elsewhere.both = change  # type: ignore[attr-defined]
        counting = CountingExecutor()
        run(tmp_path, changed(asked, experiment={"policies": {name: NAMES[name] for name in policies}}), counting)
        assert [key.kind for key in counting.submitted] == kinds
    pd.testing.assert_frame_equal(rows_of(tmp_path).loc[["shy"]], first)
    run(tmp_path, changed(asked, experiment={"n_eval_seeds": 3}))
    assert set(rows_of(tmp_path).loc["shy", "n_rollouts"]) == {12}


def test_other_tables_are_those_of_a_sweep_without_them(tmp_path: Path, folder: Path) -> None:
    run(tmp_path, changed(ASKED, experiment={"bound": "exact", "policies": {}}))
    for table in ("evaluations", "exact_returns", "trainings"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(folder / table / "data.parquet"), pd.read_parquet(tmp_path / table / "data.parquet")
        )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            lambda _env, _k: None,
            r"must return a pair \(global_policy, local_policy\), of which one may be None, got None",
        ),
        (lambda _env, _k: (None, None), r"got None for both$"),
        (lambda _env, _k: (1, 2, 3), r"got 3 values$"),
        (
            lambda _env, _k: (np.zeros((3, 4), dtype=int), None),
            r"elsewhere:bad\(env, 1\): global_policy: must be integers",
        ),
        (lambda _env, _k: (None, np.full((3, 3, 3), np.nan)), r"\(env, 1\): local_policy\[0, 0, 0\]: must not be neg"),
        (
            lambda _env, k: shy(_env, 1) if k == 1 else 1 / 0,
            r"elsewhere:bad\(env, 3\) raised ZeroDivisionError: .*py:\d+\)",
        ),
        (3, r"module elsewhere has no function 'bad'"),
    ],
)
def test_a_bad_pair_is_refused_before_the_start(elsewhere: ModuleType, made: Any, message: str) -> None:
    elsewhere.bad = made  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=rf"^tiny.yaml: experiment\.policies\.mine: .*{message}"):
        plan_of(changed(TINY, experiment={"policies": {"mine": "elsewhere:bad"}}))


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({"mine": "robots"}, r"policies\.mine: must be 'package\.module:function', got 'robots'$"),
        ({"mine": "nowhere_at_all:f"}, r"policies\.mine: there is no module 'nowhere_at_all'"),
        ({"mine": 3}, r"policies\.mine: must be a string, got 3"),
        (["elsewhere:shy"], r"policies: must be a mapping, got"),
    ],
)
def test_a_bad_name_is_refused_before_the_start(policies: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_of(changed(TINY, experiment={"policies": policies}))


def test_modules_beside_the_sweep_file_are_looked_for() -> None:
    assert names_function(RawSweep({"experiment": {"policies": {"mine": "mine:pair"}}}, "f"))
    assert not names_function(RawSweep({"experiment": {"policies": {}}}, "f"))
