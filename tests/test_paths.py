"""Names that people type, through the commands that take them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import distmarl as dm
from distmarl.errors import ResultsError
from distmarl.report.__main__ import main as report
from distmarl.results.storage.opening import open_location
from distmarl.status.__main__ import main as status
from distmarl.sweep.__main__ import main as sweep
from distmarl.sweep.messages import tell_what_next
from distmarl.sweep.session import Interrupted
from tests.commands import RunCommand, call_in
from tests.sweep.sweeps import run, write_sweep

NOT_UTF8 = os.fsdecode(b"caf\xe9")


@pytest.mark.usefixtures("undrawn", "blank_figures")
def test_a_tilde_is_the_home_wherever_a_path_is_taken(
    tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_sweep(home)
    monkeypatch.setenv("HOME", str(home))
    done = call_sweep("~/tiny.json", "--executor", "serial", "--out=~/foo")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert (home / "foo" / "provenance.json").exists()
    for command in (report, status):
        told = call_in(tmp_path, command)("~/foo")
        assert told.returncode == 0, told.stderr
        assert str(home / "foo") in told.stdout + told.stderr
    assert len(dm.open("~/foo").evaluations) == len(dm.open(Path("~/foo")).evaluations) == 4


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (sweep, ["tiny.json", "--plan", "--out", NOT_UTF8]),
        (sweep, ["tiny.json", "--executor", "serial", "--out", f"{NOT_UTF8}/x"]),
        (sweep, [f"{NOT_UTF8}.json"]),
        (sweep, ["tiny.json", "--out", f"s3://bucket/{NOT_UTF8}"]),
        (report, [NOT_UTF8]),
        (status, [NOT_UTF8]),
    ],
)
def test_a_name_that_is_not_utf8_is_refused_before_anything_runs(tmp_path: Path, command, words: list[str]) -> None:
    write_sweep(tmp_path)
    done = call_in(tmp_path, command)(*words)
    assert done.returncode == 2
    assert "caf\\udce9" in done.stderr
    assert "is not UTF-8 text; choose another name" in done.stderr
    assert (done.stderr.count("error:"), done.stdout) == (1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]


def test_a_current_folder_whose_name_is_not_utf8_is_refused_before_anything_runs(tmp_path: Path) -> None:
    folder = tmp_path / NOT_UTF8
    folder.mkdir()
    done = call_in(folder, sweep)(write_sweep(tmp_path), "--executor", "serial")
    assert done.returncode == 2
    assert "caf\\udce9/results/tiny: the name is not UTF-8 text; choose another one" in done.stderr
    assert list(folder.iterdir()) == []
    with pytest.raises(ResultsError, match="the name is not UTF-8 text"):
        dm.open(folder)


@pytest.mark.usefixtures("undrawn", "blank_figures")
def test_foreign_files_whose_names_are_not_utf8_are_no_hindrance(tmp_path: Path, call_sweep: RunCommand) -> None:
    write_sweep(tmp_path)
    foreign = [tmp_path / "out" / NOT_UTF8, tmp_path / "out" / "evaluations" / NOT_UTF8]
    go = ("tiny.json", "--executor", "serial", "--out", "out")
    (tmp_path / "out").mkdir()
    foreign[0].touch()
    refused = call_sweep(*go)
    assert refused.returncode == 2
    assert "out: is not a results folder of distmarl" in refused.stderr
    foreign[0].unlink()
    assert call_sweep(*go).returncode == 0
    for path in foreign:
        path.touch()
    told = "out/evaluations/caf\\udce9: is not a file of distmarl"
    for done in (call_sweep(*go), *(call_in(tmp_path, command)("out") for command in (status, report))):
        assert done.returncode == 0, done.stderr
        assert told in done.stdout + done.stderr
    anew = call_sweep(*go, "--overwrite")
    assert anew.returncode == 0, anew.stderr
    assert "kept what distmarl has not written: caf\\udce9, evaluations/caf\\udce9" in anew.stderr
    assert all(path.exists() for path in foreign)


def words_of(line: str) -> list[str]:
    """Return the words that a shell makes of a line."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, text=True)
    return done.stdout.split("\0")[:-1]


NAMES = ["--overwrite", "-x", "~", "~root", "two words", "it's", "a\tb\nc", "s3:", "[red]:x:", "é", "\u00a0", "$HOME"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_to_be_typed_works_for_every_name(
    tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    words = ["--executor", "serial", f"--out=./{name}", "--", write_sweep(tmp_path, name=f"{name}.json").name]

    def run_session(*_: object, **__: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("distmarl.sweep.__main__.run_session", run_session)
        patch.setattr(sys, "orig_argv", ["python", "-m", "distmarl.sweep", "--overwrite", *words])
        told = call_sweep(*words).stderr
    assert words_of(told.partition(" To go on: ")[2].strip()) == ["python", "-m", "distmarl.sweep", *words]
    monkeypatch.chdir(tmp_path)
    run(tmp_path / name)
    stream = io.StringIO()
    tell_what_next(open_location(f"./{name}"), Console(file=stream, soft_wrap=True))
    *_, to_report, to_status, _ = stream.getvalue().strip().splitlines()
    *_, to_go_on = call_in(tmp_path, status)(*words_of(to_status)[3:]).stdout.splitlines()
    assert words_of(to_go_on) == words_of(to_report) != []
    assert open_location(words_of(to_report)[3]).path == str(tmp_path / name)
