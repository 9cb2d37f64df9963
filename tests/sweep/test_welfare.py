"""The search for the best pair as a task of a sweep, and the Nash gaps that read what it found."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import distmarl as dm
from distmarl.equilibrium import welfare as welfare_module
from distmarl.sweep.__main__ import main as sweep
from distmarl.sweep.session import Interrupted
from tests.report.pages import Page
from tests.sweep.sweeps import TINY, ShuffledExecutor, changed, plan_of, run, table_bytes, write_sweep
from tests.sweep.test_session import CountingExecutor, StoppingExecutor

ASKED: dict[str, Any] = changed(TINY, global_agent={"transitions": "exact"}, experiment={"nash_gap": "exact"})
TABLES = ("welfare", "nash_gaps")
N_TASKS = 1 + 2 + 1 + 2 + 4


def all_bytes(folder: Path) -> dict[str, bytes]:
    return table_bytes(folder) | {name: (folder / name / "data.parquet").read_bytes() for name in TABLES}


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / name)


def ran(folder: Path, mapping: dict[str, Any], **options: Any) -> list[tuple[str, int | None]]:
    """Run a sweep and return the kinds and k of the tasks that it took."""
    counting = CountingExecutor()
    run(folder, mapping, counting, **options)
    return sorted((key.kind, key.k or 0) for key in counting.submitted)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep with Nash gaps; not to be changed."""
    folder = tmp_path_factory.mktemp("welfare")
    tally = run(folder, ASKED)
    assert (tally.done.total(), tally.failed.total()) == (N_TASKS, 0)
    return folder


def test_the_search_runs_once_for_a_setting_and_its_table_holds_what_the_notebook_finds(found: Path) -> None:
    assert (table(found, "timings")["task"] == "welfare").sum() == 1
    (row,) = table(found, "welfare").to_dict("records")
    job = plan_of(ASKED).jobs[0]
    expected = dm.best_welfare(job.environment, tolerance=5e-7, seed=0)
    for name in ("value", "error", "source", "is_exhaustive", "n_policies", "n_solved", "n_starts"):
        assert row[name] == getattr(expected, name), name
    assert row["probabilities"].tolist() == expected.local_policy.ravel().tolist()
    assert row["asked_max_enumerated"] == 10_000
    assert pd.isna(row["asked_starts"])
    assert pd.isna(row["reason"])


def test_every_nash_gap_reads_it(found: Path) -> None:
    value = table(found, "welfare")["value"].item()
    rows = table(found, "nash_gaps").pivot(index="k", columns="quantity", values="value")
    best = rows["joint_value"] + rows["global_upper"].where(rows["global_upper"] > value - rows["joint_value"], 0)
    assert (rows["welfare_lower"] - (value - rows["joint_value"])).abs().max() < 1e-5
    assert (best <= value + 1e-5).all()
    r, env = dm.open(found), plan_of(ASKED).jobs[0].environment
    alone = dm.nash_gap(env, r.global_policy(3), r.local_policy(), k=3)
    assert rows.loc[3].to_dict() == {name: quantity.value for name, quantity in alone.quantities.items()}


@pytest.mark.parametrize("n_tasks", [1, 3, 5, 8, 9])
def test_an_interrupted_sweep_ends_with_the_same_tables(found: Path, tmp_path: Path, n_tasks: int) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, ASKED, StoppingExecutor(n_tasks))
    run(tmp_path, ASKED)
    assert all_bytes(tmp_path) == all_bytes(found)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_tasks_does_not_matter(found: Path, tmp_path: Path, seed: int) -> None:
    run(tmp_path, ASKED, ShuffledExecutor(seed))
    assert all_bytes(tmp_path) == all_bytes(found)


@pytest.mark.parametrize(
    ("lost", "again"),
    [
        (["welfare"], [("welfare", 0)]),
        (["nash_gaps"], [("nash_gap", 1), ("nash_gap", 3)]),
        (["welfare", "nash_gaps"], [("nash_gap", 1), ("nash_gap", 3), ("welfare", 0)]),
        (["trainings", "nash_gaps"], [("g_learn", 1), ("g_learn", 3), ("nash_gap", 1), ("nash_gap", 3)]),
    ],
)
def test_what_was_lost_is_worked_out_again_and_nothing_else(
    found: Path, tmp_path: Path, lost: list[str], again: list[tuple[str, int]]
) -> None:
    folder = shutil.copytree(found, tmp_path / "out")
    for name in lost:
        shutil.rmtree(folder / name)
    assert ran(folder, ASKED) == again
    assert all_bytes(folder) == all_bytes(found)


