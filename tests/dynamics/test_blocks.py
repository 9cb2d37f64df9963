"""Kernels of several blocks are factored block by block."""

from __future__ import annotations

import numpy as np
import pytest

from distmarl.dynamics.transitions.blocks import find_blocks
from distmarl.dynamics.transitions.exact import ExactTransitions
from distmarl.dynamics.transitions.factorization import factor_kernel
from distmarl.dynamics.transitions.merges import merge_kernel
from distmarl.dynamics.transitions.moves import Factorization
from distmarl.model.arrays import Array
from distmarl.model.counts import count_vectors
from tests.reference import dense_kernel


def two_blocks(rng: np.random.Generator) -> Array:
    """Return a kernel of two types of three and two states, which are numbered at random."""
    kernel, states = np.zeros((5, 5)), rng.permutation(5)
    kernel[np.ix_(states[:3], states[:3])] = rng.dirichlet(np.ones(3), size=3)
    kernel[np.ix_(states[3:], states[3:])] = 0.8 * np.eye(2) + 0.2 * rng.dirichlet(np.ones(2), size=2)
    return kernel


def product(found: Factorization, n_states: int) -> Array:
    """Return the kernel that moves make up."""
    kernel = np.eye(n_states)
    for move in found.moves:
        kernel = kernel @ move.matrix(n_states)
    return kernel[:, np.argsort(found.renamed)]


@pytest.mark.parametrize("seed", range(5))
def test_moves_stay_within_blocks_and_make_up_the_kernel(seed: int) -> None:
    kernel = two_blocks(np.random.default_rng(seed))
    blocks = [set(block.tolist()) for block in find_blocks(kernel)]
    assert sorted(map(len, blocks)) == [2, 3]
    for found in (factor_kernel(kernel), merge_kernel(kernel)):
        if found is not None:
            assert all(any({move.source, move.target} <= block for block in blocks) for move in found.moves)
            assert len(found.moves) <= 6 + 2
            np.testing.assert_allclose(product(found, 5), kernel, atol=1e-13)


def test_transitions_of_blocks_are_those_of_agents_one_by_one() -> None:
    kernel = two_blocks(np.random.default_rng(7))
    values = np.random.default_rng(1).normal(size=(len(count_vectors(3, 5)), 2))
    moved = ExactTransitions(kernel[None], k=3, max_relative_error=1e-9)
    assert moved.method == "factored"
    np.testing.assert_allclose(moved.expect(0, values), dense_kernel(kernel[None], 3)[0] @ values, atol=1e-12)


def test_a_kernel_that_reaches_everywhere_is_one_block_and_one_that_stays_has_a_block_for_each_state() -> None:
    assert len(find_blocks(np.full((3, 3), 1 / 3))) == 1
    assert [block.tolist() for block in find_blocks(np.eye(3))] == [[0], [1], [2]]
    one_way = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
    assert [block.tolist() for block in find_blocks(one_way)] == [[0, 1], [2]]
