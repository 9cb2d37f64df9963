"""Factoring a kernel block by block: states that no agent moves between, such as those of two types, stay apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from distmarl.dynamics.transitions.moves import Factorization, as_factorization
from distmarl.model.arrays import Array, Ints

_Found = TypeVar("_Found", Factorization, "Factorization | None")


def by_blocks(factor: Callable[[Array], _Found]) -> Callable[[Array], _Found]:
    """Let a function that factors a kernel, (L, L), do so for each of its blocks.

    The factors of blocks are fewer, and nearer to harmless, than those of the whole kernel. Where one of them has
    none, nor has the whole.
    """

    @functools.wraps(factor)
    def factored(kernel: Array) -> _Found:
        blocks = find_blocks(kernel)
        if len(blocks) == 1:
            return factor(kernel)
        moves, renamed = [], np.arange(len(kernel))
        for states in blocks:
            part = factor(np.ascontiguousarray(kernel[np.ix_(states, states)]))
            if part is None or np.isinf(part.amplification):
                return part
            names = states.tolist()
            moves += [replace(move, source=names[move.source], target=names[move.target]) for move in part.moves]
            renamed[states] = states[list(part.renamed)]
        return as_factorization(moves, kernel, renamed.tolist())

    return factored


def find_blocks(kernel: Array) -> list[Ints]:
    """Return the sets of states of a kernel, (L, L), that no agent moves between."""
    linked = (kernel != 0) | (kernel.T != 0) | np.eye(len(kernel), dtype=bool)
    block, found = np.full(len(kernel), -1), list[Ints]()
    for state in range(len(kernel)):
        if block[state] < 0:
            members = np.zeros(len(kernel), dtype=bool)
            members[state], n_before = True, 0
            while members.sum() > n_before:
                n_before = int(members.sum())
                members = linked[members].any(axis=0)
            block[members] = len(found)
            found.append(np.flatnonzero(members))
    return found
