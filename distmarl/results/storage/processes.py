"""Processes, and the machine that they run on."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

PROC = Path("/proc")


def is_running(pid: int) -> bool:
    """Return whether a process of this machine lives."""
    try:
        with suppress(PermissionError):  # it is somebody else's, and lives
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no system has numbers as large
        return False
    return True


@cache
def boot_id() -> str:
    """Return what tells this start of this machine from all others; nothing where the system does not say.

    Containers of one machine share it: they have one kernel.
    """
    if PROC.exists():
        return _content(PROC / "sys/kernel/random/boot_id")
    return _answer("sysctl", "-n", "kern.bootsessionuuid")


@cache
def pid_namespace() -> str:
    """Return within what the numbers of processes count: each container of a machine begins anew."""
    with suppress(OSError):
        return str((PROC / "self/ns/pid").readlink())
    return ""


def started_at(pid: int) -> str | None:
    """Return when a process of this machine started, in the system's own words; nothing when there is none.

    The number alone is given again and again. None where there is a process, of which this user is told no more.
    """
    if not PROC.exists():
        return _answer("ps", "-o", "lstart=", "-p", str(pid))
    fields = _content(PROC / str(pid) / "stat").rpartition(")")[2].split()  # before it, a name, which may have spaces
    if not fields:
        return None if is_running(pid) else ""
    return fields[19] if fields[0] not in "ZX" else ""  # of what has ended, somebody has yet to hear


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _answer(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
