from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

import distmarl as dm
from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import PackedCounts, count_vectors, n_count_vectors, rank, rank_valid
from tests.reference import enumerate_counts
from tests.strategies import DETERMINISTIC, count_vector_lists

SIZES = [(0, 1), (0, 4), (1, 1), (1, 5), (7, 1), (9, 2), (6, 3), (5, 4), (3, 6)]


@pytest.mark.parametrize(("k", "n_states"), SIZES)
def test_count_vectors_are_all_of_them_in_lexicographic_order(k, n_states):
    assert [tuple(row) for row in count_vectors(k, n_states).tolist()] == enumerate_counts(k, n_states)


@pytest.mark.parametrize(("k", "n_states"), SIZES)
def test_rank_inverts_count_vectors(k, n_states):
    vectors = count_vectors(k, n_states)
    np.testing.assert_array_equal(rank(vectors), np.arange(len(vectors)))


@pytest.mark.parametrize(("k", "size"), [(10, 1_001), (25, 23_751), (50, 316_251), (100, 4_598_126)])
def test_number_of_count_vectors_has_its_published_size_for_five_states(k, size):
    assert n_count_vectors(k, 5) == size


@DETERMINISTIC
@given(count_vector_lists())
def test_the_next_vector_has_the_next_number_at_any_size(vectors):
    for vector in vectors:
        (followed,) = np.nonzero(vector[::-1].cumsum()[-2::-1] > 0)  # states with agents after them
        if len(followed):
            state, after = followed[-1], np.zeros_like(vector)
            after[: state + 1] = vector[: state + 1]
            after[state] += 1
            after[-1] += vector.sum() - after.sum()
            assert rank(after) == rank(vector) + 1
        else:
            assert rank(vector) == n_count_vectors(int(vector.sum()), len(vector)) - 1


@DETERMINISTIC
@given(count_vector_lists())
def test_rank_keeps_the_lexicographic_order(vectors):
    first, second = (tuple(row) for row in vectors.tolist())
    number, other = rank(vectors).tolist()
    assert (first < second, first == second) == (number < other, number == other)


def test_first_and_last_vector_have_the_first_and_last_number():
    assert rank([0, 0, 0, 0, 100]) == 0
    assert rank([100, 0, 0, 0, 0]) == 4_598_125


def test_rank_works_where_a_table_over_all_cells_would_not_fit():
    # (k + 1)^L is 1e18 here.
    vectors = np.array([[0] * 8 + [99], [99] + [0] * 8, [11] * 9])
    numbers = rank(vectors)
    assert numbers[0] == 0
    assert numbers[1] == math.comb(99 + 8, 8) - 1
    assert 0 < numbers[2] < numbers[1]


def test_rank_keeps_leading_axes():
    vectors = count_vectors(3, 2).reshape(2, 2, 2)
    np.testing.assert_array_equal(rank(vectors), [[0, 1], [2, 3]])
    assert rank(vectors[0, 0]).shape == ()
    assert rank(np.zeros((0, 3), dtype=int)).shape == (0,)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64])
def test_rank_takes_every_integer_type(dtype):
    vectors = count_vectors(4, 3)
    np.testing.assert_array_equal(rank(vectors.astype(dtype)), np.arange(15))


def test_rank_does_not_overflow_narrow_integers():
    vectors = np.array([[100, 100, 55], [0, 255, 0]], dtype=np.uint8)
    np.testing.assert_array_equal(rank(vectors), rank(vectors.astype(int)))


def test_rank_leaves_its_argument_alone():
    vectors = count_vectors(3, 3)
    before = vectors.copy()
    rank_valid(vectors, 3)
    np.testing.assert_array_equal(vectors, before)


def test_count_vectors_belong_to_the_caller():
    count_vectors(3, 3)[:] = -1
    assert count_vectors(3, 3).min() == 0


def test_count_vectors_and_rank_are_in_the_notebook_api():
    np.testing.assert_array_equal(dm.rank(dm.count_vectors(2, 3)), np.arange(6))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, -1], r"counts: must not be negative, got -1"),
        ([[2, 1], [1, 1]], r"counts: must all have the same sum, got 2 and 3"),
        ([0.5, 1.5], r"counts: must be integers .* got float64 of shape \(2,\)"),
        ([True, False], r"counts: must be integers .* got bool"),
        (3, r"counts: must be integers of shape \(\.\.\., n_states\), got int64 of shape \(\)"),
        (np.zeros((2, 0), dtype=int), r"counts: must be integers .* shape \(2, 0\)"),
    ],
)
def test_rank_refuses_what_is_no_count_vector(counts, message):
    with pytest.raises(InvalidArgumentError, match=message):
        rank(counts)


@pytest.mark.parametrize(("k", "n_states", "message"), [(-1, 3, "k: .* got -1"), (2, 0, "n_states: .* got 0")])
def test_impossible_sizes_are_refused(k, n_states, message):
    with pytest.raises(InvalidArgumentError, match=message):
        n_count_vectors(k, n_states)
    with pytest.raises(InvalidArgumentError, match=message):
        count_vectors(k, n_states)


@pytest.mark.parametrize(("k", "n_states"), [(10**6, 20), (2000, 1000)])
def test_more_vectors_than_64_bits_can_number_are_refused(k, n_states):
    with pytest.raises(InvalidArgumentError, match=f"k={k}, n_states={n_states}: .* 64 bits"):
        n_count_vectors(k, n_states)


def test_rank_refuses_vectors_that_64_bits_cannot_number():
    with pytest.raises(InvalidArgumentError, match="64 bits"):
        rank([50] * 30)


def test_the_largest_numbers_are_exact():
    # comb(64, 32) = 1.8e18 vectors, which floating point could not number.
    size, empty = math.comb(64, 32), [0] * 31
    vectors = [[32, 0, *empty], [31, 1, *empty], [*empty, 1, 31], [*empty, 0, 32]]
    assert rank(vectors).tolist() == [size - 1, size - 2, 1, 0]


# The last ones need several tables, several integers, and tables of more than 16 bits.
@pytest.mark.parametrize(("k", "n_states"), [*SIZES[2:], (25, 5), (255, 3), (3, 30), (70_000, 2)])
def test_packed_sums_have_the_rank_of_the_sums(k, n_states):
    rng = np.random.default_rng(k)
    counts = np.array([rng.multinomial(k, rng.dirichlet(np.ones(n_states))) for _ in range(50)])
    drawn = rng.integers(n_states, size=(n_states, k))
    successors = np.zeros_like(counts)
    for row, agents in enumerate(counts):
        for state, number in enumerate(agents):
            successors[row] += np.bincount(drawn[state, :number], minlength=n_states)
    found = PackedCounts(k, n_states).rank_of_sums(drawn, np.ascontiguousarray(counts.T))
    np.testing.assert_array_equal(found, rank(successors))
