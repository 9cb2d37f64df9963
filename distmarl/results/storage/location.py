"""Where results lie: a folder on a disk, or a prefix of an object store, behind one interface.

A file is written whole or not at all. On a disk it is written aside, flushed, and renamed into its
place. An object store has no renaming: the file is put together in memory and uploaded once,
under its final name, where it appears when all of it has arrived.
"""

from __future__ import annotations

import io
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow as pa
from pyarrow import fs

from distmarl.errors import ResultsError
from distmarl.paths import unmistakable
from distmarl.results.storage.folders import flush_folder, make_folder
from distmarl.results.storage.reasons import OTHER_FOLDER, NotWritableError, forbids_writing, reason_of
from distmarl.results.storage.worker import Worker

ASIDE = "_tmp-"  # readers of Parquet pass over names with a leading underscore
ASIDE_NAME = re.compile(rf"{ASIDE}[0-9a-f]{{32}}")
N_REQUESTS = 16  # at once; an object store answers each in some tens of milliseconds

_T = TypeVar("_T")


def is_aside(name: str) -> bool:
    """Return whether a file of this name was being written when its process ended."""
    return ASIDE_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class File:
    """A file to read.

    Attributes
    ----------
    name : str
        Where it lies, for people.
    open : callable
        Opens it; FileNotFoundError if it has gone.
    """

    name: str
    open: Callable[[], pa.NativeFile]


class Location:
    """A folder in an object store, or in any file system of pyarrow. Names in it have slashes.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem
        The store.
    path : str
        The folder's path in it.
    name : str
        The folder, for people.
    typed : str, optional
        What a command takes for it: the name with the store's options, if there are any, and as no option itself.
    """

    def __init__(self, filesystem: fs.FileSystem, path: str, name: str, typed: str | None = None) -> None:
        self.filesystem = filesystem
        self.path = path.rstrip("/")
        self.name = name
        self.typed = name if typed is None else typed
        self._worker: Worker | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_relative(self) -> bool:
        """Whether it depends on the folder that the command was typed in."""
        return False

    @property
    def may_tear_files(self) -> bool:
        """Whether a loss of power can leave a part of a file under its name; objects are whole or not there."""
        return False

    def describe(self, name: str) -> str:
        """Return a file's whole name, for people."""
        return f"{self.name}/{name}" if name else self.name

    def check(self) -> None:
        """Refuse a place that results cannot be written to, as far as can be told without writing."""
        self.names()

    def make(self) -> None:
        """Make the folder, where there are folders."""

    def is_there(self) -> bool:
        """Return whether the folder exists."""
        return bool(self.names())

    def names(self, folder: str = "") -> list[str]:
        """Return the names of what is in a folder, sorted; none when there is no such folder."""
        with self._explained(folder, "cannot be listed"):
            try:
                found = self.filesystem.get_file_info(fs.FileSelector(self._at(folder)))
            except FileNotFoundError:
                return []
        return sorted(entry.base_name for entry in found)

    def names_in(self, folders: Iterable[str]) -> list[list[str]]:
        """Return the names of what is in each of some folders."""
        return self._for_each(self.names, list(folders))

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        with self._explained(name, "cannot be looked up"):
            return bool(self.filesystem.get_file_info(self._at(name)).type != fs.FileType.NotFound)

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        FileNotFoundError
            When there is none.
        ResultsError
            When it cannot be read.
        """
        return self._fetch(name).to_pybytes()

    def files(self, names: Iterable[str]) -> list[File]:
        """Return files to read. Objects are fetched at once, each in one piece: they may be replaced meanwhile."""
        chosen = list(names)
        contents = self._for_each(self._fetch, chosen)
        return [
            File(self.describe(name), partial(pa.BufferReader, content))
            for name, content in zip(chosen, contents, strict=True)
        ]

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Write a file: it is there, whole, when the block ends, and unchanged if the block raises.

        Raises
        ------
        ResultsError
            When it cannot be written.
        """
        content = io.BytesIO()
        with self._written(name):
            yield content
            self._upload(self._at(name), pa.py_buffer(content.getbuffer()))

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, if they are there."""

        def delete_one(name: str) -> None:
            with self._explained(name, "cannot be deleted"), suppress(FileNotFoundError):
                self.filesystem.delete_file(self._at(name))

        self._for_each(delete_one, list(names))

    def delete_empty_folder(self, name: str) -> None:
        """Delete a folder, with those in it, if it is there and no file is in it."""
        with self._explained(name, "cannot be deleted"), suppress(FileNotFoundError):
            found = self.filesystem.get_file_info(fs.FileSelector(self._at(name), recursive=True))
            if all(entry.type == fs.FileType.Directory for entry in found):
                self.filesystem.delete_dir(self._at(name))

    def delete_torn_files(self) -> None:
        """Delete what was being written when a machine lost its power; an object store shows no such thing."""

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def _fetch(self, name: str) -> pa.Buffer:
        with self._explained(name, "cannot be read"), self.filesystem.open_input_file(self._at(name)) as source:
            return source.read_buffer()

    def _upload(self, path: str, content: pa.Buffer) -> None:
        """Upload an object in one piece, whatever happens: pyarrow publishes what is written when it is closed."""

        def upload() -> None:
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(content)

        if threading.current_thread() is not threading.main_thread():
            upload()  # nothing interrupts it
            return
        if self._worker is None:
            self._worker = Worker()
        self._worker.run(upload)

    def _for_each(self, action: Callable[[str], _T], names: Sequence[str]) -> list[_T]:
        """Do something for several names at the same time."""
        with ThreadPoolExecutor(N_REQUESTS) as pool:
            return list(pool.map(action, names))

    @contextmanager
    def _explained(self, name: str, what: str) -> Iterator[None]:
        """Turn a failure into a message; that there is no such file is left to the caller."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ResultsError(f"{self.describe(name)}: {what}: {reason_of(error)}") from error

    @contextmanager
    def _written(self, name: str) -> Iterator[None]:
        """Turn a write that fails into a message."""
        try:
            yield
        except OSError as error:
            kind = NotWritableError if forbids_writing(error) else ResultsError
            raise kind(f"{self.describe(name)}: cannot be written: {reason_of(error, is_write=True)}") from error


