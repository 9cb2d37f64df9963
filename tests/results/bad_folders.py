"""Results folders that cannot be used, and what is to be said of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distmarl.results.fields import VERSION_KEY
from distmarl.results.snapshot import DATA_FILE, PARTS
from distmarl.results.tables import EVALUATIONS, SETTINGS
from tests.report.results_folders import commit_points, grid_of, start_folder

SESSION = {"command": ["tiny"], "started_at": "2026-01-02T03:04:05+00:00"}
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


def without_the_sweeps_name(folder: Path) -> None:
    _change_provenance(folder, sweep=None)


def without_sessions(folder: Path) -> None:
    _change_provenance(folder, sessions=[])


def with_an_empty_session(folder: Path) -> None:
    _change_provenance(folder, sessions=[{}])


def with_a_session_that_is_none(folder: Path) -> None:
    _change_provenance(folder, sessions=["tiny"])


def with_a_command_that_is_none(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "command": "tiny"}])


def with_a_session_that_started_never(folder: Path) -> None:
    _change_provenance(folder, sessions=[SESSION, {**SESSION, "started_at": "never"}])


def with_a_session_that_ended_anywhere(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "ended_at": "2026-01-02T03:04:05"}])


def with_resources_that_are_none(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "resources": 8}])


def with_nodes_that_are_none(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "resources": {"nodes": [5]}}])


def with_memory_that_is_none(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "resources": {"nodes": [{"CPU": 2, "memory": "much"}]}}])


def with_more_done_than_can_be(folder: Path) -> None:
    _change_provenance(folder, sessions=[{**SESSION, "done": float("inf"), "failed": 0}])


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


def with_another_tables_part(folder: Path) -> None:
    parts = _started(folder)
    shutil.copy(folder / SETTINGS.name / DATA_FILE, parts / "zzz.parquet")


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
    without_the_sweeps_name: "provenance.json: is damaged (it names no sweep); restore it",
    without_sessions: "provenance.json: is damaged (it has no list of sessions)",
    with_an_empty_session: "sessions[0] has no command",
    with_a_session_that_is_none: "sessions[0] must be an object, got 'tiny'",
    with_a_command_that_is_none: "sessions[0].command must be a list of words, got 'tiny'",
    with_a_session_that_started_never: "sessions[1].started_at must be a time with its zone, got 'never'",
    with_a_session_that_ended_anywhere: "sessions[0].ended_at must be a time with its zone",
    with_resources_that_are_none: "sessions[0].resources must be an object, with nodes and their numbers, got 8",
    with_nodes_that_are_none: "sessions[0].resources must be an object, with nodes and their numbers, got {",
    with_memory_that_is_none: "sessions[0].resources must be an object, with nodes and their numbers, got {",
    with_more_done_than_can_be: "sessions[0].done must be a number, got inf",
    without_settings: "has no settings of its sweep yet",
    without_sweep_file: "sweep.yaml: there is no such file",
    with_broken_sweep_file: "is not valid YAML",
    with_foreign_table: "was written with schema version none",
    with_foreign_part: "zzz.parquet: was written with schema version none",
    with_another_tables_part: "zzz.parquet: is not a readable Parquet file of distmarl: it has no column k; delete it",
    with_half_written_table: "; run the sweep's command again, which keeps it aside and makes it again",
    with_damaged_part: "; delete it and run the sweep's command again, which runs what is missing",
    with_folder_among_parts: "zzz.parquet: is a folder, where a file belongs; move it away",
    of_an_older_schema: "was written with schema version 0",
}


def _started(folder: Path) -> Path:
    """Start a sweep with one table published and parts of others; return the folder of the evaluations' parts."""
    store = start_folder(folder)
    commit_points(store, grid_of(["only"], [1], 1))
    store.publish()
    commit_points(store, grid_of(["only"], [1, 2], 2))
    return folder / PARTS / EVALUATIONS.name


def _change_provenance(folder: Path, **values: Any) -> None:
    _started(folder)
    path = folder / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
