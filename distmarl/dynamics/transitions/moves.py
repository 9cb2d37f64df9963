"""A kernel as a sequence of moves between two states: what a move is, and how precise a sequence is.

In a *move* each agent in one state goes to another with probability ``q``, and each in that one comes back with
probability ``back``, at the same time. Moves are all that the exact operator needs: k agents that move independently
by a product of kernels move by one kernel after the other, Sym^k(AB) = Sym^k(A) Sym^k(B).

Probabilities may lie outside [0, 1]. Nothing is lost by that but precision: with M_t the matrix of the t-th move,
rounding errors grow at most like ``amplification ** k``, where

    amplification = || |M_1| |M_2| ... |M_T| ||_inf >= 1.
"""

from __future__ import annotations

import decimal
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from distmarl.model.arrays import EPSILON, SINGLE_EPSILON, Array, Ints

_T = TypeVar("_T")

# Of the numbers in which residuals are computed.
N_DIGITS = 50
_in_digits = np.frompyfunc(decimal.Decimal, 1, 1)

# A kernel is factored once for all k of a process.
KERNELS_KEPT = 1024
# A move may be wild where nearly nobody is; the powers of its weights must still be numbers.
MAX_WEIGHT = 1e200
# In single precision values may grow by so much on the way; weights that are less count for nothing, and would be slow.
MAX_SINGLE_GROWTH, SMALLEST_SINGLE_WEIGHT = 1e8, 1e-20


@dataclass(frozen=True, slots=True)
class Move:
    """Agents go from ``source`` to ``target`` with probability ``q``, those there come with probability ``back``."""

    source: int
    target: int
    q: float
    back: float = 0.0

    @property
    def pair(self) -> tuple[int, int]:
        """The two states, the lower one first."""
        return min(self.source, self.target), max(self.source, self.target)

    @property
    def upwards(self) -> tuple[float, float]:
        """The probability of going from the lower state to the upper one, and that of the way back."""
        return (self.q, self.back) if self.source < self.target else (self.back, self.q)

    def matrix(self, n_states: int) -> Array:
        """Return the move as a kernel, (L, L)."""
        matrix = np.eye(n_states)
        matrix[self.source, [self.source, self.target]] = 1.0 - self.q, self.q
        matrix[self.target, [self.target, self.source]] = 1.0 - self.back, self.back
        return matrix


@dataclass(frozen=True, slots=True)
class Factorization:
    """A kernel as moves.

    Attributes
    ----------
    moves : tuple of Move
        In the order in which agents make them.
    renamed : tuple of int
        After the moves, an agent in state ``i`` is in state ``renamed[i]``.
    amplification : float
        At least 1; errors of k agents grow at most like its k-th power. Infinite when there are no such moves.
    residual : float
        Largest row sum of |product of the moves - kernel|.
    widest : float
        How many times as large as a value what comes of it on the way may be, for one agent.
    n_touched : float
        How many moves concern an agent, on the average over its ways: the most for any state to start in.
    """

    moves: tuple[Move, ...]
    renamed: tuple[int, ...]
    amplification: float
    residual: float
    widest: float
    n_touched: float

    def relative_error(self, k: int, *, in_single: bool = False) -> float:
        """Return a bound of the rounding error of the moves of k agents, per unit of max |values|.

        A move on a fibre of s agents sums s + 1 products with weights that were built agent by agent, in two roundings
        each: off by (3 s + 1) units of EPSILON / 2. The s agents of all moves together are the k agents, each as often
        as moves concern it. In single precision weights are rounded once more, and the smallest are left out.
        """
        with np.errstate(over="ignore"):
            growth = np.float64(self.amplification) ** k
            wildest = max((max(abs(q) + abs(1.0 - q) for q in move.upwards) for move in self.moves), default=1.0)
            on_the_way = np.float64(self.widest) ** k
            if np.float64(wildest) ** k > MAX_WEIGHT or (in_single and on_the_way > MAX_SINGLE_GROWTH):
                return np.inf
            rounding = (1.5 * k * self.n_touched + len(self.moves)) * EPSILON
            if in_single:
                rounding = (1.5 * k * self.n_touched + 2 * len(self.moves)) * SINGLE_EPSILON
                rounding += len(self.moves) * (k + 1) * SMALLEST_SINGLE_WEIGHT * on_the_way
            return float((rounding + k * self.residual) * growth)


def as_factorization(moves: Sequence[Move], kernel: Array, renamed: Sequence[int] | None = None) -> Factorization:
    """Return moves that are meant to make up a kernel, with how precise they are."""
    n_states = len(kernel)
    arrivals = np.arange(n_states) if renamed is None else np.asarray(renamed)
    matrices = [move.matrix(n_states) for move in moves]
    left = [np.ones(n_states)]  # row sums of what is left of the magnitudes, from each move on
    for matrix in reversed(matrices):
        left.append(np.abs(matrix) @ left[-1])
    widest = float(max(sums.max() for sums in left))
    magnitude, touched = np.eye(n_states), np.zeros(n_states)
    for move, matrix in zip(moves, matrices, strict=True):
        pair = list(move.pair)
        touched += magnitude[:, pair] @ left.pop()[pair]
        magnitude = magnitude @ np.abs(matrix)
    sums = magnitude.sum(axis=1)
    return Factorization(
        tuple(moves),
        tuple(arrivals.tolist()),
        amplification=float(sums.max()),
        residual=_residual(matrices, kernel, arrivals),
        widest=widest,
        n_touched=float((touched / sums).max()),
    )


def _residual(matrices: Sequence[Array], kernel: Array, arrivals: Ints) -> float:
    """Return the largest row sum of |product - kernel|, in so many digits that rounding does not count."""
    with decimal.localcontext(decimal.Context(prec=N_DIGITS)):
        product: Any = _in_digits(np.eye(len(kernel)))
        for matrix in matrices:
            product = product @ _in_digits(matrix)
        rows = np.abs(product[:, np.argsort(arrivals)] - _in_digits(kernel)).sum(axis=1)
    return float(max(rows))


def once_for_each(function: Callable[[Array], _T]) -> Callable[[Array], _T]:
    """Let a function of a kernel, (L, L), remember what it found for the last ones."""

    @functools.lru_cache(maxsize=KERNELS_KEPT)
    def remembered(content: bytes, n_states: int) -> _T:
        return function(np.frombuffer(content).reshape(n_states, n_states))

    @functools.wraps(function)
    def looked_up(kernel: Array) -> _T:
        return remembered(np.ascontiguousarray(kernel, dtype=np.float64).tobytes(), len(kernel))

    return looked_up
