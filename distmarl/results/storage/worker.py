"""Calls that Ctrl-C does not tear."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class Worker:
    """Makes calls one after the other in a thread of its own.

    Signals interrupt the main thread alone, there between any two instructions. What a worker has been
    given is done to its end, in order, and an interrupted main thread waits for it.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def run(self, call: Callable[[], object]) -> None:
        """Make a call and wait for it; what it raises is raised here."""
        outcome: Future[object] = Future()

        def note_outcome() -> None:
            try:
                outcome.set_result(call())
            except Exception as error:  # raised below
                outcome.set_exception(error)

        try:
            self._calls.put(note_outcome)
            self._catch_up()
        finally:
            self._catch_up()  # once more, if that was interrupted; a second interruption waits for nothing
        outcome.result()

    def _catch_up(self) -> None:
        """Wait until all calls so far have been made."""
        reached = threading.Event()
        self._calls.put(reached.set)
        reached.wait()

    def _work(self) -> None:
        while True:
            self._calls.get()()
