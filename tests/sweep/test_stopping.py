"""Ctrl-C, SIGTERM and SIGHUP: the first winds up, the second leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from distmarl.sweep import stopping
from distmarl.sweep.executors.executor import Completed
from distmarl.sweep.executors.serial import SerialExecutor
from distmarl.sweep.session import Interrupted
from tests.commands import REPOSITORY, RunCommand, heard, own_environment, started
from tests.sweep.sweeps import TINY, changed, run, table_bytes, write_sweep
from tests.sweep.test_session import CountingExecutor

LONG = changed(TINY, evaluation={"horizon": 100_000_000})
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# A session whose driver gets two signals while nothing arrives.
LEAVE = """
import os, signal, sys, time
from pathlib import Path
from tests.sweep.test_stopping import Signalled
from tests.sweep.sweeps import run

class SignalledTwice(Signalled):
    def next_completed(self, timeout_s):
        completed = super().next_completed(timeout_s)
        if self.sent:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(3600)
        return completed

run(Path(sys.argv[1]), executor=SignalledTwice(int(sys.argv[2]), after=3))
"""


class Signalled(CountingExecutor):
    """Runs tasks elsewhere, as far as the driver knows, and sends it a signal after some of them.

    Parameters
    ----------
    number : int
        The signal.
    after : int
        Number of tasks that complete before it.
    hangs : bool
        Whether nothing completes after it.
    """

    runs_here = False
    max_in_flight = 3

    def __init__(self, number: int, after: int, *, hangs: bool = False) -> None:
        super().__init__()
        self._number, self._left, self._hangs = number, after, hangs
        self.sent = False
        self.n_submitted_before = 0

    def next_completed(self, timeout_s: float) -> list[Completed]:
        if self._left == 0 and not self.sent:
            self.sent = True
            self.n_submitted_before = len(self.tasks)
            os.kill(os.getpid(), self._number)
        if self.sent and self._hangs:
            time.sleep(0.05)
            return []
        self._left -= 1
        return super().next_completed(timeout_s)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_starts_nothing_more_and_keeps_what_arrives(tmp_path: Path, number: int) -> None:
    run(tmp_path / "whole")
    signalled = Signalled(number, after=2)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", executor=signalled)
    assert len(signalled.tasks) == signalled.n_submitted_before
    assert 2 < len(signalled.tasks) < 7, "something was in flight"
    rest = CountingExecutor()
    run(tmp_path / "parts", executor=rest)
    assert len(rest.tasks) == 7 - len(signalled.tasks)
    assert table_bytes(tmp_path / "parts") == table_bytes(tmp_path / "whole")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stops_nothing(tmp_path: Path) -> None:
    """As a closed terminal is behind nohup."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signalled = Signalled(signal.SIGHUP, after=2)
        run(tmp_path, executor=signalled)
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert (signalled.sent, len(signalled.tasks)) == (True, 7)


def test_what_does_not_arrive_in_time_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", 0.2)
    with pytest.raises(Interrupted):
        run(tmp_path, executor=Signalled(signal.SIGINT, after=2, hangs=True))
    rest = CountingExecutor()
    run(tmp_path, executor=rest)
    assert len(rest.tasks) == 5


class SignalledMeanwhile(SerialExecutor):
    """Runs tasks in this process, which gets a signal while it does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.timer = threading.Timer(0.1, os.kill, (os.getpid(), number))

    def next_completed(self, timeout_s: float) -> list[Completed]:
        self.timer.start()  # not before, when nobody takes the signal as a request
        return super().next_completed(timeout_s)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_task_in_this_process_is_broken_off(tmp_path: Path, number: int) -> None:
    signalled = SignalledMeanwhile(number)
    with pytest.raises(Interrupted):
        run(tmp_path, LONG, signalled)
    signalled.timer.join()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_leaves_at_once(tmp_path: Path, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE, str(tmp_path / "parts"), str(int(number))],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "")
    assert (tmp_path / "parts" / "_parts").exists(), "nothing was tidied up"
    (session,) = json.loads((tmp_path / "parts" / "provenance.json").read_text())["sessions"]
    assert "ended_at" not in session
    rest = CountingExecutor()
    run(tmp_path / "parts", executor=rest)
    run(tmp_path / "whole")
    assert len(rest.tasks) == 4
    assert table_bytes(tmp_path / "parts") == table_bytes(tmp_path / "whole")


def start_command(folder: Path, sweep: Path, *how: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start the command on a sweep, into a folder whose name needs quotes."""
    return started(
        [sys.executable, *(how or ("-m", "distmarl.sweep")), str(sweep), "--executor", "serial", "--out", "a b"],
        cwd=folder,
        env=own_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    sweep = write_sweep(tmp_path, LONG)
    with start_command(tmp_path, sweep) as driver:
        assert driver.stderr is not None
        assert heard(driver.stderr, "7 tasks, on ")
        driver.send_signal(number)
        message = driver.stderr.read()
        assert driver.wait() == 130
    assert f"To go on: {sys.executable} -m distmarl.sweep {sweep} --executor serial --out 'a b'" in message
    (session,) = json.loads((tmp_path / "a b" / "provenance.json").read_text())["sessions"]
    assert session["outcome"] == "interrupted"


# Drawing takes its time.
DRAWS = """
import sys, time
from distmarl.report import printing
from distmarl.sweep.__main__ import main

def print_figure(*_):
    sys.stderr.write("draws\\n")
    time.sleep(600)

printing.print_figure, printing._start = print_figure, lambda: None  # it draws them all itself
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_says_how_to_go_on_while_it_draws_figures(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep, out = write_sweep(tmp_path), tmp_path / "a b"
    with start_command(tmp_path, sweep, "-c", DRAWS) as driver:
        assert driver.stderr is not None
        assert heard(driver.stderr, "draws")
        driver.send_signal(signal.SIGTERM)
        message = driver.stderr.read()
        assert driver.wait() == 130
    assert "To go on: " in message
    assert message.endswith(f"{sweep} --executor serial --out 'a b'\n")
    assert "Traceback" not in message
    assert not (out / "report.html").exists(), "it was still drawing"
    again = call_sweep(sweep, "--executor", "serial", "--out", "a b")
    assert again.returncode == 0, again.stderr
    assert (out / "report.html").exists()


# The main thread is in code that hears no signal, since another thread gets them.
DEAF = """
import ctypes, os, signal, sys, threading
from distmarl.sweep import stopping

stopping.HEARD_WITHIN_S = 0.2
with stopping.hearing(lambda: print("said", flush=True)):
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, stopping.SIGNALS)
            print("deaf", flush=True)
            ctypes.CDLL(None).sleep(3600)
        except KeyboardInterrupt:  # it was not deaf yet
            pass
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_while_the_main_thread_is_deaf(number: int) -> None:
    command = [sys.executable, "-c", DEAF]
    with started(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        while process.poll() is None:
            process.send_signal(number)
            time.sleep(0.05)
        assert process.stdout.read().endswith("said\n")
        assert process.returncode == 130
