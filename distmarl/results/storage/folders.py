"""Folders on a disk that survive a loss of power."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder, with those that it lies in, where they are missing; flush each new one into its parent.

    A file in a folder that its parent does not know after a loss of power is lost, however well it was flushed itself.
    """
    missing = []
    for each in (folder, *folder.parents):
        if each.is_dir():
            break
        missing.append(each)
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        with suppress(PermissionError):  # one that may be written but not read
            flush_folder(each.parent)


def flush_folder(folder: Path) -> None:
    """Make what was renamed, made or deleted in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
