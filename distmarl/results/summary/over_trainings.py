"""What several trainings have in common: the mean of a number over them, with its interval, and their median."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distmarl.values.intervals import MeanEstimate, estimate_mean


@dataclass(frozen=True, slots=True, eq=False)
class OverTrainings:
    """A number at several subsample sizes, over the trainings.

    Attributes
    ----------
    each : ndarray, shape (sizes, trainings)
        The number; NaN where a training has none.
    mean, low, high, median : ndarray, shape (sizes,)
        Its mean, the ends of the mean's 95 % interval (Student's t over the trainings; NaN of a single one), and its
        median.
    """

    each: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    median: NDArray[np.float64]


def over_trainings(each: NDArray[np.float64]) -> OverTrainings:
    """Return what the trainings have in common.

    Parameters
    ----------
    each : ndarray, shape (sizes, trainings)
        A number of each training; NaN where it has none.
    """
    known = [row[np.isfinite(row)] for row in each]
    nothing = MeanEstimate(0, np.nan, np.nan, np.nan, np.nan)
    found: Sequence[MeanEstimate] = [estimate_mean(row) if len(row) else nothing for row in known]
    mean, low, high = (np.array([getattr(one, name) for one in found]) for name in ("mean", "ci95_low", "ci95_high"))
    median = np.array([np.median(row) if len(row) else np.nan for row in known])
    return OverTrainings(each, mean, low, high, median)
