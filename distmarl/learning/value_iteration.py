"""Value iteration that stops on a certificate.

For the Bellman operator B of a discounted MDP (monotone, a contraction with modulus
gamma, and B(V + c) = BV + gamma c), *any* V brackets the optimal value V*: with
d = BV - V,

    BV + gamma/(1 - gamma) min d  <=  V*  <=  BV + gamma/(1 - gamma) max d

(MacQueen 1966; Puterman 1994, section 6.6.3). The midpoint of the bracket is therefore within

    bound = gamma/(1 - gamma) (span(d)/2 + delta)

of V*, where delta is the rounding error of the expectation inside B (a few units in the last
place of the value itself come on top). Since V may be any
function at all, it may come from an extrapolation: the plain iterates are accelerated by Anderson
mixing (Walker & Ni 2011), on residuals taken modulo constants because a constant only shifts
the bracket. Mixing may widen the bracket for a while; when it widens too far or for too long, it
starts afresh with the plain step from the best point, which always shrinks the span by gamma.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Differences kept by the acceleration: ten, or as many as fit into this many bytes, but three at least.
ANDERSON_MEMORY = 10
ANDERSON_MIN_MEMORY = 3
ANDERSON_BYTES = 2**30
PATIENCE = 6
GROWTH_LIMIT = 2.0
RELATIVE_CUTOFF = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class ValueIterationResult:
    """A value function and how good it is.

    Attributes
    ----------
    value : ndarray
        Approximation of V*, of the shape of the initial value.
    n_iterations : int
        Number of applications of the Bellman operator.
    bound : float
        Certified: max |value - V*| <= bound. Infinite when nothing was iterated.
    converged : bool
        Whether ``bound`` is at most the threshold that was asked for.
    """

    value: Values
    n_iterations: int
    bound: float
    converged: bool


def iterate_values(
    bellman: Callable[[Values], Values],
    initial_value: Values,
    *,
    gamma: float,
    relative_error: float,
    convergence_threshold: float,
    max_iterations: int,
) -> ValueIterationResult:
    """Solve V = B(V) to a certified bound.

    Parameters
    ----------
    bellman : callable
        The operator B; takes and returns arrays of the shape of ``initial_value``.
    initial_value : ndarray
        Where to start; any finite values will do.
    gamma : float
        Discount, 0 <= gamma < 1.
    relative_error : float
        Rounding error of the expectation inside B, per unit of max |V|.
    convergence_threshold : float
        Stop once the bound is at most this.
    max_iterations : int
        Apply B at most this many times. Reaching it shows as ``converged = False``.

    Returns
    -------
    ValueIterationResult
        Also stops, unconverged, when the span is all rounding error and cannot shrink any more.
    """
    scale = gamma / (1.0 - gamma)
    epsilon = float(np.finfo(np.float64).eps)
    value = _centred(np.asarray(initial_value, dtype=np.float64))
    mixer = AndersonMixer(anderson_memory(value.nbytes))
    best = _Bracket(image=value, low=0.0, high=math.inf)
    bound, n_since_best = math.inf, 0
    n_iterations = 0
    while n_iterations < max_iterations:
        n_iterations += 1
        image = bellman(value)
        residual = image - value
        bracket = _Bracket(image=image, low=float(residual.min()), high=float(residual.max()))
        rounding = relative_error * float(np.abs(value).max()) + epsilon * float(np.abs(image).max())
        n_since_best += 1
        if bracket.span < best.span:
            best, n_since_best = bracket, 0
            bound = scale * (bracket.span / 2 + rounding)
            bound += 4 * epsilon * (float(np.abs(image).max()) + scale * abs(bracket.middle))
        if bound <= convergence_threshold or best.span <= 2 * rounding:
            break
        if bracket.span < GROWTH_LIMIT * best.span and n_since_best < PATIENCE:
            value = _centred(mixer.mix(image, residual - bracket.middle))
        else:
            mixer.clear()
            value = _centred(best.image)
            n_since_best = 0
    return ValueIterationResult(
        value=best.image + scale * best.middle,
        n_iterations=n_iterations,
        bound=bound,
        converged=bound <= convergence_threshold,
    )


def anderson_memory(value_bytes: int) -> int:
    """Return how many differences the acceleration keeps, for values of a size; each takes two arrays."""
    return max(ANDERSON_MIN_MEMORY, min(ANDERSON_MEMORY, ANDERSON_BYTES // (2 * max(value_bytes, 1))))


@dataclass(frozen=True, slots=True, eq=False)
class _Bracket:
    """An image BV with the smallest and the largest entry of BV - V."""

    image: Values
    low: float
    high: float

    @property
    def span(self) -> float:
        return self.high - self.low

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


def _centred(value: Values) -> Values:
    """Shift a value to midrange 0, where rounding errors are smallest."""
    return value - (float(value.min()) + float(value.max())) / 2


@dataclass(slots=True)
class AndersonMixer:
    """Anderson mixing (type II) of the last few iterates of a fixed-point map.

    Parameters
    ----------
    memory : int
        Number of differences that are kept; two arrays each.
    """

    memory: int
    _images: list[Values] = field(default_factory=list)
    _residuals: list[Values] = field(default_factory=list)
    _products: Values = field(default_factory=lambda: np.zeros((0, 0)))
    _last: tuple[Values, Values] | None = None

    def clear(self) -> None:
        """Forget every earlier iterate."""
        self._images, self._residuals, self._products, self._last = [], [], np.zeros((0, 0)), None

    def mix(self, image: Values, residual: Values) -> Values:
        """Return the point whose linearised residual is smallest.

        Parameters
        ----------
        image, residual : ndarray
            B(V), and B(V) - V modulo constants, of the newest iterate.
        """
        if self._last is not None:
            last_image, last_residual = self._last
            self._add(image - last_image, residual - last_residual)
        self._last = (image, residual)
        if not self._images:
            return image
        against = np.array([np.vdot(difference, residual) for difference in self._residuals])
        if not (np.isfinite(self._products).all() and np.isfinite(against).all()):
            return image  # squares overflow far from the solution, where the plain step does
        weights = np.linalg.lstsq(self._products, against, rcond=RELATIVE_CUTOFF)[0]
        mixed = image.copy()
        for weight, difference in zip(weights, self._images, strict=True):
            mixed -= weight * difference
        return mixed

    def _add(self, image_difference: Values, residual_difference: Values) -> None:
        """Keep one more difference, and its products with the others."""
        if len(self._images) == self.memory:
            del self._images[0], self._residuals[0]
            self._products = self._products[1:, 1:]
        self._images.append(image_difference)
        self._residuals.append(residual_difference)
        newest = np.array([np.vdot(difference, residual_difference) for difference in self._residuals])
        self._products = np.pad(self._products, (0, 1))
        self._products[-1, :] = self._products[:, -1] = newest
