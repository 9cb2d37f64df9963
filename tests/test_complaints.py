"""What users of other sweep runners have complained of in public, tried through the commands."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

import distmarl as dm
from distmarl.config.__main__ import main as config
from distmarl.errors import InvalidArgumentError, ResultsError
from distmarl.report.__main__ import main as report
from distmarl.status.__main__ import main as status
from distmarl.sweep.__main__ import main as sweep
from tests.commands import RunCommand, call_in, command_in, own_environment
from tests.sweep.sweeps import TINY, run, write_sweep

PLAN = ("--plan", "--executor", "serial")
GAME = """
import distmarl as dm

def game(*, start: str = "") -> dm.Environment:
    return dm.robots(n_agents=6, gamma=0.9, n_global_states=3, n_local_states=3, n_global_actions=3)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    run(folder)
    return folder


def refused(folder: Path, *words: str | Path, command: Any = sweep, **environment: str) -> str:
    """Run a command that must be refused with one message, and return it."""
    done = call_in(folder, command)(*words, **environment)
    assert (done.returncode, done.stdout, done.stderr.count("error:")) == (2, "", 1), done.stderr
    return done.stderr


@pytest.mark.usefixtures("undrawn")
def test_the_resolved_sweep_means_the_same_to_readers_of_older_yaml(
    tmp_path: Path, call_sweep: RunCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(GAME)
    sweep_file = write_sweep(tmp_path, {**TINY, "environment": {"name": "own:game", "start": "12:30"}})
    assert call_sweep(sweep_file, "--executor", "serial", "--out", "out", "--quiet").returncode == 0
    assert config(["keys"]) == 0
    for text in ((tmp_path / "out" / "sweep.yaml").read_text(), capsys.readouterr().out):
        read = yaml.safe_load(text)
        assert read["global_agent"]["convergence_threshold"] == 1e-6
        assert read["experiment"]["nash_gap"] == "off"
    assert yaml.safe_load((tmp_path / "out" / "sweep.yaml").read_text())["environment"]["start"] == "12:30"


@pytest.mark.usefixtures("undrawn")
def test_a_date_is_text_in_a_grid_and_in_the_settings_of_its_results(tmp_path: Path, call_sweep: RunCommand) -> None:
    (tmp_path / "own.py").write_text(GAME)
    sweep_file = write_sweep(tmp_path, {**TINY, "environment": {"name": "own:game"}})
    grid = "grid.environment.start=[2024-01-01, 2024-02-01]"
    done = call_sweep(sweep_file, "--executor", "serial", "--out", "out", "--quiet", "--set", grid)
    assert done.returncode == 0, done.stderr
    results = dm.open(tmp_path / "out")
    assert sorted(results.evaluations["environment.start"].unique()) == ["2024-01-01", "2024-02-01"]
    contents = [json.loads(content)["environment"]["start"] for content in results.settings["content"]]
    assert sorted(contents) == ["2024-01-01", "2024-02-01"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"name: a\nruns: {}\n\nname: b\n",
            "s.yaml:4: is not valid YAML: name is given twice, first in line 1",
        ),
        (
            b'{"experiment": {"seed": 1,\n"seed": 2}}',
            "s.yaml:2: is not valid YAML: seed is given twice",
        ),
        (b"name: a\n---\nname: b\n", "s.yaml:2: is not valid YAML: it holds several documents"),
        (b"name: !env HOME\n", "s.yaml:1: is not valid YAML: the tag !env is not known"),
        (b"name: !!binary aGVsbG8=\n", "s.yaml:1: is not valid YAML: the tag !!binary is not known"),
        ("name: a\n".encode("utf-16"), "s.yaml: cannot be read: it is UTF-16"),
        (b"name: a\n# Gr\xf6\xdfe\n", "s.yaml:2: cannot be read: it is not UTF-8 text; save it as UTF-8"),
        (b"\x1f\x8b\x08\x00", "s.yaml: cannot be read: it is compressed; unpack it with gunzip"),
        (b"name: 7\n", "s.yaml:1: name: must be a string, got 7; put it into quotes, as in '7'"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s.yaml").write_bytes(content)
    assert message in refused(tmp_path, "s.yaml", *PLAN)


def test_a_file_from_windows_is_read(tmp_path: Path, call_sweep: RunCommand) -> None:
    lines = json.dumps(TINY, indent=1, ensure_ascii=False).replace("\n", "\r\n")
    (tmp_path / "tiny.json").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert call_sweep("tiny.json", *PLAN).returncode == 0


def test_overrides_as_other_tools_take_them_are_told_what_to_write(tmp_path: Path) -> None:
    name = write_sweep(tmp_path).name
    for words in (["--set", "environment.gamma=0.5", "experiment.seed=2"], ["experiment.seed=2"]):
        done = call_in(tmp_path, sweep)(name, *PLAN, *words)
        assert done.returncode == 2
        assert "unrecognized arguments: experiment.seed=2; did you mean --set experiment.seed=2?" in done.stderr
    message = refused(tmp_path, name, *PLAN, "--set", "experiment.k_values=1,3")
    assert "experiment.k_values: must be a list, got '1,3'; write it in brackets, as in [1,3]" in message


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (sweep, ["tiny.json", *PLAN, "--out", ""]),
        (sweep, [""]),
        (report, [""]),
        (report, [".", "--out="]),
        (status, [""]),
    ],
)
def test_a_variable_of_the_shell_that_is_not_set_is_no_folder(tmp_path: Path, command: Any, words: list[str]) -> None:
    write_sweep(tmp_path)
    assert "'': is no name of a file or folder; is a variable" in refused(tmp_path, *words, command=command)
    with pytest.raises(ResultsError, match="is no name"):
        dm.open("")


