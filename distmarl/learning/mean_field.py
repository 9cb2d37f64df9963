"""The mean field: where a local agent is in the long run.

The chain is (1/G) sum_{s_g} kernel[s_g]: every global state equally likely, as in the
paper. Its long-run distribution is found from its structure, not by repeated
multiplication: each recurrent class has one stationary distribution, and the start
decides how much of the population each class absorbs. The result is the Cesàro mean of the
chain from that start, which is its limit unless a class is periodic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from distmarl.model.arrays import Array


@dataclass(frozen=True, slots=True, eq=False)
class MeanField:
    """The long-run distribution of a local agent.

    Attributes
    ----------
    distribution : ndarray, shape (L,)
        The distribution mu.
    n_recurrent_classes : int
        With more than one, ``distribution`` depends on the start.
    period : int
        Least common multiple of the periods of the classes that are reached. Above 1
        the chain does not settle, and ``distribution`` is its mean over time.
    """

    distribution: Array
    n_recurrent_classes: int
    period: int


def find_mean_field(kernel: Array, start: Array) -> MeanField:
    """Return the long-run distribution of the chain (1/G) sum_{s_g} kernel[s_g], (G, L, L).

    The weights of the first local state, ``start``, are normalised here.
    """
    chain = kernel.mean(axis=0)
    classes = _recurrent_classes(chain)
    absorbed = _absorption(chain, classes, start / start.sum())
    distribution = np.zeros(len(chain))
    period = 1
    for members, weight in zip(classes, absorbed, strict=True):
        block = chain[np.ix_(members, members)]
        distribution[members] = weight * stationary_distribution(block)
        if weight > 0:
            period = math.lcm(period, _period(block))
    return MeanField(distribution / distribution.sum(), len(classes), period)


def stationary_distribution(chain: Array) -> Array:
    """Return the stationary distribution of an irreducible chain, shape (L, L) to (L,).

    By the elimination of Grassmann, Taksar & Heyman (1985), which subtracts nothing and so
    keeps its relative accuracy for nearly decomposable chains.
    """
    a = np.array(chain, dtype=np.float64)
    size = len(a)
    for last in range(size - 1, 0, -1):
        a[:last, last] /= a[last, :last].sum()
        a[:last, :last] += np.outer(a[:last, last], a[last, :last])
    weights = np.zeros(size)
    weights[0] = 1.0
    for state in range(1, size):
        weights[state] = weights[:state] @ a[:state, state]
    return weights / weights.sum()


def _recurrent_classes(chain: Array) -> list[list[int]]:
    """Return the closed communicating classes, each as a sorted list of states."""
    size = len(chain)
    reaches = (chain > 0) | np.eye(size, dtype=bool)
    for middle in range(size):
        reaches |= reaches[:, middle, None] & reaches[None, middle, :]
    classes: list[list[int]] = []
    for state in range(size):
        members = np.flatnonzero(reaches[state])
        # A class is closed when whatever it reaches comes back.
        if reaches[members, state].all() and state == members[0]:
            classes.append(members.tolist())
    return classes


def _absorption(chain: Array, classes: list[list[int]], start: Array) -> list[float]:
    """Return the probability that an agent ends in each recurrent class."""
    transient = sorted(set(range(len(chain))) - {state for members in classes for state in members})
    leaving = -chain[np.ix_(transient, transient)]
    # One minus the probability of staying, without the cancellation: moves rarer than rounding count.
    np.fill_diagonal(leaving, (chain - np.diag(np.diag(chain)))[transient].sum(axis=1))
    visits = np.linalg.solve(leaving.T, start[transient]) if transient else np.zeros(0)
    return [float(start[members].sum() + visits @ chain[np.ix_(transient, members)].sum(axis=1)) for members in classes]


def _period(block: Array) -> int:
    """Return the period of an irreducible chain: the gcd of all cycle lengths through state 0."""
    depth = {0: 0}
    queue, period = [0], 0
    for state in queue:
        for successor in np.flatnonzero(block[state] > 0).tolist():
            if successor in depth:
                period = math.gcd(period, depth[state] + 1 - depth[successor])
            else:
                depth[successor] = depth[state] + 1
                queue.append(successor)
    return period
