"""A figure of the report: what draws it, what it is drawn from, and the words that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from matplotlib.figure import Figure

from distmarl.report.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Caption:
    """The words under a figure on the page, and in place of it.

    Attributes
    ----------
    title : str
        What it is, in a few words.
    shows : str
        How to read it.
    computed : str
        Where its numbers come from.
    alternative : str
        What it shows, for those who do not see it.
    """

    title: str
    shows: str
    computed: str
    alternative: str


# A pure function of frames, with options such as ``width``.
Draw: TypeAlias = Callable[..., Figure | None]


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of the report.

    Attributes
    ----------
    draw : callable
        A pure function of frames, which gives the figure its name; it takes ``unfinished``, too.
    read : callable
        Returns the function's arguments, from the report's numbers; None where there is nothing to draw.
    caption : Caption
        The words that go with it.
    absent : str
        Why there may be nothing to draw.
    is_asked_for : callable
        Whether the sweep asks for such numbers; where it does not, nobody misses the figure.
    """

    draw: Draw
    read: Callable[[Numbers], dict[str, Any] | None]
    caption: Caption
    absent: str
    is_asked_for: Callable[[Numbers], bool] = lambda _numbers: True

    @property
    def name(self) -> str:
        """The name of the function, and of the figure's files."""
        return self.draw.__name__

    def drawn(self, numbers: Numbers, **options: Any) -> Figure | None:
        """Draw the figure, with options such as ``width``; None where there is nothing to draw."""
        arguments = self.read(numbers)
        return None if arguments is None else self.draw(**arguments, unfinished=numbers.unfinished, **options)

    def why_absent(self, numbers: Numbers) -> str | None:
        """Return why there is nothing to draw; None where nobody asked for it."""
        return self.absent if self.is_asked_for(numbers) else None
