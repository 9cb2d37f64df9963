"""What is done with the place of results, for tests that have a path or a URI."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from distmarl.report import write
from distmarl.results import folder, snapshot, store
from distmarl.results.storage import lock
from distmarl.results.storage.opening import Place, open_location
from distmarl.status import folder_status


def at_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that takes a location take any place."""

    @functools.wraps(function, updated=())
    def call(place: Place, *arguments: Any, **options: Any) -> Any:
        return function(open_location(place), *arguments, **options)

    return call


snapshot_of, store_in = at_place(snapshot.Snapshot), at_place(store.Store)
check_folder, open_results = at_place(folder.check_folder), at_place(folder.open_results)
start_session, end_session = at_place(folder.start_session), at_place(folder.end_session)
locked = at_place(lock.locked)
read_status = at_place(folder_status.read_status)
write_report = at_place(write.write_report)
