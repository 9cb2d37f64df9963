"""A sweep whose evaluations hang: ``python -m tests.sweep.hanging holding tiny.json --executor serial``.

The first argument says how; the others are the command's. Two of the ways are in compiled code that looks at no signal.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from distmarl.study import kinds
from distmarl.sweep.__main__ import main
from distmarl.sweep.guards import guard

# Is there once it does: what makes it is compiled code that hears nothing from there on.
MARK = Path("hangs")


def holding(*_: Any) -> Any:
    """Hold Python's lock for ever, so that no other thread runs."""
    deque(itertools.chain(map(os.mkdir, [MARK]), itertools.repeat(None)), maxlen=0)


def releasing(*_: Any) -> Any:
    """Release it, and wait for a lock of C's that nobody opens."""
    library, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    deque(itertools.chain(map(os.mkdir, [MARK]), map(library.pthread_mutex_lock, [lock, lock])), maxlen=0)


def listening(*_: Any) -> Any:
    """Hang where Python listens: no guard is needed."""
    MARK.mkdir()
    while True:
        time.sleep(0.01)


WAYS = {each.__name__: each for each in (holding, releasing, listening)}

if __name__ == "__main__":
    guard.DEADLINE_MARGIN_S = 0.5
    kinds.KINDS["evaluate"] = replace(kinds.KINDS["evaluate"], run=WAYS[sys.argv.pop(1)], run_together=None)
    sys.exit(main())
