"""A line cut into cells: what moves and starts become on it, and which cells a coarser observer tells apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import Array, Ints, real_array
from distmarl.model.checks import checked_integer, checked_number

# Less mass than this in a cell counts for none, so that a move has few successors.
NO_MASS = 1e-12
ROOT_OF_TWO_PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Grid:
    """An interval cut into equal cells, each of which stands for the number at its centre.

    Parameters
    ----------
    low, high : float
        Ends of the interval; numbers beyond them are clipped to them.
    n_cells : int
        How many cells there are.

    Raises
    ------
    InvalidArgumentError
        When there is no cell, or the ends are not finite and in order.

    Notes
    -----
    :meth:`normal` keeps the mean and the standard deviation of a move, as Markov chains that approximate continuous
    processes should (Kushner and Dupuis, Numerical Methods for Stochastic Control Problems in Continuous Time, 1992:
    local consistency). The mass that the distribution function gives to each cell would have a variance that is
    too large by width² / 12; were the number that moves spread over its cell as well, by width² / 6: of the
    coordinator's noise in ``warehouse``, whose 25 cells are 0.16 wide, by two thirds, in each step again.

    Examples
    --------
    >>> import distmarl as dm
    >>> line = dm.Grid(-2, 2, 5)
    >>> line.centres.round(1)
    array([-1.6, -0.8,  0. ,  0.8,  1.6])
    >>> line.cell([-0.5, 0.1, 7.0])
    array([1, 2, 4])
    >>> move = line.normal(0.2, 0.4)
    >>> move.round(3)
    array([0.   , 0.031, 0.689, 0.28 , 0.   ])
    >>> float((move @ line.centres).round(9))
    0.2
    """

    low: float
    high: float
    n_cells: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_cells", checked_integer("n_cells", self.n_cells))
        low, high = checked_number("low", self.low), checked_number("high", self.high)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InvalidArgumentError(f"low, high: must be finite, and low less than high, got {low!r} and {high!r}")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def width(self) -> float:
        """Width of a cell."""
        return (self.high - self.low) / self.n_cells

    @property
    def centres(self) -> Array:
        """Centres of the cells, shape (n_cells,)."""
        # Weighed from both ends, so that a grid about 0 is the same when it is mirrored.
        upper = 2 * np.arange(self.n_cells) + 1
        return (self.low * upper[::-1] + self.high * upper) / (2 * self.n_cells)

    def cell(self, numbers: ArrayLike) -> Ints:
        """Return the cell that each number is in; numbers beyond the ends are in the cells at the ends.

        Raises
        ------
        InvalidArgumentError
            When one of them is no number.
        """
        values = _numbers("numbers", numbers)
        places = (np.clip(values, self.low, self.high) - self.low) / self.width
        return np.minimum(places.astype(np.int64), self.n_cells - 1)

    def normal(self, mean: ArrayLike, std: ArrayLike) -> Array:
        """Return the mass of normally distributed numbers in each cell; what is beyond an end is in the cell there.

        Parameters
        ----------
        mean, std : array_like, shape (...)
            Means and standard deviations; 0 for a number that is certain.

        Returns
        -------
        ndarray, shape (..., n_cells)
            Distributions, each of its mean; and of its standard deviation, within a few percent where that is at
            least half the width. What is narrower has the mean alone, from the two centres beside it.

        Raises
        ------
        InvalidArgumentError
            When a mean is not finite, or a standard deviation is negative or not finite.
        """
        from scipy.special import ndtr  # takes a moment, which importing distmarl need not wait for

        mean, std = _means_and_stds(mean, std)
        # Every number is shared by the two centres beside it, so that its mean stays. That adds width² / 6 to the
        # variance, which is taken off before.
        spread = np.sqrt(np.maximum(std**2 - self.width**2 / 6, 0.0))[..., None]
        above = self.centres - mean[..., None]
        scaled = np.divide(above, spread, out=np.zeros_like(above), where=spread > 0)
        # By how much each centre exceeds the number, if it does, in the mean.
        excess = np.where(
            spread > 0,
            above * ndtr(scaled) + spread * np.exp(-(scaled**2) / 2) / ROOT_OF_TWO_PI,
            np.maximum(above, 0.0),
        )
        below = np.diff(excess, axis=-1) / self.width
        ends = np.zeros((*mean.shape, 1))
        mass = np.diff(np.concatenate([ends, below, ends + 1.0], axis=-1), axis=-1)
        mass = np.where(mass < NO_MASS, 0.0, mass)
        return mass / mass.sum(axis=-1, keepdims=True)

    def beyond(self, mean: ArrayLike, std: ArrayLike) -> Array:
        """Return the mass of normally distributed numbers beyond the ends, which is clipped; shapes as in normal."""
        from scipy.special import ndtr

        mean, std = _means_and_stds(mean, std)
        outside = np.stack([self.low - mean, mean - self.high])
        scaled = np.divide(outside, std, out=np.where(outside > 0, np.inf, -np.inf), where=std > 0)
        return ndtr(scaled).sum(axis=0)

    def uniform(self, low: float, high: float) -> Array:
        """Return the mass of uniformly distributed numbers in each cell, shape (n_cells,).

        Raises
        ------
        InvalidArgumentError
            When the numbers are not on the grid, or their ends not in order.
        """
        low, high = checked_number("low", low), checked_number("high", high)
        if not self.low <= low < high <= self.high:
            raise InvalidArgumentError(
                f"low, high: must be in order and on the grid, from {self.low} to {self.high}, got {low!r} and {high!r}"
            )
        edges = np.linspace(self.low, self.high, self.n_cells + 1)
        return np.diff(np.clip(edges, low, high)) / (high - low)

    def classes(self, n_classes: int) -> Ints:
        """Return the class of each cell, shape (n_cells,), for an observer who sees so many equal bins.

        Cells across the edge of a bin are in the bin of their centre; there are none where ``n_classes`` divides
        ``n_cells``.

        Raises
        ------
        InvalidArgumentError
            When there are more classes than cells, or none.
        """
        n_classes = checked_integer("n_classes", n_classes)
        if n_classes > self.n_cells:
            raise InvalidArgumentError(f"n_classes: must be at most n_cells ({self.n_cells}), got {n_classes}")
        return (2 * np.arange(self.n_cells) + 1) * n_classes // (2 * self.n_cells)


def _numbers(name: str, values: ArrayLike) -> Array:
    try:
        array, _ = real_array(values)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: must be numbers, got {error}") from error
    if np.isnan(array).any():
        raise InvalidArgumentError(f"{name}: must be numbers, got {shown(math.nan)}")
    return array


def _means_and_stds(mean: ArrayLike, std: ArrayLike) -> tuple[Array, Array]:
    means, stds = _numbers("mean", mean), _numbers("std", std)
    if not np.isfinite(means).all():
        raise InvalidArgumentError(f"mean: must be finite, got {shown(float(means[~np.isfinite(means)][0]))}")
    wrong = ~(np.isfinite(stds) & (stds >= 0))
    if wrong.any():
        raise InvalidArgumentError(f"std: must be finite and 0 or more, got {shown(float(stds[wrong][0]))}")
    both = np.broadcast_arrays(means, stds)
    return both[0], both[1]
