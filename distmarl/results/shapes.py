"""What stands where in a results folder on a disk: files where files belong, and folders where folders do.

Anything else there is refused before it is opened: a named pipe would let its reader wait for ever.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from distmarl.errors import ResultsError
from distmarl.results.snapshot import DATA_FILE, PART_ENDING, PARTS
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import is_of_lock
from distmarl.results.tables import TABLES

SWEEP_FILE = "sweep.yaml"
PROVENANCE_FILE = "provenance.json"
PAGE_FILE = "report.html"
FILES = (SWEEP_FILE, PROVENANCE_FILE, PAGE_FILE)
FIGURE_ENDINGS = (".png", ".pdf")
SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
NAMES = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", **SPECIAL}


def check_shapes(folder: Location) -> None:
    """Refuse a results folder in which something stands that is not what its name belongs to.

    Raises
    ------
    ResultsError
        Naming it, what it is, and what it should be. Links count as what they lead to.
    """
    if not isinstance(folder, LocalFolder):
        return
    top = _kinds(folder, "")
    for name in (name for name in top if name.endswith(FIGURE_ENDINGS) and top[name] in SPECIAL):
        raise _refusal(folder, name, top[name], stat.S_IFREG)
    _check(folder, {name: kind for name, kind in top.items() if name in FILES or is_of_lock(name)}, stat.S_IFREG)
    _check(folder, {name: top[name] for name in (PARTS, *TABLES) if name in top}, stat.S_IFDIR)
    for table in (name for name in TABLES if name in top):
        inside = _kinds(folder, table, only=(DATA_FILE,))
        _check(folder, {f"{table}/{name}": kind for name, kind in inside.items()}, stat.S_IFREG)
    if PARTS in top:
        parts = {name: kind for name, kind in _kinds(folder, PARTS).items() if name in TABLES}
        _check(folder, {f"{PARTS}/{name}": kind for name, kind in parts.items()}, stat.S_IFDIR)
        for table in parts:
            found = _kinds(folder, f"{PARTS}/{table}").items()
            each = {f"{PARTS}/{table}/{name}": kind for name, kind in found if name.endswith(PART_ENDING)}
            _check(folder, each, stat.S_IFREG)


def check_files(folder: Location, names: Iterable[str]) -> None:
    """Refuse a folder in which something else stands where one of these files is to be written."""
    if isinstance(folder, LocalFolder):
        _check(folder, _kinds(folder, "", only=names), stat.S_IFREG)


def _kinds(folder: LocalFolder, inner: str, only: Iterable[str] | None = None) -> dict[str, int]:
    """Return what there is in a folder, or which of some names, by its type; what a broken link leads to is nothing."""
    path = folder.folder / inner
    try:
        names = [each.name for each in path.iterdir()] if only is None else only
        found = {name: _kind(path / name) for name in names}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ResultsError(f"{folder.describe(inner)}: cannot be listed: {error.strerror}") from error
    return {name: kind for name, kind in found.items() if kind is not None}


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _check(folder: LocalFolder, found: dict[str, int], wanted: int) -> None:
    for name, kind in found.items():
        if kind != wanted:
            raise _refusal(folder, name, kind, wanted)


def _refusal(folder: LocalFolder, name: str, kind: int, wanted: int) -> ResultsError:
    return ResultsError(
        f"{folder.describe(name)}: is {NAMES.get(kind, 'no file')}, where {NAMES[wanted]} belongs; move it away"
    )
