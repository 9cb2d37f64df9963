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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from distmarl.errors import TaskTimeoutError
from distmarl.study.kinds.kind import Rows, TaskResult
from distmarl.sweep.executors.failures import Failure, describe_failure
from distmarl.sweep.executors.task_log import LogMark

_T = TypeVar("_T")

# A deadline that was not heard comes again.
REPEAT_S = 0.1


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
        with threadpool_limits(limits=1):
            result = _by_deadline(timeout_s, function, arguments)
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


def _by_deadline(timeout_s: float | None, function: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
    """Return what a function returns; once the time is up, raise TaskTimeoutError in the running code.

    It is raised again and again until it is heard: Python swallows what is raised in a ``__del__`` or in a callback of
    its garbage collector.
    """
    if timeout_s is None:
        return function(*arguments)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("a deadline needs the task to run in the main thread of its process")
    over = False

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        is_heard = isinstance(sys.exc_info()[1], TaskTimeoutError)  # what is left is to tidy up
        if not over and not is_heard:
            raise TaskTimeoutError(f"ran longer than runner.task_timeout_s ({timeout_s:g} s)")

    previous = signal.signal(signal.SIGALRM, give_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, timeout_s, REPEAT_S)
        return function(*arguments)
    finally:
        over = True  # first, so that nothing is raised in the lines that follow
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
