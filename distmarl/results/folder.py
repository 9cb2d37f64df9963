"""A results folder: whose it is, whether it can be used, and who writes to it.

::

    results/robots/
        sweep.yaml          the sweep that ran last, resolved
        provenance.json     versions, commit, command and platform of every session
        evaluations/data.parquet, trainings/data.parquet, ...
        reward_vs_k.png, ...
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from distmarl.config.reading import dump_yaml, read_sweep_file
from distmarl.config.sections import SweepFile
from distmarl.config.validation import validated_sweep
from distmarl.errors import ResultsError
from distmarl.results.schemas import SCHEMA_VERSION, TABLES
from distmarl.results.store import PARTS, SCRATCH, Store, check_schema_version

SWEEP_FILE = "sweep.yaml"
PROVENANCE_FILE = "provenance.json"
LOCK_FILE = "_lock"
TOOL = "distmarl"


def check_folder(folder: Path, sweep_name: str, *, overwrite: bool) -> None:
    """Refuse a folder that a sweep cannot write its results to. Nothing is changed.

    Raises
    ------
    ResultsError
        When the folder is foreign, another sweep's, of another schema version, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"{folder}: is not a folder; choose another one with --out")
    ancestor = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
        raise ResultsError(f"{folder}: cannot be written ({ancestor} forbids it); choose another folder with --out")
    if not folder.exists() or all(entry.name in (LOCK_FILE, SCRATCH) for entry in folder.iterdir()):
        return
    provenance = read_provenance(folder)
    if (folder / LOCK_FILE).exists():
        with _open_lock(folder, "r") as stream:
            _take_lock(folder, stream)
    if overwrite:
        return
    if provenance.get("sweep") != sweep_name:
        raise ResultsError(
            f"{folder}: holds the results of the sweep {provenance.get('sweep')!r}, not of {sweep_name!r}; "
            "choose another folder with --out, or start afresh with --overwrite"
        )
    check_schema_version(folder)


def open_results(folder: str | Path) -> Store:
    """Return the tables of an existing results folder, to read.

    Raises
    ------
    ResultsError
        When there is no such folder, it is not a sweep's, or it is of another schema version.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ResultsError(f"{path}: there is no such results folder")
    read_provenance(path)
    check_schema_version(path)
    return Store(path)


def make_folder(folder: Path) -> None:
    """Make a results folder.

    Raises
    ------
    ResultsError
        When the system forbids it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"{folder}: cannot be made: {error.strerror}; choose another folder with --out") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, so that it has one writer. The system frees it when the process ends.

    Raises
    ------
    ResultsError
        When another process holds it; the message says which.
    """
    with _open_lock(folder, "a+") as stream:
        _take_lock(folder, stream)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield


def _open_lock(folder: Path, mode: str) -> IO[str]:
    try:
        return (folder / LOCK_FILE).open(mode)
    except OSError as error:
        raise ResultsError(f"{folder / LOCK_FILE}: cannot be opened: {error.strerror}") from error


def _take_lock(folder: Path, stream: IO[str]) -> None:
    """Lock an open file until it is closed, or say who has locked it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        raise ResultsError(f"{folder}: is being written by {stream.read().strip()}") from None
    except OSError as error:
        raise ResultsError(f"{folder / LOCK_FILE}: cannot be locked: {error.strerror}") from error


def start_session(
    folder: Path, sweep_name: str, resolved: dict[str, Any], session: dict[str, Any], *, overwrite: bool
) -> Store:
    """Make a folder ready for a session of a sweep, and return its tables.

    Parameters
    ----------
    folder : Path
        The results folder, which this process has locked.
    sweep_name : str
        Name of the sweep.
    resolved : dict
        The sweep file with all defaults filled in.
    session : dict
        What provenance.json says about the session.
    overwrite : bool
        Delete what earlier sessions of any sweep left here; other files stay.
    """
    if overwrite:
        for name in (*TABLES, PARTS):
            shutil.rmtree(folder / name, ignore_errors=True)
        for figure in folder.glob("*_vs_k.png"):
            figure.unlink()
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    provenance_path = folder / PROVENANCE_FILE
    provenance = json.loads(provenance_path.read_text()) if provenance_path.exists() and not overwrite else {}
    sessions = [*provenance.get("sessions", []), session]
    head = {"tool": TOOL, "schema_version": SCHEMA_VERSION, "sweep": sweep_name}
    _replace_text(provenance_path, json.dumps({**head, "sessions": sessions}, indent=2) + "\n")
    _replace_text(folder / SWEEP_FILE, dump_yaml(resolved))
    return Store(folder)


def find_writer(folder: Path) -> str | None:
    """Return which process writes to a folder now, if one does."""
    if not (folder / LOCK_FILE).exists():
        return None
    with _open_lock(folder, "r") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read().strip()
    return None


def read_sweep(folder: Path) -> SweepFile:
    """Return the sweep that ran last in a folder, resolved.

    Raises
    ------
    ConfigError
        When its file is missing or cannot be used.
    """
    return validated_sweep(read_sweep_file(folder / SWEEP_FILE))


def read_provenance(folder: Path) -> dict[str, Any]:
    """Return a folder's provenance.

    Raises
    ------
    ResultsError
        When it has none, and so is not ours.
    """
    try:
        provenance = json.loads((folder / PROVENANCE_FILE).read_text())
    except (OSError, ValueError):
        provenance = None
    if not isinstance(provenance, dict) or provenance.get("tool") != TOOL:
        raise ResultsError(f"{folder}: is not a results folder of distmarl (it has no {PROVENANCE_FILE} of it)")
    return provenance


def _replace_text(path: Path, text: str) -> None:
    aside = path.with_name(f"_{path.name}.tmp")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from error
