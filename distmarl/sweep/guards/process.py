"""The guard: a small process beside one that runs tasks itself, and that may hear nothing any more.

Compiled code that holds Python's lock lets no other thread of its process run, and no handler of a signal. So this is
a process of its own. It knows which task runs, and hears of each signal through a pipe into which the system's part of
Python writes. When a task stays deaf, it ends the watched process; when that has gone, it says what happened, and
gives its lock back. It is a script that imports nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR = b"\x1b[?25h\n"
POLL_S = 1.0
# Between two signals that end a process, and before the one that nothing survives.
PATIENCE_S = 0.5
# Signals of a kind become one while their process does not run.
N_SIGNALS = 10
# Takes the lock over from the process that has ended, which is certain on its own machine, and gives it back.
GIVE_BACK = """
import sys
from distmarl.results.storage.lock import locked
from distmarl.results.storage.opening import open_location
with locked(open_location(sys.argv[1])):
    pass
"""


class Guard:
    """Watches over the process that started it.

    Parameters
    ----------
    signals : int
        Where the numbers of its signals come from.
    """

    def __init__(self, signals: int) -> None:
        self._signals = signals
        self._watched = os.getppid()
        self._text = b""
        self._about: dict[str, Any] = {}
        self._task: dict[str, Any] | None = None
        self._has_ended_it = False
        self._end_at: float | None = None
        self._n_heard = 0
        self._trace: list[str] = []

    def run(self) -> None:
        """Watch until the process has gone, or wants no guard any more."""
        while self._look():
            if self._end_at is not None and time.monotonic() >= self._end_at:
                self._end()
        # Whoever was asked twice, and left, needs no words.
        if self._task is not None and (self._trace or self._has_ended_it or self._n_heard == 1):
            self._say(self._task["name"])
            self._give_lock_back()

    def _look(self) -> bool:
        """Wait a little and read what has come; return whether the process lives."""
        ready, _, _ = select.select([0, self._signals], [], [], self._patience())
        if self._signals in ready:
            for number in os.read(self._signals, 64):
                self._hear(number)
        if 0 in ready:
            content = os.read(0, 65536)
            if not content:
                return False
            *lines, self._text = (self._text + content).split(b"\n")
            for line in lines:
                self._read(line.decode(errors="replace"))
        return os.getppid() == self._watched

    def _patience(self) -> float:
        return POLL_S if self._end_at is None else min(POLL_S, max(0.0, self._end_at - time.monotonic()))

    def _hear(self, number: int) -> None:
        if number in STOPPING and self._task is not None:
            self._n_heard += 1
            if self._n_heard <= 2:  # the second asks to leave at once
                wait_s = self._about["heard_within_s"] if self._n_heard == 1 else PATIENCE_S
                self._end_at = time.monotonic() + wait_s

    def _read(self, line: str) -> None:
        if not line.startswith("{"):  # of the stack, which the watched process writes where its time is up
            self._trace.append(line)
            return
        message = json.loads(line)
        self._about |= message.get("about", {})
        self._task = message.get("task")
        self._n_heard, self._end_at, self._has_ended_it, self._trace = 0, None, False, []

    def _end(self) -> None:
        """End the watched process, as Ctrl-C would if it can be; a second SIGINT is not handled (see one_shot)."""
        self._end_at, self._has_ended_it = None, True
        for number in (*[signal.SIGINT] * N_SIGNALS, signal.SIGKILL):
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(self._watched, number)
            if self._has_ended(PATIENCE_S):
                return

    def _has_ended(self, within_s: float) -> bool:
        """Return whether the watched process ends soon; or says that it has heard."""
        ready, _, _ = select.select([0], [], [], within_s)
        return bool(ready)  # its end of the pipe is closed, or there is a message

    def _say(self, name: str) -> None:
        task, to_go_on = self._task, f"what was done is kept. To go on: {self._about['command']}"
        deaf = "and hears nothing, as code does that is compiled; this process ended with it"
        if self._trace and task is not None:
            lines = [
                f"error: {name} ran longer than runner.task_timeout_s ({task['timeout_s']:g} s) {deaf}",
                *self._where(),
                "Tasks on Ray, without --executor serial, fail alone like that, and the rest goes on",
                to_go_on,
            ]
        else:
            lines = [f"{name} was to stop {deaf}", f"interrupted; {to_go_on}"]
        start = SHOW_CURSOR if os.isatty(2) else b""
        os.write(2, start + "\n".join([*lines, ""]).encode(errors="backslashreplace"))

    def _where(self) -> list[str]:
        """Return where the main thread hung, as far as that was told: the innermost calls."""
        starts = [number for number, line in enumerate(self._trace) if line.startswith("Thread ")]
        calls = [line.strip() for line in self._trace[starts[-1] :]] if starts else []
        return ["it was here:", *(f"  {call}" for call in calls if call.startswith("File"))][:4] if calls else []

    def _give_lock_back(self) -> None:
        """Give the dead process's lock back; where that fails, the next one listens whether its holder lives."""
        command = [sys.executable, "-c", GIVE_BACK, self._about["folder"]]
        subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def main() -> None:
    """Watch over the process that started this one."""
    for number in STOPPING:  # a terminal sends them to both
        signal.signal(number, signal.SIG_IGN)
    Guard(int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
