"""The powers of moves, as matrices along the fibres z_i + z_j = s of their two states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distmarl.dynamics.transitions.moves import Move
from distmarl.model.arrays import Array
from distmarl.model.counts import n_count_vectors

# The weights of two-way moves take at most this for a kernel, or that many times what a value takes.
SMALL_WEIGHTS_BYTES, MAX_WEIGHTS_PER_VALUE = 4 * 2**20, 4


class OneWayWeights:
    """The powers of one-way moves on their fibres: one triangular table for each move, for fibres of all lengths.

    Row ``a`` of a matrix is z_i = a, where i is the lower of the two states.
    """

    def __init__(self, moves: Sequence[Move], k: int) -> None:
        self._starts_low = [move.source < move.target for move in moves]
        tables = (_binomial_weights(move.q, k) for move in moves)
        # Seen from the upper state z_j = length - z_i: both axes run backwards.
        self._tables = [
            table if starts_low else np.ascontiguousarray(table[::-1, ::-1])
            for table, starts_low in zip(tables, self._starts_low, strict=True)
        ]

    def matrix(self, number: int, length: int) -> Array:
        """Return the weights of a move on fibres with z_i + z_j = length, (length + 1, length + 1)."""
        table = self._tables[number]
        return table[: length + 1, : length + 1] if self._starts_low[number] else table[-length - 1 :, -length - 1 :]


def _binomial_weights(q: float, k: int) -> Array:
    """Return W[z, z - m] = Binomial(z, q)(m), a lower triangular matrix (k + 1, k + 1)."""
    weights = np.zeros((k + 1, k + 1))
    weights[0, 0] = 1.0
    for z in range(k):
        weights[z + 1, : z + 1] = q * weights[z, : z + 1]
        weights[z + 1, 1 : z + 2] += (1.0 - q) * weights[z, : z + 1]
    return weights


class TwoWayWeights:
    """The powers of two-way moves on their fibres: a matrix for each move and length, (T, length + 1, length + 1).

    Fibres grow by one agent: in row 0 by one that is in the upper state, in the others by one in the lower state.
    """

    def __init__(self, moves: Sequence[Move], k: int) -> None:
        up, down = np.array([move.upwards for move in moves]).reshape(-1, 2, 1, 1).swapaxes(0, 1)
        self._by_length = [np.ones((len(moves), 1, 1))]
        for length in range(1, k + 1):
            shorter = self._by_length[-1]
            weights = np.zeros((len(moves), length + 1, length + 1))
            weights[:, 1:, :-1] = up * shorter
            weights[:, 1:, 1:] += (1.0 - up) * shorter
            weights[:, :1, :-1] = (1.0 - down) * shorter[:, :1]
            weights[:, :1, 1:] += down * shorter[:, :1]
            self._by_length.append(weights)

    def matrix(self, number: int, length: int) -> Array:
        """Return the weights of a move on fibres with z_i + z_j = length, (length + 1, length + 1)."""
        matrix: Array = self._by_length[length][number]
        return matrix


def has_room_for_two_ways(k: int, n_states: int) -> bool:
    """Return whether the weights of two-way moves are small beside values: with few states, these are few."""
    most = max(SMALL_WEIGHTS_BYTES, MAX_WEIGHTS_PER_VALUE * 8 * n_count_vectors(k, n_states))
    return _two_way_bytes(k, n_states) <= most


def weights_bytes(k: int, n_states: int) -> int:
    """Return how much memory the weights of a kernel take at most, in bytes."""
    if has_room_for_two_ways(k, n_states):
        return _two_way_bytes(k, n_states)
    return 8 * (k + 1) ** 2 * n_states * (n_states - 1)


def _two_way_bytes(k: int, n_states: int) -> int:
    return 8 * (k + 1) * (k + 2) * (2 * k + 3) // 6 * n_states * (n_states - 1) // 2
