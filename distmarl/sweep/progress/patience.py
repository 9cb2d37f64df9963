"""Telling how far something is that usually takes no time: once it takes longer."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

TOLD_AFTER_S = 2.0


class Patience:
    """Is told how far the planning of a sweep is, and says so now and then, after the first two seconds.

    Parameters
    ----------
    console : Console
        Where to write.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._tell_at = clock() + TOLD_AFTER_S

    def __call__(self, message: str) -> None:
        """Say what is being done, if it is time to."""
        now = self._clock()
        if now >= self._tell_at:
            self._tell_at = now + TOLD_AFTER_S
            self._console.print(message, markup=False)
