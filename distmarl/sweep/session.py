"""One session of a sweep: a plan runs on an executor into a results folder."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from distmarl.results.folder import locked, make_folder, start_session
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
    plan: Plan, folder: Path, start_executor: Callable[[], Executor], progress: Progress, *, overwrite: bool
) -> Tally:
    """Run what is missing of a plan and publish the tables.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    folder : Path
        The results folder, checked too.
    start_executor : callable
        Starts or joins whatever runs the tasks; it is closed at the end.
    progress : Progress
        Whom to tell.
    overwrite : bool
        Start afresh.

    Raises
    ------
    ExecutorError
        Before anything is written, when the tasks cannot be run.
    ResultsError
        When the folder cannot be written or another process writes it.
    Interrupted
        After Ctrl-C or SIGTERM, once what is done is published.
    """
    with start_executor() as executor:
        make_folder(folder)
        with locked(folder):
            session = describe_session(sys.orig_argv)
            store = start_session(folder, plan.sweep.name, plan.resolved, session, overwrite=overwrite)
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