def test_a_current_folder_that_was_deleted_is_told(tmp_path: Path) -> None:
    name, folder = write_sweep(tmp_path), tmp_path / "gone"
    for words in ((name, *PLAN), ("tiny.json", *PLAN)):
        folder.mkdir()

        def in_no_folder(words: list[str]) -> int:
            folder.rmdir()
            return sweep(words)

        assert "the current folder is no longer there; cd to one" in refused(folder, *words, command=in_no_folder)


def test_names_that_no_disk_takes_are_told(tmp_path: Path) -> None:
    name = write_sweep(tmp_path).name
    long = "x" * 300
    (tmp_path / "link").symlink_to("scratch")
    assert f"{long}: cannot be looked up: File name too long" in refused(tmp_path, name, *PLAN, "--out", long)
    assert f"{long}: cannot be looked up: File name too long" in refused(tmp_path, long, command=status)
    message = "link: is a link to scratch, which is not there; make that, or choose another folder with --out"
    assert message in refused(tmp_path, name, *PLAN, "--out", "link")


def test_a_locale_without_utf8_is_told_where_a_name_needs_it(tmp_path: Path) -> None:
    folder = tmp_path / "Größe"
    folder.mkdir()
    write_sweep(folder)
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = command_in(folder, "distmarl.sweep")("tiny.json", *PLAN, **environment)
    assert (done.returncode, done.stderr.count("error:")) == (2, 1), done.stderr
    assert "the locale has ascii for names of files; set PYTHONUTF8=1" in done.stderr
    assert command_in(folder, "distmarl.status")("tiny.json", LC_ALL="C", PYTHONUTF8="1").returncode == 2


def test_a_backend_that_matplotlib_does_not_know_is_no_matter(tmp_path: Path) -> None:
    done = command_in(tmp_path, "distmarl.report")(".", MPLBACKEND="nonsense")  # which imports matplotlib first
    assert (done.returncode, done.stderr.count("error:"), "Traceback" in done.stderr) == (2, 1, False), done.stderr


def test_a_terminal_that_does_not_know_its_width_shows_all(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, terminal = pty.openpty()
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setenv("TERM", "xterm")
    with open(terminal, "w", encoding="utf-8") as stream:  # noqa: PTH123  # it has no path
        monkeypatch.setattr(sys, "stdout", stream)
        assert status([str(results)]) == 0
    said = b""
    while b"7 of 7 tasks done" not in said:
        said += os.read(shown, 10_000)  # an error once all is read: the terminal is closed
    os.close(shown)


@pytest.mark.usefixtures("blank_figures")
def test_a_clock_that_was_set_back_gives_no_negative_times(tmp_path: Path, results: Path) -> None:
    folder = shutil.copytree(results, tmp_path / "results")
    provenance = json.loads((folder / "provenance.json").read_text())
    (session,) = provenance["sessions"]
    session["ended_at"] = (datetime.fromisoformat(session["started_at"]) - timedelta(hours=1)).isoformat()
    (folder / "provenance.json").write_text(json.dumps(provenance))
    done = call_in(tmp_path, report)(folder)
    assert done.returncode == 0, done.stderr
    assert "-3600 s" not in (folder / "report.html").read_text()
    timings = folder / "timings" / "data.parquet"
    table = pq.read_table(timings)
    ahead = pc.add(table["started_at"], timedelta(days=400)).cast(table["started_at"].type)
    pq.write_table(table.set_column(table.column_names.index("started_at"), "started_at", ahead), timings)
    (line,) = [line for line in call_in(tmp_path, status)(folder).stdout.splitlines() if "last result" in line]
    assert line.endswith(" UTC, by another clock than ours")


def test_frames_that_were_in_a_csv_file_are_told_from_those_of_parquet(results: Path) -> None:
    tables = dm.open(results)
    rollouts = pd.read_csv(io.StringIO(tables.rollouts.to_csv(index=False)))
    with pytest.raises(InvalidArgumentError, match="rollouts: the column global_actions must hold lists, got text"):
        dm.figures.zone_heatmap(rollouts)
    policies = pd.read_csv(io.StringIO(tables.global_policies.to_csv(index=False)))
    with pytest.raises(InvalidArgumentError, match="global_policies: the column actions must hold lists, got text"):
        dm.figures.policy(tables.local_policies, policies)


def test_hashes_of_text_that_differ_by_process_change_no_table(tmp_path: Path, results: Path) -> None:
    session = "import sys, pathlib; from tests.sweep.sweeps import run; run(pathlib.Path(sys.argv[1]))"
    environment = own_environment(PYTHONHASHSEED="7", PYTHONOPTIMIZE="2", TZ="Asia/Kolkata")
    subprocess.run([sys.executable, "-c", session, tmp_path / "out"], env=environment, check=True)
    for table in ("evaluations", "trainings", "local_policies", "global_policies", "rollouts", "summary"):
        path = f"{table}/data.parquet"
        assert (tmp_path / "out" / path).read_bytes() == (results / path).read_bytes()
