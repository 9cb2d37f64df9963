"""The report reads a results folder in one place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from distmarl.report.numbers import Numbers, read_numbers
from distmarl.status.folder_status import read_status
from tests.report.pages import grid_store, single_store
from tests.report.results_folders import commit_details, commit_points, grid_of, setting_row, start_folder


def test_a_finished_sweep_has_no_note(tmp_path: Path) -> None:
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    commit_details(store, ["only"], [1, 2])
    numbers = Numbers(store)
    assert (numbers.unfinished, numbers.unfinished_by_kind) == (None, None)


def test_points_outside_the_sweep_do_not_finish_it(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings={"only": {}, "gone": {}})
    commit_points(store, [("only", 1, 0), ("only", 1, 7), ("only", 9, 0), ("gone", 2, 0), ("gone", 2, 1)])
    store.add_settings([setting_row("only", {})], [])
    numbers = read_numbers(store)
    assert numbers.unfinished_by_kind == (
        "unfinished: 2 of 7 tasks (0 of 1 shared local policies, 1 of 2 global policies, 1 of 4 evaluations)"
    )
    assert numbers.summary[["setting_id", "k", "n_seeds"]].to_numpy().tolist() == [["only", 1, 1]]
    assert numbers.trainings["k"].tolist() == [1]
    assert set(numbers.timings["setting_id"]) == {"only"}


def test_the_report_and_the_status_agree_on_what_is_missing(tmp_path: Path) -> None:
    store = grid_store(tmp_path)
    numbers = read_numbers(store)
    phases = [phase for setting in read_status(tmp_path).settings for phase in setting.phases.values()]
    n_done, n_tasks = sum(phase.n_done for phase in phases), sum(phase.n_tasks for phase in phases)
    assert numbers.unfinished == f"unfinished: {n_done} of {n_tasks} tasks"


def test_every_table_is_read_once_by_its_name(tmp_path: Path) -> None:
    numbers = read_numbers(single_store(tmp_path, details=True))
    for name in ("settings", "summary", "trainings", "alternations", "timings", "nash_gaps", "baselines", "failures"):
        assert getattr(numbers, name) is getattr(numbers, name)


def test_numbers_need_no_matplotlib() -> None:
    code = "import sys, distmarl.report.numbers; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
