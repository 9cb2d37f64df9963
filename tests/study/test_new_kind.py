"""A kind of task that is made here, of the public records alone, is wherever kinds are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

import distmarl as dm
from distmarl.report.__main__ import main as report
from distmarl.results.fields import field, table
from distmarl.results.tables import PAIR, TABLES
from distmarl.status.__main__ import main as status
from distmarl.study.job import Job
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import Kind, Rows, TaskKey, TaskResult
from distmarl.sweep.__main__ import main as sweep
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.progress.watch import Watch
from tests.sweep.sweeps import TINY, changed, plan_of, write_sweep

CENSUSES = table(
    "censuses",
    ("setting_id", "k", "train_seed"),
    *PAIR,
    field("n_actions", pa.int64(), "actions that the global policy makes use of", "actions"),
)


def take_census(
    job: Job, key: TaskKey, _n_threads: int, _local_policy: NDArray[Any], global_policy: NDArray[Any]
) -> TaskResult:
    """Count the actions that a global policy makes use of."""
    name = {"sweep": job.sweep, "setting_id": key.setting_id, "k": key.k, "train_seed": key.train_seed}
    return TaskResult(None, {CENSUSES.name: [{**name, "n_actions": len(np.unique(global_policy))}]})


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    yield from (f"{row['n_actions']} actions" for row in rows[CENSUSES.name])


CENSUS = Kind(
    name="census",
    noun="census",
    plural="censuses",
    per="k",
    table=CENSUSES,
    run=take_census,
    seconds=lambda _job, _k: 1e-3,
    n_bytes=lambda _job, _k, _n_threads: 0,
    needs="g_learn",
    results=_results,
)


@pytest.fixture(autouse=True)
def _census(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, CENSUSES.name, CENSUSES)
    monkeypatch.setitem(KINDS, CENSUS.name, CENSUS)


def run(folder: Path, *options: str, mapping: dict[str, Any] = TINY) -> int:
    path = write_sweep(folder, mapping)
    return sweep([str(path), "--out", str(folder / "out"), *(options or ("--executor", "serial"))])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep that has taken censuses; not to be changed."""
    folder = tmp_path_factory.mktemp("censuses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLES, CENSUSES.name, CENSUSES)
        patch.setitem(KINDS, CENSUS.name, CENSUS)
        assert run(folder) == 0
    return folder


def copied(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / "out", tmp_path / "out")
    return tmp_path


def test_a_sweep_runs_it_and_its_table_is_published(finished: Path) -> None:
    censuses = pd.read_parquet(finished / "out" / "censuses")
    assert censuses["k"].tolist() == [1, 3]
    assert censuses["n_actions"].between(1, 3).all()


def test_the_plan_counts_it_and_so_does_the_resumption(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(finished, tmp_path)
    wider = changed(TINY, experiment={"k_values": [1, 2, 3]})
    assert run(folder, "--plan", mapping=wider) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["censuses"]]
    assert line.split()[1:3] == ["3", "1"]


def test_the_progress_tells_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 0
    assert "censuses 2/2" in capsys.readouterr().err


def test_the_status_has_a_column_for_it(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(finished, tmp_path) / "out"
    shutil.rmtree(folder / "censuses")
    assert status([str(folder)]) == 0
    out = capsys.readouterr().out
    assert "censuses" in out
    assert "7 of 9 tasks done" in out


def test_the_timeline_names_it(finished: Path) -> None:
    figure: Figure = dm.open(finished / "out").figures.timeline()
    assert "census" in [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_report_says_what_is_missing_of_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(finished, tmp_path) / "out"
    shutil.rmtree(folder / "censuses")
    assert report([str(folder)]) == 0
    assert "7 of 9 tasks" in capsys.readouterr().out
    assert "0 of 2 censuses" in (folder / "report.html").read_text()


def test_what_it_yields_is_told_as_it_comes_in() -> None:
    plan = plan_of(TINY)
    watch = Watch(Forecast(plan.pending(None), Costs(plan, {}, "")), {})
    timing = {"seconds": 0.1, "cpu_seconds": 0.1}
    watch.completed(
        TaskKey("census", plan.jobs[0].setting_id, 3), Outcome({"censuses": [{"n_actions": 2}]}, None, timing)
    )
    assert watch.last == ("", "k=3: 2 actions")


@pytest.mark.ray
def test_workers_of_ray_run_it(tmp_path: Path) -> None:
    assert run(tmp_path, "--num-cpus", "1") == 0
    assert pd.read_parquet(tmp_path / "out" / "censuses")["k"].tolist() == [1, 3]
