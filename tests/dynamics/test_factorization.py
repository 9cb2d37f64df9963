from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import robots, uniform_local_policy
from distmarl.dynamics.transitions.exact import ExactTransitions
from distmarl.dynamics.transitions.factorization import factor_kernel
from distmarl.model.policies import local_kernel
from tests.strategies import FEW, KERNEL_FAMILIES, generators, random_kernel, random_local_policy, random_rows

# Of up to 20 moves, a few units in the last place each.
ROUNDING = 2e-14


def move_matrix(move, n_states):
    """The kernel of one move."""
    matrix = np.eye(n_states)
    matrix[move.source, move.source] = 1.0 - move.q
    matrix[move.source, move.target] = move.q
    matrix[move.target, move.target] = 1.0 - move.back
    matrix[move.target, move.source] = move.back
    return matrix


def product_of(factorization, n_states):
    """The kernel that a factorization stands for: one agent makes each move, then states are renamed."""
    product = np.eye(n_states)
    for move in factorization.moves:
        product = product @ move_matrix(move, n_states)
    renamed = np.zeros((n_states, n_states))
    renamed[np.arange(n_states), factorization.renamed] = 1.0
    return product @ renamed


def amplification_of(factorization, n_states):
    """|| |M_1| ... |M_T| ||_inf."""
    product = np.eye(n_states)
    for move in factorization.moves:
        product = product @ np.abs(move_matrix(move, n_states))
    return product.sum(axis=1).max()


def elimination_amplification(kernel):
    """|| |A| |B| ||_inf of the triangular factors in the given order of rows and columns, by textbook elimination.

    What any order at all achieves: of all factors with these shapes and row sums, these are the only ones.
    """
    n_states = len(kernel)
    lower, upper = np.eye(n_states), kernel.copy()
    for step in range(n_states):
        for row in range(step + 1, n_states):
            lower[row, step] = upper[row, step] / upper[step, step]
            upper[row] -= lower[row, step] * upper[step]
    sums = upper.sum(axis=1)
    return (np.abs(lower * sums) @ np.abs(upper / sums[:, None])).sum(axis=1).max()


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
@FEW
@given(rng=generators(), n_states=st.integers(1, 5))
def test_the_moves_make_up_the_kernel(family, rng, n_states):
    kernel = random_kernel(rng, family, n_states)
    factorization = factor_kernel(kernel)
    difference = np.abs(product_of(factorization, n_states) - kernel).sum(axis=1).max()
    assert difference <= factorization.residual + ROUNDING * factorization.amplification
    assert factorization.residual <= 1e-12 * factorization.amplification


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
@FEW
@given(rng=generators(), n_states=st.integers(1, 5))
def test_the_amplification_is_that_of_the_moves(family, rng, n_states):
    factorization = factor_kernel(random_kernel(rng, family, n_states))
    assert factorization.amplification >= 1.0 - ROUNDING
    assert factorization.amplification == pytest.approx(amplification_of(factorization, n_states), rel=ROUNDING)


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
@FEW
@given(rng=generators(), n_states=st.integers(1, 5))
def test_there_are_at_most_two_moves_for_each_pair_of_states(family, rng, n_states):
    factorization = factor_kernel(random_kernel(rng, family, n_states))
    assert len(factorization.moves) <= n_states * (n_states - 1)
    assert all(move.source != move.target for move in factorization.moves)
    assert sorted(factorization.renamed) == list(range(n_states))


@pytest.mark.parametrize("zones", [1, 2, 3, 4, 5, 6, 7])
def test_robots_lose_no_precision(zones):
    env = robots(n_global_states=zones, n_local_states=zones, n_global_actions=zones)
    for policy in (uniform_local_policy(env), random_local_policy(np.random.default_rng(zones), env)):
        for kernel in local_kernel(env, policy):
            assert factor_kernel(kernel).amplification == pytest.approx(1.0, abs=ROUNDING)


@pytest.mark.parametrize(
    "family", ["deterministic", "permutation", "rank one", "rows equal up to 1e-13", "permutation up to 1e-14"]
)
@FEW
@given(rng=generators(), n_states=st.integers(1, 6))
def test_kernels_next_to_simple_ones_lose_no_precision(family, rng, n_states):
    assert factor_kernel(random_kernel(rng, family, n_states)).amplification == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("concentration", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_no_order_of_rows_and_columns_is_better(n_states, concentration):
    rng = np.random.default_rng(n_states)
    permutations = [list(permutation) for permutation in itertools.permutations(range(n_states))]
    for _ in range(5):
        kernel = random_rows(rng, (n_states, n_states), concentration) + 1e-3
        kernel /= kernel.sum(axis=1, keepdims=True)
        orders = itertools.product(permutations, permutations)
        best = min(elimination_amplification(kernel[np.ix_(rows, columns)]) for rows, columns in orders)
        assert factor_kernel(kernel).amplification == pytest.approx(best, abs=1e-8)


def test_the_chosen_order_is_never_worse_than_the_natural_one_and_often_far_better():
    gains = []
    for seed in range(60):
        kernel = random_rows(np.random.default_rng(seed), (5, 5), 0.5)
        gains.append(elimination_amplification(kernel) / factor_kernel(kernel).amplification)
    assert min(gains) >= 1.0 - 1e-9
    assert np.median(gains) > 2.0


@pytest.mark.parametrize("n_states", [6, 7])
def test_large_kernels_are_improved_without_trying_all_orders(n_states):
    found, natural = [], []
    for seed in range(10):
        kernel = random_rows(np.random.default_rng(seed), (n_states, n_states), 0.5)
        factorization = factor_kernel(kernel)
        assert np.abs(product_of(factorization, n_states) - kernel).sum(axis=1).max() < 1e-13
        found.append(factorization.amplification)
        natural.append(elimination_amplification(kernel))
    assert max(found) < 2.0
    assert min(natural) > 1.0
    assert np.median(natural) > 3.0


@FEW
@given(generators(), st.integers(2, 5))
def test_renaming_states_changes_neither_amplification_nor_kernel(rng, n_states):
    kernel = random_rows(rng, (n_states, n_states), 0.5)
    order, arrival = rng.permutation(n_states), rng.permutation(n_states)
    other = kernel[order][:, arrival]
    factorization, shuffled = factor_kernel(kernel), factor_kernel(other)
    np.testing.assert_allclose(product_of(shuffled, n_states), other, rtol=0, atol=1e-12)
    # Both searches try every order, save where the natural one is harmless already.
    assert shuffled.amplification == pytest.approx(factorization.amplification, rel=1e-8)


@pytest.mark.parametrize("cycle", [[1, 2, 0], [1, 0, 2], [3, 0, 1, 2], [2, 3, 4, 0, 1], [5, 3, 4, 0, 1, 2]])
def test_a_permutation_is_a_renaming_without_moves_that_matter(cycle):
    kernel = np.eye(len(cycle))[cycle]
    factorization = factor_kernel(kernel)
    np.testing.assert_array_equal(product_of(factorization, len(cycle)), kernel)
    assert factorization.residual == 0.0
    operator = ExactTransitions(kernel[None], k=1, max_relative_error=1e-14)
    assert operator.method == "factored"


def test_a_kernel_that_stays_has_no_moves():
    assert factor_kernel(np.eye(4)).moves == ()
    assert factor_kernel(np.ones((1, 1))).moves == ()


def test_the_memory_order_of_a_kernel_does_not_matter():
    kernel = random_rows(np.random.default_rng(0), (4, 4))
    assert factor_kernel(np.asfortranarray(kernel)) == factor_kernel(kernel)