def test_another_effort_is_another_search_and_the_gaps_follow(found: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(found, tmp_path / "out")
    anew = [("nash_gap", 1), ("nash_gap", 3), ("welfare", 0)]
    fewer = changed(ASKED, experiment={"welfare_starts": 1})
    assert ran(folder, fewer) == anew
    assert table(folder, "welfare")["n_starts"].item() == 1
    assert table(folder, "nash_gaps")["asked_starts"].eq(1).all()
    assert ran(folder, fewer) == []
    other = changed(ASKED, experiment={"welfare_max_enumerated": 5})
    assert ran(folder, other) == anew
    assert ran(folder, ASKED) == anew
    assert all_bytes(folder) == all_bytes(found)
    # It is no part of a setting.
    assert len(table(folder, "settings")) == 1


def test_few_policies_are_all_compared(tmp_path: Path) -> None:
    sizes = {"n_global_states": 2, "n_local_states": 2, "n_global_actions": 2, "n_local_actions": 2, "n_agents": 3}
    small = changed(ASKED, environment=sizes)
    run(tmp_path, small)
    row = table(tmp_path, "welfare").iloc[0]
    assert (row["source"], row["is_exhaustive"], row["n_policies"], row["n_starts"]) == ("enumeration", True, 16, 0)
    kinds = table(tmp_path, "nash_gaps").query("quantity == 'welfare_lower'")["kind"]
    assert kinds.unique().tolist() == ["exact"]
    run(tmp_path, changed(small, experiment={"welfare_max_enumerated": 15}))
    assert not table(tmp_path, "welfare")["is_exhaustive"].item()


def test_a_failed_search_leaves_the_gaps_for_later(
    found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(welfare_module, "_searched")
        tally = run(tmp_path, ASKED)
    assert (tally.failed, tally.done["nash_gap"]) == ({"welfare": 1}, 0)
    assert ran(tmp_path, ASKED, retry_failed=True) == [("welfare", 0)]
    assert ran(tmp_path, ASKED) == [("nash_gap", 1), ("nash_gap", 3)]
    assert all_bytes(tmp_path) == all_bytes(found)


def test_without_a_best_pair_the_gaps_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distmarl.errors import InvalidArgumentError

    def refuse(*_: Any, **__: Any) -> None:
        raise InvalidArgumentError("transitions: 'exact' would be off")

    monkeypatch.setattr(welfare_module, "solve_surrogate", refuse)
    run(tmp_path, changed(ASKED, experiment={"k_values": [6]}))
    row = table(tmp_path, "welfare").iloc[0]
    assert pd.isna(row["value"])
    assert row["reason"] == "transitions: 'exact' would be off"
    gap = table(tmp_path, "nash_gaps").set_index("quantity").loc["welfare_lower"]
    assert (gap["reason"], pd.isna(gap["value"])) == ("transitions: 'exact' would be off", True)
    assert table(tmp_path, "nash_gaps")["value"].notna().sum() == 7


def test_estimates_search_for_nothing(tmp_path: Path) -> None:
    estimates = {"nash_gap": "estimate", "k_values": [1]}
    run(tmp_path, changed(ASKED, environment={"gamma": 0.5}, experiment=estimates))
    assert (table(tmp_path, "timings")["task"] != "welfare").all()
    rows = table(tmp_path, "nash_gaps")
    assert rows["asked_max_enumerated"].isna().all()
    points = dm.open(tmp_path).points()
    assert points["welfare_lower"].isna().all()
    upper = rows.set_index("quantity").loc["welfare_upper"]
    assert points["welfare_upper"].tolist() == [upper["value"] + upper["error"]]


def test_the_headline_the_tables_and_the_end_tell_the_welfare_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep([str(write_sweep(tmp_path, ASKED)), "--out", str(tmp_path / "out"), "--executor", "serial"]) == 0
    out = capsys.readouterr().out
    points = dm.open(tmp_path / "out").points().set_index("k")
    told = {k: f"{row['welfare_lower']:.2f} to {row['welfare_upper']:.2f}" for k, row in points.iterrows()}
    assert "Welfare gap" in out
    assert "what nobody gains more than, over all steps" in out
    text = Page(tmp_path / "out" / "report.html").text()
    for gap in told.values():
        assert gap in out
        assert gap in text
    assert f"Welfare gap at k = 3 {told[3]} what the best pair that was found would gain" in text
    assert "The best pair that was found" in text


def test_where_gaps_are_not_asked_for_nothing_is_told_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = changed(TINY, experiment={"k_values": [1]})
    assert sweep([str(write_sweep(tmp_path, plain)), "--out", str(tmp_path / "out"), "--executor", "serial"]) == 0
    assert "elfare gap" not in capsys.readouterr().out
    assert "Welfare gap at" not in Page(tmp_path / "out" / "report.html").text()


def test_several_settings_have_a_column_for_it(tmp_path: Path) -> None:
    asked = {**changed(ASKED, experiment={"k_values": [1]}), "grid": {"environment.n_agents": [3, 4]}}
    assert sweep([str(write_sweep(tmp_path, asked)), "--out", str(tmp_path / "out"), "--executor", "serial"]) == 0
    assert len(table(tmp_path / "out", "welfare")) == 2
    points = dm.open(tmp_path / "out").points()
    told = [f"{row['welfare_lower']:.2f} to {row['welfare_upper']:.2f}" for _, row in points.iterrows()]
    text = Page(tmp_path / "out" / "report.html").text()
    assert all(text.count(gap) >= 2 for gap in told)  # among the settings, and among the results
