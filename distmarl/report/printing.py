"""Turning figures into the contents of files, by a second process where there is a core for it.

Writing figures takes longer than all else of a report. They are laid out here and sent to the other process, which
returns the bytes that this one would have made. What the other has not begun when a content is asked for is made here,
so that both always have work, and nothing is lost with the other process. It is started before this one imports what
takes as long as the other's start: this module imports none of that.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What takes the other process longer than this is made here.
PATIENCE_S = 60.0
# The other process finds modules where this one does.
OTHER = """
import os, sys
contents = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what anything prints is no content
sys.path[:] = sys.argv[1:]
from distmarl.report.printing import serve
serve(sys.stdin.buffer, contents)
"""
# In front of what is sent is a number of so many bytes, which says how long it is; one of more was something else.
N_BYTES, MOST_BYTES = 8, 2**31


def print_figure(figure: Figure, kind: str) -> bytes:
    """Return the content of a file, the same bytes each time, without date or version."""
    from distmarl.report.figures.drawing import style

    stream = io.BytesIO()
    with style.laid_out_style():
        figure.savefig(stream, format=kind, metadata=style.FILE_METADATA[kind])
    return stream.getvalue()


@dataclass(slots=True)
class Order:
    """A file that is wanted of a figure.

    Attributes
    ----------
    figure : Figure
        The figure, laid out.
    kind : str
        ``png`` or ``pdf``.
    elsewhere : Future, optional
        What the other process makes of it.
    """

    figure: Figure
    kind: str
    elsewhere: Future[bytes | None] | None = None

    def content(self) -> bytes:
        """Return the content of the file, made here unless the other process has begun."""
        made = None
        if self.elsewhere is not None and not self.elsewhere.cancel():
            done, _ = wait([self.elsewhere], PATIENCE_S)
            made = self.elsewhere.result() if done else None
        return print_figure(self.figure, self.kind) if made is None else made


class Printer:
    """Takes orders, and has them made by another process, one after the other.

    Parameters
    ----------
    other : subprocess.Popen, optional
        The other process.
    """

    def __init__(self, other: subprocess.Popen[bytes] | None = None) -> None:
        self._other = other
        self._thread = ThreadPoolExecutor(1)

    def order(self, figure: Figure, kind: str) -> Order:
        """Order a file of a figure, which must not change any more."""
        if self._other is None:
            return Order(figure, kind)
        try:
            sent = pickle.dumps((figure, kind))
        except (pickle.PicklingError, AttributeError, TypeError, ValueError, RecursionError):
            # something in it is of this process alone
            return Order(figure, kind)
        return Order(figure, kind, self._thread.submit(_exchange, self._other, sent))

    def close(self) -> None:
        """Let the other process go."""
        if self._other is not None:
            self._other.kill()
        self._thread.shutdown(cancel_futures=True)
        if self._other is not None:
            self._other.communicate()


@contextmanager
def printing() -> Iterator[Printer]:
    """Take orders in the block, for another process, too, where this one may use a second core."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    printer = Printer(_start() if n_cores > 1 else None)
    try:
        yield printer
    finally:
        printer.close()


def _start() -> subprocess.Popen[bytes] | None:
    """Start the other process; where there can be none, this one does it all."""
    if not sys.executable:
        return None
    try:
        return subprocess.Popen(
            [sys.executable, "-c", OTHER, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which ends the other
        )
    except OSError:
        return None


def _exchange(other: subprocess.Popen[bytes], sent: bytes) -> bytes | None:
    """Return what the other process makes of an order; None where it has ended, as it has to if it makes nothing."""
    assert other.stdin is not None
    assert other.stdout is not None
    made = None
    if other.poll() is None:
        with suppress(OSError):
            _send(other.stdin, sent)
            made = _received(other.stdout)
    if made is None:
        other.kill()
    return made


def _send(stream: IO[bytes], content: bytes) -> None:
    stream.write(len(content).to_bytes(N_BYTES, "big") + content)
    stream.flush()


def _received(stream: IO[bytes]) -> bytes | None:
    """Return what was sent; None where that has an end too early."""
    n_bytes = int.from_bytes(stream.read(N_BYTES), "big")
    content = stream.read(n_bytes) if n_bytes <= MOST_BYTES else b""
    return content if content and len(content) == n_bytes else None


def serve(orders: IO[bytes], contents: IO[bytes]) -> None:
    """Make what is ordered, until there are no more orders."""
    importlib.import_module("distmarl.report.figures.drawing.style")  # while the first order is on its way
    while order := _received(orders):
        figure, kind = pickle.loads(order)
        _send(contents, print_figure(figure, kind))
