"""Exact transitions: the expectation itself, without sampling, rounding or a C x C matrix.

T_{s_g} is the k-th symmetric power of ``kernel[s_g]``. The kernel is a sequence of moves between two states
(:mod:`distmarl.dynamics.transitions.moves`), and after the power of a move the next z_i is

    Binomial(z_i, 1 - q) + Binomial(z_j, back):

a matrix along each fibre z_i + z_j = s, the same one for all fibres of that length. With the
count vectors sorted by s and then by z_i, all fibres of a length are the columns of one matrix, and a move is
one matrix product for each s = 0 .. k. So an application costs about C k / L multiply-adds and one reordering of the
C rows for each move, in a few arrays of the size of the value. There are L(L - 1)/2 moves where both ways of a pair of
states fit into one (:mod:`distmarl.dynamics.transitions.merges`), else at most twice as many
(:mod:`distmarl.dynamics.transitions.factorization`).

NumPy's matrix products are faster than a compiled pass over the fibres was (numba on the same layout: 110 to 140 ms
for five columns at k = 50, where this takes 60 to 80), and need no compiler, no cache of compiled code, no start-up.

Where a kernel has no harmless factors, its dense C x C matrix serves as long as C is small. A few agents among many
states are moved one after the other (:mod:`distmarl.dynamics.transitions.labelled`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from distmarl.dynamics.transitions.base import CountTransitions, TransitionRecord
from distmarl.dynamics.transitions.factorization import HARMLESS, factor_kernel
from distmarl.dynamics.transitions.labelled import LabelledPower, is_labelled, labelled_bytes
from distmarl.dynamics.transitions.layouts import fibre_rows, gathered, pair_layout, renamed_layout, spectator_orders
from distmarl.dynamics.transitions.merges import merge_kernel
from distmarl.dynamics.transitions.moves import Factorization
from distmarl.dynamics.transitions.weights import has_room_for_two_ways, weights_bytes, weights_of
from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import EPSILON, Array
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.wording import mebibytes

MAX_DENSE_BYTES = 2**28
# Arrays that are moved together take at most so much, about a last-level cache's share: by timing at k = 25 to 60.
CACHED_BYTES = 12 * 2**20

# What a matrix product takes beside its arithmetic.
PER_PRODUCT_S = 8e-7


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
        self._operators: list[_FactoredPower | _DensePower | LabelledPower] = []
        if is_labelled(k, kernel.shape[1]):
            self._operators += [LabelledPower(matrix, k) for matrix in kernel]
            return
        for s_g, matrix in enumerate(kernel):
            factorization = precise_moves(matrix, k)
            error = factorization.relative_error(k)
            if np.isfinite(error) and error <= max_relative_error:
                self._operators.append(_FactoredPower(factorization, k, len(matrix)))
                continue
            if n_count_vectors(k, len(matrix)) > _most_dense(len(kernel)):
                dense_bytes = 8 * n_count_vectors(k, len(matrix)) ** 2
                raise InvalidArgumentError(
                    f"transitions: 'exact' would be off by up to {error:.1e} of the largest value "
                    f"for the kernel of s_g={s_g} at k={k}, where convergence_threshold allows "
                    f"{max_relative_error:.1e}, and its dense matrix takes {mebibytes(dense_bytes)}; "
                    "use transitions: sampled, a smaller k, or a larger convergence_threshold"
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
    def single_error(self) -> float:
        """The same for single precision, which halves the time of moves."""
        return max(operator.single_error for operator in self._operators)

    @property
    def method(self) -> str:
        """``factored``, ``dense``, or both joined by a plus, where kernels differ; or ``labelled``."""
        return "+".join(sorted({operator.method for operator in self._operators}, reverse=True))


def _most_dense(n_kernels: int) -> int:
    """Return how many count vectors the dense matrix of each of some kernels may be of."""
    return math.isqrt(MAX_DENSE_BYTES // (8 * n_kernels))


def has_dense_powers(k: int, n_states: int, n_kernels: int) -> bool:
    """Return whether dense matrices serve where kernels have no harmless factors."""
    return n_count_vectors(k, n_states) <= _most_dense(n_kernels)


def precise_moves(kernel: Array, k: int) -> Factorization:
    """Return a kernel as two-way moves where those are harmless, else as the more precise of both kinds.

    Where the weights of two-way moves would not fit beside the values, there are one-way moves.
    """
    merges = merge_kernel(kernel) if has_room_for_two_ways(k, len(kernel)) else None
    if merges is not None and merges.amplification <= HARMLESS:
        return merges
    one_way = factor_kernel(kernel)
    return min((one_way, merges or one_way), key=lambda moves: moves.relative_error(k))


class _FactoredPower:
    """The symmetric power of a kernel, as moves."""

    method = "factored"

    def __init__(self, factorization: Factorization, k: int, n_states: int) -> None:
        self.relative_error = factorization.relative_error(k)
        self.single_error = factorization.relative_error(k, in_single=True)
        self._k = k
        self._n_states = n_states
        self._renamed = factorization.renamed
        # The last move of the agents is the first to act on a function.
        self._moves = factorization.moves[::-1]
        self._weights = weights_of(self._moves, k)
        self._pairs = [move.pair for move in self._moves]
        self._orders = spectator_orders(self._pairs, n_states)

    @functools.cached_property
    def _single_weights(self) -> list[list[Array]]:
        return weights_of(self._moves, self._k, np.float32)

    def expect(self, values: Array) -> Array:
        """Apply the moves, to as many columns at a time as stay in the cache."""
        expected = np.empty_like(values)
        for columns in _column_groups(values):
            expected[:, columns] = self._apply(np.ascontiguousarray(values[:, columns]))
        return expected

    def _apply(self, values: Array) -> Array:
        """Apply the moves, each in the layout where its fibres are the columns of matrices."""
        layout = renamed_layout(self._k, self._n_states, self._renamed)
        all_weights = self._single_weights if values.dtype == np.float32 else self._weights
        current, fibres, moved = values, np.empty_like(values), np.empty_like(values)
        # The fibres of a length lie in the same rows for each pair of states, as the columns of one matrix.
        blocks = [
            (length, fibres[rows].reshape(length + 1, -1), moved[rows].reshape(length + 1, -1))
            for length, rows in fibre_rows(self._k, self._n_states)
        ]
        for pair, order, weights in zip(self._pairs, self._orders, all_weights, strict=True):
            fibred = pair_layout(self._k, *pair, order)
            # mode="clip" lets numpy write into `out` unbuffered; every index is in range.
            current.take(gathered(layout, fibred), axis=0, out=fibres, mode="clip")
            for length, before, after in blocks:
                np.dot(weights[length], before, out=after)
            current, layout = moved, fibred
        lexicographic = renamed_layout(self._k, self._n_states, tuple(range(self._n_states)))
        return current if layout is lexicographic else current.take(gathered(layout, lexicographic), axis=0)


def _column_groups(values: Array) -> Iterator[slice]:
    """Split the columns: all at once where they fit into the cache, else 2^i of them, rows that copy fastest."""
    n_columns = values.shape[1]
    fitting = max(1, CACHED_BYTES // (len(values) * values.itemsize))
    width = n_columns if n_columns <= fitting else 2 ** (fitting.bit_length() - 1)
    for first in range(0, n_columns, width):
        yield slice(first, min(first + width, n_columns))


class _DensePower:
    """The symmetric power of a kernel, as a C x C matrix."""

    method = "dense"
    single_error = math.inf

    def __init__(self, matrix: Array, k: int) -> None:
        self._power = dense_power(matrix, k)
        self.relative_error = (len(self._power) + 2 * k * len(matrix)) * EPSILON

    def expect(self, values: Array) -> Array:
        return self._power @ values


def dense_power(matrix: Array, k: int) -> Array:
    """Return the distribution of the next count vector for each of those of k agents, (C, C)."""
    return np.ones((1, 1)) if k == 0 else dense_powers(matrix, k)[1]


def dense_powers(matrix: Array, k: int) -> tuple[Array, Array]:
    """Return the same for k - 1 and for k >= 1 agents, which are added one at a time."""
    n_states = len(matrix)
    unit = np.eye(n_states, dtype=np.int64)
    fewer, power = np.ones((1, 1)), np.ones((1, 1))
    counts = count_vectors(0, n_states)
    for n_agents in range(1, k + 1):
        grown = [rank_valid(counts + unit[state], n_agents) for state in range(n_states)]
        counts = count_vectors(n_agents, n_states)
        added = np.argmax(counts > 0, axis=1)  # the state of one of the agents
        without = rank_valid(counts - unit[added], n_agents - 1)
        fewer, power = power, np.zeros((len(counts), len(counts)))
        for state in range(n_states):
            power[:, grown[state]] += matrix[added, state][:, None] * fewer[without]
    return fewer, power


def exact_transitions(env: Environment, kernel: Array, reward: Array, *, k: int, tolerance: float) -> ExactTransitions:
    """Return how k agents move, precisely enough to leave half of a tolerance of the value to value iteration.

    The kernel, (G, L, L), is the local transitions under the local policy. The range of the local rewards tells how far
    apart values can be.
    """
    return ExactTransitions(kernel, k=k, max_relative_error=_allowed_error(env, reward, tolerance))


def _allowed_error(env: Environment, reward: Array, tolerance: float) -> float:
    """Return the rounding error per unit of max |values| that leaves half of a tolerance to value iteration."""
    reward_range = float(np.ptp(env.reward_global) + np.ptp(reward))
    largest_centred_value = max(reward_range / (2 * (1 - env.gamma)), np.finfo(np.float64).tiny)
    return tolerance * (1 - env.gamma) / max(2 * env.gamma * largest_centred_value, 1e-300)


def largest_exact_k(env: Environment, kernel: Array, reward: Array, *, tolerance: float) -> int:
    """Return how many agents exact transitions can move, at most; the errors grow with their number."""
    allowed = _allowed_error(env, reward, tolerance)

    def is_possible(k: int) -> bool:
        if is_labelled(k, env.n_local_states):
            return True
        dense = n_count_vectors(k, env.n_local_states) <= _most_dense(len(kernel))
        return dense or all(precise_moves(matrix, k).relative_error(k) <= allowed for matrix in kernel)

    possible, impossible = 0, env.n_agents + 1
    while possible + 1 < impossible:
        middle = (possible + impossible) // 2
        possible, impossible = (middle, impossible) if is_possible(middle) else (possible, middle)
    return possible


def exact_bytes(env: Environment, k: int) -> int:
    """Return about how much memory the operator takes, in bytes."""
    if is_labelled(k, env.n_local_states):
        return labelled_bytes(k, env.n_local_states, env.n_global_states)
    size, n_global, n_states = n_count_vectors(k, env.n_local_states), env.n_global_states, env.n_local_states
    n_pairs = n_states * (n_states - 1) // 2
    reorderings = 4 * size * 3 * n_pairs
    return reorderings + n_global * weights_bytes(k, n_states) + 8 * size * 2 * n_global


def _operations(env: Environment, k: int) -> float:
    """Return the multiply-adds for each count vector: a pass over its fibres for each move, or a move of each agent."""
    if is_labelled(k, env.n_local_states):
        return k * env.n_local_states ** (k + 1) / n_count_vectors(k, env.n_local_states)
    return env.n_local_states * (env.n_local_states - 1) / 2 * (k / env.n_local_states + 1)


def _n_products(env: Environment, k: int) -> int:
    """Return the matrix products of an application: one for each move and length of fibres, or for each agent."""
    return k if is_labelled(k, env.n_local_states) else k * env.n_local_states * (env.n_local_states - 1) // 2


EXACT = TransitionRecord(
    name="exact",
    meaning="the expectation itself, without sampling or rounding",
    build=lambda env, kernel, reward, k, options, _seed: exact_transitions(
        env, kernel, reward, k=k, tolerance=options.convergence_threshold
    ),
    n_bytes=lambda env, k, _options: exact_bytes(env, k),
    n_arrays=8,
    n_operations=lambda env, k, _options: _operations(env, k),
    per_kernel_s=lambda env, k: 6e-5 + PER_PRODUCT_S * _n_products(env, k),
    per_operation_s=0.36e-9,
    n_sweeps=20,
)
