"""A test that takes too long fails by name, with what all threads were doing, and the others go on.

pytest-timeout keeps the times; its own ways to fail do not suit this suite: the tasks' deadlines, which are tested,
take the signal that it would use, and a process that it ended would leave clusters behind.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any

import pytest

# A test that has not ended so long after it was failed cannot: its process is ended, with the stacks on stderr.
MARGIN_S = 60.0
STDERR = os.dup(2)  # before pytest captures it

_timers: list[threading.Timer] = []


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Start to wait for a test."""

    def fail(_signal: int, frame: FrameType | None) -> None:
        pytest.fail(f"{item.nodeid}: took longer than {settings.timeout:g} s\n\n{_stacks(frame)}", pytrace=False)

    signal.signal(signal.SIGUSR2, fail)
    timer = threading.Timer(settings.timeout, os.kill, (os.getpid(), signal.SIGUSR2))
    timer.daemon = True
    timer.start()
    _timers.append(timer)
    faulthandler.dump_traceback_later(settings.timeout + MARGIN_S, exit=True, file=STDERR)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:  # noqa: ARG001
    """Wait no longer for a test: it has ended, or failed and is tidying up."""
    while _timers:
        _timers.pop().cancel()
    return True


def pytest_runtest_logfinish() -> None:
    """Wait no longer for the process."""
    faulthandler.cancel_dump_traceback_later()


def _stacks(main: FrameType | None) -> str:
    """Return what each thread is doing; the frame is the main thread's, without this code."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames() | {threading.main_thread().ident: main}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}" for ident, frame in frames.items()
    )
