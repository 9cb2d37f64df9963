"""The figures of the page: inline, with their captions, in an order of two columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from distmarl.report.catalogue import FIGURES
from distmarl.report.figure import Caption
from distmarl.report.page.svg import InlineFigure, inline_figure

CSS_PX_PER_IN = 96
WIDE_IN = 4.5  # wider figures have panels side by side, and scroll in a box of their own on a phone


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure of the page.

    Attributes
    ----------
    name : str
        Its name.
    caption : Caption
        The words under it.
    inline : InlineFigure
        The figure itself.
    min_width : int, optional
        Width that a figure of several panels needs (CSS pixels); None for others.
    is_alone : bool
        Whether it has a row of the two columns for itself, with its caption beside it.
    """

    name: str
    caption: Caption
    inline: InlineFigure
    min_width: int | None
    is_alone: bool = False


def page_figures(drawn: Mapping[str, Figure], reading: str) -> list[PageFigure]:
    """Return the figures of the page.

    Parameters
    ----------
    drawn : mapping
        The figures, by their names.
    reading : str
        What to add to the words in place of the first figure.
    """
    found: list[PageFigure] = []
    for name, figure in drawn.items():
        caption = FIGURES[name].caption
        inline = inline_figure(figure, name, caption.alternative + ("" if found else reading))
        min_width = round(CSS_PX_PER_IN * inline.width_in) if inline.width_in > WIDE_IN else None
        found.append(PageFigure(name, caption, inline, min_width))
    alone = lone_places([figure.min_width is not None for figure in found])
    return [replace(figure, is_alone=place in alone) for place, figure in enumerate(found)]


def lone_places(is_wide: Sequence[bool]) -> set[int]:
    """Return the places of the figures that have a row of two columns for themselves: the first, and odd ones out.

    Parameters
    ----------
    is_wide : sequence of bool
        Which figures take both columns anyway.
    """
    alone: set[int] = set()
    waiting: int | None = None  # has the left column, and nothing beside it yet
    for place, wide in enumerate(is_wide):
        if wide or place == 0:
            alone |= {waiting} if waiting is not None else set()
            waiting = None
            alone |= set() if wide else {place}
        else:
            waiting = place if waiting is None else None
    return alone | ({waiting} if waiting is not None else set())


def dark_colours(figures: Sequence[PageFigure]) -> dict[str, str]:
    """Return the colours on dark paper of all CSS variables that the figures use."""
    return {name: colour for figure in figures for name, colour in figure.inline.dark_colours.items()}
