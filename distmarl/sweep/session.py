"""One session of a sweep: a plan runs on an executor into a results folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from distmarl.config.grids import varied_keys
from distmarl.errors import LostRayError
from distmarl.results.damage import Damage, mend
from distmarl.results.folder import end_session, foreign_names, start_session
from distmarl.results.provenance import describe_session
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import Lock, listen, locked
from distmarl.results.store import Store
from distmarl.results.tables import TABLES
from distmarl.study.plan import Plan
from distmarl.sweep.driver import Driver
from distmarl.sweep.executors.executor import Executor
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.stopping import Stop
from distmarl.wording import listed, timestamp

MAX_KEPT_NAMED = 10


class Interrupted(Exception):  # noqa: N818  # a message to the command line, not an error
    """The session was asked to stop; what is done is published."""


def run_session(
    plan: Plan,
    folder: Location,
    start_executor: Callable[[], Executor],
    progress: Progress,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
    damages: Sequence[Damage] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Tally:
    """Run what is missing of a plan and publish the tables.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    folder : Location
        The results folder, checked too.
    start_executor : callable
        Starts or joins whatever runs the tasks; it is closed at the end.
    progress : Progress
        Whom to tell.
    overwrite : bool
        Start afresh.
    retry_failed : bool
        Run the tasks that have failed before, and no others.
    fail_fast : bool
        Submit nothing more once a task has failed.
    damages : sequence of Damage
        Tables that were found damaged, or gone.
    tell : callable
        Is told in a line of text of a lock that an earlier session left behind, and of files that are not ours.

    Raises
    ------
    ExecutorError
        Before anything is written or locked, when the tasks cannot be run.
    LostRayError
        When the Ray that ran them was lost, and a second one, too; what is done is published.
    ResultsError
        When the folder cannot be written or another process writes it.
    Interrupted
        After Ctrl-C, SIGTERM or SIGHUP, once what is done is published.
    """
    stop, silent, started_at = Stop(), listen(folder, tell), timestamp()
    with ExitStack() as life:
        executor = life.enter_context(start_executor())
        folder.make()
        with locked(folder, wait=True, silent=silent, tell=tell) as lock:
            session = describe_session(sys.orig_argv, executor.resources) | {"started_at": started_at}
            store = start_session(folder, plan.sweep.name, plan.resolved, session, overwrite=overwrite, lock=lock)
            if overwrite:
                from distmarl.report.write import delete_report  # and with it matplotlib

                delete_report(folder)
                if kept := foreign_names(folder):
                    tell(f"{folder}: kept what distmarl has not written: {listed(kept, MAX_KEPT_NAMED)}")
            for line in mend(store, damages):
                progress.warn(line)
            store.add_settings(setting_rows(plan), varied_keys(plan.sweep.grid))
            options = {"retry_failed": retry_failed, "fail_fast": fail_fast}
            first = Driver(plan, store, executor, progress, stop, **options)
            try:
                with stop.on_signals():
                    return _drive(first, store, stop, lock)
            except LostRayError as lost:
                if stop.by_signal:
                    raise Interrupted from lost
                if not lost.can_start_again:
                    raise
                progress.warn(f"{lost}; what was done is kept; going on with a new one")
            life.close()
            executor = life.enter_context(start_executor())
            second = Driver(plan, store, executor, progress, stop, **options)
            second.tally.follow(first.tally)
            with stop.on_signals():
                return _drive(second, store, stop, lock)


def _drive(driver: Driver, store: Store, stop: Stop, lock: Lock) -> Tally:
    """Run the driver; publish whatever happens."""
    outcome = "broken off"
    try:
        tally = driver.run()
        outcome = "interrupted" if stop.by_signal else "ended"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise Interrupted from None
    finally:
        store.publish(force=True)
        store.tidy()
        tally = driver.tally
        n_done = tally.done.total() - tally.n_done_before
        came = {"ended_at": timestamp(), "outcome": outcome, "done": n_done, "failed": tally.n_failed}
        end_session(store.folder, {**came, "tables": list(TABLES)}, lock)
    if stop.by_signal:
        raise Interrupted
    return tally


def setting_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the rows of the table ``settings``."""
    return [
        {
            "sweep": job.sweep,
            "setting_id": job.setting_id,
            "in_sweep": True,
            "position": position,
            "label": job.setting.label,
            "content": json.dumps(job.content, sort_keys=True, default=str),
            "observation": None if job.environment.sees_states else job.environment.observation.tolist(),
            "local_types": job.environment.local_types,
        }
        for position, job in enumerate(plan.jobs)
    ]
