"""Exact transitions: the expectation itself, without sampling, rounding or a C x C matrix.

T_{s_g} is the k-th symmetric power of ``kernel[s_g]``. The kernel is a sequence of moves between two states
(:mod:`distmarl.dynamics.transitions.factorization`), and the power of a move from i to j is

    (S f)(z) = sum_m Binomial(z_i, q)(m) f(z - m e_i + m e_j):

a matrix of binomial weights along each fibre z_i + z_j = s, the same one for all fibres of that length. With the
count vectors sorted by s and then by z_i, all fibres of a length are the columns of one matrix, and a move is
one matrix product for each s = 0 .. k. So an application costs about C k / L multiply-adds and one reordering of the
C rows for each of at most L(L - 1) moves, in a few arrays of the size of the value.

NumPy's matrix products are faster than a compiled pass over the fibres was (numba on the same layout: 110 to 140 ms
for five columns at k = 50, where this takes 60 to 80), and need no compiler, no cache of compiled code, no start-up.

Where a kernel has no harmless factors, its dense C x C matrix serves as long as C is small.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distmarl.dynamics.transitions.base import CountTransitions
from distmarl.dynamics.transitions.factorization import Factorization, Move, factor_kernel
from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid
from distmarl.wording import mebibytes

EPSILON = float(np.finfo(np.float64).eps)
MAX_DENSE_BYTES = 2**28
MAX_WEIGHT = 1e200
LAYOUTS_KEPT = 64
# Arrays that are moved together take at most so much, about a last-level cache's share: by timing at k = 25 to 60.
CACHED_BYTES = 6 * 2**20

Array = NDArray[np.float64]
Index = NDArray[np.int32]


class ExactTransitions(CountTransitions):
    """The exact operator, one kernel for each global state.

    Parameters
    ----------
    kernel : ndarray, shape (G, L, L)
        ``kernel[s_g, s_l, s_l']``, the local transitions under the local policy.
    k : int
        Number of agents in a count vector.
    max_relative_error : float
        Rounding error per unit of max |values| that is allowed.

    Raises
    ------
    InvalidArgumentError
        When a kernel's factors lose more precision than that and its dense matrix is too large.
    """

    def __init__(self, kernel: Array, *, k: int, max_relative_error: float) -> None:
        self._operators: list[_FactoredPower | _DensePower] = []
        for s_g, matrix in enumerate(kernel):
            factorization = factor_kernel(matrix)
            error = _factored_error(factorization, k)
            if np.isfinite(error) and error <= max_relative_error:
                self._operators.append(_FactoredPower(factorization, k, len(matrix), error))
                continue
            dense_bytes = 8 * n_count_vectors(k, len(matrix)) ** 2
            if dense_bytes > MAX_DENSE_BYTES / len(kernel):
                raise InvalidArgumentError(
                    f"transitions: 'exact' would be off by up to {error:.1e} of the largest value "
                    f"for the kernel of s_g={s_g} at k={k}, where convergence_threshold allows "
                    f"{max_relative_error:.1e}, and its dense matrix takes {mebibytes(dense_bytes)}; "
                    "use transitions: sampled, or a smaller k"
                )
            self._operators.append(_DensePower(matrix, k))

    def expect(self, s_g: int, values: Array) -> Array:
        """Return T_{s_g} of each column of ``values``."""
        return self._operators[s_g].expect(values)

    @property
    def relative_error(self) -> float:
        """The largest of the kernels' rounding errors."""
        return max(operator.relative_error for operator in self._operators)

    @property
    def method(self) -> str:
        """``factored``, ``dense``, or both joined by a plus, where kernels differ."""
        return "+".join(sorted({operator.method for operator in self._operators}, reverse=True))


class _FactoredPower:
    """The symmetric power of a kernel, as moves."""

    method = "factored"

    def __init__(self, factorization: Factorization, k: int, n_states: int, relative_error: float) -> None:
        self.relative_error = relative_error
        self._k = k
        self._n_states = n_states
        self._renamed = factorization.renamed
        # The last move of the agents is the first to act on a function.
        self._moves = [_FibreMove(move, k) for move in reversed(factorization.moves)]
        self._orders = _spectator_orders([move.pair for move in self._moves], n_states)

    def expect(self, values: Array) -> Array:
        """Apply the moves, to as many columns at a time as stay in the cache."""
        expected = np.empty_like(values)
        for columns in _column_groups(values):
            expected[:, columns] = self._apply(np.ascontiguousarray(values[:, columns]))
        return expected

    def _apply(self, values: Array) -> Array:
        """Apply the moves, each in the layout where its fibres are the columns of matrices."""
        layout: _Layout = _renamed_layout(self._k, self._n_states, self._renamed)
        current, fibres, moved = values, np.empty_like(values), np.empty_like(values)
        for move, order in zip(self._moves, self._orders, strict=True):
            pair_layout = _pair_layout(self._k, *move.pair, order)
            # mode="clip" lets numpy write into `out` unbuffered; every index is in range.
            current.take(_gather(layout, pair_layout), axis=0, out=fibres, mode="clip")
            for length, rows in pair_layout.blocks:
                shape = (length + 1, -1)
                np.matmul(move.matrix(length), fibres[rows].reshape(shape), out=moved[rows].reshape(shape))
            current, layout = moved, pair_layout
        lexicographic = _renamed_layout(self._k, self._n_states, tuple(range(self._n_states)))
        return current if layout is lexicographic else current.take(_gather(layout, lexicographic), axis=0)


def _column_groups(values: Array) -> Iterator[slice]:
    """Split the columns: all at once where they fit into the cache, else 2^i of them, rows that copy fastest."""
    n_columns = values.shape[1]
    fitting = max(1, CACHED_BYTES // (len(values) * values.itemsize))
    width = n_columns if n_columns <= fitting else 2 ** (fitting.bit_length() - 1)
    for first in range(0, n_columns, width):
        yield slice(first, min(first + width, n_columns))


def _factored_error(factorization: Factorization, k: int) -> float:
    """Return a bound of the rounding error of the moves of k agents, per unit of max |values|."""
    per_move = 4 * (k + 1) * EPSILON
    with np.errstate(over="ignore"):
        growth = np.float64(factorization.amplification) ** k
        # A move may be wild where nearly nobody is; its weights must still be numbers.
        wildest = max((abs(move.q) + abs(1.0 - move.q) for move in factorization.moves), default=1.0)
        if np.float64(wildest) ** k > MAX_WEIGHT:
            return np.inf
        return float((len(factorization.moves) * per_move + k * factorization.residual) * growth)


class _DensePower:
    """The symmetric power of a kernel, as a C x C matrix."""

    method = "dense"

    def __init__(self, matrix: Array, k: int) -> None:
        self._power = dense_power(matrix, k)
        self.relative_error = (len(self._power) + 2 * k * len(matrix)) * EPSILON

    def expect(self, values: Array) -> Array:
        return self._power @ values


def dense_power(matrix: Array, k: int) -> Array:
    """Return the distribution of the next count vector for each count vector of k agents, (C, C).

    Parameters
    ----------
    matrix : ndarray, shape (L, L)
        A kernel.
    k : int
        Number of agents; they are added one at a time.
    """
    n_states = len(matrix)
    unit = np.eye(n_states, dtype=np.int64)
    power = np.ones((1, 1))
    for n_agents in range(1, k + 1):
        counts = count_vectors(n_agents, n_states)
        added = np.argmax(counts > 0, axis=1)  # the state of one of the agents
        without = rank_valid(counts - unit[added], n_agents - 1)
        grown = [rank_valid(count_vectors(n_agents - 1, n_states) + unit[state], n_agents) for state in range(n_states)]
        larger = np.zeros((len(counts), len(counts)))
        for state in range(n_states):
            larger[:, grown[state]] += matrix[added, state][:, None] * power[without]
        power = larger
    return power


class _FibreMove:
    """The symmetric power of one move, as a matrix for each length of fibres.

    Row ``a`` of a matrix is z_i = a, where i is the lower of the two states.
    """

    def __init__(self, move: Move, k: int) -> None:
        self.pair = (min(move.source, move.target), max(move.source, move.target))
        weights = _binomial_weights(move.q, k)
        self._starts_low = move.source == self.pair[0]
        # Seen from the upper state z_j = length - z_i: both axes run backwards.
        self._weights = weights if self._starts_low else np.ascontiguousarray(weights[::-1, ::-1])

    def matrix(self, length: int) -> Array:
        """Return the weights of fibres with z_i + z_j = length, (length + 1, length + 1)."""
        if self._starts_low:
            return self._weights[: length + 1, : length + 1]
        return self._weights[-length - 1 :, -length - 1 :]


def _binomial_weights(q: float, k: int) -> Array:
    """Return W[z, z - m] = Binomial(z, q)(m), a lower triangular matrix (k + 1, k + 1)."""
    weights = np.zeros((k + 1, k + 1))
    weights[0, 0] = 1.0
    for z in range(k):
        weights[z + 1, : z + 1] = q * weights[z, : z + 1]
        weights[z + 1, 1 : z + 2] += (1.0 - q) * weights[z, : z + 1]
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """An order of the count vectors: position ``i`` holds the vector with lexicographic number ``numbers[i]``.

    ``blocks`` are the lengths of fibres, each with the rows that hold all fibres of that length.
    """

    numbers: Index
    blocks: tuple[tuple[int, slice], ...]


def _spectator_orders(pairs: list[tuple[int, int]], n_states: int) -> list[tuple[int, ...]]:
    """Return, for each pair of states in turn, the order in which the other states sort its fibres.

    The state that joins with the next pair comes first and the one that has just left comes last: then
    reordering from pair to pair moves runs of rows and not single ones (twice as fast at k = 50, by timing).
    """
    orders = []
    for number, pair in enumerate(pairs):
        others = [state for state in range(n_states) if state not in pair]
        after = pairs[number + 1] if number + 1 < len(pairs) else ()
        before = pairs[number - 1] if number else ()
        first = [state for state in others if state in after] if set(after) & set(pair) else []
        left = [state for state in others if state in before] if set(before) & set(pair) else []
        last = [state for state in left if state not in first]
        middle = [state for state in others if state not in first and state not in last]
        orders.append((*first, *middle, *last))
    return orders


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def _pair_layout(k: int, i: int, j: int, others: tuple[int, ...]) -> _Layout:
    """Sort count vectors by s = z_i + z_j, by z_i, by the others: block s has a row per z_i, a column per fibre."""
    counts = count_vectors(k, len(others) + 2)
    pair_sum = counts[:, i] + counts[:, j]
    by_states = np.empty(len(counts), dtype=np.int32)
    by_states[rank_valid(counts[:, (i, *others, j)], k)] = np.arange(len(counts), dtype=np.int32)
    numbers = by_states[np.argsort(pair_sum[by_states].astype(np.int32), kind="stable")]
    edges = np.searchsorted(pair_sum[numbers], np.arange(k + 2))
    blocks = tuple(
        (length, slice(int(first), int(last)))
        for length, (first, last) in enumerate(itertools.pairwise(edges))
        if last > first
    )
    return _Layout(numbers, blocks)


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def _renamed_layout(k: int, n_states: int, renamed: tuple[int, ...]) -> _Layout:
    """Put each count vector where the lexicographic order has the one that it becomes when states are renamed."""
    if renamed == tuple(range(n_states)):
        numbers = np.arange(n_count_vectors(k, n_states), dtype=np.int32)
    else:
        numbers = rank_valid(count_vectors(k, n_states)[:, renamed], k).astype(np.int32)
    return _Layout(numbers, ())


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def _gather(old: _Layout, new: _Layout) -> Index:
    """Return where each row of the new layout lies in the old one."""
    place = np.empty_like(old.numbers)
    place[old.numbers] = np.arange(len(place), dtype=np.int32)
    return place[new.numbers]
