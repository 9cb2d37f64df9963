"""Writing any kernel as one-way moves, of which it takes two for each pair of states.

With its rows and columns permuted, a kernel is a product of a lower and an upper triangular one, both
with rows that sum to 1 (Gaussian elimination; the row sums of the upper factor are moved into the lower one).
A triangular row is a sequence of moves, each with its share of what is left in the source.

The factors may have entries outside [0, 1]; the order of rows and columns decides how much precision that costs. Some
order is nearly always harmless; the best one is chosen.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.transitions.blocks import by_blocks
from distmarl.dynamics.transitions.moves import Factorization, Move, as_factorization, once_for_each
from distmarl.model.arrays import Array, Ints

# Orders of rows and of columns, (..., 2, L).
Orders = Ints

# Up to here all orders of rows and columns are tried, (L!)^2 of them.
MAX_EXHAUSTIVE_STATES = 5
N_FINALISTS = 32
MAX_CLIMBS = 50
HARMLESS = 1.0 + 1e-9
# Entries of a factor below this are rounding errors of the elimination, and are dropped.
NEGLIGIBLE = 1e-14


@once_for_each
@by_blocks
def factor_kernel(kernel: Array) -> Factorization:
    """Return the one-way moves of a kernel, (L, L), whose rounding errors grow least."""
    n_states = len(kernel)
    natural = np.arange(n_states)
    best = _factor_in_order(kernel, natural, natural)
    if best.amplification <= HARMLESS:
        return best
    if n_states <= MAX_EXHAUSTIVE_STATES:
        permutations = np.array(list(itertools.permutations(range(n_states))))
        pairs = np.array(list(itertools.product(range(len(permutations)), repeat=2)))
        orders = permutations[pairs]
    else:
        orders = _climb(kernel, [np.stack([natural, natural]), _pivot_order(kernel)])
    finalists = orders[np.argsort(_norms(kernel, orders), kind="stable")[:N_FINALISTS]]
    candidates = [best, *(_factor_in_order(kernel, rows, columns) for rows, columns in finalists)]
    return min(candidates, key=lambda candidate: candidate.amplification)


def _climb(kernel: Array, starts: list[Orders]) -> Orders:
    """Return orders of rows and columns, improved by swapping two rows or two columns at a time; (N, 2, L)."""
    n_states = len(kernel)
    swaps = []
    for i, j in itertools.combinations(range(n_states), 2):
        swap = np.arange(n_states)
        swap[[i, j]] = j, i
        swaps.append(swap)
    best = np.stack(starts)
    for _ in range(MAX_CLIMBS):
        neighbours = [best]
        for swap in swaps:
            neighbours.append(np.stack([best[:, 0][:, swap], best[:, 1]], axis=1))
            neighbours.append(np.stack([best[:, 0], best[:, 1][:, swap]], axis=1))
        candidates = np.unique(np.concatenate(neighbours), axis=0)
        chosen = candidates[np.argsort(_norms(kernel, candidates), kind="stable")[:N_FINALISTS]]
        if chosen.shape == best.shape and (chosen == best).all():
            break
        best = chosen
    return best


def _pivot_order(kernel: Array) -> Orders:
    """Return rows and columns in the order of complete pivoting, (2, L)."""
    rest = kernel.copy()
    rows, columns = list(range(len(kernel))), list(range(len(kernel)))
    for step in range(len(kernel)):
        part = np.abs(rest[np.ix_(rows[step:], columns[step:])])
        row, column = np.unravel_index(int(part.argmax()), part.shape)
        rows[step], rows[step + row] = rows[step + row], rows[step]
        columns[step], columns[step + column] = columns[step + column], columns[step]
        pivot = rest[rows[step], columns[step]]
        if abs(pivot) <= NEGLIGIBLE:
            break
        below = rows[step + 1 :]
        rest[below] -= np.outer(rest[below, columns[step]] / pivot, rest[rows[step]])
    return np.array([rows, columns])


def _norms(kernel: Array, orders: Orders) -> Array:
    """Return || |A| |B| ||_inf of the triangular factors in each order; infinite where there are none."""
    lower, upper, exists = _triangular_factors(kernel[orders[:, 0, :, None], orders[:, 1, None, :]])
    norms = (np.abs(lower) @ np.abs(upper)).sum(axis=-1).max(axis=-1)
    return np.where(exists, norms, np.inf)


def _triangular_factors(matrices: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Factor matrices (N, L, L) into lower and upper triangular ones whose rows sum to 1, if there are such."""
    n_states = matrices.shape[-1]
    lower, upper = np.zeros_like(matrices) + np.eye(n_states), matrices.copy()
    exists = np.ones(len(matrices), dtype=bool)
    for step in range(n_states - 1):
        pivot, below = upper[:, step, step], upper[:, step + 1 :, step].copy()
        is_zero = np.abs(pivot) <= NEGLIGIBLE
        exists &= ~(is_zero & (np.abs(below) > NEGLIGIBLE).any(axis=1))
        lower[:, step + 1 :, step] = np.where(is_zero[:, None], 0.0, below / np.where(is_zero, 1.0, pivot)[:, None])
        upper[:, step + 1 :] -= lower[:, step + 1 :, step, None] * upper[:, step, None, :]
        upper[:, step + 1 :, step] = 0.0
        upper[np.abs(upper) <= NEGLIGIBLE] = 0.0
    sums = upper.sum(axis=-1)
    # Nobody is in a state whose upper row is empty: such a row may be anything, so nobody moves from it.
    is_empty = (upper == 0).all(axis=-1)
    exists &= (is_empty | (np.abs(sums) > NEGLIGIBLE)).all(axis=-1)
    scale = np.where(is_empty | (np.abs(sums) <= NEGLIGIBLE), 1.0, sums)
    upper = np.where(is_empty[..., None], np.eye(n_states), upper / scale[..., None])
    return lower * np.where(is_empty, 0.0, sums)[:, None, :], upper, exists


