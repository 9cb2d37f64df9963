"""A results folder: whose it is, and whether it can be used.

::

    results/robots/
        sweep.yaml          the sweep that ran last, resolved
        provenance.json     versions, commit, command and platform of every session
        evaluations/data.parquet, trainings/data.parquet, ...
        reward_vs_k.png, ...
        report.html         the page that shows all of this
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from distmarl.config.checking import validated_sweep
from distmarl.config.reading import parse_sweep
from distmarl.config.yaml_text import dump_yaml
from distmarl.errors import ConfigError, ResultsError
from distmarl.model.options import SweepFile
from distmarl.paths import printable
from distmarl.results.fields import SCHEMA_VERSION
from distmarl.results.provenance import find_fault
from distmarl.results.shapes import PAGE_FILE, PROVENANCE_FILE, SWEEP_FILE, check_shapes
from distmarl.results.snapshot import DATA_FILE, PART_ENDING, PARTS, Snapshot, published_name
from distmarl.results.storage.json_text import parse_json
from distmarl.results.storage.location import Location, ReplacedError, is_aside
from distmarl.results.storage.lock import Lock, is_of_lock
from distmarl.results.store import WRITE_ATTEMPTS, Store
from distmarl.results.tables import SETTINGS, TABLES

__all__ = ["PAGE_FILE", "PROVENANCE_FILE", "SWEEP_FILE"]
TOOL = "distmarl"
LOCK_KEY = "lock"  # of a session: the number of its lock


def check_folder(folder: Location, sweep_name: str, *, overwrite: bool) -> Snapshot | None:
    """Refuse a folder that a sweep cannot write its results to. Nothing is changed.

    Returns
    -------
    Snapshot or None
        The tables that there are, all of them open; None where the sweep starts afresh.

    Raises
    ------
    ResultsError
        When the folder is foreign, another sweep's, of another schema version, or cannot be written; or when
        something that is no file stands where one belongs.
    """
    folder.check()
    check_shapes(folder)
    if all(is_of_lock(name) or is_aside(name) for name in folder.names()):
        return None
    provenance = _own_provenance(folder)
    if overwrite:
        return None
    _check_provenance(folder, provenance)
    _check_sweep(folder, provenance, sweep_name)
    snapshot = Snapshot(folder)
    snapshot.check_version()
    return snapshot


def open_results(folder: Location) -> Snapshot:
    """Return the tables of an existing results folder, to read.

    Raises
    ------
    ResultsError
        When there is no such folder, it is not a sweep's, or it is of another schema version; when its settings
        are damaged, without which the other tables say nothing; or when something that is no file stands where one
        belongs.
    """
    if not folder.is_there():
        raise ResultsError(f"{folder}: there is no such results folder")
    check_shapes(folder)
    read_provenance(folder)
    snapshot = Snapshot(folder)
    snapshot.keys(SETTINGS)  # which refuses another schema version; every session writes this table
    if fault := snapshot.damaged.get(SETTINGS.name):
        remedy = "run the sweep's command again, which keeps it aside and makes it again"
        raise ResultsError(f"{folder.describe(published_name(SETTINGS))}: {fault}; {remedy}")
    return snapshot


def start_session(
    folder: Location,
    sweep_name: str,
    resolved: dict[str, Any],
    session: dict[str, Any],
    *,
    overwrite: bool,
    lock: Lock | None = None,
) -> Store:
    """Make a folder ready for a session of a sweep, and return its tables.

    Parameters
    ----------
    folder : Location
        The results folder.
    sweep_name : str
        Name of the sweep.
    resolved : dict
        The sweep file with all defaults filled in.
    session : dict
        What provenance.json says about the session.
    overwrite : bool
        Delete the tables that earlier sessions of any sweep left here; other files stay, also beside them.
    lock : Lock, optional
        The folder's lock, which this process holds.

    Raises
    ------
    ResultsError
        When the folder holds another sweep's results, or cannot be written.
    """
    if lock is not None:
        session = {**session, LOCK_KEY: lock.number}

    def begun(content: bytes | None) -> bytes:
        provenance = {} if overwrite or content is None else _checked_provenance(folder, content)
        if provenance:
            _check_sweep(folder, provenance, sweep_name)  # another one may have started before the lock was free
        sessions = [*provenance.get("sessions", []), session]
        head = {"tool": TOOL, "schema_version": SCHEMA_VERSION, "sweep": sweep_name}
        return _json({**head, "sessions": sessions})

    store = Store(folder, lock)
    if overwrite:
        store.clear()
    folder.delete_torn_files(lock.number if lock is not None else 0)
    _rewrite(folder, PROVENANCE_FILE, begun, lock)
    _rewrite(folder, SWEEP_FILE, lambda _: dump_yaml(resolved).encode(), lock)
    folder.delete(store.torn_parts())
    return store


def foreign_names(folder: Location) -> list[str]:
    """Return what in a folder, and beside its tables, distmarl has not written; figures and pages count as foreign."""
    own = {SWEEP_FILE, PROVENANCE_FILE, PARTS, *TABLES}
    found = [name for name in folder.names() if not (name in own or is_of_lock(name) or is_aside(name))]
    for name in _own_folders(folder):
        found += sorted({f"{name}/{each}" for each in folder.names(name)} - {f"{PARTS}/{each}" for each in TABLES})
    return [printable(name) for name in found if not _is_of_tables(name)]


def end_session(folder: Location, end: dict[str, Any], lock: Lock | None = None) -> None:
    """Add what came of a session to its entry in the provenance; one that was killed has no end.

    Parameters
    ----------
    folder : Location
        The results folder.
    end : dict
        What to add.
    lock : Lock, optional
        The lock that the session was started with; without one it is the last session.
    """

    def ended(content: bytes | None) -> bytes:
        provenance = _checked_provenance(folder, content)
        for session in reversed(provenance["sessions"]):
            if lock is None or session.get(LOCK_KEY) == lock.number:
                session |= end
                break
        return _json(provenance)

    _rewrite(folder, PROVENANCE_FILE, ended, lock)


def read_sweep(folder: Location) -> SweepFile:
    """Return the sweep that ran last in a folder, resolved.

    Raises
    ------
    ConfigError
        When its file is missing or cannot be used.
    """
    source = folder.describe(SWEEP_FILE)
    try:
        content = folder.read(SWEEP_FILE)
    except FileNotFoundError:
        raise ConfigError(f"{source}: there is no such file; run the sweep's command again") from None
    return validated_sweep(parse_sweep(content, source))


def read_provenance(folder: Location) -> dict[str, Any]:
    """Return a folder's provenance.

    Raises
    ------
    ResultsError
        When it has none, and so is not ours, or it is damaged.
    """
    provenance = _own_provenance(folder)
    _check_provenance(folder, provenance)
    return provenance


def stranger_lines(snapshot: Snapshot) -> list[str]:
    """Return what to say of files in tables' folders that are not distmarl's."""
    return [
        f"{snapshot.folder.describe(name)}: is not a file of distmarl (a sync tool's copy?): whoever reads the folder "
        f"{name.rpartition('/')[0]} as a whole gets its rows, too, or an error; move it away"
        for name in snapshot.strangers()
    ]


def read_settings(snapshot: Snapshot) -> pd.DataFrame:
    """Return the rows of the sweep's settings, in the order of the sweep file.

    Raises
    ------
    ResultsError
        When a session has begun that had not noted its settings yet.
    """
    settings = sweep_settings(snapshot.read(SETTINGS))
    if settings.empty:
        raise ResultsError(f"{snapshot.folder}: has no settings of its sweep yet; run the sweep's command again")
    return settings


def sweep_settings(settings: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table ``settings`` that are in the sweep, in the order of the sweep file."""
    return settings[settings["in_sweep"]].sort_values(["position", "setting_id"])


