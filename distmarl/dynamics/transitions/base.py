"""The transition operator of count vectors, T.

With the local policy fixed, the k agents that stand for the population move
independently: from ``s_l`` to ``s_l'`` with probability ``kernel[s_g, s_l, s_l']``. For a
function f of the count vector,

    (T_{s_g} f)(z) = E[f(Z')],   Z' = sum_j Multinomial(z_j, kernel[s_g, j, :]).

``exact`` is this expectation; ``sampled`` replaces it by the mean over m draws of Z' (the
empirical Bellman operator of the paper); ``rounded`` replaces Z' by its mean, rounded to
whole agents (what the authors' published code does).

Every kind is a :class:`CountTransitions`, and value iteration knows no more than that. What else is known of it is
in its :class:`TransitionRecord`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distmarl.model.arrays import EPSILON, SINGLE_EPSILON, Array
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import GlobalAgent
from distmarl.model.random_streams import Seed

# So many sums stay in the cache while their terms are added; with half as many, threads mostly wait for each other.
ROWS_AT_A_TIME = 2**13


class CountTransitions(abc.ABC):
    """The operator T for every global state, applied without ever forming a C x C matrix."""

    @abc.abstractmethod
    def expect(self, s_g: int, values: Array) -> Array:
        """Return T_{s_g} of each column of ``values``, shape (C, m) to (C, m)."""

    @property
    @abc.abstractmethod
    def relative_error(self) -> float:
        """Largest rounding error of :meth:`expect`, per unit of max |values|."""

    @property
    def single_error(self) -> float:
        """The same for values in single precision; infinite where they are not to be had, or no faster."""
        return math.inf

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

    def expect(self, s_g: int, values: Array) -> Array:
        """Return the mean of ``values`` over the successors."""
        successors = self._successors[s_g]
        if len(successors) == 1:
            return values.take(successors[0], axis=0)
        total = np.empty_like(values)
        for start in range(0, len(values), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            part = total[rows]
            term = np.empty_like(part)
            # mode="clip" lets numpy write into `out` unbuffered; every index is in range.
            values.take(successors[0, rows], axis=0, out=part, mode="clip")
            for successor in successors[1:, rows]:
                values.take(successor, axis=0, out=term, mode="clip")
                part += term
            part /= len(successors)
        return total

    @property
    def relative_error(self) -> float:
        """Error of summing m terms one after the other and dividing."""
        n_successors = self._successors.shape[1]
        return 0.0 if n_successors == 1 else n_successors * EPSILON

    @property
    def single_error(self) -> float:
        """Error of the same sum, and of its terms."""
        n_successors = self._successors.shape[1]
        return math.inf if n_successors == 1 else (n_successors + 1) * SINGLE_EPSILON


def successor_bytes(env: Environment, k: int, n_successors: int) -> int:
    """Return about how much memory the successors of all count vectors take, in bytes."""
    size = n_count_vectors(k, env.n_local_states)
    return 4 * size * env.n_global_states * n_successors + 2 * 8 * size * env.n_local_states


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRecord:
    """A kind of transitions: all that the rest of the program knows of it.

    Times are those of the robots game on one core, with nothing else on the machine.

    Attributes
    ----------
    name, meaning : str
        What sweep files call it, and what it is, in a line.
    build : callable
        Returns the operator, given the game, the kernel (G, L, L) and the local reward (G, L) under
        the local policy, k, G-LEARN's options and the seed.
    n_bytes : callable
        Returns about how much memory the operator takes, given the game, k and the options.
    n_arrays : int
        How many arrays of the size of the value an application holds: each thread has its own.
    n_operations : callable
        Returns the operations of a sweep for each count vector and pair of global states, given the same.
    per_kernel_s : callable
        Returns the seconds of a sweep for each of the G kernels beside its operations, given the game and k.
    per_operation_s : float
        Seconds of an operation where values are in the cache.
    growth : float
        By what share of that an operation takes longer with every doubling of the count vectors beyond the cache.
    n_sweeps : int
        Sweeps until the certificate stands, at gamma = 0.95 and a threshold of 1e-6.
    n_samples : callable
        Returns how many draws of an agent's next state the operator is made of, given the game, k and the options:
        none, unless it is sampled.
    """

    name: str
    meaning: str
    build: Callable[[Environment, Array, Array, int, GlobalAgent, Seed], CountTransitions]
    n_bytes: Callable[[Environment, int, GlobalAgent], int]
    n_arrays: int
    n_operations: Callable[[Environment, int, GlobalAgent], float]
    per_kernel_s: Callable[[Environment, int], float]
    per_operation_s: float
    n_sweeps: int
    growth: float = 0.0
    n_samples: Callable[[Environment, int, GlobalAgent], int] = lambda _env, _k, _options: 0
