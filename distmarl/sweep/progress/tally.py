"""Counting what there is to do and what is done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How many tasks of each kind there are, and what became of them.

    Attributes
    ----------
    total, done, failed : Counter
        Numbers by kind of task; ``done`` counts what earlier sessions did, too.
    n_done_before : int
        How many tasks earlier sessions had done.
    unconverged : list of str
        What to say of each training in the session that ended above its threshold.
    """

    total: Counter[str]
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    n_done_before: int = 0
    unconverged: list[str] = field(default_factory=list)

    @property
    def n_failed(self) -> int:
        """Tasks that raised."""
        return self.failed.total()

    @property
    def n_not_run(self) -> int:
        """Tasks that could not run since one that they need failed."""
        return self.total.total() - self.done.total() - self.n_failed

    def follow(self, before: Tally) -> None:
        """Count from where an earlier part of the same session did."""
        self.n_done_before = before.n_done_before
        self.unconverged = [*before.unconverged, *self.unconverged]
