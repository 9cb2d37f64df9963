"""Stopping a session: Ctrl-C, SIGTERM and a terminal that is closed, once to wind up and twice to leave."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from distmarl.terminal import INTERRUPTED

# What completes within so many seconds of the first signal is still committed.
GRACE_S = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# So long the main thread may take to hear a signal; it is deaf while it is in somebody else's code.
HEARD_WITHIN_S = 3.0
SHOW_CURSOR = b"\x1b[?25h\n"


class HalfStarted(KeyboardInterrupt):  # an interrupt, not an error
    """A signal came while Ray was being started or joined; what is half made would crash at a usual end."""


class Stop:
    """Whether a session has been asked to stop.

    The first signal is only noted, so that nothing is broken off half-way; the second ends the process
    at once, which costs no more than ``kill -9`` would: what is committed stays, what is not is run again.
    """

    def __init__(self) -> None:
        self._requested_at: float | None = None
        self._breaks_off = False
        self.by_signal = False

    @property
    def requested(self) -> bool:
        """Whether to submit nothing more."""
        return self._requested_at is not None

    @property
    def is_due(self) -> bool:
        """Whether the time for what still runs is up."""
        return self._requested_at is not None and time.monotonic() - self._requested_at > GRACE_S

    def request(self) -> None:
        """Ask the session to stop."""
        if self._requested_at is None:
            self._requested_at = time.monotonic()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the signals as requests in the block, but those that are ignored, as SIGHUP is under nohup."""

        def handle(_signal: int, _frame: FrameType | None) -> None:
            heard.set()
            if self.by_signal:
                leave()
            self.by_signal = True
            self.request()
            if self._breaks_off:
                raise KeyboardInterrupt

        previous = {number: signal.signal(number, handle) for number in SIGNALS if not _is_ignored(number)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt in the block: for work that nobody else does meanwhile."""
        self._breaks_off = True
        try:
            if self.by_signal:
                raise KeyboardInterrupt
            yield
        finally:
            self._breaks_off = False


heard = threading.Event()


@contextmanager
def hearing(say: Callable[[], object]) -> Iterator[None]:
    """Hear the signals at every moment of the block.

    They raise KeyboardInterrupt, but where :meth:`Stop.on_signals` takes them. While the main thread hears nothing, as
    in Ray's own code, another one does: it says what there is to say and ends the process.
    """

    def handle(_signal: int, _frame: FrameType | None) -> None:
        heard.set()
        raise KeyboardInterrupt

    def listen() -> None:
        while number := os.read(listening, 1):
            if number[0] in SIGNALS and not heard.wait(HEARD_WITHIN_S):
                say()
                leave()
            heard.clear()

    listening, speaking = os.pipe()
    os.set_blocking(speaking, False)
    thread = threading.Thread(target=listen, name="listening", daemon=True)
    thread.start()
    previous = {number: signal.signal(number, handle) for number in SIGNALS if not _is_ignored(number)}
    earlier = signal.set_wakeup_fd(speaking, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(speaking)
        thread.join()
        os.close(listening)


def _is_ignored(number: int) -> bool:
    """Return whether a signal is not meant for this process, as Ctrl-C is not for one in the background."""
    return signal.getsignal(number) is signal.SIG_IGN


def leave(code: int = INTERRUPTED) -> None:
    """End the process now; nothing may wait any more, not even for a terminal."""
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(code)
