"""How well a mean return is known: standard errors and 95 % intervals.

What is estimated is the mean return J of a pair of policies that is given. All of its rollouts are
independent and alike, those of one evaluation seed as well as those of different ones: a seed is a batch of
rollouts. So there are two honest intervals of the same J:

- *over rollouts*: all of them are one sample. It has the most degrees of freedom, so it is the
  narrower one as a rule, and the one that figures show.
- *over seeds*: the seeds' means are the sample. With ten seeds it is an eighth wider on average, and its
  width scatters by a quarter; in return it would hold even if the rollouts of a seed depended on each other.
  Two intervals of very different width would be a sign of that.

Neither knows anything of training: with another training seed, J itself is another number.

Rollouts of the same evaluation seed for different k are paired (:mod:`distmarl.dynamics.draws`), so a *difference*
between two k is the mean over pairs. Pairs are independent of one another.

All are Student's t intervals, of 95 %. The percentile bootstrap is no better: over ten seeds it covers
90 %, and from fifty seeds on, where it covers 94 %, the two hardly differ.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array, real_array

COVERAGE = 0.95
MANY_DEGREES = 1000
N_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """The mean of a sample, and how well it estimates the expectation.

    Attributes
    ----------
    n : int
        Size of the sample.
    mean : float
        Its mean.
    standard_error : float
        Its standard deviation (ddof = 1) over sqrt(n); NaN for n = 1.
    ci95_low, ci95_high : float
        Ends of the 95 % confidence interval of the expectation, Student's t; NaN for n = 1.
    """

    n: int
    mean: float
    standard_error: float
    ci95_low: float
    ci95_high: float


def estimate_mean(sample: ArrayLike) -> MeanEstimate:
    """Estimate an expectation from independent draws.

    Parameters
    ----------
    sample : array_like, shape (n,)
        The draws: returns of rollouts, or means of seeds.

    Raises
    ------
    InvalidArgumentError
        When the sample is empty or no list of numbers.

    Examples
    --------
    >>> import distmarl as dm
    >>> found = dm.estimate_mean([9.0, 10.0, 11.0, 14.0])
    >>> found.mean, round(found.ci95_low, 2), round(found.ci95_high, 2)
    (11.0, 7.56, 14.44)
    """
    draws = _checked_sample("sample", sample)
    numbers = estimate_means(draws[np.newaxis])[:, 0]
    return MeanEstimate(len(draws), *(float(number) for number in numbers))


def estimate_means(samples: Array) -> Array:
    """Return what :func:`estimate_mean` says of each of many samples of one size, to the bit.

    Parameters
    ----------
    samples : ndarray, shape (samples, n)
        The draws.

    Returns
    -------
    ndarray, shape (4, samples)
        The means, their standard errors, and the lower and the upper ends of their intervals.
    """
    n, means = samples.shape[1], samples.mean(axis=1)
    if n == 1:
        return np.stack([means, *[np.full(len(samples), math.nan)] * 3])
    standard_errors = samples.std(axis=1, ddof=1) / math.sqrt(n)
    reaches = student_t_quantile((1 + COVERAGE) / 2, n - 1) * standard_errors
    return np.stack([means, standard_errors, means - reaches, means + reaches])


def estimate_difference(first: ArrayLike, second: ArrayLike) -> MeanEstimate:
    """Estimate E[second - first] from pairs, whose common noise cancels.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        The pairs, in the same order: returns of two evaluations with the same seed.

    Raises
    ------
    InvalidArgumentError
        When the two are not of the same length, are empty or no lists of numbers.

    Examples
    --------
    >>> import distmarl as dm
    >>> found = dm.estimate_difference([9.0, 10.0, 11.0, 14.0], [10.0, 11.0, 12.5, 14.5])
    >>> found.mean, round(found.ci95_low, 2), round(found.ci95_high, 2)
    (1.0, 0.35, 1.65)
    """
    before, after = _checked_sample("first", first), _checked_sample("second", second)
    if len(before) != len(after):
        raise InvalidArgumentError(f"second: must have as many entries as first ({len(before)}), got {len(after)}")
    return estimate_mean(after - before)


@functools.lru_cache(maxsize=1024)
def student_t_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Return t with P(T <= t) = ``probability``, from 0.5 to below 1, for Student's distribution.

    Notes
    -----
    For up to 1000 degrees of freedom v, P(|T| <= t) is a finite sum over powers of cos(arctan(t / sqrt(v)))
    (Abramowitz & Stegun, 26.7.3 and 26.7.4), inverted by bisection; beyond, the quantile is
    expanded around the normal one (26.7.5), with an error below 1e-10.
    """
    v = degrees_of_freedom
    if v > MANY_DEGREES:
        x = NormalDist().inv_cdf(probability)
        first, second = (x**3 + x) / 4, (5 * x**5 + 16 * x**3 + 3 * x) / 96
        third = (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384
        return x + first / v + second / v**2 + third / v**3
    low, high = 0.0, math.pi / 2
    for _ in range(N_BISECTIONS):
        middle = (low + high) / 2
        if _two_sided_probability(middle, v) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return math.sqrt(v) * math.tan((low + high) / 2)


def _two_sided_probability(angle: float, v: int) -> float:
    """Return P(|T| <= sqrt(v) tan(angle))."""
    is_odd = v % 2
    # Odd v: cos + 2/3 cos^3 + 2*4/(3*5) cos^5 ...; even v: 1 + 1/2 cos^2 + 1*3/(2*4) cos^4 ...
    steps = np.arange(2 + is_odd, v, 2)
    terms = np.cumprod((steps - 1) / steps * math.cos(angle) ** 2)
    series = math.sin(angle) * (1 + float(terms.sum()))
    if not is_odd:
        return series
    return 2 / math.pi * (angle + (series * math.cos(angle) if v > 1 else 0.0))


def _checked_sample(name: str, sample: ArrayLike) -> Array:
    try:
        draws, _ = real_array(sample)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: must be a list of numbers, got {error}") from error
    if draws.ndim != 1 or not len(draws):
        raise InvalidArgumentError(f"{name}: must be a list of one number or more, got shape {draws.shape}")
    return draws
