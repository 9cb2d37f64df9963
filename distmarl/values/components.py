"""Draws in groups: the mean of all, and how much of their scatter is between groups and how much within.

A group is a training, and its draws are the means of its evaluation seeds: y = mean + training + seed, with variances
between trainings and between the seeds of one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distmarl.model.arrays import Array
from distmarl.values.intervals import COVERAGE, MeanEstimate, estimate_mean, student_t_quantile


@dataclass(frozen=True, slots=True)
class Components:
    """How much draws scatter between groups, and within one.

    Attributes
    ----------
    between_std, within_std : float
        Standard deviations, estimated without bias in their squares, the first but for being cut off at 0; NaN where
        there are too few groups, or too few draws in each.
    """

    between_std: float
    within_std: float

    @property
    def between_share(self) -> float:
        """The share of a draw's variance that is between groups; NaN where nothing scatters, or it is not known."""
        between, total = self.between_std**2, self.between_std**2 + self.within_std**2
        return between / total if total > 0 else math.nan


def pooled_std(groups: Sequence[Array]) -> float:
    """Return the standard deviation within groups, from all of them; NaN where no group has two draws."""
    if len(groups) == 1:
        return float(groups[0].std(ddof=1)) if len(groups[0]) > 1 else math.nan
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return math.sqrt(squares / freedom) if freedom else math.nan


def variance_components(groups: Sequence[Array]) -> Components:
    """Return how much draws scatter between groups and within.

    Parameters
    ----------
    groups : sequence of ndarray
        The draws of each group: the means of a training's evaluation seeds.

    Notes
    -----
    The variance of the groups' means is that between groups and, of each, the variance within over its size
    (analysis of variance with random effects; of unequal sizes their harmonic mean counts).
    """
    within = pooled_std(groups)
    if len(groups) < 2:
        return Components(math.nan, within)
    if math.isnan(within):
        return Components(math.nan, math.nan)
    means = np.array([group.mean() for group in groups])
    noise = within**2 * float(np.mean([1 / len(group) for group in groups]))
    return Components(math.sqrt(max(0.0, float(means.var(ddof=1)) - noise)), within)


def estimate_stratified_mean(groups: Sequence[Array]) -> MeanEstimate:
    """Estimate the mean of the groups' expectations, each with the same weight, for these groups alone.

    Of a single group, this is what :func:`~distmarl.values.intervals.estimate_mean` returns.
    """
    if len(groups) == 1:
        return estimate_mean(groups[0])
    mean = float(np.mean([group.mean() for group in groups]))
    n, freedom = sum(map(len, groups)), sum(len(group) - 1 for group in groups)
    if min(map(len, groups)) < 2:
        return MeanEstimate(n, mean, math.nan, math.nan, math.nan)
    variance = sum(float(group.var(ddof=1)) / len(group) for group in groups)
    standard_error = math.sqrt(variance) / len(groups)
    reach = student_t_quantile((1 + COVERAGE) / 2, freedom) * standard_error
    return MeanEstimate(n, mean, standard_error, mean - reach, mean + reach)
