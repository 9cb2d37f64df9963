"""A folder on a disk."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pyarrow import fs

from distmarl.errors import ResultsError
from distmarl.paths import unmistakable
from distmarl.results.storage.folders import flush_folder, make_folder
from distmarl.results.storage.location import ANY, ASIDE, ASIDE_NAME, File, Guard, Location, Version
from distmarl.results.storage.reasons import OTHER_FOLDER, NotWritableError

CANNOT_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
OPEN_ATTEMPTS = 5


class LocalFolder(Location):
    """A folder on a disk.

    Parameters
    ----------
    name : str
        Its path.
    """

    may_tear_files = True  # on disks that do not keep their word
    has_versions = False

    def __init__(self, name: str) -> None:
        self.folder = Path(name)
        shown = str(self.folder)
        super().__init__(str(self.folder.absolute()), shown, unmistakable(shown))
        self.is_relative = not self.folder.is_absolute()

    def check(self) -> None:
        """Refuse a path that is no folder, or in which none can be made or written."""
        with self._explained("", "cannot be looked up"):
            if self.folder.is_symlink() and not self.folder.exists():
                missing = self.folder.readlink()
                raise ResultsError(f"{self}: is a link to {missing}, which is not there; make that, or {OTHER_FOLDER}")
            if self.folder.exists() and not self.folder.is_dir():
                raise ResultsError(f"{self}: is not a folder; {OTHER_FOLDER}")
            ancestor = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not ancestor.is_dir() or not os.access(ancestor, os.W_OK | os.X_OK):
            raise NotWritableError(f"{self}: cannot be written ({ancestor} forbids it); {OTHER_FOLDER}")

    def make(self) -> None:
        """Make the folder."""
        try:
            make_folder(self.folder)
        except OSError as error:
            raise ResultsError(f"{self}: cannot be made: {error.strerror}; {OTHER_FOLDER}") from error

    def is_there(self) -> bool:
        """Return whether the folder exists."""
        with self._explained("", "cannot be looked up"):
            return self.folder.is_dir()

    def names(self, folder: str = "") -> list[str]:
        """Return the names of what is in a folder, sorted: also those that are not UTF-8."""
        with self._explained(folder, "cannot be listed"):
            try:
                return sorted(path.name for path in (self.folder / folder).iterdir())
            except FileNotFoundError:
                return []

    def version(self, name: str) -> Version | None:
        """Return whether there is such a file, which has no version."""
        with self._explained(name, "cannot be looked up"):
            return ANY if (self.folder / name).exists() else None

    def read_version(self, name: str) -> tuple[bytes, Version]:
        """Return a file's content, and that there are no versions."""
        with self._explained(name, "cannot be read"):
            return (self.folder / name).read_bytes(), ANY

    def files(self, names: Iterable[str]) -> list[File]:
        """Return files to read, which are opened when they are needed."""
        disk = fs.LocalFileSystem()
        return [File(self.describe(name), partial(disk.open_input_file, f"{self.path}/{name}")) for name in names]

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file; return False, and leave it as it is, if there is one."""
        path = self.folder / name
        aside = path.with_name(f"{ASIDE}{0:08x}{uuid.uuid4().hex[:24]}")
        with self._written(name):
            try:
                aside.write_bytes(content)
                os.link(aside, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in CANNOT_LINK:
                    raise
                return _created(path, content)
            finally:
                aside.unlink(missing_ok=True)
        return True

    @contextmanager
    def writing(
        self,
        name: str,
        *,
        replaces: Version | None = ANY,  # noqa: ARG002  # there are no versions
        guard: Guard | None = None,
    ) -> Iterator[BinaryIO]:
        """Write a file aside, flush it to the disk, ask the guard, and rename it into its place."""
        path = self.folder / name
        aside = path.with_name(f"{ASIDE}{guard.number if guard else 0:08x}{uuid.uuid4().hex[:24]}")
        with self._written(name):
            try:
                with _opened_in_folder(aside) as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                if guard is not None:
                    guard.check()
                try:
                    aside.replace(path)
                except FileNotFoundError:
                    if guard is not None:
                        guard.check()  # which says who deleted it
                    raise
            finally:
                aside.unlink(missing_ok=True)
            flush_folder(path.parent)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, if they are there; none of them comes back after a power loss."""
        gone = list(names)
        for name in gone:
            with self._explained(name, "cannot be deleted"):
                (self.folder / name).unlink(missing_ok=True)
        for parent in {(self.folder / name).parent for name in gone}:
            with self._explained("", "cannot be flushed"), suppress(FileNotFoundError):
                flush_folder(parent)

    def delete_empty_folder(self, name: str) -> None:
        """Delete a folder, with those in it, if it is there and no file is in it."""
        with self._explained(name, "cannot be deleted"):
            for folder, _, _ in os.walk(self.folder / name, topdown=False):
                try:
                    Path(folder).rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise

    def delete_torn_files(self, number: int = 0) -> None:
        """Delete what was being written when this machine lost its power; guards with higher numbers still write."""
        for path, guard in self._asides():
            if not number or guard <= number:
                path.unlink(missing_ok=True)

    def delete_asides(self, number: int) -> None:
        """Delete what guards with lower numbers were writing; whoever writes without one is left alone."""
        for path, guard in self._asides():
            if 0 < guard < number:
                path.unlink(missing_ok=True)

    def _asides(self) -> Iterator[tuple[Path, int]]:
        """Yield what lies aside, and the number of its guard."""
        for folder, _, names in os.walk(self.folder):
            for match in filter(None, map(ASIDE_NAME.fullmatch, names)):
                yield Path(folder, match[0]), int(match[1], 16)


def _created(path: Path, content: bytes) -> bool:
    """Write a new file on a disk that has no links; return whether there was none. For a moment it is empty."""
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except FileExistsError:
        return False
    return True


def _opened_in_folder(path: Path) -> BinaryIO:
    """Open a new file in a folder, which is made; whoever tidies up may delete it while it is empty."""
    for _ in range(OPEN_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            make_folder(path.parent)
            return path.open("wb")
    make_folder(path.parent)
    return path.open("wb")
