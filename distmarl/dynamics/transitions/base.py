"""The transition operator of count vectors, T.

With the local policy fixed, the k agents that stand for the population move
independently: from ``s_l`` to ``s_l'`` with probability ``kernel[s_g, s_l, s_l']``. For a
function f of the count vector,

    (T_{s_g} f)(z) = E[f(Z')],   Z' = sum_j Multinomial(z_j, kernel[s_g, j, :]).

``exact`` is this expectation; ``sampled`` replaces it by the mean over m draws of Z' (the
empirical Bellman operator of the paper); ``rounded`` replaces Z' by its mean, rounded to
whole agents (what the authors' published code does).

Every kind is a subclass of :class:`CountTransitions`, and value iteration knows no more than that.
"""

from __future__ import annotations

import abc

import numpy as np
from numpy.typing import NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import n_count_vectors
from distmarl.model.options import TransitionKind

# So many sums stay in the cache while their terms are added (twice as fast at k = 50, by timing).
ROWS_AT_A_TIME = 2**15

TRANSITION_KINDS: tuple[TransitionKind, ...] = ("sampled", "exact", "rounded")


class CountTransitions(abc.ABC):
    """The operator T for every global state, applied without ever forming a C x C matrix."""

    @abc.abstractmethod
    def expect(self, s_g: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return T_{s_g} of each column of ``values``, shape (C, m) to (C, m)."""

    @property
    @abc.abstractmethod
    def relative_error(self) -> float:
        """Largest rounding error of :meth:`expect`, per unit of max |values|."""

    @property
    @abc.abstractmethod
    def method(self) -> str:
        """How the expectation is computed: a name for results and tables."""


class SuccessorTransitions(CountTransitions):
    """T as a mean over m listed successors of each count vector.

    Parameters
    ----------
    successors : ndarray of int32, shape (G, m, C)
        The rank of the i-th successor of each count vector at ``[s_g, i, z]``.
    """

    def __init__(self, successors: NDArray[np.int32]) -> None:
        self._successors = successors

    @property
    def method(self) -> str:
        """``successors``."""
        return "successors"

    def expect(self, s_g: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of ``values`` over the successors."""
        first, *others = self._successors[s_g]
        total = values.take(first, axis=0)
        if not others:
            return total
        for start in range(0, len(total), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            part = total[rows]
            term = np.empty_like(part)
            for successor in others:
                # mode="clip" lets numpy write into `out` unbuffered; every index is in range.
                values.take(successor[rows], axis=0, out=term, mode="clip")
                part += term
        total /= len(others) + 1
        return total

    @property
    def relative_error(self) -> float:
        """Error of summing m terms one after the other and dividing."""
        n_successors = self._successors.shape[1]
        return 0.0 if n_successors == 1 else n_successors * float(np.finfo(np.float64).eps)


def estimated_transition_bytes(kind: TransitionKind, *, k: int, n_states: int, n_global_states: int, m: int) -> int:
    """Return about how much memory the operator takes, in bytes.

    Parameters
    ----------
    kind : {"sampled", "exact", "rounded"}
        The kind of transitions.
    k, n_states, n_global_states : int
        Subsample size, L and G.
    m : int
        Samples per count vector; used by ``sampled`` alone.
    """
    size = n_count_vectors(k, n_states)
    if kind == "exact":
        n_pairs = n_states * (n_states - 1) // 2
        reorderings = 4 * size * 3 * n_pairs
        weights = 8 * (k + 1) ** 2 * 2 * n_pairs * n_global_states
        return reorderings + weights + 8 * size * 2 * n_global_states
    successors = 4 * size * n_global_states * (m if kind == "sampled" else 1)
    count_vectors = 2 * 8 * size * n_states
    return successors + count_vectors


def check_transition_kind(kind: str) -> None:
    """Refuse an unknown kind of transitions.

    Raises
    ------
    InvalidArgumentError
        When ``kind`` is none of :data:`TRANSITION_KINDS`.
    """
    if kind not in TRANSITION_KINDS:
        raise InvalidArgumentError(f"transitions: must be one of {', '.join(TRANSITION_KINDS)}, got {kind!r}")
