"""Results folders that cannot be used, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from distmarl.results.schemas import EVALUATIONS, SETTINGS, VERSION_KEY
from distmarl.results.store import DATA_FILE, PARTS
from tests.report.results_folders import commit_points, grid_of, start_folder

FOREIGN_TABLE = pa.table({"city": ["Bonn"], "population": [340_000]})


def missing(folder: Path) -> None:
    folder.rmdir()


def a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("mine")


def empty(folder: Path) -> None:
    assert not any(folder.iterdir())


def foreign(folder: Path) -> None:
    (folder / "provenance.json").write_text('{"tool": "another"}')


def without_settings(folder: Path) -> None:
    start_folder(folder, settings={})


def without_sweep_file(folder: Path) -> None:
    _started(folder)
    (folder / "sweep.yaml").unlink()


def with_broken_sweep_file(folder: Path) -> None:
    _started(folder)
    (folder / "sweep.yaml").write_text("name: [tiny\n")


def with_foreign_table(folder: Path) -> None:
    _started(folder)
    pq.write_table(FOREIGN_TABLE, folder / EVALUATIONS.name / DATA_FILE)


def with_foreign_part(folder: Path) -> None:
    parts = _started(folder)
    pq.write_table(FOREIGN_TABLE, parts / "zzz.parquet")


def with_half_written_table(folder: Path) -> None:
    _started(folder)
    _truncate(folder / SETTINGS.name / DATA_FILE)


def with_damaged_part(folder: Path) -> None:
    parts = _started(folder)
    path = sorted(parts.iterdir())[-1]
    content = bytearray(path.read_bytes())
    content[-200:-8] = bytes(192)
    path.write_bytes(content)


def with_folder_among_parts(folder: Path) -> None:
    (_started(folder) / "zzz.parquet").mkdir()


def of_an_older_schema(folder: Path) -> None:
    _started(folder)
    path = folder / SETTINGS.name / DATA_FILE
    pq.write_table(pq.read_table(path).replace_schema_metadata({VERSION_KEY: b"0"}), path)


BAD_FOLDERS: dict[Callable[[Path], None], str] = {
    missing: "there is no such results folder",
    a_file: "there is no such results folder",
    empty: "is not a results folder of distmarl",
    foreign: "is not a results folder of distmarl",
    without_settings: "has no settings of its sweep yet",
    without_sweep_file: "sweep.yaml: there is no such file",
    with_broken_sweep_file: "is not valid YAML",
    with_foreign_table: "was written with schema version none",
    with_foreign_part: "zzz.parquet: is not a readable Parquet file of distmarl: No match for ",
    with_half_written_table: "is not a readable Parquet file",
    with_damaged_part: "is not a readable Parquet file",
    with_folder_among_parts: "zzz.parquet: is not a readable Parquet file",
    of_an_older_schema: "was written with schema version 0",
}


def _started(folder: Path) -> Path:
    """Start a sweep with one table published and parts of others; return the folder of the evaluations' parts."""
    store = start_folder(folder)
    commit_points(store, grid_of(["only"], [1], 1))
    store.publish()
    commit_points(store, grid_of(["only"], [1, 2], 2))
    return folder / PARTS / EVALUATIONS.name


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
