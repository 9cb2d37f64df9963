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
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage import lock, processes
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.holder import Holder, this_process
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import SILENT_AFTER_S, Lock, LostLockError, find_writer, number_of
from distmarl.results.storage.opening import open_location
from distmarl.results.storage.processes import is_running, started_at
from distmarl.results.store import Store
from distmarl.results.tables import TRAININGS
from tests.object_store import ObjectStore
from tests.places import locked

HOLDER_FILE = "_lock.json"  # of a holder whose number is 0
NOBODY = 2**22 + 1  # no process: more than Linux counts to

FAR_NUMBER = 4_000_000  # so many processes are hardly ever started

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


def leave_higher(folder: Location, left: Holder) -> None:
    """Let another one take a lock over that is held."""
    (held,) = numbers(folder)
    assert folder.create(f"_lock-{held + 1}.json", left.as_json())


def found(folder: Location) -> Holder:
    number = max(numbers(folder))
    return Holder(**json.loads(folder.read(f"_lock-{number}.json" if number else HOLDER_FILE)))


def numbers(folder: Location) -> list[int]:
    return [number for number in map(number_of, folder.names()) if number >= 0]


def of_here(**changes: Any) -> Holder:
    """Return a holder on this machine that has ended."""
    return replace(this_process(0), pid=NOBODY, **changes)


def test_a_lock_names_its_holder_until_it_is_given_back(folder: Location) -> None:
    with locked(folder):
        held = found(folder)
        assert held.pid == os.getpid()
        assert held.command == shlex.join(sys.orig_argv)
        assert held.user
        assert held.host
        assert abs(held.age_s) < 5
        writer = find_writer(folder)
        assert writer is not None
        assert writer.token == held.token
    assert find_writer(folder) is None
    with locked(folder):
        pass


def test_every_holder_has_a_higher_number_and_the_last_ones_file_stays(folder: Location) -> None:
    leave(folder, holder(silent_s=1000) if folder.has_versions else of_here())
    for number in (1, 2, 3):
        with locked(folder) as held:
            assert held.number == number
            assert numbers(folder) == [number]
    assert numbers(folder) == [3]
    assert found(folder).has_ended


def test_of_two_that_take_the_same_number_one_gets_it(folder: Location) -> None:
    with locked(folder) as held, pytest.raises(ResultsError, match=f"is being written by process {os.getpid()} on "):
        Lock(folder, held.number)


def test_who_writes_is_told_without_locking(folder: Location) -> None:
    assert find_writer(folder) is None
    with locked(folder):
        writer = find_writer(folder)
        assert writer is not None
        assert writer.pid == os.getpid()
    assert find_writer(folder) is None
    folder.delete(f"_lock-{number}.json" for number in numbers(folder))
    leave(folder, holder())
    assert find_writer(folder) == found(folder)
    for gone in (holder(silent_s=SILENT_AFTER_S + 1), of_here()):
        leave(folder, gone)
        assert find_writer(folder) is None


def test_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_running(os.getpid())
    assert not is_running(NOBODY)

    def forbid(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbid)
    assert is_running(NOBODY)


def test_a_holder_is_heard_of_again_and_again(folder: Location) -> None:
    with locked(folder):
        beats = {found(folder)}
        while len(beats) < 4:
            beats.add(found(folder))
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
    with locked(folder, wait=True, tell=told.append):
        assert found(folder).pid == os.getpid()
    who = "process 7 on elsewhere (ada; python -m distmarl.sweep a.yaml)"
    assert told[0].startswith(f"{folder}: {who} wrote here ")
    assert told[0].endswith(" s ago; listening for 0.5 s whether it still does")
    assert told[1].startswith(f"{folder}: took over from {who}, which ended without a word ")


