"""Who holds the lock of a results folder."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone

from distmarl.paths import shell_words
from distmarl.results.storage.json_text import parse_json
from distmarl.results.storage.processes import boot_id, pid_namespace, started_at
from distmarl.wording import timestamp


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that writes to a results folder, or has done so last.

    Attributes
    ----------
    token : str
        Tells this lock from all others.
    host, pid, user, command : str, int, str, str
        The process, for people: two machines may have the same name, and two processes the same number.
    since, last_beat : str
        When it took the lock and when it was last heard of, by its own clock (UTC).
    number : int
        One more than that of the holder before.
    boot, namespace, started : str
        What tells the process from all others of its machine, and the machine from others; empty where the system
        does not say.
    has_ended : bool
        Whether it has given the lock back.
    disk : str
        What tells the disk of the folder, as it is mounted for the process, from others of its machine; empty for an
        object store.
    """

    token: str
    host: str
    pid: int
    user: str
    command: str
    since: str
    last_beat: str
    number: int = 0
    boot: str = ""
    namespace: str = ""
    started: str = ""
    has_ended: bool = False
    disk: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.user}; {self.command})"

    @property
    def age_s(self) -> float:
        """How long ago it was last heard of, if its clock agrees with this one."""
        return (datetime.now(timezone.utc) - datetime.fromisoformat(self.last_beat)).total_seconds()

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it is certain to be a process of this machine, since its last start."""
        return bool(self.boot) and self.boot == boot_id()

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that there is no such process any more."""
        can_tell = self.is_of_this_machine and bool(self.started) and self.namespace == pid_namespace()
        return can_tell and started_at(self.pid) not in (self.started, None)

    def heard_now(self) -> Holder:
        """Return it as it is when it is heard of again."""
        return replace(self, last_beat=timestamp("milliseconds"))

    def ended(self) -> Holder:
        """Return it as it is when it has given the lock back."""
        return replace(self, has_ended=True)

    def as_json(self) -> bytes:
        """Return it as it is written down."""
        return json.dumps(asdict(self), indent=2).encode()


def this_process(number: int, disk: str = "") -> Holder:
    """Return this process as the holder of a lock on a disk, or in an object store."""
    return Holder(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        pid=os.getpid(),
        user=_user(),
        command=shell_words(sys.orig_argv),
        since=timestamp(),
        last_beat=timestamp("milliseconds"),
        number=number,
        boot=boot_id(),
        namespace=pid_namespace(),
        started=started_at(os.getpid()) or "",
        disk=disk,
    )


def parse_holder(content: bytes, number: int) -> Holder | None:
    """Return whom a holder's file tells of, whose name has the number; None for whatever is not of its form."""
    try:
        holder = replace(Holder(**parse_json(content)), number=number)
        _ = holder.age_s  # which needs a time with its zone
    except (ValueError, TypeError):
        return None
    texts = (
        *(holder.token, holder.host, holder.user, holder.command, holder.since),
        *(holder.boot, holder.namespace, holder.started, holder.disk),
    )
    is_ours = (
        isinstance(holder.pid, int)
        and isinstance(holder.has_ended, bool)
        and all(isinstance(each, str) for each in texts)
    )
    return holder if is_ours else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return str(os.getuid())
