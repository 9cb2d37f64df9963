"""Telling people how a sweep is going, on the standard error stream.

Here: a plain line now and then, fit for a log. In a terminal see :mod:`distmarl.sweep.progress.live`.
"""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.text import Text

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.progress.watch import Watch
from distmarl.wording import SEPARATOR, counted

# Lines are so far apart, and by at least this share of the time that has gone. None repeats the one before, but for
# what is overdue.
LINE_EVERY_S = 5.0
LINE_SHARE = 0.1
# Of many failures the first are told; all are in the table.
MAX_FAILURES_TOLD = 10


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
        self._console.print(message, markup=False, style="yellow", soft_wrap=not self._console.is_terminal)


class WatchedProgress(QuietProgress):
    """Tells how things stand; how is left to its kinds.

    Parameters
    ----------
    console : Console
        Where to write.
    watch : Watch
        Knows how things stand.
    """

    def __init__(self, console: Console, watch: Watch) -> None:
        super().__init__(console)
        self._watch = watch

    def start(self, tally: Tally, where: str) -> None:
        """Say where the tasks run and how many there are."""
        self._console.print(start_message(tally, where), markup=False)
        self._watch.start(tally)

    def look(self, n_slots: int, n_nodes: int) -> None:
        """Work out the end."""
        self._watch.look(n_slots, n_nodes)

    def submitted(self, key: TaskKey, n_cpus: int) -> None:
        """Take note."""
        self._watch.submitted(key, n_cpus)

    def completed(self, key: TaskKey, outcome: Outcome, tally: Tally) -> None:
        """Take note; tell of a failure, if it is one of the first."""
        self._watch.completed(key, outcome)
        if outcome.failure is not None and tally.n_failed <= MAX_FAILURES_TOLD:
            line = Text.assemble(("failed", "red"), f": {key}: {outcome.failure.error}")
            self._console.print(line, soft_wrap=not self._console.is_terminal)


class LineProgress(WatchedProgress):
    """Writes a line now and then, the rarer the longer the sweep runs, and one at the end."""

    def __init__(self, console: Console, watch: Watch) -> None:
        super().__init__(console, watch)
        self._line_at = LINE_EVERY_S
        self._told = ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say how far it came."""
        if self._watch.n_ended:
            self._print_line(self._counts())

    def look(self, n_slots: int, n_nodes: int) -> None:
        """Say how far the sweep is, if it is time to and anything has changed, or is overdue."""
        super().look(n_slots, n_nodes)
        elapsed_s = self._watch.elapsed_s
        if elapsed_s < self._line_at:
            return
        counts, overdue = self._counts(), self._watch.overdue
        if counts != self._told or overdue:
            self._line_at = elapsed_s + max(LINE_EVERY_S, LINE_SHARE * elapsed_s)
            last = SEPARATOR.join(part for part in self._watch.last or () if part)
            self._print_line(counts, overdue, self._watch.time_left, last)

    def _counts(self) -> str:
        """Return how many tasks are done, and how many failed."""
        tally = self._watch.tally
        counts = ", ".join(
            f"{kind.plural} {tally.done[name]:,}/{number:,}"
            for name, kind in KINDS.items()
            if (number := tally.total[name])
        )
        return f"{counts}; {tally.n_failed:,} failed" if tally.n_failed else counts

    def _print_line(self, counts: str, *more: str) -> None:
        self._told = counts
        text = "; ".join(part for part in (counts, *more) if part)
        self._console.print(f"{self._watch.elapsed_s:6.1f} s: {text}", markup=False)


def start_message(tally: Tally, where: str) -> str:
    """Return the line that a session begins with."""
    n_tasks, n_before = tally.total.total(), tally.n_done_before
    if n_before == n_tasks:
        return f"{counted(n_tasks, 'task')}, all of them done before"
    before = f", {n_before:,} of them done before" if n_before else ""
    return f"{counted(n_tasks, 'task')}{before}, on {where}"
