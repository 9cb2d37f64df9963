"""A prefix of an object store, whose writes can be bound to the version that they replace."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from distmarl.results.storage.location import ANY, File, Guard, Location, ReplacedError, Version

if TYPE_CHECKING:
    from obstore import PutMode

N_REQUESTS = 16  # at once; an object store answers each in some tens of milliseconds
# No slower than this, an upload of an object in one piece is let go on.
SLOWEST_BYTES_PER_S = 256 * 1024

_T = TypeVar("_T")


class Bucket(Location):
    """A folder in an object store.

    Parameters
    ----------
    connect : callable
        Returns the store, of which a request may take so many seconds longer than usual.
    bucket, prefix : str
        The bucket or container, and the folder in it.
    name : str
        The folder, for people.
    typed : str
        What a command takes for it: the name with the store's options, if there are any.
    """

    faults = (OSError, BaseError)

    def __init__(self, connect: Callable[[float], Any], bucket: str, prefix: str, name: str, typed: str) -> None:
        super().__init__(f"{bucket}/{prefix}", name, typed)
        self._connect = connect
        self._store = connect(0.0)
        self._prefix = prefix

    def names(self, folder: str = "") -> list[str]:
        """Return the names of what is in a folder, sorted; none when there is no such folder."""
        with self._explained(folder, "cannot be listed"):
            found = obstore.list_with_delimiter(self._store, self._key(folder) or None)
        keys = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return sorted(key.rpartition("/")[2] for key in keys)

    def names_in(self, folders: Iterable[str]) -> list[list[str]]:
        """Return the names of what is in each of some folders."""
        return _at_once(self.names, list(folders))

    def version(self, name: str) -> Version | None:
        """Return which version of a file there is; None for none."""
        with self._explained(name, "cannot be looked up"), suppress(FileNotFoundError):
            return _version(obstore.head(self._store, self._key(name)))
        return None

    def read_version(self, name: str) -> tuple[bytes, Version]:
        """Return a file's content and which version that is."""
        file = self._fetched(name)
        return file.open().read(), file.version

    def files(self, names: Iterable[str]) -> list[File]:
        """Return files to read, which are fetched at once, each in one piece: they may be replaced meanwhile."""
        return _at_once(self._fetched, list(names))

    def create(self, name: str, content: bytes) -> bool:
        """Write a new file; return False, and leave it as it is, if there is one. Of two that try, one does."""
        try:
            with self.writing(name, replaces=None) as stream:
                stream.write(content)
        except ReplacedError:
            return False
        return True

    @contextmanager
    def writing(self, name: str, *, replaces: Version | None = ANY, guard: Guard | None = None) -> Iterator[BinaryIO]:  # noqa: ARG002
        """Put a file together in memory and upload it; the store sees to the version, so no guard is asked."""
        content = io.BytesIO()
        with self._written(name):
            yield content
            self._put(name, content, replaces)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, if they are there."""

        def delete_one(name: str) -> None:
            with self._explained(name, "cannot be deleted"), suppress(FileNotFoundError):
                obstore.delete(self._store, self._key(name))

        chosen = list(names)
        try:
            with self._explained("", "files cannot be deleted"):
                obstore.delete(self._store, [self._key(name) for name in chosen])
        except FileNotFoundError:  # some stores say so of a single one, and leave the others
            _at_once(delete_one, chosen)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".strip("/")

    def _fetched(self, name: str) -> File:
        with self._explained(name, "cannot be read"):
            answer = obstore.get(self._store, self._key(name))
            content = pa.py_buffer(answer.bytes())
        return File(self.describe(name), partial(pa.BufferReader, content), _version(answer.meta))

    def _put(self, name: str, content: io.BytesIO, replaces: Version | None) -> None:
        store, n_bytes = self._store, content.getbuffer().nbytes
        if replaces is ANY:
            obstore.put(store, self._key(name), content.getbuffer())
            return
        if n_bytes > SLOWEST_BYTES_PER_S:  # it goes in one piece
            store = self._connect(n_bytes / SLOWEST_BYTES_PER_S)
        mode: PutMode = "create"
        if replaces is not None:
            mode = {"e_tag": replaces.e_tag}
            if replaces.version is not None:
                mode["version"] = replaces.version
        try:
            obstore.put(store, self._key(name), content.getbuffer(), mode=mode)
        except (AlreadyExistsError, PreconditionError) as error:
            if not self._lies_there(name, content):
                raise ReplacedError(f"{self.describe(name)}: was replaced by another process") from error

    def _lies_there(self, name: str, content: io.BytesIO) -> bool:
        """Return whether a file has this content: what refuses an upload may be the same one, whose answer was lost."""
        try:
            return self.read(name) == content.getvalue()
        except FileNotFoundError:
            return False


def _version(meta: Any) -> Version:
    return Version(meta["e_tag"], meta["version"])


def _at_once(action: Callable[[str], _T], names: Sequence[str]) -> list[_T]:
    """Do something for several names at the same time."""
    with ThreadPoolExecutor(N_REQUESTS) as pool:
        return list(pool.map(action, names))
