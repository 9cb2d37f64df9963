from __future__ import annotations

import json
from pathlib import Path

import pytest

from distmarl.errors import ResultsError
from distmarl.results.provenance import describe_session, now
from tests.places import check_folder, end_session, open_results, start_session
from tests.results.bad_folders import without_sessions


def start(folder: Path, sweep: str = "robots", *, overwrite: bool = False) -> None:
    session = {"command": ["x"], "started_at": now()}
    start_session(folder, sweep, {"name": sweep}, session, overwrite=overwrite).publish()


def test_a_new_and_an_own_folder_are_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    check_folder(folder, "robots", overwrite=False)
    assert not folder.exists()
    start(folder)
    check_folder(folder, "robots", overwrite=False)


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(ResultsError, match="is not a results folder of distmarl"):
            check_folder(tmp_path, "robots", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_sweeps_folder_is_refused_unless_overwritten(tmp_path: Path) -> None:
    start(tmp_path, "robots")
    with pytest.raises(ResultsError, match="holds the results of the sweep 'robots', not of 'paper'"):
        check_folder(tmp_path, "paper", overwrite=False)
    with pytest.raises(ResultsError, match="holds the results of the sweep 'robots', not of 'paper'"):
        start(tmp_path, "paper")
    check_folder(tmp_path, "paper", overwrite=True)


def test_a_damaged_folder_is_refused_unless_overwritten(tmp_path: Path) -> None:
    without_sessions(tmp_path)
    with pytest.raises(ResultsError, match=r"is damaged .* restore it from a copy, or start afresh with --overwrite"):
        check_folder(tmp_path, "tiny", overwrite=False)
    check_folder(tmp_path, "tiny", overwrite=True)
    start(tmp_path, "tiny", overwrite=True)
    check_folder(tmp_path, "tiny", overwrite=False)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="is not a folder"):
        check_folder(tmp_path / "file", "robots", overwrite=False)
    with pytest.raises(ResultsError, match="cannot be written"):
        check_folder(tmp_path / "file" / "results", "robots", overwrite=False)


def test_overwriting_keeps_files_that_are_not_ours(tmp_path: Path) -> None:
    start(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    start(tmp_path, "paper", overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "provenance.json").read_text())["sweep"] == "paper"


def test_every_session_is_kept_in_the_provenance(tmp_path: Path) -> None:
    start(tmp_path)
    start(tmp_path)
    assert len(json.loads((tmp_path / "provenance.json").read_text())["sessions"]) == 2


def test_a_session_names_versions_and_platform() -> None:
    session = describe_session(["python"], {"nodes": 3})
    assert session["packages"]["ray"]
    assert session["resources"] == {"nodes": 3}
    assert {"distmarl", "commit", "dirty", "python", "platform", "hostname", "started_at"} <= set(session)


def test_a_session_that_was_killed_has_no_end(tmp_path: Path) -> None:
    start(tmp_path)
    start(tmp_path)
    end_session(tmp_path, {"ended_at": "later"})
    killed, ended = json.loads((tmp_path / "provenance.json").read_text())["sessions"]
    assert "ended_at" not in killed
    assert ended["ended_at"] == "later"


def test_only_a_results_folder_can_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="there is no such results folder"):
        open_results(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="is not a results folder of distmarl"):
        open_results(tmp_path)
    start(tmp_path)
    assert str(open_results(tmp_path).folder) == str(tmp_path)
