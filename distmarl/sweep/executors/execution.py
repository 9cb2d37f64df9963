"""Running one task where it was put: one BLAS thread, a deadline, a clock and a safety net.

Every executor runs tasks through :func:`execute_batch`, so a task behaves the same everywhere.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from distmarl.errors import TaskTimeoutError
from distmarl.study.kinds.kind import Rows, TaskResult
from distmarl.sweep.executors.failures import Failure, describe_failure
from distmarl.sweep.executors.task_log import LogMark

_T = TypeVar("_T")

# A deadline that was not heard comes again.
REPEAT_S = 0.1
# A task ends itself at its deadline; one that has not after this much longer cannot, and its process is ended.
DEADLINE_MARGIN_S = 10.0


class Call(NamedTuple):
    """What is to be done for a task.

    Attributes
    ----------
    function : callable
        Does it.
    arguments : tuple
        The job, the key, the number of threads, values.
    together : callable, optional
        Does several tasks that differ in their keys alone, given a list of these.
    """

    function: Callable[..., TaskResult]
    arguments: tuple[Any, ...]
    together: Callable[..., list[TaskResult]] | None = None


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a task runs.

    Attributes
    ----------
    timeout_s : float or None
        Seconds after which a task is given up.
    node_id : str or None
        Ray's id of the node, for the timings.
    attempt : int or None
        How often the batch was tried before, if that is known.
    keeps_logs : bool
        Whether the end of a failed task's log is kept.
    watching : callable, optional
        ``watching(name, timeout_s)`` returns the context that a task runs in.
    """

    timeout_s: float | None
    node_id: str | None = None
    attempt: int | None = 0
    keeps_logs: bool = False
    watching: Callable[[str, float | None], AbstractContextManager[None]] | None = None


def execute_batch(calls: Sequence[Call], place: Place) -> list[tuple[NDArray[Any] | None, Outcome]]:
    """Run tasks one after the other, and together where their kind can.

    Returns the value that later tasks need, and the outcome, of each.
    """
    done: list[tuple[NDArray[Any] | None, Outcome]] = []
    for _, group in itertools.groupby(calls, _what_is_common):
        done += _execute_together(list(group), place)
    return done


def _what_is_common(call: Call) -> tuple[Any, ...]:
    """Return what calls that can be made as one have in common: all but the key."""
    job, key, *others = call.arguments
    return (call.together, id(job), key.group, *map(id, others))


def _execute_together(calls: list[Call], place: Place) -> list[tuple[NDArray[Any] | None, Outcome]]:
    (job, _, *others), together = calls[0].arguments, calls[0].together
    if together is not None and len(calls) > 1:
        keys = [call.arguments[1] for call in calls]
        results, failure, timing = _attempt(together, (job, keys, *others), place)
        if failure is None:
            share = {name: timing[name] / len(calls) for name in ("seconds", "cpu_seconds")}
            return [(result.value, Outcome(result.rows, None, {**timing, **share})) for result in results]
    # Where they fail together, each on its own will tell whose fault it is.
    return [execute(call.function, call.arguments, place) for call in calls]


def execute(
    function: Callable[..., TaskResult], arguments: tuple[Any, ...], place: Place
) -> tuple[NDArray[Any] | None, Outcome]:
    """Run a task and return the value that later tasks need, and the outcome."""
    result, failure, timing = _attempt(function, arguments, place)
    if failure is not None:
        return None, Outcome({}, failure, timing)
    return result.value, Outcome(result.rows, None, timing)


def _attempt(
    function: Callable[..., Any], arguments: tuple[Any, ...], place: Place
) -> tuple[Any, Failure | None, dict[str, Any]]:
    """Return what a function returns or why it failed, and how long it took."""
    log = LogMark.here() if place.keeps_logs else None
    started_at = datetime.now(timezone.utc)
    _reset_peak_memory()
    # Beside others in its process, a task has one thread.
    is_alone = threading.current_thread() is threading.main_thread()
    clock = time.process_time if is_alone else time.thread_time
    seconds, cpu_seconds = time.perf_counter(), clock()
    result, failure = None, None
    try:
        with threadpool_limits(limits=1), _watched(arguments, place):
            result = _by_deadline(place.timeout_s, function, arguments)
    except Exception as error:  # whatever a task raises is a record, and the others go on
        log_tail = None if log is None else log.tail()
        failure = describe_failure(error, function, arguments, log_tail, socket.gethostname())
    timing = {
        "seconds": time.perf_counter() - seconds,
        "cpu_seconds": clock() - cpu_seconds,
        "peak_memory_bytes": _peak_memory_bytes(),
        "hostname": socket.gethostname(),
        "node_id": place.node_id,
        "pid": os.getpid(),
        "attempt": place.attempt,
        "started_at": started_at,
    }
    return result, failure, timing


def _watched(arguments: tuple[Any, ...], place: Place) -> AbstractContextManager[None]:
    """Return the context that a task, or several that run together, run in."""
    if place.watching is None:
        return nullcontext()
    job, keys, *_ = arguments
    first, *others = keys if isinstance(keys, list) else [keys]
    label = f" ({job.setting.label})" if job.setting.label else ""
    return place.watching(f"{first}{f' and {len(others)} more' if others else ''}{label}", place.timeout_s)


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
