"""A figure as a part of a page: an ``<svg>`` element whose ids are its own and whose lines stay visible in the dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from distmarl.report.figures.drawing.style import NOTE_COLOUR, STYLE, laid_out_style, luminance
from distmarl.wording import harmless

NAMESPACE = re.compile(r"\{[^}]*\}")
COLOUR = re.compile(r"#[0-9a-f]{6}\b")
REFERENCE = re.compile(r"url\(#([^)]*)\)")
NOT_DRAWN = ("metadata", "style")  # a style would hold for the whole page; the page has one of its own

# A picture with more colours is one of colours, not of lines, and keeps its white ground in the dark.
MAX_LINE_COLOURS = 64

# The page's own colours, which are others in the dark.
PAGE_COLOURS = {
    "#000000": "var(--ink)",
    "#ffffff": "var(--paper)",
    str(STYLE["grid.color"]).lower(): "var(--rule)",
    NOTE_COLOUR.lower(): "var(--quiet)",
}
DARK_PAPER = "#15181d"
CONTRAST = 4.5  # of small text, and more than what lines need: WCAG 2.2, criterion 1.4.3
MIX_STEP = 0.05


@dataclass(frozen=True, slots=True)
class InlineFigure:
    """A figure to put into a page.

    Attributes
    ----------
    svg : str
        The element, as HTML.
    width_in : float
        How wide it was drawn (inches).
    dark_colours : dict
        For each CSS variable that the element uses, its colour on dark paper.
    has_ground : bool
        Whether it needs a white ground everywhere, since its colours mean something.
    """

    svg: str
    width_in: float
    dark_colours: dict[str, str]
    has_ground: bool


def inline_figure(figure: Figure, name: str, description: str) -> InlineFigure:
    """Return a figure as a part of a page.

    Parameters
    ----------
    figure : Figure
        What to show.
    name : str
        Prefix of the element's ids, another one for every figure of the page.
    description : str
        What the figure shows, for those who do not see it.
    """
    stream = io.BytesIO()
    # Text stays text: it is small, found by searching, and in the page's own type.
    with laid_out_style(), rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(harmless(stream.getvalue().decode()))
    _tidy(root)
    _rename_ids(root, name)
    colours = set(COLOUR.findall(" ".join(element.get("style", "") for element in root.iter())))
    has_ground = root.find(".//image") is not None or len(colours) > MAX_LINE_COLOURS
    dark = {} if has_ground else {f"--c{c[1:]}": on_dark(c) for c in sorted(colours - PAGE_COLOURS.keys())}
    if not has_ground:
        _use_page_colours(root)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "aria-label": description}
    svg = ElementTree.tostring(root, encoding="unicode")
    return InlineFigure(svg, float(figure.get_figwidth()), dark, has_ground)


def on_dark(colour: str) -> str:
    """Return a colour, mixed with as much white as it needs to be seen on dark paper."""
    rgb, share = to_rgb(colour), 0.0
    while contrast(mixed := _mixed(rgb, share), DARK_PAPER) < CONTRAST:
        share += MIX_STEP
    return mixed


def contrast(colour: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(colour), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _mixed(rgb: tuple[float, float, float], share: float) -> str:
    return "#" + "".join(f"{round(255 * (part + (1 - part) * min(share, 1.0))):02x}" for part in rgb)


def _tidy(root: ElementTree.Element) -> None:
    """Drop namespaces, which HTML does not need, and what is not drawn."""
    for element in list(root.iter()):
        for child in [child for child in element if NAMESPACE.sub("", str(child.tag)) in NOT_DRAWN]:
            element.remove(child)
        element.tag = NAMESPACE.sub("", element.tag)
        for name in [name for name in element.attrib if name.startswith("{")]:
            element.set(NAMESPACE.sub("", name), element.attrib.pop(name))


def _rename_ids(root: ElementTree.Element, prefix: str) -> None:
    """Give every id that is referred to a prefix, and drop the others."""
    used = set(_references(root))
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in used:
                    element.set(name, f"{prefix}-{value}")
                else:
                    del element.attrib[name]
            elif name == "href" and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "href" and value.startswith("#"):
                yield value[1:]
            yield from REFERENCE.findall(value)


def _use_page_colours(root: ElementTree.Element) -> None:
    """Let every colour be one that the page can change."""
    for element in root.iter():
        if style := element.get("style"):
            element.set("style", COLOUR.sub(_page_colour, style))


def _page_colour(match: re.Match[str]) -> str:
    colour = match.group()
    return PAGE_COLOURS.get(colour, f"var(--c{colour[1:]}, {colour})")
