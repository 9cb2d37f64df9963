"""A snapshot reads each file once, and nothing that is there escapes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from distmarl.report.write import write_report
from distmarl.results import grid_columns
from distmarl.results.fields import Table
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.location import File
from distmarl.results.store import Store
from distmarl.results.tables import EVALUATIONS, SETTINGS, TABLES, TRAININGS
from distmarl.status.folder_status import read_status
from tests.places import snapshot_of, store_in
from tests.report.results_folders import commit_details, commit_points, grid_of, start_folder

GRID = {f"n{number}": {"environment.n_agents": number} for number in (30, 7)}


class CountingFolder(LocalFolder):
    """Counts which files are opened, and which folders listed."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.opened: Counter[str] = Counter()
        self.listed: Counter[str] = Counter()

    def names(self, folder: str = "") -> list[str]:
        self.listed[folder] += 1
        return super().names(folder)

    def files(self, names: Iterable[str]) -> list[File]:
        chosen = list(names)
        return [
            File(file.name, lambda name=name, file=file: self._count(name, file))
            for name, file in zip(chosen, super().files(chosen), strict=True)
        ]

    def _count(self, name: str, file: File) -> pa.NativeFile:
        source = file.open()
        self.opened[name] += 1
        return source


@pytest.fixture
def folder(tmp_path: Path) -> CountingFolder:
    """Return the folder of a sweep that has published a part of its tables."""
    store = start_folder(tmp_path, settings=GRID, k_values=[1, 2])
    commit_points(store, grid_of(GRID, [1], 2))
    commit_details(store, GRID, [1])
    store.publish()
    commit_points(store, grid_of(GRID, [2], 2))
    return CountingFolder(tmp_path)


def n_parts(folder: CountingFolder) -> int:
    return sum(1 for _ in folder.folder.rglob("_parts/*/*.parquet"))


def test_reading_everything_opens_each_file_and_lists_each_folder_once(folder: CountingFolder) -> None:
    snapshot = Snapshot(folder)
    for table in TABLES.values():
        assert len(snapshot.read(table)) == len(snapshot.rows(table)) == len(snapshot.keys(table))
        snapshot.read(table, without=["sweep"], setting_id="n30")
    snapshot.summary()
    snapshot.grid_keys()
    assert set(folder.opened.values()) == set(folder.listed.values()) == {1}
    assert len(folder.opened) == len(TABLES) + n_parts(folder)


def test_a_status_and_a_report_open_each_table_once(folder: CountingFolder) -> None:
    read_status(folder)
    assert set(folder.opened.values()) == {1}
    folder.opened.clear()
    write_report(folder, publish=False)
    assert set(folder.opened.values()) == {1}


def test_a_report_of_a_published_sweep_opens_each_table_once(folder: CountingFolder) -> None:
    Store(folder).publish()
    folder.opened.clear()
    write_report(folder)
    assert set(folder.opened.values()) == {1}
    assert {f"{name}/data.parquet" for name in TABLES} == set(folder.opened)


def test_a_snapshot_stays_what_it_was(folder: CountingFolder) -> None:
    snapshot = Snapshot(folder)
    before = snapshot.read(EVALUATIONS)
    store = store_in(folder.folder)
    commit_points(store, grid_of(GRID, [3], 2))
    store.publish()
    assert len(before) == 8
    assert snapshot.read(EVALUATIONS).equals(before)
    assert len(Snapshot(folder).read(EVALUATIONS)) == 12


def test_what_is_published_while_it_is_read_is_not_missed(folder: CountingFolder) -> None:
    class PublishedMeanwhile(CountingFolder):
        def files(self, names: Iterable[str]) -> list[File]:
            found = super().files(names)
            store_in(self.folder).publish()
            return found

    snapshot = Snapshot(PublishedMeanwhile(folder.folder))
    assert snapshot.keys(TRAININGS) == {(name, k, 0) for name in GRID for k in (1, 2)}
    assert n_parts(folder) == 0


def test_a_setting_is_parsed_once_for_all_rows(folder: CountingFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: Counter[str] = Counter()
    content_of = grid_columns.content_of

    def count(row: dict[str, str]) -> dict[str, object]:
        parsed[row["setting_id"]] += 1
        return content_of(row)

    monkeypatch.setattr(grid_columns, "content_of", count)
    store = Store(folder)
    commit_points(store, grid_of(GRID, range(3, 6), EVALUATIONS.rows_per_chunk))
    store.publish(force=True)
    assert parsed == dict.fromkeys(GRID, 1)


def test_parts_stay_until_the_summary_of_them_is_published(folder: CountingFolder) -> None:
    class FullDisk(CountingFolder):
        def writing(self, name: str, **options: Any):  # type: ignore[no-untyped-def]
            if name.startswith("summary"):
                raise OSError
            return super().writing(name, **options)

    with pytest.raises(OSError):  # noqa: PT011
        Store(FullDisk(folder.folder)).publish()
    assert n_parts(folder) > 0
    store_in(folder.folder).publish()
    assert n_parts(folder) == 0
    assert len(snapshot_of(folder.folder).summary()) == 4


def test_a_table_that_is_new_needs_no_more_than_its_place_among_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("setting_id", "k")
    fields = [TRAININGS.schema.field(name) for name in ("sweep", *key)]
    table = Table("prices", pa.schema(fields, TRAININGS.schema.metadata), key)
    start_folder(tmp_path, settings=GRID).publish()
    monkeypatch.setitem(TABLES, table.name, table)
    assert snapshot_of(tmp_path).read(table).empty
    rows = [{"sweep": "tiny", "setting_id": name, "k": 1, "train_seed": 0} for name in GRID]
    store = start_folder(tmp_path, settings=GRID)
    store.commit("prices", [(table, rows)])
    assert snapshot_of(tmp_path).keys(table) == {(name, 1) for name in GRID}
    store.publish()
    read = snapshot_of(tmp_path).read(table)
    assert read["environment.n_agents"].to_dict() == {0: 30, 1: 7}
    start_folder(tmp_path, settings=GRID).publish(force=True)
    assert snapshot_of(tmp_path).read(table).equals(read)
    assert snapshot_of(tmp_path).keys(SETTINGS) == {(name,) for name in GRID}
