import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from distmarl.report.figures.drawing.style import PALETTE, WARNING_COLOUR, paper_style
from distmarl.report.page.svg import CONTRAST, DARK_PAPER, contrast, inline_figure, on_dark


def lines(label: str = "a", colour: str = "#440154") -> Figure:
    with paper_style():
        figure = Figure()
        axes = figure.add_subplot()
        axes.plot([1, 2], [3, 4], "o-", color=colour, label=label)
        axes.legend()
    return figure


def test_contrast_is_that_of_the_guidelines():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)  # the well-known grey that just fails


@pytest.mark.parametrize("colour", [*PALETTE, WARNING_COLOUR, "#440154", "#000000"])
def test_every_colour_is_seen_on_dark_paper(colour):
    assert contrast(on_dark(colour), DARK_PAPER) >= CONTRAST


def test_a_colour_that_is_seen_already_is_left_alone():
    assert on_dark("#ffb27a") == "#ffb27a"


def test_lines_are_the_pages_to_colour_and_keep_their_own_where_it_does_not():
    inline = inline_figure(lines(), "one", "a line")
    assert inline.dark_colours == {"--c440154": on_dark("#440154")}
    assert "stroke: var(--c440154, #440154)" in inline.svg
    assert "stroke: var(--ink)" in inline.svg
    assert not inline.has_ground


def test_a_picture_of_colours_keeps_them_and_its_ground():
    figure = Figure()
    figure.add_subplot().pcolormesh(np.arange(100.0).reshape(10, 10))
    inline = inline_figure(figure, "map", "a map")
    assert inline.has_ground
    assert inline.dark_colours == {}
    assert "var(--" not in inline.svg
    figure = Figure()
    figure.add_subplot().imshow(np.eye(3))
    assert inline_figure(figure, "image", "an image").has_ground


def test_figures_of_one_page_share_no_ids():
    one, other = (inline_figure(lines(), name, "a line").svg for name in ("one", "other"))
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, other), ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^)"]*)', svg)) == own


def test_labels_are_text_whatever_they_hold():
    label = '<script>alert("1")</script> id="x" url(#y) &amp;'
    root = ElementTree.fromstring(inline_figure(lines(label), "one", label).svg)
    assert root.get("aria-label") == label
    assert [text.text for text in root.iter("text") if "script" in (text.text or "")] == [label]
    assert not list(root.iter("script"))


def test_a_figure_is_the_same_each_time_and_brings_no_style_of_its_own():
    assert inline_figure(lines(), "one", "a").svg == inline_figure(lines(), "one", "a").svg
    names = {element.tag for element in ElementTree.fromstring(inline_figure(lines(), "one", "a").svg).iter()}
    assert not {"style", "metadata"} & names