@pytest.mark.usefixtures("_short_silence")
def test_a_clock_that_is_ahead_or_behind_neither_protects_nor_kills(folder: Location) -> None:
    # An object store refuses whoever's clock is far from its own; a disk does not.
    for silent_s in (-300.0, 300.0, *([] if folder.has_versions else [1e5])):
        folder.delete(f"_lock-{number}.json" for number in numbers(folder))
        leave(folder, holder(silent_s=silent_s))
        told: list[str] = []
        with locked(folder, wait=True, tell=told.append):
            pass
        assert len(told) == 2


def test_a_holder_that_is_certain_to_have_ended_is_not_listened_for(folder: Location) -> None:
    is_certain = [of_here(), *([holder(silent_s=1000)] if folder.has_versions else [])]
    for dead in is_certain:
        folder.delete(f"_lock-{number}.json" for number in numbers(folder))
        leave(folder, dead)
        told: list[str] = []
        with locked(folder, tell=told.append):
            assert found(folder).pid == os.getpid()
        assert len(told) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        # Each has a number that no process has here, and the name of this machine.
        holder(socket.gethostname(), NOBODY),
        of_here(boot="of another machine"),
        of_here(namespace="pid:[1]"),
        of_here(boot=""),
        of_here(started=""),
    ],
    ids=["of an earlier version", "another machine", "another container", "unknown machine", "unknown start"],
)
def test_a_machine_is_not_known_by_its_name_nor_a_process_by_its_number(folder: Location, elsewhere: Holder) -> None:
    leave(folder, elsewhere.heard_now())
    assert find_writer(folder) == found(folder)
    with pytest.raises(ResultsError, match=f"is being written by process {NOBODY} on "), locked(folder):
        pass


def test_a_process_that_has_the_number_of_one_that_ended_is_not_that_one(folder: Location) -> None:
    leave(folder, replace(this_process(0), started="long ago"))
    with locked(folder):
        pass


