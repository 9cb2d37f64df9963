"""How fast what is lost by seeing k of n agents shrinks with k: measured slopes, and what theory says.

What is lost goes with the error of a share that is estimated from k of n agents, drawn without replacement: like

    sqrt((n - k + 1) / (n k)),

which is 1/sqrt(k) for small k, a slope of -1/2 on logarithmic axes, and falls faster as k nears n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array, real_array
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_k
from distmarl.values.intervals import COVERAGE, student_t_quantile


@dataclass(frozen=True, slots=True)
class Rate:
    """The slope of the logarithm of a gap against that of k.

    Attributes
    ----------
    slope : float
        By least squares; NaN where fewer than two gaps are above 0.
    ci95_low, ci95_high : float
        Ends of its 95 % interval (Student's t of the residuals); NaN for fewer than three gaps. It is about how
        straight the line is, and takes the gaps for known.
    n_points : int
        Gaps that are above 0, which alone count.
    """

    slope: float
    ci95_low: float
    ci95_high: float
    n_points: int


def fit_rate(k: ArrayLike, gaps: ArrayLike) -> Rate:
    """Fit a power of k to gaps: log(gap) = a + slope log(k).

    Parameters
    ----------
    k : array_like, shape (N,)
        Numbers of agents seen.
    gaps : array_like, shape (N,)
        What is lost at each. Gaps of 0 or less, or that are not known (NaN), are left out.

    Raises
    ------
    InvalidArgumentError
        When the shapes differ, or a k is below 1.

    Examples
    --------
    >>> import distmarl as dm
    >>> round(dm.fit_rate([1, 4, 16], [8.0, 4.0, 2.0]).slope, 6)
    -0.5
    """
    sizes, found = _numbers("k", k), _numbers("gaps", gaps)
    if sizes.shape != found.shape or not (sizes >= 1).all():
        raise InvalidArgumentError(
            f"k, gaps: must be as many, each k 1 or more, got {sizes.tolist()} and {len(found)} gaps"
        )
    is_known = found > 0
    x, y = np.log(sizes[is_known]), np.log(found[is_known])
    n_points = len(x)
    spread = float(((x - x.mean()) ** 2).sum()) if n_points else 0.0
    if n_points < 2 or spread == 0:
        return Rate(math.nan, math.nan, math.nan, n_points)
    slope = float((x - x.mean()) @ y) / spread
    if n_points == 2:
        return Rate(slope, math.nan, math.nan, n_points)
    residuals = y - y.mean() - slope * (x - x.mean())
    error = math.sqrt(float(residuals @ residuals) / (n_points - 2) / spread)
    reach = student_t_quantile(0.5 + COVERAGE / 2, n_points - 2) * error
    return Rate(slope, slope - reach, slope + reach, n_points)


def sampling_law(k: ArrayLike, n_agents: int) -> Array:
    """Return sqrt((n - k + 1) / (n k)), how far shares of k of n agents are off, up to a factor; shape as ``k``."""
    sizes = _numbers("k", k)
    return np.sqrt((n_agents - sizes + 1) / (n_agents * sizes))


def subsampling_bound(env: Environment, *, k: int) -> float:
    """Return what theory says is lost at most by a global agent that sees k of n agents, in units of return.

    It is the leading term of theorem 4.2 of arXiv 2412.00661, as we read it (without the noise of estimated tables),

        2 r / (1 - gamma)^2 (sqrt((n - k + 1) / (2 n k) ln(2 L A_l sqrt(k))) + 1 / sqrt(k)),

    r the largest |r_g| + |r_l|. Returns themselves differ by 2 r / (1 - gamma) at most: where the bound is above that,
    it says nothing.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.

    Raises
    ------
    InvalidArgumentError
        When k is out of range.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=1000)
    >>> largest = 2 * (1.0 + 10.5) / (1 - env.gamma)
    >>> round(dm.subsampling_bound(env, k=50) / largest, 1)
    7.3
    """
    k, n_agents = checked_k(env, k), env.n_agents
    largest = float(np.abs(env.reward_global).max() + np.abs(env.reward_local).max())
    logarithm = math.log(2 * env.n_local_states * env.n_local_actions * math.sqrt(k))
    error = math.sqrt((n_agents - k + 1) / (2 * n_agents * k) * logarithm) + 1 / math.sqrt(k)
    return 2 * largest / (1 - env.gamma) ** 2 * error


def _numbers(name: str, value: ArrayLike) -> Array:
    try:
        numbers, _ = real_array(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: must be numbers, got {error}") from error
    return np.atleast_1d(numbers)
