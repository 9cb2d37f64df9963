import subprocess
import sys

import matplotlib
import pytest

from distmarl.report.figures.drawing.style import paper_style, series_styles


def test_the_style_leaves_nothing_behind():
    before = dict(matplotlib.rcParams)
    with paper_style():
        assert dict(matplotlib.rcParams) != before
    assert dict(matplotlib.rcParams) == before


def test_the_style_does_not_depend_on_the_users_own():
    with matplotlib.rc_context({"lines.linestyle": ":", "text.usetex": True}), paper_style():
        assert matplotlib.rcParams["lines.linestyle"] == "-"
        assert not matplotlib.rcParams["text.usetex"]


@pytest.mark.parametrize("n_series", [1, 8, 9, 40])
def test_every_series_looks_different(n_series):
    styles = series_styles(n_series)
    assert len({style.colour for style in styles}) == n_series
    assert len(set(styles[:8])) == len({style.marker for style in styles[:8]})


def test_drawing_needs_no_pyplot():
    code = "import sys, distmarl.report.write; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
