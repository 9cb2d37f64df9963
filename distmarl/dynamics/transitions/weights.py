"""The powers of moves, as matrices along the fibres z_i + z_j = s of their two states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from distmarl.dynamics.transitions.moves import SMALLEST_SINGLE_WEIGHT, Move
from distmarl.model.arrays import Array
from distmarl.model.counts import n_count_vectors

# The weights of two-way moves take at most this for a kernel, or that many times what a value takes.
SMALL_WEIGHTS_BYTES, MAX_WEIGHTS_PER_VALUE = 4 * 2**20, 4


def weights_of(moves: Sequence[Move], k: int, dtype: DTypeLike = np.float64) -> list[list[Array]]:
    """Return the powers of moves on their fibres, a list for each move with a matrix for each length 0 .. k.

    The matrix of a length s is (s + 1, s + 1); its row ``a`` is z_i = a, where i is the lower of the two states.
    """
    if any(move.back for move in moves):
        return _two_way_weights(moves, k, dtype)
    return [_one_way_weights(move, k, dtype) for move in moves]


def _one_way_weights(move: Move, k: int, dtype: DTypeLike) -> list[Array]:
    """Return the powers of a one-way move: parts of one triangular table, for fibres of all lengths."""
    table = np.zeros((k + 1, k + 1))  # W[z, z - m] = Binomial(z, q)(m), where z agents are in the source
    table[0, 0] = 1.0
    for z in range(k):
        table[z + 1, : z + 1] = move.q * table[z, : z + 1]
        table[z + 1, 1 : z + 2] += (1.0 - move.q) * table[z, : z + 1]
    table = _in_precision(table, dtype)
    if move.source < move.target:
        return [table[: length + 1, : length + 1] for length in range(k + 1)]
    # Seen from the upper state z_j = length - z_i: both axes run backwards.
    table = np.ascontiguousarray(table[::-1, ::-1])
    return [table[-length - 1 :, -length - 1 :] for length in range(k + 1)]


def _two_way_weights(moves: Sequence[Move], k: int, dtype: DTypeLike) -> list[list[Array]]:
    """Return the powers of two-way moves.

    Fibres grow by one agent: in row 0 by one that is in the upper state, in the others by one in the lower state.
    """
    up, down = np.array([move.upwards for move in moves]).reshape(-1, 2, 1, 1).swapaxes(0, 1)
    weights = np.ones((len(moves), 1, 1))
    by_length = [_in_precision(weights, dtype)]
    for length in range(1, k + 1):
        shorter, weights = weights, np.zeros((len(moves), length + 1, length + 1))
        weights[:, 1:, :-1] = up * shorter
        weights[:, 1:, 1:] += (1.0 - up) * shorter
        weights[:, :1, :-1] = (1.0 - down) * shorter[:, :1]
        weights[:, :1, 1:] += down * shorter[:, :1]
        by_length.append(_in_precision(weights, dtype))
    return [list(of_a_move) for of_a_move in zip(*by_length, strict=True)]


def _in_precision(weights: Array, dtype: DTypeLike) -> Array:
    """Return weights as numbers of a type; single precision would be slow with the smallest of them."""
    if dtype == np.float32:
        weights = np.where(np.abs(weights) < SMALLEST_SINGLE_WEIGHT, 0.0, weights)
    return weights.astype(dtype, copy=False)


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
