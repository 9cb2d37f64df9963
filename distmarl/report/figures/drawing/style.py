"""The one style of all figures: as wide as a column of a paper, and readable at that size.

It is used through :func:`paper_style`, so that nobody else's figures change.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from distmarl.errors import InvalidArgumentError
from distmarl.model.checks import checked_number

WIDTH_IN = 3.5
HEIGHT_IN = 2.6
MAX_WIDTH_IN = 100
DPI = 300
NOTEBOOK_DPI = 144

# What matplotlib says of each character that a font lacks, at each time that it draws it.
MISSING_GLYPH = r"Glyph (\d+) .*missing from"

BAND_ALPHA = 0.2
BAR_ALPHA = 0.7
NOTE_SIZE_PT = 6.5
NOTE_COLOUR = "#555555"
WARNING_COLOUR = "#B34700"

# Okabe and Ito's colours, which people with any colour vision can tell apart; grey in place of
# their yellow, which is too light for lines on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MANY_COLOURS = "viridis"
MANY_COLOURS_END = 0.85  # beyond, viridis is too light for lines on white

STYLE = {
    "figure.figsize": (WIDTH_IN, HEIGHT_IN),
    "figure.dpi": DPI,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "savefig.dpi": "figure",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 8,
    "pdf.fonttype": 42,  # text stays text, in fonts that journals take
    "text.parse_math": False,  # labels are the user's text, "$" and all
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-99, 99),  # no "1e7" above the axes: the notes stand there
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "ytick.minor.size": 1.5,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.borderpad": 0.1,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.3,
}

# What a file says of how it was made: neither date nor version, so that the same figure is the same bytes.
FILE_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How one setting is drawn, in every figure alike.

    Attributes
    ----------
    colour : str
        As ``#rrggbb``.
    marker : str
        One of matplotlib's markers.
    """

    colour: str
    marker: str


class PaperFigure(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        with paper_style():
            self.savefig(stream, format="png", dpi=NOTEBOOK_DPI, metadata=FILE_METADATA["png"])
        return stream.getvalue()


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw in the style of all figures, whatever the user's own matplotlib style is."""
    with matplotlib.style.context(["default", STYLE]):
        yield


@contextmanager
def hearing_missing_glyphs() -> Iterator[set[str]]:
    """Yield a set that takes the characters which the font of figures lacks, in place of matplotlib's warnings."""
    missing: set[str] = set()
    show = warnings.showwarning

    def listen(message: Warning | str, *arguments: Any, **options: Any) -> None:
        if found := re.match(MISSING_GLYPH, str(message)):
            missing.add(chr(int(found[1])))
        else:
            show(message, *arguments, **options)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", MISSING_GLYPH)
        warnings.showwarning = listen
        yield missing


def figure_width(width: float | None, default: float = WIDTH_IN) -> float:
    """Return how wide a figure shall be, in inches.

    Raises
    ------
    InvalidArgumentError
        When it is no positive number, or one that no file of an image could hold.
    """
    if width is None:
        return default
    if not 0 < (inches := checked_number("width", width)) <= MAX_WIDTH_IN:
        rule = f"at most {MAX_WIDTH_IN}" if inches > 0 else "positive"
        raise InvalidArgumentError(f"width: must be {rule} (inches), got {inches!r}")
    return inches


def luminance(colour: ColorType) -> float:
    """Return how bright a colour is to the eye, from 0 to 1, as WCAG 2.2 defines it."""
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def lay_out(figure: Figure) -> None:
    """Give everything in a figure its place, once for all files that it is written to in :func:`laid_out_style`.

    Otherwise matplotlib works it out twice for each of them.
    """
    with paper_style():
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
    with laid_out_style():
        figure.set_layout_engine(None)


@contextmanager
def laid_out_style() -> Iterator[None]:
    """Write figures that are laid out: in :func:`paper_style`, matplotlib would make a new layout for the next file."""
    with paper_style(), matplotlib.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        yield


def series_styles(n_series: int) -> list[SeriesStyle]:
    """Return a style for each series: distinct colours and markers, or a colour map when they are many.

    Parameters
    ----------
    n_series : int
        How many series there are.
    """
    if n_series <= len(PALETTE):
        return [SeriesStyle(colour, marker) for colour, marker in zip(PALETTE, MARKERS, strict=True)][:n_series]
    colours = matplotlib.colormaps[MANY_COLOURS]
    return [
        SeriesStyle(to_hex(colours(MANY_COLOURS_END * index / (n_series - 1))), MARKERS[index % len(MARKERS)])
        for index in range(n_series)
    ]
