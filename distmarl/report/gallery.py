"""The figures of a results folder, by name, for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from distmarl.errors import ResultsError, nearest_name
from distmarl.report.catalogue import FIGURES
from distmarl.report.figure import ReportFigure
from distmarl.report.numbers import read_numbers
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location


class Gallery(Mapping[str, Callable[..., Figure]]):
    """The figures that a report writes, by name. Each is a function, which draws what there is now.

    Parameters
    ----------
    folder : Location
        The results folder.
    """

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Callable[..., Figure]:
        return partial(self._draw, FIGURES[name])

    def __iter__(self) -> Iterator[str]:
        return iter(FIGURES)

    def __len__(self) -> int:
        return len(FIGURES)

    def __getattr__(self, name: str) -> Callable[..., Figure]:
        if name not in self:
            raise AttributeError(f"there is no figure {name!r}; {nearest_name(name, self)}")
        return self[name]

    def __dir__(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        return f"figures, each drawn when it is called: {', '.join(f'{name}()' for name in self)}"

    def _draw(self, figure: ReportFigure, **options: Any) -> Figure:
        """Draw a figure with options such as ``width``, or say why there is nothing to draw."""
        numbers = read_numbers(Snapshot(self._folder))
        drawn = figure.drawn(numbers, **options)
        if drawn is None:
            reason = figure.why_absent(numbers) or "the sweep has no such numbers"
            raise ResultsError(f"{self._folder}: {figure.name} cannot be drawn: {reason}")
        return drawn