class LocalFolder(Location):
    """A folder on a disk.

    Parameters
    ----------
    name : str
        Its path.
    """

    def __init__(self, name: str) -> None:
        self.folder = Path(name)
        shown = str(self.folder)
        super().__init__(fs.LocalFileSystem(), str(self.folder.absolute()), shown, typed=unmistakable(shown))

    @property
    def is_relative(self) -> bool:
        """Whether it depends on the folder that the command was typed in."""
        return not self.folder.is_absolute()

    @property
    def may_tear_files(self) -> bool:
        """Whether a loss of power can leave a part of a file under its name: on disks that do not keep their word."""
        return True

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
        """Return the names of what is in a folder, sorted: also those that are not UTF-8, which Arrow cannot tell."""
        with self._explained(folder, "cannot be listed"):
            try:
                return sorted(path.name for path in Path(self._at(folder)).iterdir())
            except FileNotFoundError:
                return []

    def files(self, names: Iterable[str]) -> list[File]:
        """Return files to read, which are opened when they are needed."""
        return [File(self.describe(name), partial(self.filesystem.open_input_file, self._at(name))) for name in names]

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Write a file aside, flush it to the disk, and rename it into its place."""
        path = self.folder / name
        aside = path.with_name(f"{ASIDE}{uuid.uuid4().hex}")
        with self._written(name):
            make_folder(path.parent)
            try:
                with aside.open("wb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
            flush_folder(path.parent)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, if they are there; none of them comes back after a power loss."""
        gone = list(names)
        super().delete(gone)
        for parent in {(self.folder / name).parent for name in gone}:
            with self._explained("", "cannot be flushed"), suppress(FileNotFoundError):
                flush_folder(parent)

    def delete_torn_files(self) -> None:
        """Delete what was being written when this machine lost its power."""
        for path in self.folder.rglob(f"{ASIDE}*"):
            if is_aside(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)

    def _for_each(self, action: Callable[[str], _T], names: Sequence[str]) -> list[_T]:
        return [action(name) for name in names]
