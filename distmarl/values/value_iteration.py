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
For the same reason B need not be more precise than a small part of the span, as long as it says by how much it is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.model.arrays import EPSILON, Array

# Takes V and the error that B(V) may have; returns B(V) and the largest rounding error of the expectation inside.
Bellman: TypeAlias = Callable[[Array, float], tuple[Array, float]]

# So many sweeps at most where nobody says otherwise: there the certificate decides.
MAX_ITERATIONS = 10_000
TIE_TOLERANCE = 1e-12
# Differences kept by the acceleration: ten, or as many as hold this many numbers, but three at least.
ANDERSON_MEMORY = 10
ANDERSON_MIN_MEMORY = 3
ANDERSON_NUMBERS = 3 * 2**23
CHUNK = 2**13
# Differences of larger values are kept in single precision: they are directions, and need no more.
SINGLE_FROM_SIZE = 2**15
# Mixing starts afresh after so many sweeps without a narrower bracket, or when one is so many times as wide as that:
# with less patience, values that are left slowly take up to four times as many sweeps.
PATIENCE, GROWTH_LIMIT = 15, 10.0
# Of the narrowest span so far: an error of B that hardly slows mixing down, but where gamma is next to 1.
ERROR_SHARE = 0.01
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

    value: Array
    n_iterations: int
    bound: float
    converged: bool


def in_double(bellman: Callable[[Array], Array], relative_error: float, reward_error: float = 0.0) -> Bellman:
    """Return an operator that is always as precise as it can be.

    Parameters
    ----------
    bellman : callable
        The operator B; takes and returns arrays of a shape.
    relative_error : float
        Rounding error of the expectation inside B, per unit of max |V|.
    reward_error : float
        Rounding error of the rewards inside B.
    """
    return lambda value, _allowed_error: (bellman(value), relative_error * largest(value) + reward_error)


def largest(values: Array) -> float:
    """Return the largest magnitude of some values."""
    return max(float(values.max()), -float(values.min()))


