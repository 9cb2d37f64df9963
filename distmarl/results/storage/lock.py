"""One driver at a time: the lock of a results folder.

``_lock.json`` names its holder and when it was last heard of; the holder writes it again every few
seconds. Whoever finds one that is not its own listens: a holder that is heard of again is alive, one that
stays silent for several of its intervals has died, and the lock is taken over. Two that take it over in the same
moment find out at their next beat at the latest, and the one that lost stops. Until then both
write parts that are named by task and equal in content.

On a disk the system locks the file ``_lock`` as well, and frees it when the process ends: there the
lock is exact, and the next command starts at once. Not every network disk can do that, and some do it for one
machine only; what is left then is the listening.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import IO

from distmarl.errors import ResultsError
from distmarl.paths import shell_words
from distmarl.results.storage.json_text import parse_json
from distmarl.results.storage.location import LocalFolder, Location
from distmarl.results.storage.processes import is_running
from distmarl.wording import ago, timestamp

LOCK_FILE = "_lock"
HOLDER_FILE = "_lock.json"

BEAT_EVERY_S = 5.0
SILENT_AFTER_S = 30.0
POLL_EVERY_S = 0.5
# Clocks of two machines agree better than this: S3 refuses requests of a machine whose clock does not.
CLOCKS_AGREE_S = 900.0

CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that writes to a results folder.

    Attributes
    ----------
    token : str
        Tells this lock from all others.
    host, pid, user, command : str, int, str, str
        The process.
    since, last_beat : str
        When it took the lock and when it was last heard of, by its own clock (UTC).
    """

    token: str
    host: str
    pid: int
    user: str
    command: str
    since: str
    last_beat: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.user}; {self.command})"

    @property
    def age_s(self) -> float:
        """How long ago it was last heard of, if its clock agrees with this one."""
        return (datetime.now(timezone.utc) - datetime.fromisoformat(self.last_beat)).total_seconds()


class Lock:
    """A held lock, which a thread keeps fresh until it is released.

    Parameters
    ----------
    folder : Location
        The results folder.
    """

    def __init__(self, folder: Location) -> None:
        self._holder = Holder(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            user=_user(),
            command=shell_words(sys.orig_argv),
            since=timestamp(),
            last_beat=timestamp("milliseconds"),
        )
        self._folder = folder
        self._rival: Holder | None = None
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)
        _write_holder(folder, self._holder)
        self._listen_for_rival()
        self.check()
        self._thread.start()

    def check(self) -> None:
        """Raise if another process has taken the lock over; look, if this one may have seemed dead.

        Raises
        ------
        ResultsError
            Naming that process.
        """
        if self._holder.age_s > SILENT_AFTER_S:
            self._listen_for_rival()
        if self._rival is not None:
            raise ResultsError(
                f"{self._folder}: was taken over by {self._rival}, which did not hear of this process for "
                f"{SILENT_AFTER_S:g} s; this one stops. What it committed is kept"
            )

    def release(self) -> None:
        """Give the lock back, if it is still held. A store that cannot be reached keeps it; it goes stale."""
        self._released.set()
        self._thread.join()
        with suppress(ResultsError):
            self._listen_for_rival()
            if self._rival is None:
                self._folder.delete([HOLDER_FILE])

    def _keep_fresh(self) -> None:
        while not self._released.wait(BEAT_EVERY_S):
            with suppress(ResultsError):  # what cannot be reached now may be at the next beat
                self._listen_for_rival()
                if self._rival is not None:
                    return
                heard_of = replace(self._holder, last_beat=timestamp("milliseconds"))
                _write_holder(self._folder, heard_of)
                self._holder = heard_of

    def _listen_for_rival(self) -> None:
        holder = _read_holder(self._folder)
        if holder is not None and holder.token != self._holder.token:
            self._rival = holder


def listen(folder: Location, tell: Callable[[str], None]) -> Holder | None:
    """Refuse a folder that another process writes to, and leave it as it is; return a holder that was silent.

    Raises
    ------
    ResultsError
        As from :func:`locked`.
    """
    if isinstance(folder, LocalFolder) and not folder.is_there():
        return None
    with _system_lock(folder) as is_locked:
        holder = _read_holder(folder)
    if holder is None or _has_died(holder, is_locked) or not _is_silent(folder, holder, tell):
        return None
    return holder


