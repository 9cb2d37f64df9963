"""Every error that a user can meet.

::

    DistmarlError
    ├── ConfigError              a sweep file or an option says something impossible
    ├── InvalidEnvironmentError  a game's tables break a rule (also a ValueError)
    ├── EnvironmentLookupError   a named environment cannot be found or built
    ├── InvalidArgumentError     a function was called with impossible values (also a ValueError)
    ├── MissingExtraError        a package of an extra is not installed (also an ImportError)
    ├── ResultsError             a results folder cannot be used
    ├── ExecutorError            the tasks cannot be run where they were asked to run
    │   └── LostRayError         the Ray that ran them was lost
    ├── TaskTimeoutError         a task ran past ``runner.task_timeout_s``
    └── OutputError              what a command prints cannot be written

A message names the place, the rule, the value and, where there is one, the
remedy: ``experiment.k_values[3]: must be at most n_agents (30), got 50``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DistmarlError(Exception):
    """The root of every error that distmarl raises on purpose."""


class ConfigError(DistmarlError):
    """A sweep file, or an option that overrides it, cannot be used."""


class InvalidEnvironmentError(DistmarlError, ValueError):
    """The tables of a game break a rule of :class:`distmarl.Environment`."""


class EnvironmentLookupError(DistmarlError):
    """A named environment cannot be found, called or used."""


class InvalidArgumentError(DistmarlError, ValueError):
    """A function was called with a value that it cannot use."""


class MissingExtraError(DistmarlError, ImportError):
    """A function needs a package that only an extra of distmarl brings."""


class ResultsError(DistmarlError):
    """A results folder is missing, foreign, unwritable, in use or of another version."""


class ExecutorError(DistmarlError):
    """The cluster cannot be joined, or it cannot run what it is asked to run."""


class LostRayError(ExecutorError):
    """The Ray that ran the tasks was lost, through no fault of theirs.

    Attributes
    ----------
    can_start_again : bool
        Whether another one can be started: a Ray of this machine can.
    """

    def __init__(self, message: str, *, can_start_again: bool) -> None:
        super().__init__(message)
        self.can_start_again = can_start_again


class TaskTimeoutError(DistmarlError):
    """A task ran longer than ``runner.task_timeout_s`` allows."""


class OutputError(DistmarlError):
    """What a command prints cannot be written: a disk is full."""


def shown(value: object) -> str:
    """Return a value as it would be typed; a number of numpy as a plain one."""
    if isinstance(value, (list, tuple)):
        items = ", ".join(map(shown, value))
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' * (len(value) == 1)})"
    is_number = hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0
    return repr(value.item() if is_number and hasattr(value, "item") else value)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that is most like a misspelt one, or at all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