def iterate_values(
    bellman: Bellman,
    initial_value: Array,
    *,
    gamma: float,
    convergence_threshold: float,
    max_iterations: int,
) -> ValueIterationResult:
    """Solve V = B(V) to a certified bound.

    Parameters
    ----------
    bellman : callable
        The operator B, on arrays of the shape of ``initial_value``, with what it may be off by, and is; see
        :func:`in_double`.
    initial_value : ndarray
        Where to start; any finite values will do.
    gamma : float
        Discount, 0 <= gamma < 1.
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
    value = centred(np.asarray(initial_value, dtype=np.float64))
    mixer = AndersonMixer(value.shape)
    best = _Bracket(image=value, low=0.0, high=math.inf, rounding=math.inf)
    bound, n_since_best, n_iterations = math.inf, 0, 0
    while n_iterations < max_iterations:
        n_iterations += 1
        allowed_error = ERROR_SHARE * best.span
        image, error = bellman(value, allowed_error)
        residual = image - value
        largest_image = largest(image)
        rounding = error + EPSILON * largest_image
        bracket = _Bracket(image, float(residual.min()), float(residual.max()), rounding)
        n_since_best += 1
        if bracket.half_width < best.half_width:
            best, n_since_best = bracket, 0
            bound = scale * bracket.half_width
            bound += 4 * EPSILON * (largest_image + scale * abs(bracket.middle))
        if bound <= convergence_threshold or (best.span <= 2 * rounding and rounding > 2 * allowed_error):
            break
        if bracket.span < GROWTH_LIMIT * best.span and n_since_best < PATIENCE:
            residual -= bracket.middle
            value = centred(mixer.mix(image, residual))
        else:
            mixer.clear()
            value = centred(best.image)
            n_since_best = 0
    return ValueIterationResult(
        value=best.image + scale * best.middle,
        n_iterations=n_iterations,
        bound=bound,
        converged=bound <= convergence_threshold,
    )


def backward_induction(
    bellman: Callable[[Array], Array],
    shape: tuple[int, ...],
    *,
    gamma: float,
    relative_error: float,
    reward_error: float,
) -> Iterator[tuple[Array, float]]:
    """Yield B^h(0) for h = 1, 2, ..., the optimum of h steps, each with the certified error of its rounding.

    Parameters
    ----------
    bellman : callable
        The operator B; takes and returns arrays of a shape.
    gamma : float
        Discount, 0 <= gamma < 1.
    relative_error : float
        Rounding error of the expectation inside B, per unit of max |V|.
    shape : tuple of int
        Shape of the values.
    reward_error : float
        Rounding error of the rewards inside B.
    """
    value, offset, bound = np.zeros(shape), 0.0, 0.0
    while True:
        image = bellman(value)
        low, high = float(image.min()), float(image.max())
        bound = gamma * (bound + relative_error * largest(value)) + reward_error
        # The part that is the same everywhere is kept aside: it is not for B to round.
        value, offset = image - (low + high) / 2, (low + high) / 2 + gamma * offset
        bound += 4 * EPSILON * (max(-low, high) + abs(offset))
        yield value + offset, bound


@dataclass(frozen=True, slots=True, eq=False)
class _Bracket:
    """An image BV with the smallest and the largest entry of BV - V, and by how much all may be off."""

    image: Array
    low: float
    high: float
    rounding: float

    @property
    def span(self) -> float:
        return self.high - self.low

    @property
    def half_width(self) -> float:
        return self.span / 2 + self.rounding

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


def centred(value: Array) -> Array:
    """Shift a value to midrange 0, where rounding errors are smallest."""
    return value - (float(value.min()) + float(value.max())) / 2


def greedy_actions(q: Array, *, bound: float, axis: int) -> NDArray[np.intp]:
    """Return the lowest of the actions along ``axis`` whose Q is the best within the certified error of the value."""
    tolerance = 2 * bound + TIE_TOLERANCE * float(np.abs(q).max())
    return np.argmax(q >= q.max(axis=axis, keepdims=True) - tolerance, axis=axis)


def anderson_bytes(n_values: int) -> int:
    """Return the memory that the acceleration takes, for values of a size."""
    n_kept, dtype = _kept_differences(n_values)
    return 2 * n_kept * n_values * dtype.itemsize


def _kept_differences(n_values: int) -> tuple[int, np.dtype[Any]]:
    """Return how many differences are kept, and in which precision: less of both for large values."""
    n_kept = max(ANDERSON_MIN_MEMORY, min(ANDERSON_MEMORY, ANDERSON_NUMBERS // (2 * max(n_values, 1))))
    return n_kept, np.dtype(np.float64 if n_values < SINGLE_FROM_SIZE else np.float32)


class AndersonMixer:
    """Anderson mixing (type II) of the last few iterates of a fixed-point map.

    Parameters
    ----------
    shape : tuple of int
        Shape of the values.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        size = math.prod(shape)
        self._memory, dtype = _kept_differences(size)
        self._images = np.empty((self._memory, size), dtype)
        self._residuals = np.empty((self._memory, size), dtype)
        self.clear()

    def clear(self) -> None:
        """Forget every earlier iterate."""
        self._n_kept, self._next = 0, 0
        self._products = np.zeros((self._memory, self._memory))
        self._last: tuple[Array, Array] | None = None

    def mix(self, image: Array, residual: Array) -> Array:
        """Return the point whose linearised residual is smallest.

        Parameters
        ----------
        image, residual : ndarray
            B(V), and B(V) - V modulo constants, of the newest iterate.
        """
        # Far from the solution squares overflow; then the plain step does.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._last is not None:
                self._add(image, residual, *self._last)
            self._last = (image, residual)
            kept = slice(0, self._n_kept)
            against = self._products_with(residual)
            products = self._products[kept, kept]
        if not self._n_kept or not (np.isfinite(products).all() and np.isfinite(against).all()):
            return image
        weights = np.linalg.lstsq(products, against, rcond=RELATIVE_CUTOFF)[0]
        mixed = image.copy().ravel()
        weights = weights.astype(self._images.dtype)
        for start in range(0, mixed.size, CHUNK):
            chunk = slice(start, start + CHUNK)
            mixed[chunk] -= weights @ self._images[kept, chunk]
        return mixed.reshape(image.shape)

    def _add(self, image: Array, residual: Array, last_image: Array, last_residual: Array) -> None:
        """Keep the difference of two iterates, and its products with the others, in place of the oldest."""
        place = self._next
        self._next = (self._next + 1) % self._memory
        self._n_kept = min(self._n_kept + 1, self._memory)
        for kept, new, last in ((self._images, image, last_image), (self._residuals, residual, last_residual)):
            np.subtract(new.ravel(), last.ravel(), out=kept[place], casting="same_kind")
        self._products[place, : self._n_kept] = self._products_with(self._residuals[place])
        self._products[: self._n_kept, place] = self._products[place, : self._n_kept]

    def _products_with(self, residual: Array) -> Array:
        """Return the inner products of the kept residual differences with one, in double precision."""
        flat = residual.ravel()
        total = np.zeros(self._n_kept)
        for start in range(0, flat.size, CHUNK):
            chunk = slice(start, start + CHUNK)
            total += self._residuals[: self._n_kept, chunk].astype(np.float64) @ flat[chunk].astype(np.float64)
        return total