@contextmanager
def locked(
    folder: Location,
    *,
    wait: bool = False,
    silent: Holder | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Lock]:
    """Hold a folder's lock, so that it has one writer.

    Parameters
    ----------
    folder : Location
        The results folder.
    wait : bool
        Whether to listen for a holder that may have died; otherwise it is taken to be alive.
    silent : Holder, optional
        A holder that was listened for already, with :func:`listen`.
    tell : callable
        Is told in a line of text what is waited for, and of a lock that is taken over.

    Raises
    ------
    ResultsError
        When another process holds the lock: which, since when, and when it was last heard of.
    """
    with _system_lock(folder) as is_locked:
        holder = _read_holder(folder)
        if holder is not None:
            has_died = holder == silent or _has_died(holder, is_locked)
            if not has_died and not wait:
                raise _in_use(folder, holder)
            if has_died or _is_silent(folder, holder, tell):
                tell(f"{folder}: took over from {holder}, which ended without a word {ago(holder.age_s)}")
        lock = Lock(folder)
        try:
            yield lock
        finally:
            lock.release()


def find_writer(folder: Location) -> Holder | None:
    """Return which process writes to a folder now, if one does.

    Nothing is locked to find out. Of a process on another machine it is told by the two clocks.
    """
    holder = _read_holder(folder)
    if holder is None or holder.age_s > SILENT_AFTER_S or _has_died(holder, is_locked=False):
        return None
    return holder


@contextmanager
def _system_lock(location: Location) -> Iterator[bool]:
    """Have the system lock a folder on a disk; yield whether it did. It is freed with the process."""
    if not isinstance(location, LocalFolder):
        yield False
        return
    try:
        stream = (location.folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise ResultsError(f"{location.describe(LOCK_FILE)}: cannot be opened: {error.strerror}") from error
    with stream:
        yield _flock(location, stream)


def _flock(location: Location, stream: IO[str]) -> bool:
    """Lock an open file until it is closed; return False where that cannot be done."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(location, _read_holder(location)) from None
    except OSError as error:
        if error.errno in CANNOT_LOCK:
            return False
        raise ResultsError(f"{location.describe(LOCK_FILE)}: cannot be locked: {error.strerror}") from error
    return True


def _has_died(holder: Holder, is_locked: bool) -> bool:
    """Return whether a holder is certain to have ended."""
    if holder.host == socket.gethostname():
        return is_locked or not is_running(holder.pid)
    return holder.age_s > CLOCKS_AGREE_S


def _is_silent(location: Location, first: Holder, tell: Callable[[str], None]) -> bool:
    """Listen for a holder; return False if it gives the lock back, raise if it, or another one, is heard of."""
    tell(f"{location}: {first} wrote here {ago(first.age_s)}; listening for {SILENT_AFTER_S:g} s whether it still does")
    deadline = time.monotonic() + SILENT_AFTER_S
    while time.monotonic() < deadline:
        time.sleep(POLL_EVERY_S)
        holder = _read_holder(location)
        if holder is None:
            return False
        if holder != first:
            raise _in_use(location, holder)
    return True


def _in_use(location: Location, holder: Holder | None) -> ResultsError:
    who = f"{holder} since {holder.since}, last heard of {ago(holder.age_s)}" if holder else "another process"
    return ResultsError(
        f"{location}: is being written by {who}; wait for it to end, or choose another folder with --out"
    )


def _read_holder(location: Location) -> Holder | None:
    """Return who holds a lock, if anybody does; whatever is not of this form holds nothing."""
    try:
        holder = Holder(**parse_json(location.read(HOLDER_FILE)))
        _ = holder.age_s  # which needs a time with its zone
    except (FileNotFoundError, ValueError, TypeError):
        return None
    texts = (holder.token, holder.host, holder.user, holder.command, holder.since)
    is_ours = isinstance(holder.pid, int) and all(isinstance(text, str) for text in texts)
    return holder if is_ours else None


def _write_holder(location: Location, holder: Holder) -> None:
    with location.writing(HOLDER_FILE) as stream:
        stream.write(json.dumps(asdict(holder), indent=2).encode())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())
