"""The report reads a results folder in one place."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distmarl.report.numbers import Numbers, read_numbers
from distmarl.report.write import write_report
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.location import File
from tests.places import read_status, snapshot_of
from tests.report.pages import grid_store, single_store
from tests.report.results_folders import commit_details, commit_points, grid_of, setting_row, start_folder


def test_a_finished_sweep_has_no_note(tmp_path: Path) -> None:
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    commit_details(store, ["only"], [1, 2])
    numbers = Numbers(snapshot_of(tmp_path))
    assert (numbers.unfinished, numbers.unfinished_by_kind) == (None, None)


def test_points_outside_the_sweep_do_not_finish_it(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings={"only": {}, "gone": {}})
    commit_points(store, [("only", 1, 0), ("only", 1, 7), ("only", 9, 0), ("gone", 2, 0), ("gone", 2, 1)], whole=True)
    store.add_settings([setting_row("only", {})], [])
    numbers = read_numbers(snapshot_of(tmp_path))
    assert numbers.unfinished_by_kind == (
        "unfinished: 2 of 7 tasks (0 of 1 shared local policies, 1 of 2 global policies, 1 of 4 evaluations)"
    )
    assert numbers.summary[["setting_id", "k", "n_seeds"]].to_numpy().tolist() == [["only", 1, 1]]
    assert numbers.trainings["k"].tolist() == [1]
    assert set(numbers.timings["setting_id"]) == {"only"}


def test_the_report_and_the_status_agree_on_what_is_missing(tmp_path: Path) -> None:
    grid_store(tmp_path)
    numbers = read_numbers(snapshot_of(tmp_path))
    phases = [phase for setting in read_status(tmp_path).settings for phase in setting.phases.values()]
    n_done, n_tasks = sum(phase.n_done for phase in phases), sum(phase.n_tasks for phase in phases)
    assert numbers.unfinished == f"unfinished: {n_done} of {n_tasks} tasks"


def test_every_table_is_read_once_by_its_name(tmp_path: Path) -> None:
    single_store(tmp_path, details=True)
    numbers = read_numbers(snapshot_of(tmp_path))
    for name in ("settings", "summary", "trainings", "alternations", "timings", "nash_gaps", "baselines", "failures"):
        assert getattr(numbers, name) is getattr(numbers, name)


class CountedFolder(LocalFolder):
    """A folder that counts what is asked of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.opened: Counter[str] = Counter()
        self.listed: Counter[str] = Counter()

    def names(self, folder: str = "") -> list[str]:
        self.listed[folder] += 1
        return super().names(folder)

    def read(self, name: str) -> bytes:
        self.opened[name] += 1
        return super().read(name)

    def files(self, names: Iterable[str]) -> list[File]:
        chosen = list(names)
        return [self._counted(*pair) for pair in zip(chosen, super().files(chosen), strict=True)]

    def _counted(self, name: str, file: File) -> File:
        def open_file() -> Any:
            self.opened[name] += 1
            return file.open()

        return replace(file, open=open_file)


@pytest.mark.parametrize("is_published", [True, False])
def test_a_report_opens_each_table_and_lists_each_folder_at_most_once(tmp_path: Path, is_published: bool) -> None:
    store = grid_store(tmp_path)
    if is_published:
        store.publish()
    folder = CountedFolder(str(tmp_path))
    write_report(folder, publish=False)
    tables = {name: number for name, number in folder.opened.items() if name.endswith(".parquet")}
    assert len(tables) > 10
    assert {name: number for name, number in tables.items() if number > 1} == {}
    assert {name: number for name, number in folder.listed.items() if number > 1} == {}


def test_numbers_need_no_matplotlib() -> None:
    code = "import sys, distmarl.report.numbers; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
