"""Processes of this machine."""

from __future__ import annotations

import os
from contextlib import suppress


def is_running(pid: int) -> bool:
    """Return whether a process of this machine lives."""
    try:
        with suppress(PermissionError):  # it is somebody else's, and lives
            os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no system has numbers as large
        return False
    return True
