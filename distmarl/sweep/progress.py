"""Telling people how a sweep is going, on the standard error stream.

In a terminal: a bar for each phase and what is running. Elsewhere: a plain line now and then, fit for a log.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from distmarl.sweep.execution import Outcome
from distmarl.sweep.tally import Tally
from distmarl.sweep.tasks import TaskKey, TaskKind

PHASES: dict[TaskKind, str] = {
    "shared_policy": "shared local policies",
    "g_learn": "global policies",
    "baselines": "baselines",
    "nash_gap": "Nash gaps",
    "exact_return": "exact returns",
    "evaluate": "evaluations",
}
LINE_EVERY_S = 5.0
MAX_SHOWN = 2
SHORT_ID = 6


class Progress:
    """Is told what a sweep does, and keeps it to itself."""

    def __enter__(self) -> Progress:
        """Get ready to tell."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave everything tidy."""

    def start(self, tally: Tally, where: str) -> None:
        """Learn that tasks are about to run, and where."""

    def look(self, n_slots: int, n_nodes: int) -> None:
        """Learn, now and then, how many tasks can run at once, and on how many nodes."""

    def submitted(self, key: TaskKey, n_cpus: int) -> None:
        """Learn that a task was submitted, and how many cores it takes."""

    def completed(self, key: TaskKey, outcome: Outcome, tally: Tally) -> None:
        """Learn what became of a task."""

    def warn(self, message: str) -> None:
        """Learn what a user should know now."""


class QuietProgress(Progress):
    """Passes on warnings alone.

    Parameters
    ----------
    console : Console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, message: str) -> None:
        """Print a warning."""
        self._console.print(message, markup=False, style="yellow")


class LineProgress(QuietProgress):
    """Writes a line when a phase ends, when a task fails, and every few seconds.

    Parameters
    ----------
    console : Console
        Where to write.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._started_at = time.monotonic()
        self._last_line_at = self._started_at

    def start(self, tally: Tally, where: str) -> None:
        """Say where the tasks run and how many there are."""
        self._console.print(start_message(tally, where), markup=False)

    def completed(self, key: TaskKey, outcome: Outcome, tally: Tally) -> None:
        """Say how far the sweep is, if it is time to."""
        now = time.monotonic()
        phase_is_over = tally.done[key.kind] + tally.failed[key.kind] == tally.total[key.kind]
        if outcome.failure is not None:
            self._console.print(f"failed: {key}: {outcome.failure.error}", markup=False)
        if phase_is_over or now - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = now
            counts = ", ".join(
                f"{name} {tally.done[kind]}/{tally.total[kind]}" for kind, name in PHASES.items() if tally.total[kind]
            )
            self._console.print(f"{now - self._started_at:6.1f} s: {counts}")


class BarProgress(QuietProgress):
    """Draws a bar for each phase in a terminal.

    Parameters
    ----------
    console : Console
        The terminal.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}", style="dim", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[TaskKey, None] = {}

    def __enter__(self) -> Progress:
        """Take over the terminal's last lines."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they are."""
        self._running.clear()
        for task in self._tasks.values():
            self._bars.update(task, running="")
            self._bars.stop_task(task)
        self._bars.stop()

    def start(self, tally: Tally, where: str) -> None:
        """Say where the tasks run and draw the bars."""
        self._bars.console.print(start_message(tally, where), markup=False)
        for kind, name in PHASES.items():
            if tally.total[kind]:
                self._tasks[kind] = self._bars.add_task(
                    name, total=tally.total[kind], completed=tally.done[kind], running="", start=False
                )

    def submitted(self, key: TaskKey, n_cpus: int) -> None:  # noqa: ARG002
        """Show a task as running."""
        self._running[key] = None
        self._bars.start_task(self._tasks[key.kind])
        self._show_running(key.kind)

    def completed(self, key: TaskKey, outcome: Outcome, tally: Tally) -> None:
        """Advance a bar."""
        self._running.pop(key, None)
        if outcome.failure is not None:
            self._bars.console.print(f"[red]failed[/]: {key}: {escape(outcome.failure.error)}")
        self._bars.update(self._tasks[key.kind], completed=tally.done[key.kind])
        self._show_running(key.kind)
        if tally.done[key.kind] + tally.failed[key.kind] == tally.total[key.kind]:
            self._bars.stop_task(self._tasks[key.kind])

    def _show_running(self, kind: TaskKind) -> None:
        """Name the tasks of a phase that were submitted first."""
        keys = [key for key in self._running if key.kind == kind]
        names = [key.setting_id[:SHORT_ID] if key.k is None else f"k={key.k}" for key in keys]
        names = [name if key.seed is None else f"{name} seed={key.seed}" for name, key in zip(names, keys, strict=True)]
        more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
        self._bars.update(self._tasks[kind], running=", ".join(names[:MAX_SHOWN]) + more)


def start_message(tally: Tally, where: str) -> str:
    """Return the line that a session begins with."""
    n_tasks = tally.total.total()
    before = f", {tally.n_done_before} of them done before" if tally.n_done_before else ""
    return f"{counted(n_tasks, 'task')}{before}, on {where}"


def counted(number: int, noun: str) -> str:
    """Return ``1 node`` or ``2 nodes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