def _factor_in_order(kernel: Array, rows: Ints, columns: Ints) -> Factorization:
    """Factor a kernel with its rows and columns in the given order.

    State ``rows[i]`` keeps its name between the factors; after both it is renamed ``columns[i]``.
    """
    lower, upper, exists = _triangular_factors(kernel[np.ix_(rows, columns)][None])
    n_states = len(kernel)
    renamed = np.empty(n_states, dtype=np.int64)
    renamed[rows] = columns
    moves: list[Move] | None = []
    if exists[0]:
        # Sources in an order in which nobody who has moved moves again within the same factor.
        sources = [(lower[0], i) for i in range(1, n_states)] + [(upper[0], i) for i in range(n_states - 2, -1, -1)]
        for factor, i in sources:
            row_moves = _moves_of_row(factor[i], i)
            if moves is None or row_moves is None:
                moves = None
                break
            moves += [Move(int(rows[i]), int(rows[j]), q) for j, q in row_moves]
    if not exists[0] or moves is None:
        return Factorization((), tuple(renamed.tolist()), np.inf, np.inf, np.inf, np.inf)
    return as_factorization(moves, kernel, renamed.tolist())


def _moves_of_row(row: Array, source: int) -> list[tuple[int, float]] | None:
    """Return a row as successive moves (target, q), or None when what is left vanishes too early.

    Negative entries come first: they make what is left larger, and what is left is divided by. The others
    come in an order that leaves most count vectors close to where they were (found by timing).
    """
    left = 1.0
    moves = []
    targets = [int(j) for j in np.flatnonzero(row) if j != source]
    for target in sorted(targets, key=lambda j: (row[j] > 0, float(row[j]) if row[j] < 0 else -j)):
        if abs(left) <= NEGLIGIBLE:
            if abs(row[target]) > NEGLIGIBLE:
                return None
            continue
        q = float(row[target]) / left
        if abs(1.0 - q) <= NEGLIGIBLE:
            q = 1.0
        moves.append((target, q))
        left -= float(row[target])
    return moves
