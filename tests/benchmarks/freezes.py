"""Freeze a driver at every moment: ``python -m tests.benchmarks.freezes``.

Two drivers of one folder, see :mod:`tests.faults.freezing`. In an object store the first is frozen before each of its
requests, or after it, or each arrives once more when all is over; on a disk that cannot lock, before each of its file
operations. The second, of the same sweep with more seeds, ends before the first goes on; or it is held on its way
until the first has ended, with ``--holds`` places for each moment. What is lost, doubled or not told of is printed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.freezing import MORE, Duel, Freezer, duel_in_store, duel_on_disk, hasty
from tests.object_store import ENVIRONMENT, ObjectStore
from tests.sweep.sweeps import run, table_bytes

# Places where the second driver is held, spread over what it does.
SPREAD = 37
TELL_EVERY = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Try all moments and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.freezes")
    parser.add_argument("where", nargs="*", default=["store", "disk"], help="store, disk (default: both)")
    parser.add_argument("--every", type=int, default=1, help="try one moment of so many (default: %(default)s)")
    parser.add_argument(
        "--holds", type=int, default=2, help="places to hold the second driver at (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    os.environ.update(ENVIRONMENT)
    n_faults = 0
    with tempfile.TemporaryDirectory() as folder, hasty():
        run(Path(folder, "whole"), MORE)
        undisturbed = table_bytes(Path(folder, "whole"))
        for where in arguments.where:
            n_faults += _try_all(where, Path(folder), undisturbed, arguments.every, arguments.holds)
    return 1 if n_faults else 0


def _try_all(where: str, folder: Path, undisturbed: dict[str, bytes], every: int, n_holds: int) -> int:
    store = ObjectStore() if where == "store" else None
    numbers = itertools.count()

    def fight(first: Freezer, second: Freezer) -> Duel:
        if store is not None:
            return duel_in_store(store, first, second)
        return duel_on_disk(folder / f"{next(numbers)}" / "results", first, second)

    came_of: Counter[str] = Counter()
    for how in ("before", "after", "late") if store is not None else ("before",):
        for order in range(1 if how == "late" else n_holds + 1):
            for at in itertools.count(0, every):
                first = Freezer(at, how)
                second = Freezer() if order == 0 else Freezer((SPREAD * order + at) % HELD_WITHIN[where])
                outcome = _outcome(fight, first, second, undisturbed)
                came_of[outcome] += 1
                if at % (TELL_EVERY * every) == 0:
                    print(f"{where}: {how}, order {order}, moment {at}", file=sys.stderr, flush=True)
                if outcome.startswith("FAULT"):
                    print(f"{where}: {how} step {at}, order {order}: {outcome}", flush=True)
                if not first.frozen.is_set() and first.late is None:
                    print(f"{where}: {how}, order {order}: {at} moments; {dict(came_of)}", flush=True)
                    break
    return sum(number for outcome, number in came_of.items() if outcome.startswith("FAULT"))


def _outcome(
    fight: Callable[[Freezer, Freezer], Duel], first: Freezer, second: Freezer, undisturbed: dict[str, bytes]
) -> str:
    try:
        duel = fight(first, second)
        duel.check(undisturbed)
    except Exception:  # counted and printed
        return f"FAULT {traceback.format_exc()[-1500:]}"
    ended = ["done" if driver.error is None else type(driver.error).__name__ for driver in (duel.first, duel.second)]
    return " and ".join(ended)


# About as many steps as a driver makes.
HELD_WITHIN = {"store": 90, "disk": 250}

if __name__ == "__main__":
    sys.exit(main())
