"""One session of a sweep: a plan runs on an executor into a results folder."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from distmarl.results.folder import start_session
from distmarl.results.lock import locked
from distmarl.results.opening import Place, open_location
from distmarl.results.provenance import describe_session
from distmarl.results.store import Store
from distmarl.sweep.driver import Driver
from distmarl.sweep.executor import Executor
from distmarl.sweep.plan import Plan
from distmarl.sweep.progress import Progress
from distmarl.sweep.tally import Tally


class Interrupted(Exception):  # noqa: N818  # a message to the command line, not an error
    """The session was asked to stop; what is done is published."""


def run_session(
    plan: Plan,
    folder: Place,
    start_executor: Callable[[], Executor],
    progress: Progress,
    *,
    overwrite: bool,
    tell: Callable[[str], None] = lambda _: None,
) -> Tally:
    """Run what is missing of a plan and publish the tables.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    folder : str, Path or Location
        The results folder, checked too.
    start_executor : callable
        Starts or joins whatever runs the tasks; it is closed at the end.
    progress : Progress
        Whom to tell.
    overwrite : bool
        Start afresh.
    tell : callable
        Is told in a line of text of a lock that an earlier session left behind.

    Raises
    ------
    ExecutorError
        Before anything but the lock is written, when the tasks cannot be run.
    ResultsError
        When the folder cannot be written or another process writes it.
    Interrupted
        After Ctrl-C or SIGTERM, once what is done is published.
    """
    location = open_location(folder)
    location.make()
    with locked(location, wait=True, tell=tell) as lock, start_executor() as executor:
        session = describe_session(sys.orig_argv)
        store = start_session(location, plan.sweep.name, plan.resolved, session, overwrite=overwrite, lock=lock)
        store.add_settings(_setting_rows(plan), plan.sweep.grid)
        return _drive(plan, store, executor, progress)


def _drive(plan: Plan, store: Store, executor: Executor, progress: Progress) -> Tally:
    """Run the driver; publish whatever happens."""
    # After the executor has started, since Ray installs a handler of its own.
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return Driver(plan, store, executor, progress).run()
    except KeyboardInterrupt:
        raise Interrupted from None
    finally:
        signal.signal(signal.SIGTERM, previous)
        store.publish(force=True)
        store.tidy()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Stop like Ctrl-C."""
    raise KeyboardInterrupt


def _setting_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the rows of the table ``settings``."""
    return [
        {
            "sweep": job.sweep,
            "setting_id": job.setting_id,
            "in_sweep": True,
            "label": job.setting.label,
            "content": json.dumps(job.content, sort_keys=True, default=str),
        }
        for job in plan.jobs
    ]
