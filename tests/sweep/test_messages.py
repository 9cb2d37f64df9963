"""What the command says before the tasks run and after."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from distmarl.results.storage.opening import open_location
from distmarl.results.tables import FAILURES
from distmarl.sweep import __main__ as command
from distmarl.sweep.messages import tell_what_went_wrong
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.session import Interrupted
from distmarl.terminal import message_console
from tests.report.results_folders import failure_row, start_folder
from tests.sweep.sweeps import write_sweep


@pytest.mark.parametrize(("has_failures", "ends_with"), [(True, "--retry-failed"), (False, "out")])
def test_an_interrupted_retry_goes_on_with_what_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    has_failures: bool,
    ends_with: str,
) -> None:
    arguments = [str(write_sweep(tmp_path)), "--executor", "serial", "--out", "out", "--retry-failed"]
    monkeypatch.chdir(tmp_path)
    store = start_folder(tmp_path / "out")
    if has_failures:
        store.commit("failed", [(FAILURES, [failure_row("only", 2)])])

    def run_session(*_: object, **__: object) -> None:
        raise Interrupted

    monkeypatch.setattr(command, "run_session", run_session)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "distmarl.sweep", *arguments, "--overwrite"])
    assert command.main(arguments) == 130
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("interrupted; what was done is kept. To go on: python -m distmarl.sweep ")
    assert line.endswith(ends_with)
    assert "--overwrite" not in line


def test_what_did_not_converge_is_told_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(Counter(), unconverged=["baselines, full_information: not certified [to] its threshold"])
    tell_what_went_wrong(tally, open_location("out"), message_console())
    assert capsys.readouterr().err == "warning: baselines, full_information: not certified [to] its threshold\n"
