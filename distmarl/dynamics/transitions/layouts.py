"""Orders of the count vectors: in each, the fibres of one move are the columns of matrices."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid

LAYOUTS_KEPT = 64

Index: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """An order of the count vectors: position ``i`` holds the vector with lexicographic number ``numbers[i]``."""

    numbers: Index


def spectator_orders(pairs: list[tuple[int, int]], n_states: int) -> list[tuple[int, ...]]:
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
def pair_layout(k: int, i: int, j: int, others: tuple[int, ...]) -> Layout:
    """Sort count vectors by s = z_i + z_j, by z_i, by the others: block s has a row per z_i, a column per fibre."""
    counts = count_vectors(k, len(others) + 2)
    pair_sum = counts[:, i] + counts[:, j]
    by_states = np.empty(len(counts), dtype=np.int32)
    by_states[rank_valid(counts[:, (i, *others, j)], k)] = np.arange(len(counts), dtype=np.int32)
    return Layout(by_states[np.argsort(pair_sum[by_states].astype(np.int32), kind="stable")])


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def fibre_rows(k: int, n_states: int) -> list[tuple[int, slice]]:
    """Return the lengths of the fibres of a pair, each with the rows that hold all of that length in a layout."""
    if n_states < 3:  # nobody is in any other state
        return [(k, slice(0, k + 1))] if n_states == 2 else []
    n_rows = [(length + 1) * n_count_vectors(k - length, n_states - 2) for length in range(k + 1)]
    edges = itertools.accumulate(n_rows, initial=0)
    return [(length, slice(*rows)) for length, rows in enumerate(itertools.pairwise(edges))]


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def renamed_layout(k: int, n_states: int, renamed: tuple[int, ...]) -> Layout:
    """Put each count vector where the lexicographic order has the one that it becomes when states are renamed."""
    if renamed == tuple(range(n_states)):
        numbers = np.arange(n_count_vectors(k, n_states), dtype=np.int32)
    else:
        numbers = rank_valid(count_vectors(k, n_states)[:, renamed], k).astype(np.int32)
    return Layout(numbers)


@functools.lru_cache(maxsize=LAYOUTS_KEPT)
def gathered(old: Layout, new: Layout) -> Index:
    """Return where each row of the new layout lies in the old one."""
    place = np.empty_like(old.numbers)
    place[old.numbers] = np.arange(len(place), dtype=np.int32)
    return place[new.numbers]
