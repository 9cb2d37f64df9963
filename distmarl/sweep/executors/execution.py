"""Running one task where it was put: one BLAS thread, a deadline, a clock and a safety net.

Every executor runs tasks through :func:`execute`, so a task behaves the same everywhere.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from distmarl.errors import TaskTimeoutError
from distmarl.study.kinds.base import Rows, TaskResult
from distmarl.sweep.executors.failures import Failure, describe_failure
from distmarl.sweep.executors.task_log import LogMark


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    rows : dict of str to list of dict
        Rows by table; empty when it failed.
    failure : Failure or None
        What went wrong.
    timing : dict
        Columns of the table ``timings``; empty when the task's process was lost.
    """

    rows: Rows
    failure: Failure | None
    timing: dict[str, Any]


def execute(
    function: Callable[..., TaskResult],
    arguments: tuple[Any, ...],
    timeout_s: float | None,
    node_id: str | None = None,
    attempt: int | None = 0,
    log: LogMark | None = None,
) -> tuple[NDArray[Any] | None, Outcome]:
    """Run a task and return the value that later tasks need, and the outcome.

    Parameters
    ----------
    function : callable
        Does the task.
    arguments : tuple
        Its arguments.
    timeout_s : float or None
        Seconds after which it is given up.
    node_id : str or None
        Ray's id of the node, for the timings.
    attempt : int or None
        How often the task was tried before, if that is known.
    log : LogMark or None
        Where the task's log starts, if it is kept.
    """
    started_at = datetime.now(timezone.utc)
    _reset_peak_memory()
    seconds, cpu_seconds = time.perf_counter(), time.process_time()
    failure = None
    value: NDArray[Any] | None = None
    rows: Rows = {}
    try:
        with threadpool_limits(limits=1), _deadline(timeout_s):
            result = function(*arguments)
        value, rows = result.value, result.rows
    except Exception as error:  # whatever a task raises is a record, and the others go on
        log_tail = None if log is None else log.tail()
        failure = describe_failure(error, function, arguments, log_tail, socket.gethostname())
    timing = {
        "seconds": time.perf_counter() - seconds,
        "cpu_seconds": time.process_time() - cpu_seconds,
        "peak_memory_bytes": _peak_memory_bytes(),
        "hostname": socket.gethostname(),
        "node_id": node_id,
        "pid": os.getpid(),
        "attempt": attempt,
        "started_at": started_at,
    }
    return value, Outcome(rows, failure, timing)


@contextmanager
def _deadline(timeout_s: float | None) -> Iterator[None]:
    """Raise TaskTimeoutError in the running code once the time is up."""
    if timeout_s is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a deadline needs the task to run in the main thread of its process")

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TaskTimeoutError(f"ran longer than runner.task_timeout_s ({timeout_s:g} s)")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _reset_peak_memory() -> None:
    """Make the peak that Linux keeps for this process start anew; elsewhere it stays the process's."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return  # some containers forbid it: the peak is then the process's so far


def _peak_memory_bytes() -> int:
    """Return the largest resident memory of this process since the last reset."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