def rollouts_per_seed(settings: pd.DataFrame, sweep: SweepFile) -> dict[str, int]:
    """Return how many rollouts an evaluation seed has in each setting, by the settings' ids."""
    everywhere = pd.Series(sweep.evaluation.n_rollouts, index=settings.index)
    return dict(zip(settings["setting_id"], settings.get("evaluation.n_rollouts", everywhere), strict=True))


def starts_per_setting(settings: pd.DataFrame) -> dict[str, int]:
    """Return how many starts each setting has, by the settings' ids."""
    n_starts = (len(json.loads(content).get("starts", {"names": [None]})["names"]) for content in settings["content"])
    return dict(zip(settings["setting_id"], n_starts, strict=True))


def _own_folders(folder: Location) -> list[str]:
    """Return the folders that the tables and their parts lie in, inner ones first."""
    parts = [f"{PARTS}/{name}" for name in folder.names(PARTS) if name in TABLES]
    return [*parts, *(name for name in folder.names() if name in (PARTS, *TABLES))]


def _is_of_tables(name: str) -> bool:
    """Return whether a file is what a table is published in, or a part of one."""
    folder, _, file = name.rpartition("/")
    return file == DATA_FILE if folder in TABLES else folder.startswith(f"{PARTS}/") and file.endswith(PART_ENDING)


def _own_provenance(folder: Location) -> dict[str, Any]:
    """Return the provenance of a folder that is ours; it may be damaged."""
    try:
        return _parsed_provenance(folder, folder.read(PROVENANCE_FILE))
    except FileNotFoundError:
        return _parsed_provenance(folder, None)


def _checked_provenance(folder: Location, content: bytes | None) -> dict[str, Any]:
    provenance = _parsed_provenance(folder, content)
    _check_provenance(folder, provenance)
    return provenance


def _parsed_provenance(folder: Location, content: bytes | None) -> dict[str, Any]:
    try:
        provenance = None if content is None else parse_json(content)
    except ValueError:
        provenance = None
    if not isinstance(provenance, dict) or provenance.get("tool") != TOOL:
        raise ResultsError(f"{folder}: is not a results folder of distmarl (it has no {PROVENANCE_FILE} of it)")
    return provenance


def _check_provenance(folder: Location, provenance: dict[str, Any]) -> None:
    fault = find_fault(provenance)
    if fault is not None:
        raise ResultsError(
            f"{folder.describe(PROVENANCE_FILE)}: is damaged ({fault}); restore it from a copy, "
            "or start afresh with --overwrite"
        )


def _check_sweep(folder: Location, provenance: dict[str, Any], sweep_name: str) -> None:
    if provenance.get("sweep") != sweep_name:
        raise ResultsError(
            f"{folder}: holds the results of the sweep {provenance.get('sweep')!r}, not of {sweep_name!r}; "
            "choose another folder with --out, or start afresh with --overwrite"
        )


def _json(provenance: dict[str, Any]) -> bytes:
    return (json.dumps(provenance, indent=2) + "\n").encode()


def _rewrite(folder: Location, name: str, changed: Callable[[bytes | None], bytes], lock: Lock | None) -> None:
    """Replace a file by what its content, None if there is none, is changed to.

    It is changed once more where somebody who has lost the lock came between.
    """
    for attempt in range(WRITE_ATTEMPTS):
        try:
            content, version = folder.read_version(name)
        except FileNotFoundError:
            content, version = None, None
        if lock is not None:
            lock.check()
        try:
            with folder.writing(name, replaces=version, guard=lock) as stream:
                stream.write(changed(content))
            return
        except ReplacedError:
            if lock is not None:
                lock.look()
            if attempt == WRITE_ATTEMPTS - 1:
                raise
