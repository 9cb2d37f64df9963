"""One driver at a time: the lock of a results folder.

Every holder has a number, one more than the last one's, and a file of its own, ``_lock-7.json``, which only one can
create; the highest number holds the lock. The file names its holder and when it was last heard of; the holder writes
it again every few seconds, and says in it that it has ended, so numbers never repeat. Whoever finds a lock that is
not its own listens: a holder that is heard of again is alive, one that stays silent for several of its intervals has
died, and the next number is taken.

A holder that was only asleep can wake up at any moment, also between a look at the lock and a write. What it
writes then must not undo what others wrote (:mod:`distmarl.results.storage.location`): in an object store a write
says which version it replaces, and is refused if that is not there any more. A disk knows no such write: there a file
is written aside, with the holder's number in its name, before the holder looks, and whoever takes the lock over
deletes what lies aside before it reads; so there is nothing left to be renamed.

On a disk the system locks the file ``_lock`` as well, and frees it when the process ends: there the next command
starts at once. Not every network disk can do that, and some do it for one machine only; what is left then is the
listening.
"""

from __future__ import annotations

import errno
import fcntl
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from distmarl.errors import ResultsError
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.holder import Holder, parse_holder, this_process
from distmarl.results.storage.location import Location
from distmarl.wording import ago

LOCK_FILE = "_lock"
HOLDER_NAME = re.compile(r"_lock(?:-([1-9]\d{0,17}))?\.json")  # earlier versions wrote it without a number

BEAT_EVERY_S = 5.0
SILENT_AFTER_S = 30.0
POLL_EVERY_S = 0.5
READ_ATTEMPTS = 5  # of a file that goes in the moment in which it is read, as a higher one comes
# The clock of whoever writes to an object store agrees better than this with the store's: it refuses others.
CLOCKS_AGREE_S = 900.0

CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class LostLockError(ResultsError):
    """Another process has taken the lock over."""


class Lock:
    """A held lock, which a thread keeps fresh until it is released.

    Parameters
    ----------
    folder : Location
        The results folder.
    number : int
        The holder's number, which nobody has had before.

    Raises
    ------
    ResultsError
        When another process has taken this number in the same moment.
    """

    def __init__(self, folder: Location, number: int) -> None:
        self.number = number
        self._folder = folder
        self._holder = this_process(number, _disk(folder))
        self._rival: Holder | str | None = None
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)
        if not folder.create(_name(number), self._holder.as_json()):
            raise _in_use(folder, _latest(folder)[1])
        folder.delete_asides(number)
        folder.delete([name for name in folder.names() if 0 <= number_of(name) < number])
        self._thread.start()

    def check(self) -> None:
        """Raise if another process has taken the lock over.

        It is looked for where a write cannot say what it replaces, and if this process may have seemed dead.

        Raises
        ------
        LostLockError
            Naming that process.
        """
        if self._rival is not None or not self._folder.has_versions or self._holder.age_s > SILENT_AFTER_S:
            self.look()

    def look(self) -> None:
        """Look whether another process has taken the lock over, and raise if it has.

        Raises
        ------
        LostLockError
            Naming that process.
        """
        self._rival = self._rival or self._higher()
        if self._rival is not None:
            rival = self._rival
            since = ", which has ended since" if isinstance(rival, Holder) and rival.has_ended else ""
            raise LostLockError(
                f"{self._folder}: was taken over by {rival}{since}; this process seemed to have ended, and stops. "
                "What it committed is kept"
            )

    def release(self) -> None:
        """Give the lock back. A store that cannot be reached keeps it; it goes stale.

        Raises
        ------
        LostLockError
            When another process has taken it over.
        """
        self._released.set()
        self._thread.join()
        try:
            self.look()
            self._write(self._holder.ended())
        except LostLockError:
            raise
        except ResultsError:
            return

    def _keep_fresh(self) -> None:
        while not self._released.wait(BEAT_EVERY_S):
            with suppress(ResultsError):  # what cannot be reached now may be at the next beat
                self._rival = self._higher()
                if self._rival is not None:
                    return
                heard_of = self._holder.heard_now()
                self._write(heard_of)
                self._holder = heard_of

    def _higher(self) -> Holder | str | None:
        """Return who has taken the lock over, if anybody has."""
        number, holder = _latest(self._folder)
        return (holder or "another process") if number > self.number else None

    def _write(self, holder: Holder) -> None:
        """Write this holder's file, which matters to nobody once there is a higher number."""
        with self._folder.writing(_name(self.number)) as stream:
            stream.write(holder.as_json())


