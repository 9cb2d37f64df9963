"""The command that starts a sweep of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distmarl.new.__main__ import main
from tests.conftest import RunCommand


def test_what_is_written_plans_and_runs(
    tmp_path: Path, run_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["walkers"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"walkers.yaml", "walkers_game.py"}
    commands = [line.strip() for line in capsys.readouterr().err.splitlines() if "python -m" in line]
    assert commands == [
        "python -m distmarl.games check walkers_game:game",
        "python -m distmarl.sweep walkers.yaml --plan",
        "python -m distmarl.sweep walkers.yaml",
    ]
    planned = run_sweep("walkers.yaml", "--plan")
    assert planned.returncode == 0, planned.stderr
    assert "k=4: 15 count vectors" in planned.stdout
    smaller = ("--set", "experiment.n_eval_seeds=1", "--set", "experiment.k_values=[1, 2]")
    done = run_sweep("walkers.yaml", "--executor", "serial", *smaller)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "walkers" / "evaluations" / "data.parquet").exists()


@pytest.mark.parametrize("name", ["walkers.yaml", "walkers_game.py"])
def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("precious")
    assert main(["walkers"]) == 2
    assert f"error: {name}: is there already" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("my-sweep", "; my_sweep would do"), ("a/b", "; a_b would do"), ("_x", "; x would do"), ("3", ""), ("", "")],
)
def test_a_name_that_no_module_can_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name]) == 2
    rule = "must be letters, digits and _, and start with a letter"
    assert capsys.readouterr().err == f"error: NAME: {rule}, got {name!r}{remedy}\n"
    assert list(tmp_path.iterdir()) == []


def test_it_is_called_through_the_package_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distmarl", "new", "walkers"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "walkers.yaml").exists()
