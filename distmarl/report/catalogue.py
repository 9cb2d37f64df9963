"""All figures of the report, in its order."""

from __future__ import annotations

from distmarl.report.figures.against_k import DIFFERENCE, MODE_ACCURACY, REWARD, RUNTIME
from distmarl.report.figures.alternations import ALTERNATION
from distmarl.report.figures.gaps import NASH_GAP, PRICE
from distmarl.report.figures.learners import RETURN_VS_SAMPLES
from distmarl.report.figures.learnt_policies import POLICY
from distmarl.report.figures.scaling import SCALING
from distmarl.report.figures.timeline import TIMELINE
from distmarl.report.figures.zone_heatmap import ZONE_HEATMAP

FIGURES = {
    figure.name: figure
    for figure in (
        REWARD,
        DIFFERENCE,
        RUNTIME,
        MODE_ACCURACY,
        NASH_GAP,
        PRICE,
        RETURN_VS_SAMPLES,
        ZONE_HEATMAP,
        POLICY,
        SCALING,
        ALTERNATION,
        TIMELINE,
    )
}


def figure_files() -> list[str]:
    """Return the names of all files that figures are written to."""
    return [f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")]
