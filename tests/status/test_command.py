"""The command as a user types it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import distmarl
from distmarl.results.tables import FAILURES
from distmarl.status.__main__ import main
from tests.report.results_folders import commit_points, failure_row, grid_of, start_folder
from tests.results.bad_folders import BAD_FOLDERS


@pytest.mark.parametrize(("prepare", "message"), BAD_FOLDERS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_folder_is_one_message_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    prepare(folder)
    assert main([str(folder)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {folder}")
    assert message in output.err
    assert output.err.count("\n") == 1


def test_the_exit_code_tells_of_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1], 2), whole=True)
    assert main([str(tmp_path)]) == 0
    store.commit("failed", [(FAILURES, [failure_row("only", 2)])])
    assert main([str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.err == ""
    assert "1/2 1 failed" in output.out


def test_a_long_line_is_not_folded_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = start_folder(tmp_path)
    error = "ValueError: " + "very " * 100 + "long"
    store.commit("failed", [(FAILURES, [{**failure_row("only", 2), "error": error}])])
    main([str(tmp_path)])
    assert f"  {error}\n" in capsys.readouterr().out


def test_a_second_file_in_a_tables_folder_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    store.publish()
    copy = tmp_path / "evaluations" / "data (conflicted copy).parquet"
    main([str(tmp_path)])
    assert "warning" not in capsys.readouterr().out
    (tmp_path / "evaluations" / "_ignored.parquet").write_bytes(b"")
    copy.write_bytes((tmp_path / "evaluations" / "data.parquet").read_bytes())
    assert len(pd.read_parquet(tmp_path / "evaluations")) == 2 * len(pd.read_parquet(copy))
    main([str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert line.startswith(f"warning: {copy}: is not a file of distmarl")
    assert line.endswith("move it away")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as left:
            main([option])
        assert left.value.code == 0
    output = capsys.readouterr().out
    assert "exit codes: 0 nothing failed, 1 some tasks failed, 2 no usable results" in output
    assert output.endswith(f"distmarl {distmarl.__version__}\n")
