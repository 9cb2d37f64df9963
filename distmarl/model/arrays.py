"""The names of arrays in annotations, and how precise their numbers are."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
# pi_g over the count vectors of k agents: actions (G, C), integers of any size, or their distributions (G, C, A_g).
GlobalPolicy: TypeAlias = NDArray[np.integer] | Array
AnyArray = TypeVar("AnyArray", bound=NDArray[Any])

EPSILON = float(np.finfo(np.float64).eps)


# Rows of probabilities may miss a sum of 1 by this, or, in single precision, by so many roundings of an entry.
ROW_SUM_TOLERANCE = 1e-9
SINGLE_EPSILON = float(np.finfo(np.float32).eps)
# A sum that is off by less than this is that of numbers which have been in single precision.
LOOKS_SINGLE = 1e-5


def real_array(value: Any) -> tuple[Array, float]:
    """Return an array of real numbers in double precision, copied if need be, and how far rows may miss a sum of 1.

    Raises
    ------
    TypeError, ValueError
        Saying what it is instead: texts, complex numbers, or lists of different lengths.
    """
    try:
        given = np.asarray(value)
    except ValueError:
        raise ValueError("lists of different lengths") from None
    is_real = given.dtype.kind in "biuf"
    if not is_real and not (given.dtype.kind == "O" and all(isinstance(each, (Real, Decimal)) for each in given.flat)):
        raise TypeError(_entries_of(given, value))
    n_columns = given.shape[-1] if given.ndim else 1
    try:
        array = np.asarray(given, dtype=np.float64, order="C")
    except OverflowError:
        raise ValueError("a number that is too large") from None
    return array, max(ROW_SUM_TOLERANCE, SINGLE_EPSILON * n_columns if given.dtype == np.float32 else 0.0)


def remedy_of(miss: float) -> str:
    """Return what to do about rows that miss a sum of 1 by so much."""
    return "; divide each row by its sum, in double precision" if miss < LOOKS_SINGLE else ""


def _entries_of(array: NDArray[Any], value: Any) -> str:
    """Return what an array holds that are no real numbers."""
    if not array.ndim:
        return type(value).__name__
    kinds = {"c": "complex numbers", "U": "text", "S": "text"}
    return kinds.get(array.dtype.kind) or f"an array of {array.dtype}"


def read_only(array: AnyArray) -> AnyArray:
    """Make an array read-only and return it."""
    array.flags.writeable = False
    return array