def number_of(name: str) -> int:
    """Return the number of the holder whose file has this name; -1 for any other file."""
    match = HOLDER_NAME.fullmatch(name)
    return int(match[1] or 0) if match else -1


def is_of_lock(name: str) -> bool:
    """Return whether a file in a results folder belongs to its lock."""
    return name == LOCK_FILE or number_of(name) >= 0


def current_holder(folder: Location) -> Holder | None:
    """Return who holds a folder's lock, if anybody does."""
    _, holder = _latest(folder)
    return None if holder is None or holder.has_ended else holder


def find_writer(folder: Location) -> Holder | None:
    """Return which process writes to a folder now, if one does.

    Nothing is locked to find out. Of a process on another machine it is told by the two clocks.
    """
    holder = current_holder(folder)
    return None if holder is None or holder.age_s > SILENT_AFTER_S or holder.is_gone else holder


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
        holder = current_holder(folder)
    if holder is None or _has_died(folder, holder, is_locked) or not _is_silent(folder, holder, tell):
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
    LostLockError
        At the end of the block, when another process has taken the lock over.
    """
    with _system_lock(folder) as is_locked:
        lock = Lock(folder, _free_number(folder, is_locked, wait, silent, tell))
        try:
            yield lock
        except BaseException:
            with suppress(LostLockError):  # there is something else to say
                lock.release()
            raise
        lock.release()


def _free_number(
    folder: Location, is_locked: bool, wait: bool, silent: Holder | None, tell: Callable[[str], None]
) -> int:
    """Return the number of the next holder, once there is none."""
    while True:
        number, holder = _latest(folder)
        if holder is None or holder.has_ended:
            return number + 1
        has_died = holder == silent or _has_died(folder, holder, is_locked)
        if not has_died and not wait:
            raise _in_use(folder, holder)
        if has_died or _is_silent(folder, holder, tell):
            tell(f"{folder}: took over from {holder}, which ended without a word {ago(holder.age_s)}")
            return number + 1


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
        raise _in_use(location, current_holder(location)) from None
    except OSError as error:
        if error.errno in CANNOT_LOCK:
            return False
        raise ResultsError(f"{location.describe(LOCK_FILE)}: cannot be locked: {error.strerror}") from error
    return True


def _has_died(folder: Location, holder: Holder, is_locked: bool) -> bool:
    """Return whether a holder is certain to have ended."""
    if holder.is_of_this_machine:
        # The system's lock is that of a disk as it is mounted; two containers may each have mounted it themselves.
        return (is_locked and holder.disk == _disk(folder)) or holder.is_gone
    return folder.has_versions and holder.age_s > CLOCKS_AGREE_S


def _disk(folder: Location) -> str:
    """Return what tells a folder's disk, as it is mounted, from others of this machine; nothing for an object store."""
    try:
        return str(folder.folder.stat().st_dev) if isinstance(folder, LocalFolder) else ""
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be looked up: {error.strerror}") from error


def _is_silent(folder: Location, first: Holder, tell: Callable[[str], None]) -> bool:
    """Listen for a holder; return False if it gives the lock back, raise if it, or another one, is heard of."""
    tell(f"{folder}: {first} wrote here {ago(first.age_s)}; listening for {SILENT_AFTER_S:g} s whether it still does")
    deadline = time.monotonic() + SILENT_AFTER_S
    while True:
        is_last_look = time.monotonic() > deadline  # known before, since this process may sleep, too
        holder = current_holder(folder)
        if holder is None:
            return False
        if holder != first:
            raise _in_use(folder, holder)
        if is_last_look:
            return True
        time.sleep(POLL_EVERY_S)


def _in_use(location: Location, holder: Holder | None) -> ResultsError:
    who = f"{holder} since {holder.since}, last heard of {ago(holder.age_s)}" if holder else "another process"
    return ResultsError(
        f"{location}: is being written by {who}; wait for it to end, or choose another folder with --out"
    )


def _latest(folder: Location) -> tuple[int, Holder | None]:
    """Return the highest number in use, 0 if none is, and its holder; whatever is not of this form holds nothing."""
    for _ in range(READ_ATTEMPTS):
        number = max(map(number_of, folder.names()), default=-1)
        if number < 0:
            return 0, None
        with suppress(FileNotFoundError):  # a higher one has come
            return number, parse_holder(folder.read(_name(number)), number)
    raise ResultsError(f"{folder.describe(_name(number))}: cannot be read: it leads nowhere; move it away")


def _name(number: int) -> str:
    return f"_lock-{number}.json" if number else "_lock.json"
