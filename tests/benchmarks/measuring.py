"""How the benchmarks measure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def pin_threads() -> None:
    """Give BLAS one thread; call it before numpy is imported."""
    os.environ.update(ONE_THREAD)


def seconds(function: Callable[[], Any], *, repeats: int = 5, warm_up: bool = True) -> float:
    """Return the median time of a call, after one that does not count."""
    if warm_up:
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def paired_seconds(
    first: Callable[[], Any], second: Callable[[], Any], *, repeats: int = 5
) -> tuple[float, float, float]:
    """Return the median times of two calls in turn, and the median of their ratios second / first."""
    first(), second()
    pairs = []
    for _ in range(repeats):
        start = time.perf_counter()
        first()
        middle = time.perf_counter()
        second()
        pairs.append((middle - start, time.perf_counter() - middle))
    ratios = sorted(late / early for early, late in pairs)
    middle_of = len(pairs) // 2
    return sorted(a for a, _ in pairs)[middle_of], sorted(b for _, b in pairs)[middle_of], ratios[middle_of]


def peak_bytes(function: Callable[[], Any]) -> int:
    """Return by how much a call raises the resident memory at its peak (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")
