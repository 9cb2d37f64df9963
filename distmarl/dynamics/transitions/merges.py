"""Writing a kernel as two-way moves: each pair of states once, half as many moves as triangular factors have.

With the pairs in lexicographic order, L(L - 1) probabilities, two for each pair, are to make up the L(L - 1) free
entries of the kernel. They solve

    M_{01} M_{02} ... M_{L-2,L-1} = kernel

by Newton's method from the kernel's own entries. For kernels under which agents mostly stay there is such a solution
with probabilities within [0, 1]; for others there may be none.
"""

from __future__ import annotations

import itertools

import numpy as np

from distmarl.dynamics.transitions.blocks import by_blocks
from distmarl.dynamics.transitions.moves import Factorization, Move, as_factorization, once_for_each
from distmarl.model.arrays import Array, Ints

# Newton's method either arrives within a few steps or not at all.
MAX_STEPS = 30
LONGEST_STEP = 0.5
# A difference of this much for each row is rounding alone.
ARRIVED = 1e-15


@once_for_each
@by_blocks
def merge_kernel(kernel: Array) -> Factorization | None:
    """Return a kernel, (L, L), as two-way moves, or None where Newton's method finds none."""
    n_states = len(kernel)
    low, high = np.triu_indices(n_states, 1)
    probabilities = np.stack([kernel[low, high], kernel[high, low]])
    for _ in range(MAX_STEPS):
        product, jacobian = _product_and_jacobian(probabilities, low, high, n_states)
        difference = (kernel - product)[~np.eye(n_states, dtype=bool)]
        if np.abs(difference).sum() <= n_states * ARRIVED:
            moves = itertools.starmap(Move, zip(low.tolist(), high.tolist(), *probabilities.tolist(), strict=True))
            return as_factorization([move for move in moves if move.q or move.back], kernel)
        try:
            step = np.linalg.solve(jacobian, difference)
        except np.linalg.LinAlgError:  # a kernel of less than full rank, for one
            return None
        longest = np.abs(step).max()
        probabilities = probabilities + (step * min(1.0, LONGEST_STEP / longest)).reshape(2, -1)
    return None


def _product_and_jacobian(probabilities: Array, low: Ints, high: Ints, n_states: int) -> tuple[Array, Array]:
    """Return the product of moves, (L, L), and the derivatives of its entries off the diagonal by the probabilities."""
    n_moves, (there, back) = len(low), probabilities
    number = np.arange(n_moves)
    matrices = np.tile(np.eye(n_states), (n_moves, 1, 1))
    matrices[number, low, low], matrices[number, low, high] = 1.0 - there, there
    matrices[number, high, high], matrices[number, high, low] = 1.0 - back, back
    nothing = np.eye(n_states)
    before = np.stack([*itertools.accumulate(matrices, np.matmul, initial=nothing)])
    after = np.stack([*itertools.accumulate(matrices[::-1], lambda right, left: left @ right, initial=nothing)])
    after = after[::-1][1:]  # of what follows each move
    gain = after[number, high] - after[number, low]
    by_there = before[number, :, low][:, :, None] * gain[:, None]
    by_back = before[number, :, high][:, :, None] * -gain[:, None]
    off_diagonal = ~np.eye(n_states, dtype=bool)
    return before[-1], np.concatenate([by_there, by_back])[:, off_diagonal].T
