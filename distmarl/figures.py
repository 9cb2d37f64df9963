"""Every figure of the report as a function of pandas frames, which returns a matplotlib ``Figure`` and saves nothing.

The report and ``dm.open(...).figures`` draw with these functions, too::

    r = dm.open("results/robots")
    dm.figures.reward_vs_k(r.points()).savefig("reward.pdf")
    dm.figures.zone_heatmap(r.rollouts.query("k == 10 and `environment.n_agents` == 1000"))

Each names the frame that it needs, and refuses another one. Those for which there may be nothing to draw
return None then. ``width=`` makes a figure so many inches wide, as a paper's column; those with a single
panel are drawn on axes of one's own with ``ax=``.
"""

from __future__ import annotations

from distmarl.report.catalogue import FIGURES
from distmarl.report.figure import Draw

__all__ = sorted(FIGURES)


def __getattr__(name: str) -> Draw:
    if name in FIGURES:
        return FIGURES[name].draw
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(FIGURES)
