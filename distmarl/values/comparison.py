"""Two samples of a number: how far their means are apart, and how often a draw of one beats a draw of the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distmarl.model.arrays import Array
from distmarl.values.intervals import COVERAGE, estimate_difference

# Where the sought end of an interval is known to lie within.
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a first sample compares with a second.

    Attributes
    ----------
    n_first, n_second : int
        Sizes.
    mean_first, mean_second : float
        Means.
    difference : float
        Of the first mean less the second.
    ci95_low, ci95_high : float
        Its 95 % interval (Student's t over pairs, or Welch's); NaN where a sample has a single draw.
    is_paired : bool
        Whether it is over pairs.
    probability : float
        That a draw of the first is larger than an independent one of the second; ties count half.
    probability_ci95_low, probability_ci95_high : float
        Its 95 % interval (Newcombe's); NaN where a sample has a single draw.
    """

    n_first: int
    n_second: int
    mean_first: float
    mean_second: float
    difference: float
    ci95_low: float
    ci95_high: float
    is_paired: bool
    probability: float
    probability_ci95_low: float
    probability_ci95_high: float


def compare_samples(first: Array, second: Array, *, is_paired: bool = False) -> Comparison:
    """Compare two samples.

    Parameters
    ----------
    first, second : ndarray, shape (draws,)
        What is compared.
    is_paired : bool
        Whether the draws of the same place belong together; there are as many then.

    Notes
    -----
    Welch's interval needs quantiles of Student's t between whole degrees of freedom; it, the rank sum and the roots are
    scipy's. The interval of the probability is the fifth of Newcombe (Statistics in Medicine 25, 2006): where the
    estimate is z standard errors off, with Hanley and McNeil's standard error at the end of the interval, not at the
    estimate. So it has a width also where one sample lies wholly above the other. It takes the samples as independent.
    """
    from scipy import stats  # takes half a second, which no other command need wait for

    is_known = min(len(first), len(second)) > 1
    if is_paired:
        paired = estimate_difference(second, first)
        low, high = paired.ci95_low, paired.ci95_high
    elif is_known and max(first.std(), second.std()) > 0:
        found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(COVERAGE)
        low, high = float(found.low), float(found.high)
    else:
        low = high = float(first.mean() - second.mean()) if is_known else math.nan
    wins = float(stats.mannwhitneyu(first, second, method="asymptotic").statistic)
    probability = wins / (len(first) * len(second))
    ends = probability_interval(probability, len(first), len(second)) if is_known else (math.nan, math.nan)
    means = float(first.mean()), float(second.mean())
    return Comparison(
        len(first), len(second), *means, means[0] - means[1], low, high, is_paired, probability, ends[0], ends[1]
    )


def probability_interval(probability: float, n_first: int, n_second: int) -> tuple[float, float]:
    """Return the 95 % interval of the probability that a draw of one sample is larger than one of another."""
    from scipy import optimize, stats

    z = stats.norm.ppf((1 + COVERAGE) / 2)
    spread = (n_first + n_second) / 2 - 1

    def excess(p: float) -> float:
        variance = p * (1 - p) * (1 + spread * ((1 - p) / (2 - p) + p / (1 + p))) / (n_first * n_second)
        return (probability - p) ** 2 - z**2 * variance

    low = optimize.brentq(excess, 0.0, min(probability, 1 - EDGE)) if probability > EDGE else 0.0
    high = optimize.brentq(excess, max(probability, EDGE), 1.0) if probability < 1 - EDGE else 1.0
    return float(low), float(high)
