"""Starting the guard of a process that runs tasks itself, and telling it what runs."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distmarl.sweep.executors.execution import DEADLINE_MARGIN_S
from distmarl.sweep.stopping import HEARD_WITHIN_S, heard
from distmarl.wording import harmless

SCRIPT = Path(__file__).with_name("process.py")
SIG_IGN = 1  # as C has it
LEAVES_WITHIN_S = 5.0


class Guard:
    """Watches over tasks that run in this process: ends it where one of them hears neither its deadline nor a signal.

    The guard itself is a process (:mod:`distmarl.sweep.guards.process`), started with the first task. A process ends
    with code 1 at a deadline, and by SIGINT, which a shell gives as 130, after a signal. Where the system's C library
    has no handlers for one signal only, it ends by SIGKILL instead, which a shell gives as 137.

    Parameters
    ----------
    folder : str
        The results folder, as it is typed.
    command : str
        What to type to go on.
    """

    def __init__(self, folder: str, command: str) -> None:
        about = {"folder": folder, "command": harmless(command), "heard_within_s": HEARD_WITHIN_S}
        self._about: dict[str, Any] = about
        self._process: subprocess.Popen[bytes] | None = None
        self._signals = -1
        # What is to be put back after a task.
        self._handler: Any = None
        self._earlier: int | None = None
        self._has_deadline = False

    @contextmanager
    def watching(self, name: str, timeout_s: float | None) -> Iterator[None]:
        """Watch over a task in the block.

        Parameters
        ----------
        name : str
            What it is.
        timeout_s : float or None
            Its deadline.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a guarded task must run in the main thread of its process")
        process = self._process or self._start()
        assert process.stdin is not None
        ended_after_s = None if timeout_s is None else timeout_s + DEADLINE_MARGIN_S
        self._tell({"task": {"name": harmless(name), "timeout_s": timeout_s}})
        if ended_after_s is not None:  # a thread of C's, which needs no lock of Python's
            self._has_deadline = True
            faulthandler.dump_traceback_later(ended_after_s, exit=True, file=process.stdin)
        self._earlier = signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)
        self._handler = one_shot(signal.SIGINT)
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """Learn that no task runs; once more, where a signal has cut that short."""
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None
        if self._earlier is not None:
            signal.set_wakeup_fd(self._earlier)
            self._earlier = None
        if self._has_deadline:
            faulthandler.cancel_dump_traceback_later()
            self._has_deadline = False
        heard.clear()  # the thread that listens has not been told
        if self._process is not None:
            self._tell({"task": None})

    def close(self) -> None:
        """Let the guard go."""
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(LEAVES_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._signals)
            self._process, self._signals = None, -1

    def _start(self) -> subprocess.Popen[bytes]:
        hearing, self._signals = os.pipe()
        os.set_blocking(self._signals, False)
        command = [sys.executable, "-I", "-S", str(SCRIPT), str(hearing)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[hearing], bufsize=0
        )
        os.close(hearing)
        self._tell({"about": self._about})
        return self._process

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a guard that was killed guards nothing
            self._process.stdin.write(json.dumps(message).encode() + b"\n")


def one_shot(number: signal.Signals) -> Any:
    """Let Python's handler of a signal be called once; another such signal then ends the process, whatever it does.

    Returns the handler, to be set again; None where that cannot be done.
    """
    handler = signal.getsignal(number)
    install = getattr(ctypes.CDLL(None), "sysv_signal", None)
    if install is None or not callable(handler):
        return None
    install.restype, install.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    install(number, install(number, SIG_IGN))
    return handler
