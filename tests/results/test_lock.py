"""One writer per results folder, wherever it lies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage import lock
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import HOLDER_FILE, SILENT_AFTER_S, Holder, find_writer
from distmarl.results.storage.opening import open_location
from distmarl.results.store import Store
from distmarl.results.tables import TRAININGS
from tests.places import locked

NOBODY = 2**22 + 1  # no process: more than Linux counts to

HOLD = """
import sys
from distmarl.results.storage.lock import locked
from distmarl.results.storage.opening import open_location
with locked(open_location(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(lock, "POLL_EVERY_S", 0.02)


@pytest.fixture
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SILENT_AFTER_S", 0.5)


@pytest.fixture(params=["disk without locks", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    """Return a folder that the system cannot lock."""
    if request.param == "s3":
        store = request.getfixturevalue("object_store")
        return open_location(store.uri(f"{store.new_bucket()}/results"))

    def cannot(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", cannot)
    return open_location(tmp_path)


def holder(host: str = "elsewhere", pid: int = 7, silent_s: float = 0.0) -> Holder:
    then = (datetime.now(timezone.utc) - timedelta(seconds=silent_s)).isoformat()
    return Holder("of another", host, pid, "ada", "python -m distmarl.sweep a.yaml", "2026-01-02T03:04:05+00:00", then)


def leave(folder: Location, left: Holder) -> None:
    with folder.writing(HOLDER_FILE) as stream:
        stream.write(json.dumps(asdict(left)).encode())


def found(folder: Location) -> Holder:
    return Holder(**json.loads(folder.read(HOLDER_FILE)))


def test_a_lock_names_its_holder_and_leaves_nothing(folder: Location) -> None:
    with locked(folder):
        held = found(folder)
        assert held.pid == os.getpid()
        assert held.command == shlex.join(sys.orig_argv)
        assert held.user
        assert held.host
        assert abs(held.age_s) < 5
    assert HOLDER_FILE not in folder.names()
    with locked(folder):
        pass


def test_who_writes_is_told_without_locking(folder: Location) -> None:
    assert find_writer(folder) is None
    with locked(folder):
        writer = find_writer(folder)
        assert writer is not None
        assert writer.pid == os.getpid()
    assert find_writer(folder) is None
    leave(folder, holder())
    assert find_writer(folder) == found(folder)
    for gone in (holder(silent_s=SILENT_AFTER_S + 1), holder(socket.gethostname(), NOBODY)):
        leave(folder, gone)
        assert find_writer(folder) is None


def test_a_holder_is_heard_of_again_and_again(folder: Location) -> None:
    with locked(folder):
        beats, deadline = {found(folder)}, time.monotonic() + 10
        while len(beats) < 4 and time.monotonic() < deadline:
            beats.add(found(folder))
    assert len(beats) == 4
    assert len({(beat.token, beat.since) for beat in beats}) == 1


def test_a_second_driver_is_refused_and_told_who_writes_since_when(folder: Location) -> None:
    with locked(folder):
        held = found(folder)
        for wait in (False, True):
            with pytest.raises(ResultsError) as refused, locked(folder, wait=wait):
                pass
            message = str(refused.value)
            assert f"{folder}: is being written by process {os.getpid()} on {held.host} ({held.user}; " in message
            assert f") since {held.since}, last heard of " in message
            assert message.endswith(" s ago; wait for it to end, or choose another folder with --out")
        assert found(folder).token == held.token


@pytest.mark.usefixtures("_short_silence")
def test_a_holder_that_stays_silent_is_taken_over(folder: Location) -> None:
    leave(folder, holder())
    with pytest.raises(ResultsError, match="is being written by process 7 on elsewhere"), locked(folder):
        pass
    told: list[str] = []
    started_at = time.monotonic()
    with locked(folder, wait=True, tell=told.append):
        assert found(folder).pid == os.getpid()
    assert time.monotonic() - started_at >= lock.SILENT_AFTER_S
    who = "process 7 on elsewhere (ada; python -m distmarl.sweep a.yaml)"
    assert told[0].startswith(f"{folder}: {who} wrote here ")
    assert told[0].endswith(" s ago; listening for 0.5 s whether it still does")
    assert told[1].startswith(f"{folder}: took over from {who}, which ended without a word ")


@pytest.mark.usefixtures("_short_silence")
def test_a_clock_that_is_ahead_or_behind_neither_protects_nor_kills(folder: Location) -> None:
    for silent_s in (-300.0, 300.0):
        leave(folder, holder(silent_s=silent_s))
        told: list[str] = []
        with locked(folder, wait=True, tell=told.append):
            pass
        assert len(told) == 2


@pytest.mark.parametrize(
    "dead", [holder(silent_s=1000), holder(socket.gethostname(), NOBODY)], ids=["for long", "on this machine"]
)
def test_a_holder_that_is_certain_to_have_ended_is_not_listened_for(folder: Location, dead: Holder) -> None:
    leave(folder, dead)
    told: list[str] = []
    with locked(folder, tell=told.append):
        assert found(folder).pid == os.getpid()
    assert len(told) == 1


def test_a_lock_that_is_given_back_meanwhile_is_not_called_taken_over(folder: Location) -> None:
    leave(folder, holder())
    told: list[str] = []

    def give_back(line: str) -> None:
        told.append(line)
        folder.delete([HOLDER_FILE])

    with locked(folder, wait=True, tell=give_back):
        pass
    assert [line for line in told if "took over" in line] == []


def test_whatever_is_no_lock_holds_nothing(folder: Location) -> None:
    for content in (b"", b"[]", b"{}", json.dumps({**asdict(holder()), "last_beat": "soon"}).encode()):
        with folder.writing(HOLDER_FILE) as stream:
            stream.write(content)
        with locked(folder):
            pass


def test_who_was_taken_over_stops_and_leaves_the_lock_alone(folder: Location) -> None:
    with locked(folder) as held:
        store = Store(folder, held)
        store.replace(TRAININGS, [])
        deadline = time.monotonic() + 10
        while held._thread.is_alive() and time.monotonic() < deadline:
            leave(folder, holder())  # again, since a beat may have come between
            time.sleep(0.1)
        stops = "was taken over by process 7 on elsewhere .*; this one stops"
        for write in (store.publish, lambda: store.commit("g_learn-s-k1", [(TRAININGS, [])])):
            with pytest.raises(ResultsError, match=stops):
                write()
    assert found(folder).host == "elsewhere"
    assert folder.names("_parts/trainings") == []


@pytest.mark.usefixtures("_short_silence")
def test_who_has_slept_looks_before_it_writes(folder: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY_S", 60)
    with locked(folder) as held:
        leave(folder, holder())
        time.sleep(lock.SILENT_AFTER_S)
        with pytest.raises(ResultsError, match="was taken over"):
            held.check()


def test_a_store_that_cannot_be_reached_for_a_while_keeps_its_lock(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(folder) as held:
        with monkeypatch.context() as patch:
            patch.setattr(folder, "read", lambda _: (_ for _ in ()).throw(ResultsError("unreachable")))
            time.sleep(3 * lock.BEAT_EVERY_S)
        before, deadline = found(folder), time.monotonic() + 10
        while found(folder) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert found(folder) != before
        held.check()


def test_on_a_disk_a_killed_process_frees_its_lock_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        for wait in (False, True):
            refused = f"(?s)is being written by process {process.pid} on .* last heard of"
            with pytest.raises(ResultsError, match=refused), locked(tmp_path, wait=wait):
                pass
        process.kill()
    told: list[str] = []
    with locked(tmp_path, tell=told.append):
        pass
    (line,) = told
    assert f"took over from process {process.pid} on " in line


def test_on_a_disk_the_system_decides_and_not_the_text(tmp_path: Path) -> None:
    # The text is of a living process, this one; but the system's lock is free, so that was another life.
    leave(open_location(tmp_path), holder(socket.gethostname(), os.getpid()))
    with locked(tmp_path):
        pass


def test_on_a_disk_that_is_shared_another_machines_lock_counts(tmp_path: Path) -> None:
    leave(open_location(tmp_path), holder())
    with pytest.raises(ResultsError, match="is being written by process 7 on elsewhere"), locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="_lock: cannot be opened: No such file"), locked(tmp_path / "nowhere"):
        pass
