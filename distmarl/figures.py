"""Every figure of the report as a function of pandas frames, which returns a matplotlib ``Figure`` and saves nothing.

The report and ``dm.open(...).figures`` draw with these functions, too::

    r = dm.open("results/robots")
    dm.figures.reward_vs_k(r.points()).savefig("reward.pdf")
    dm.figures.zone_heatmap(r.rollouts.query("k == 10 and `environment.n_agents` == 1000"))

Each names the frame that it needs, and refuses another one. Those for which there may be nothing to draw
return None then.
"""

from __future__ import annotations

from distmarl.report.figures.against_k import difference_vs_k, mode_accuracy_vs_k, reward_vs_k, runtime_vs_k
from distmarl.report.figures.gaps import nash_gap_vs_k, price_of_subsampling
from distmarl.report.figures.policies import policy
from distmarl.report.figures.rollouts import zone_heatmap
from distmarl.report.figures.runs import alternation, timeline
from distmarl.report.figures.scaling import scaling

__all__ = [
    "alternation",
    "difference_vs_k",
    "mode_accuracy_vs_k",
    "nash_gap_vs_k",
    "policy",
    "price_of_subsampling",
    "reward_vs_k",
    "runtime_vs_k",
    "scaling",
    "timeline",
    "zone_heatmap",
]
