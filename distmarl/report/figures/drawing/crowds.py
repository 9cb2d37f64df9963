"""What a global policy does as the crowd in the most populated state grows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from distmarl.model.counts import count_vectors

Ints = NDArray[np.int64]


def crowd_actions(actions: Ints, k: int, n_states: int) -> Ints:
    """Count the global actions by the most populated state and how many agents are in it.

    Parameters
    ----------
    actions : ndarray of int, shape (G, C)
        A global policy over the count vectors of ``k`` agents in lexicographic order.
    k, n_states : int
        Number of agents seen, and L.

    Returns
    -------
    ndarray of int, shape (G, L, k + 1, A)
        How many count vectors have their single largest entry, of that size, at that state, and that action.
    """
    leader, leading = leaders(k, n_states)
    has_leader = leader >= 0
    n_actions = int(actions.max()) + 1
    shape = (n_states, k + 1, n_actions)
    counts = np.zeros((len(actions), math.prod(shape)), dtype=np.int64)
    for s_g, row in enumerate(actions):
        cells = np.ravel_multi_index((leader[has_leader], leading[has_leader], row[has_leader]), shape)
        counts[s_g] = np.bincount(cells, minlength=math.prod(shape))
    return counts.reshape(len(actions), *shape)


def leaders(k: int, n_states: int) -> tuple[Ints, Ints]:
    """Return the state of the single largest entry of each count vector, -1 where several tie, and its size.

    The count vectors of k agents are in lexicographic order; each array has shape (C,).
    """
    vectors = count_vectors(k, n_states)
    leading = vectors.max(axis=1)
    is_single = (vectors == leading[:, None]).sum(axis=1) == 1
    return np.where(is_single, vectors.argmax(axis=1), -1), leading
