"""The names of arrays in annotations, and how precise their numbers are."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
# pi_g over the count vectors of k agents, (G, C): integers of any size.
GlobalPolicy: TypeAlias = NDArray[np.integer]
Scalar = TypeVar("Scalar", bound=np.generic)

EPSILON = float(np.finfo(np.float64).eps)


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Make an array read-only and return it."""
    array.flags.writeable = False
    return array
