"""Cut a driver off before every operation on files: ``python -m tests.benchmarks.cuts``.

It is killed, or meets a full or a broken disk, see :mod:`tests.faults.cutting`. What is left must be whole, and the
same sweep must go on from it to the tables of an undisturbed one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.faults.cutting import check, cut_off
from tests.sweep.sweeps import run, table_bytes


def main(argv: Sequence[str] | None = None) -> int:
    """Try all operations and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cuts")
    parser.add_argument("how", nargs="*", default=["kill", "ENOSPC", "EIO"], help="default: all three")
    parser.add_argument("--every", type=int, default=1, help="try one operation of so many (default: %(default)s)")
    arguments = parser.parse_args(argv)
    n_faults = 0
    with tempfile.TemporaryDirectory() as folder:
        for how in arguments.how:
            # Before anything has run here: a process with threads is not one to copy.
            n_operations = cut_off(Path(folder, how), how, arguments.every)
            print(f"{how}: cut off within {n_operations} operations", flush=True)
        run(Path(folder, "whole"))
        undisturbed = table_bytes(Path(folder, "whole"))
        for how in arguments.how:
            places = sorted(Path(folder, how).iterdir(), key=lambda place: int(place.name))
            for place in places:
                try:
                    check(place, undisturbed)
                except Exception:  # counted and printed
                    n_faults += 1
                    print(f"{how} before operation {place.name}: FAULT {traceback.format_exc()[-1500:]}", flush=True)
            print(f"{how}: {len(places)} folders looked at and gone on with; faults so far: {n_faults}", flush=True)
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
