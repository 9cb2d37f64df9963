"""Results folders that somebody else has made: what is in them is shown, and never obeyed."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distmarl.results.snapshot import DATA_FILE
from distmarl.results.tables import FAILURES
from distmarl.status.__main__ import main as status
from tests.commands import call_in
from tests.places import locked
from tests.report.results_folders import commit_points, failure_row, grid_of, start_folder

# Ends a title, rings, clears the screen; a C1 code; a turn of the line's direction.
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp."
HALF_A_CHARACTER = "\ud800"

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with results in it."""
    store = start_folder(tmp_path / "results")
    commit_points(store, grid_of(["only"], [1], 2))
    return tmp_path


@pytest.mark.parametrize("module", ["distmarl.status", "distmarl.report"])
def test_control_sequences_in_a_foreign_folder_are_shown_and_not_obeyed(tmp_path: Path, module: str) -> None:
    key = f"environment.{EVIL}[/x]"
    store = start_folder(tmp_path / "results", settings={"a": {key: EVIL}, "b": {key: f"{EVIL}2"}})
    commit_points(store, grid_of("ab", [1], 2))
    store.commit("failed", [(FAILURES, [{**failure_row("a", 2), "error": f"{EVIL}: no"}])])
    path = tmp_path / "results" / "provenance.json"
    provenance = json.loads(path.read_text())
    provenance["sessions"][-1]["command"] = ["python", EVIL + HALF_A_CHARACTER]
    path.write_text(json.dumps(provenance))
    done = call_in(tmp_path, importlib.import_module(f"{module}.__main__").main)("results")
    assert done.returncode in (0, 1), done.stderr
    check_harmless(done.stdout + done.stderr)


def lock(results: Path, text: str) -> None:
    (path,) = results.glob("_lock-*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"command": text}))


def provenance(results: Path, text: str) -> None:
    path = results / "provenance.json"
    path.write_text(path.read_text().replace("[", f"[{json.dumps(text)},", 1))


def sweep_file(results: Path, text: str) -> None:
    (results / "sweep.yaml").write_text(json.dumps({"name": "tiny", text: 1}))


@pytest.mark.parametrize("write", [lock, provenance, sweep_file])
def test_control_sequences_in_a_message_are_shown_and_not_obeyed(
    folder: Path, write: Callable[[Path, str], None]
) -> None:
    results = folder / "results"
    with locked(results):
        write(results, EVIL)
        done = call_in(folder, status)("results")
    check_harmless(done.stdout + done.stderr)


def test_a_word_that_a_shell_made_of_a_name_is_shown_and_not_obeyed(folder: Path) -> None:
    done = call_in(folder, status)("results", "\x1b]0;owned")
    assert done.returncode == 2
    check_harmless(done.stderr)


def check_harmless(printed: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", printed)
    assert r"\x1b]0;owned" in printed


DEEP = 100_000


def deep_lock(results: Path) -> None:
    (results / "_lock-1000.json").write_text("[" * DEEP + "]" * DEEP)


def deep_provenance(results: Path) -> None:
    path = results / "provenance.json"
    path.write_text(path.read_text().replace("[", '[{"resources": ' + "[" * DEEP + "]" * DEEP + "},", 1))


def nested_provenance(results: Path) -> None:
    """Nest more than is ours, less than Python's own reader refuses."""
    path = results / "provenance.json"
    path.write_text(path.read_text().replace("[", '[{"resources": ' + "[" * 500 + "]" * 500 + "},", 1))


def deep_sweep_file(results: Path) -> None:
    (results / "sweep.yaml").write_text("environment: {x: " + "[" * 2000 + "]" * 2000 + "}")


def sweep_file_that_holds_itself(results: Path) -> None:
    (results / "sweep.yaml").write_text("environment: &all {x: *all}")


def write_content(results: Path, content: str) -> None:
    path = results / "settings" / DATA_FILE
    table = pq.read_table(path)
    place = table.schema.get_field_index("content")
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([content])), path)


def deep_setting(results: Path) -> None:
    write_content(results, '{"environment": {"x": ' + "[" * DEEP + "]" * DEEP + "}}")


def setting_without_sections(results: Path) -> None:
    write_content(results, '{"environment": 3}')


DAMAGED = {
    deep_lock: "",
    deep_provenance: "is not a results folder of distmarl",
    nested_provenance: "is not a results folder of distmarl",
    deep_sweep_file: "sweep.yaml: must not be nested more than 50 deep",
    sweep_file_that_holds_itself: "sweep.yaml: must not be nested more than 50 deep, nor hold itself",
    deep_setting: "the table settings is damaged (the content of only must not be nested more than 50 deep",
    setting_without_sections: "the table settings is damaged (the content of only must hold sections with keys)",
}


@pytest.mark.parametrize(("write", "message"), DAMAGED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_deep_nesting_is_a_message(folder: Path, write: Callable[[Path], None], message: str) -> None:
    write(folder / "results")
    done = call_in(folder, status)("results")
    assert done.returncode == (2 if message else 0)
    assert message in done.stderr
    assert len(done.stderr) < 1000
