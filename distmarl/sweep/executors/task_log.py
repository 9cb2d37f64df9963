"""The end of what a task wrote to its process's standard streams, for the record of its failure.

Ray sends the streams of its workers to files. Nothing is redirected: a mark is made where the files end when
the task starts, and what follows the mark is the task's, also when its process did not survive.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LogMark:
    """Where the log files of a process ended.

    Attributes
    ----------
    files : tuple of (str, int)
        Path and size of each file.
    """

    files: tuple[tuple[str, int], ...]

    @classmethod
    def here(cls) -> LogMark:
        """Mark the standard streams of this process, those that go to files."""
        _flush()
        found = ((_path(descriptor), os.fstat(descriptor)) for descriptor in (1, 2))
        sizes = {path: status.st_size for path, status in found if path and stat.S_ISREG(status.st_mode)}
        return cls(tuple(sizes.items()))

    def is_readable(self) -> bool:
        """Return whether all of the files can be read here, as on the machine of the process."""
        return all(os.access(path, os.R_OK) for path, _ in self.files)

    def tail(self) -> str | None:
        """Return the end of what was written since the mark; None where the streams do not go to files."""
        _flush()
        ends = [_end(path, size, TAIL_BYTES // len(self.files)) for path, size in self.files]
        return "".join(ends) if ends else None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _path(descriptor: int) -> str | None:
    """Return the path of an open file, where the system tells."""
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except OSError:
        return None


def _end(path: str, start: int, n_bytes: int) -> str:
    """Return the last bytes of a file, none of them before ``start``."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - n_bytes))
            return file.read(n_bytes).decode(errors="replace")
    except OSError:
        return ""
