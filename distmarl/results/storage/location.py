"""Where results lie: a folder on a disk, or a prefix of an object store, behind one interface.

A file is written whole or not at all. On a disk it is written aside, flushed, and renamed into its place; an object
is put together in memory and uploaded in one step. Whoever holds the folder's lock may lose it in any moment without
noticing, so a write can be bound to two things:

- in an object store, to the version that it replaces: it is refused when there is another one;
- on a disk, to a guard, the lock: it is asked when the file lies aside, under a name with the guard's number, and
  whoever takes the lock over deletes what lies aside with a lower one. What lies there no more cannot be renamed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import pyarrow as pa

from distmarl.errors import ResultsError
from distmarl.results.storage.reasons import NotWritableError, forbids_writing, reason_of

ASIDE = "_tmp-"  # readers of Parquet pass over names with a leading underscore
ASIDE_NAME = re.compile(rf"{ASIDE}([0-9a-f]{{8}})[0-9a-f]{{24}}")  # the number of the guard, and a random one


@dataclass(frozen=True, slots=True)
class Version:
    """What a store says to tell one version of an object from the others.

    Attributes
    ----------
    e_tag, version : str or None
        Which of them there are depends on the store.
    """

    e_tag: str | None = None
    version: str | None = None


ANY = Version()  # of a file, where there are none


class ReplacedError(ResultsError):
    """A file is not the version any more that a write was to replace."""


class Guard(Protocol):
    """Says whether this process may still write; its number is higher than those of all before."""

    number: int

    def check(self) -> None:
        """Raise if it may not."""


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
    version : Version
        Its version, where there are any.
    """

    name: str
    open: Callable[[], pa.NativeFile]
    version: Version = ANY


class Location:
    """A folder. Names in it have slashes.

    Parameters
    ----------
    path : str
        Tells it from other folders.
    name : str
        The folder, for people.
    typed : str
        What a command takes for it: the name with the store's options, if there are any, and as no option itself.
    """

    is_relative = False
    """Whether it depends on the folder that the command was typed in."""
    may_tear_files = False
    """Whether a loss of power can leave a part of a file under its name; objects are whole or not there."""
    has_versions = True
    """Whether a write can be bound to the version that it replaces."""
    faults: tuple[type[Exception], ...] = (OSError,)
    """What is raised where files cannot be read or written."""

    def __init__(self, path: str, name: str, typed: str) -> None:
        self.path = path
        self.name = name
        self.typed = typed

    def __str__(self) -> str:
        return self.name

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
        raise NotImplementedError

    def names_in(self, folders: Iterable[str]) -> list[list[str]]:
        """Return the names of what is in each of some folders."""
        return [self.names(folder) for folder in folders]

    def version(self, name: str) -> Version | None:
        """Return which version of a file there is, where there are any; None for none."""
        raise NotImplementedError

    def exists(self, name: str) -> bool:
        """Return whether there is such a file."""
        return self.version(name) is not None

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        FileNotFoundError
            When there is none.
        ResultsError
            When it cannot be read.
        """
        return self.read_version(name)[0]

    def read_version(self, name: str) -> tuple[bytes, Version]:
        """Return a file's content and which version that is, as :meth:`read` does."""
        raise NotImplementedError

    def files(self, names: Iterable[str]) -> list[File]:
        """Return files to read."""
        raise NotImplementedError

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file; return False, and leave it as it is, if there is one. Of two that try, one does."""
        raise NotImplementedError

    def writing(
        self, name: str, *, replaces: Version | None = ANY, guard: Guard | None = None
    ) -> AbstractContextManager[BinaryIO]:
        """Write a file: it is there, whole, when the block ends, and unchanged if the block raises.

        Parameters
        ----------
        name : str
            The file.
        replaces : Version or None
            The version that there must be, where there are versions; None for no file.
        guard : Guard, optional
            Who must allow it, where there are no versions.

        Raises
        ------
        ReplacedError
            When there is another version.
        ResultsError
            When it cannot be written, or the guard forbids it.
        """
        raise NotImplementedError

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, if they are there."""
        raise NotImplementedError

    def delete_empty_folder(self, name: str) -> None:
        """Delete a folder, with those in it, if it is there and no file is in it."""

    def delete_torn_files(self, number: int = 0) -> None:
        """Delete what was being written when a machine lost its power; an object store shows no such thing.

        What guards with a higher number than this one write aside is left alone: they have taken over meanwhile.
        """

    def delete_asides(self, number: int) -> None:
        """Let nothing that a guard with a lower number wrote aside get into its place any more."""

    @contextmanager
    def _explained(self, name: str, what: str) -> Iterator[None]:
        """Turn a failure into a message; that there is no such file is left to the caller."""
        try:
            yield
        except FileNotFoundError:
            raise
        except self.faults as error:
            raise ResultsError(f"{self.describe(name)}: {what}: {reason_of(error)}") from error

    @contextmanager
    def _written(self, name: str) -> Iterator[None]:
        """Turn a write that fails into a message."""
        try:
            yield
        except self.faults as error:
            kind = NotWritableError if forbids_writing(error) else ResultsError
            raise kind(f"{self.describe(name)}: cannot be written: {reason_of(error, is_write=True)}") from error