def test_a_process_that_the_system_hides_is_not_certain_to_have_ended(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may show each user only processes of its own (``hidepid``); that there is one, it does not hide."""
    leave(folder, this_process(0))
    monkeypatch.setattr(processes, "_content", lambda path: "" if path.name == "stat" else path.read_text().strip())
    assert find_writer(folder) == found(folder)
    with pytest.raises(ResultsError, match=f"is being written by process {os.getpid()} on "), locked(folder):
        pass


def test_a_process_that_nobody_has_buried_yet_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        held = replace(this_process(0), pid=process.pid, started=started_at(process.pid) or "")
        assert not held.is_gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert held.is_gone


def test_a_container_of_this_machine_is_listened_for_while_it_lives(object_store: ObjectStore) -> None:
    """Its host name is ours and its process has a number that nobody has here."""
    folder = open_location(object_store.uri(f"{object_store.new_bucket()}/results"))
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no name space can be made here")
    hold = shlex.join([sys.executable, "-c", HOLD, folder.typed])
    numbered = f"echo {FAR_NUMBER} > /proc/sys/kernel/ns_last_pid; {hold}; true"
    with subprocess.Popen(
        [*alone, "sh", "-c", numbered], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        held = found(folder)
        assert held.host == socket.gethostname()
        assert not is_running(held.pid)
        for wait in (False, True):
            refused = f"is being written by process {held.pid} on "
            with pytest.raises(ResultsError, match=refused), locked(folder, wait=wait):
                pass
        process.kill()


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
        folder.delete(f"_lock-{number}.json" for number in numbers(folder))
        with folder.writing(HOLDER_FILE) as stream:
            stream.write(content)
        with locked(folder):
            pass


def test_a_lock_file_that_leads_nowhere_is_refused(folder: Location) -> None:
    if isinstance(folder, LocalFolder):
        (folder.folder / "_lock-9.json").symlink_to("nothing")
    else:  # a folder of that name
        assert folder.create("_lock-9.json/file", b"")
    nowhere = r"_lock-9\.json: cannot be read: it leads nowhere; move it away$"
    with pytest.raises(ResultsError, match=nowhere):
        find_writer(folder)
    with pytest.raises(ResultsError, match=nowhere), locked(folder):
        pass


@pytest.mark.parametrize("rival", [holder(), replace(holder(), has_ended=True)], ids=["runs", "has ended"])
def test_who_was_taken_over_stops_and_leaves_the_lock_alone(folder: Location, rival: Holder) -> None:
    stops = r"was taken over by process 7 on elsewhere .* stops\. What it committed is kept"
    with ExitStack() as stack:
        store = Store(folder, held := stack.enter_context(locked(folder)))
        store.replace(TRAININGS, [])
        leave_higher(folder, rival)
        while held._thread.is_alive():
            time.sleep(0.01)
        for write in (store.publish, lambda: store.commit("g_learn-s-k1", [(TRAININGS, [])]), stack.close):
            with pytest.raises(LostLockError, match=stops):
                write()
    assert found(folder).host == "elsewhere"
    assert found(folder).has_ended == rival.has_ended
    assert folder.names("_parts/trainings") == []


@pytest.mark.parametrize("raised", [None, ZeroDivisionError], ids=["at the end", "unless there is something else"])
def test_who_was_taken_over_says_so_even_if_nothing_was_left_to_write(
    folder: Location, monkeypatch: pytest.MonkeyPatch, raised: type[Exception] | None
) -> None:
    def lose() -> None:
        with locked(folder):
            leave_higher(folder, replace(holder(), has_ended=True))
            if raised is not None:
                raise raised

    monkeypatch.setattr(lock, "BEAT_EVERY_S", 60)
    with pytest.raises(raised or LostLockError):
        lose()


@pytest.mark.usefixtures("_short_silence")
def test_who_has_slept_looks_before_it_writes(folder: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY_S", 60)
    with ExitStack() as stack:
        held = stack.enter_context(locked(folder))
        leave_higher(folder, holder())
        time.sleep(lock.SILENT_AFTER_S)
        for look in (held.check, stack.close):
            with pytest.raises(LostLockError):
                look()


@pytest.mark.usefixtures("_short_silence")
def test_who_sleeps_while_it_listens_looks_once_more(folder: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(folder, holder())

    def sleep(_: float) -> None:
        monkeypatch.undo()
        time.sleep(1.0)
        leave(folder, replace(holder(), token="heard of again"))

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(ResultsError, match="is being written by process 7 on elsewhere"), locked(folder, wait=True):
        pass


def test_a_store_that_cannot_be_reached_for_a_while_keeps_its_lock(
    folder: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(folder) as held:
        with monkeypatch.context() as patch:
            patch.setattr(folder, "names", lambda *_: (_ for _ in ()).throw(ResultsError("unreachable")))
            time.sleep(3 * lock.BEAT_EVERY_S)
        before = found(folder)
        while found(folder) == before:
            time.sleep(0.01)
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
    leave(open_location(tmp_path), this_process(0, str(tmp_path.stat().st_dev)))
    with locked(tmp_path):
        pass


def test_a_container_that_has_mounted_the_disk_itself_is_listened_for(tmp_path: Path) -> None:
    """The system does not know there that it holds the lock."""
    folder = open_location(tmp_path)
    leave(folder, replace(this_process(0, "another"), namespace="pid:[1]"))
    with pytest.raises(ResultsError, match=f"is being written by process {os.getpid()} on "), locked(folder):
        pass
    leave(folder, replace(this_process(0, str(tmp_path.stat().st_dev)), namespace="pid:[1]"))
    with locked(folder):
        pass


def test_on_a_disk_that_is_shared_another_machines_lock_counts(tmp_path: Path) -> None:
    leave(open_location(tmp_path), holder())
    with pytest.raises(ResultsError, match="is being written by process 7 on elsewhere"), locked(tmp_path):
        pass


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="_lock: cannot be opened: No such file"), locked(tmp_path / "nowhere"):
        pass
