"""Sees to it that a local Ray ends with the process that started it, and that something is said, however that ends.

    python keeper.py WORDS [FOLDER]

It is run by its path and imports nothing of the package, so that it starts at once. When its standard input ends, as
it does with the process that holds the other end, it kills what has a file open in FOLDER, which is where a local Ray
keeps all of its own, and deletes FOLDER. It was told before to be silent, or to keep the folder as well; where it was
not, that process was killed, or Ray has ended it, and it says WORDS.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

END, KEEP = b"end", b"keep"
# What is found dies at once; what it had just started is found in the next round.
MAX_ROUNDS = 50
PAUSE_S = 0.1


def main() -> None:
    """Wait, then tidy up."""
    (words, *folders), starter = sys.argv[1:], os.getppid()
    told = sys.stdin.buffer.read()
    if not told:
        with suppress(OSError):  # nobody reads it any more
            os.write(2, f"{words}\n".encode())
    for folder in folders:
        _end(folder, starter)
        if told != KEEP:
            shutil.rmtree(folder, ignore_errors=True)


def _end(folder: str, starter: int) -> None:
    """Kill what has a file of a folder open."""
    for _ in range(MAX_ROUNDS):
        found = [process for process in _processes_in(folder) if process not in (os.getpid(), starter)]
        if not found:
            break
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(PAUSE_S)


def _processes_in(folder: str) -> Iterator[int]:
    """Yield the processes that have a file of a folder open, or its name in their command."""
    if not Path("/proc/self/fd").is_dir():
        for line in subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, check=False).stdout.split(
            b"\n"
        ):
            if folder.encode() in line:
                yield int(line.split()[0])
        return
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if any(str(each.readlink()).startswith(folder) for each in (process / "fd").iterdir()):
                yield int(process.name)


if __name__ == "__main__":
    main()
