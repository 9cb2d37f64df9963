"""A driver that is cut off before its n-th operation on files: killed, or with a disk that is full or broken.

    python -m tests.faults.cutting FOLDER HOW [--every N]

Each n has a folder of its own, named after it, in which a small sweep runs in a process of its own until then. What is
left there is for others to look at. HOW is ``kill``, ``ENOSPC`` or ``EIO``.
"""

from __future__ import annotations

import argparse
import errno
import itertools
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from distmarl.errors import ResultsError
from tests.faults.freezing import OPERATIONS
from tests.sweep.sweeps import run, table_bytes

# How the process of one n ends.
RAN_TO_ITS_END, WAS_TOLD, WENT_ON, UNTOLD = 0, 3, 4, 5


def cut_off(folder: Path, how: str, every: int) -> int:
    """Cut a driver off before each ``every``-th operation; return how many operations there are, about."""
    for n in itertools.count(0, every):
        child = os.fork()
        if child == 0:
            _run_until(folder / str(n), how, n)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == RAN_TO_ITS_END:
            return n
        if code not in (-signal.SIGKILL, WAS_TOLD, WENT_ON):
            raise RuntimeError(f"before operation {n}: exit code {code}")
    raise AssertionError


def _run_until(place: Path, how: str, n: int) -> None:
    """Run a sweep in this process, and leave it."""
    operations, was_cut = itertools.count(), False

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal was_cut
        if event in OPERATIONS and str(place) in str(arguments[0]) and next(operations) == n:
            was_cut = True
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)), str(arguments[0]))

    sys.addaudithook(hear)
    code = UNTOLD
    try:
        run(place)
        code = WENT_ON if was_cut else RAN_TO_ITS_END
    except ResultsError:
        code = WAS_TOLD if was_cut else UNTOLD
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def check(place: Path, undisturbed: dict[str, bytes]) -> None:
    """Check that every table file is whole, and that the same sweep goes on to the tables of an undisturbed one."""
    for path in place.rglob("*.parquet"):
        if not path.name.startswith("_tmp-"):  # what was to become one
            pq.read_table(path)
    run(place)
    assert table_bytes(place) == undisturbed, place


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cutting")
    parser.add_argument("folder", type=Path)
    parser.add_argument("how", choices=["kill", "ENOSPC", "EIO"])
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    sys.stdout.write(f"{cut_off(arguments.folder, arguments.how, arguments.every)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
