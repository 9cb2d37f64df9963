"""From the status to the terminal: a table of settings and phases, the failures, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from distmarl.config.grids import short_names
from distmarl.paths import shell_words
from distmarl.status.folder_status import FailedTask, FolderStatus, PhaseStatus, SettingStatus, State
from distmarl.study.kinds import KINDS
from distmarl.sweep.messages import command_again
from distmarl.wording import ago

MAX_SETTINGS_SHOWN = 40
MAX_FAILURES_SHOWN = 10
# A result that is younger than that comes from a machine with another time.
CLOCKS_DIFFER_S = 60.0
OUT = "--out"
STYLES: dict[State, str] = {"done": "green", "running": "cyan", "waiting": "dim", "failed": "red", "missing": "dim"}


def print_status(status: FolderStatus, output: Console, now: datetime) -> None:
    """Print how far a sweep is, and what to type next.

    Parameters
    ----------
    status : FolderStatus
        What :func:`distmarl.status.folder_status.read_status` returns.
    output : Console
        Where to print.
    now : datetime
        The present time, with its zone.
    """
    for part in status_parts(status, now, is_plain=not output.is_terminal):
        output.print(part)
    what, command = next_step(status)
    output.print(what)
    output.print(f"  {command}", markup=False, soft_wrap=True)  # to be copied in one piece


def status_parts(status: FolderStatus, now: datetime, *, is_plain: bool = False) -> Iterator[RenderableType]:
    """Yield how far a sweep is, from top to bottom.

    Parameters
    ----------
    status : FolderStatus
        What :func:`distmarl.status.folder_status.read_status` returns.
    now : datetime
        The present time, with its zone.
    is_plain : bool
        Leave out the rules, as for a file.
    """
    yield from _overview(status, now)
    yield settings_table(status.settings, is_plain=is_plain)
    for failure in status.failures[:MAX_FAILURES_SHOWN]:
        yield Text.assemble(("failed", "red"), f" {_name(failure)}")
        yield Padding(Text(failure.error), (0, 0, 0, 2), expand=False)
    if status.failures:
        n_more = len(status.failures) - MAX_FAILURES_SHOWN
        others = f"{n_more} more and all " if n_more > 0 else ""
        yield f"{others}tracebacks: {escape(status.folder.describe('failures'))}"
    for warning in status.warnings:
        yield Text.assemble(("warning:", "yellow"), f" {warning}")


def settings_table(settings: Sequence[SettingStatus], *, is_plain: bool = False) -> Table:
    """Return a table with a row for each setting and a column for each phase.

    Parameters
    ----------
    settings : sequence of SettingStatus
        The settings. Of very many, those that are done are left out first.
    is_plain : bool
        Leave out the rules, as for a file.
    """
    frame = None if is_plain else box.SIMPLE_HEAD
    table = Table(box=frame, header_style="bold", padding=(0, 2 if is_plain else 1, 0, 0))
    for key in short_names(settings[0].grid):
        table.add_column(Text(key), overflow="fold")
    kinds = [kind for kind in KINDS if kind in settings[0].phases]
    for kind in kinds:
        table.add_column(_column(kind), overflow="fold")
    shown = sorted(settings, key=_is_done)[:MAX_SETTINGS_SHOWN] if len(settings) > MAX_SETTINGS_SHOWN else settings
    for setting in shown:
        values = [Text(str(value)) for value in setting.grid.values()]
        table.add_row(*values, *(_cell(setting.phases[kind]) for kind in kinds))
    if len(shown) < len(settings):
        table.add_row(f"and {len(settings) - len(shown)} more")
    return table


def next_step(status: FolderStatus) -> tuple[str, str]:
    """Return what can be done next, and what to type for it."""
    folder = shell_words([status.folder.typed])
    if status.writer is not None:
        return "To see how it goes on:", f"python -m distmarl.status {folder} --watch"
    if status.is_done:
        return "To see the results:", f"python -m distmarl.report {folder}"
    command = command_again(_into(status), has_failures=bool(status.failures))
    return "To try again what failed:" if status.failures else "To go on:", command


def _into(status: FolderStatus) -> list[str]:
    """Return the words of the last session's command, which lead to this folder, wherever it was moved or copied to."""
    words, folder = list(status.command), str(Path("results", status.sweep))
    places = [place for place, word in enumerate(words) if word == OUT or word.startswith(f"{OUT}=")]
    for place in reversed(places):
        _, equals, folder = words[place].partition("=")
        if not equals:
            folder = words[place + 1] if place + 1 < len(words) else ""
        del words[place : place + (1 if equals else 2)]
    if folder == status.folder.typed:
        return list(status.command)
    return [*words, f"{OUT}={status.folder.typed}"]


def _overview(status: FolderStatus, now: datetime) -> Iterator[str]:
    """Yield in a few lines how things stand."""
    phases = [phase for setting in status.settings for phase in setting.phases.values()]
    n_tasks, n_done, n_failed = (
        sum(getattr(phase, name) for phase in phases) for name in ("n_tasks", "n_done", "n_failed")
    )
    failed = f", [red]{n_failed:,} failed[/]" if n_failed else ""
    yield f"[bold]{escape(status.sweep)}[/] in {escape(str(status.folder))}"
    yield f"{n_done:,} of {n_tasks:,} tasks done{failed}"
    if status.n_train_seeds > 1:
        yield f"{status.n_train_seeds:,} trainings of each setting"
    if status.last_result_at is not None:
        seconds = (now - status.last_result_at).total_seconds()
        time = f"{status.last_result_at:%Y-%m-%d %H:%M:%S} UTC"
        is_past = seconds > -CLOCKS_DIFFER_S
        yield f"last result {ago(seconds)} ({time})" if is_past else f"last result {time}, by another clock than ours"
    if status.writer is not None:
        yield f"[cyan]running[/]: {escape(status.writer)}"


def _cell(phase: PhaseStatus) -> Text:
    """Return a phase as text: ``12/25 running``."""
    words: list[str] = [phase.state]
    if phase.n_tasks > 1 and phase.state != "done":
        words = [f"{phase.n_done:,}/{phase.n_tasks:,}"]
        words += [phase.state] if phase.state in ("running", "waiting") else []
        words += [f"{phase.n_failed:,} failed"] if phase.n_failed else []
    return Text(" ".join(words), STYLES["failed" if phase.n_failed else phase.state])


def _is_done(setting: SettingStatus) -> bool:
    return all(phase.state == "done" for phase in setting.phases.values())


def _column(name: str) -> str:
    """Return what a setting has of a kind of task, in words; a kind of another version by its name."""
    kind = KINDS.get(name)
    return name if kind is None else kind.noun if kind.per == "setting" else kind.plural


def _name(failure: FailedTask) -> str:
    """Return what a failed task was: ``global policies k=3 (n_agents=30)``."""
    parts = [_column(failure.task)]
    parts += [f"{name}={value}" for name, value in failure.numbers]
    return " ".join(parts) + (f" ({failure.label})" if failure.label else "")
