from __future__ import annotations

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distmarl import game, robots, uniform_local_policy
from distmarl.dynamics.transitions.exact import ExactTransitions, dense_power, exact_transitions, largest_exact_k
from distmarl.dynamics.transitions.factorization import factor_kernel
from distmarl.dynamics.transitions.sampled import sampled_transitions
from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import count_vectors
from distmarl.model.policies import local_kernel, local_reward
from tests.reference import dense_kernel, elevate, enumerate_counts, number_of
from tests.strategies import DETERMINISTIC, FEW, KERNEL_FAMILIES, generators, random_kernel, random_rows

EPSILON = float(np.finfo(float).eps)
ANY_PRECISION = 1e300
# No order of rows and columns of these Dirichlet(0.5) kernels is harmless: amplification 1.21, 1.45 and 1.62.
HARD_KERNELS = {
    n_states: random_rows(np.random.default_rng(seed), (n_states, n_states), 0.5)
    for n_states, seed in (
        (3, 12),
        (4, 15),
        (5, 71),
    )
}


def power(kernel, k, max_relative_error=ANY_PRECISION):
    """The exact operator of a single kernel; factored, unless a precision is asked for that factors do not have."""
    return ExactTransitions(kernel[None], k=k, max_relative_error=max_relative_error)


def extreme_values(rng, n_counts):
    """Columns of size 1: all alike, of random sign, uniform, and a single one."""
    signs = rng.choice([-1.0, 1.0], size=n_counts)
    return np.stack([np.ones(n_counts), signs, rng.uniform(-1, 1, n_counts), np.eye(n_counts)[n_counts // 2]], axis=1)


def reference_error(k, n_states, n_counts):
    """Rounding of the brute-force expectation of values of size 1: k products and sums, then C terms."""
    return (2 * k * n_states + n_counts) * EPSILON


def waves(kernel, k, angles):
    """Columns f(z) = cos(angle . z) and sin(angle . z), and their expectations in closed form.

    For f(z) = prod_j x_j^z_j, (T f)(z) = prod_i (sum_j p_ij x_j)^z_i; here x_j = exp(i angle_j).
    """
    counts = count_vectors(k, len(kernel))
    values = np.exp(1j * counts @ np.transpose(angles))
    moved = np.exp(1j * np.asarray(angles)) @ kernel.T
    expected = np.prod(moved[None] ** counts[:, None, :], axis=-1)
    return np.hstack([values.real, values.imag]), np.hstack([expected.real, expected.imag])


def wave_rounding(k):
    """Rounding of both columns of ``waves``: of angles and powers."""
    return 20 * k * EPSILON


# Against a brute-force kernel.


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
def test_expectations_are_those_of_agents_that_move_one_after_the_other(family):
    rng = np.random.default_rng(KERNEL_FAMILIES.index(family))
    for n_states, k in itertools.product(range(1, 5), range(1, 7)):
        kernel = random_kernel(rng, family, n_states)
        operator = power(kernel, k)
        exact = dense_kernel(kernel[None], k)[0]
        values = extreme_values(rng, len(exact))
        error = np.abs(operator.expect(0, values) - exact @ values).max()
        # The certificate holds, and is worth having.
        assert error <= operator.relative_error + reference_error(k, n_states, len(exact))
        assert error <= 1e-12 * factor_kernel(kernel).amplification ** k
        assert operator.relative_error <= 1e-12 * factor_kernel(kernel).amplification ** k
        assert operator.method == "factored"


@pytest.mark.parametrize(("n_states", "k"), [(5, 4), (6, 3), (7, 2)])
def test_more_states_than_all_orders_can_be_tried_for_work_too(n_states, k):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        kernel = random_rows(rng, (n_states, n_states), 0.5)
        operator, exact = power(kernel, k), dense_kernel(kernel[None], k)[0]
        values = extreme_values(rng, len(exact))
        error = np.abs(operator.expect(0, values) - exact @ values).max()
        assert error <= operator.relative_error + reference_error(k, n_states, len(exact))
        assert operator.relative_error < 1e-11


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
@FEW
@given(rng=generators(), n_states=st.integers(1, 5), k=st.integers(1, 8))
def test_single_precision_is_off_by_no_more_than_is_stated(family, rng, n_states, k):
    operator = power(random_kernel(rng, family, n_states), k)
    values = extreme_values(rng, len(count_vectors(k, n_states))).astype(np.float32)
    if math.isfinite(operator.single_error):
        moved = operator.expect(0, values)
        assert moved.dtype == np.float32
        largest = operator.single_error * np.abs(values).max()
        assert np.abs(moved - operator.expect(0, values.astype(np.float64))).max() <= largest


@pytest.mark.parametrize("k", [10, 30])
def test_the_error_of_single_precision_is_there(k):
    kernel = local_kernel(robots(), uniform_local_policy(robots()))
    operator = ExactTransitions(kernel, k=k, max_relative_error=ANY_PRECISION)
    values = np.random.default_rng(k).choice([-1.0, 1.0], size=(len(count_vectors(k, 5)), 3)).astype(np.float32)
    error = np.abs(operator.expect(0, values) - operator.expect(0, values.astype(np.float64))).max()
    assert 1e-8 < error <= operator.single_error < 1e-4


# Its moves make values 246 times as large on the way, for each agent, though the whole is harmless: amplification 1.46.
WILD_KERNEL = np.array(
    [
        [4.63931171e-01, 3.58087104e-01, 5.23518362e-03, 1.72746542e-01],
        [5.96466757e-03, 7.00947650e-04, 2.44361901e-01, 7.48972484e-01],
        [2.24930658e-01, 7.02733161e-03, 1.59457079e-02, 7.52096303e-01],
        [3.46137499e-01, 3.09595589e-02, 3.28003427e-01, 2.94899515e-01],
    ]
)
WILD_KERNEL /= WILD_KERNEL.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("k", "is_single"), [(2, True), (3, True), (8, False), (15, False)])
def test_values_that_grow_on_the_way_are_left_in_double(k, is_single):
    operator = power(WILD_KERNEL, k)
    assert operator.relative_error < 1e-6
    assert math.isfinite(operator.single_error) == is_single
    values = np.random.default_rng(1).choice([-1.0, 1.0], size=(len(count_vectors(k, 4)), 2)).astype(np.float32)
    error = np.abs(operator.expect(0, values) - operator.expect(0, values.astype(np.float64))).max()
    assert error <= operator.single_error


def test_kernels_whose_weights_are_beyond_single_precision_are_left_in_double():
    assert power(HARD_KERNELS[5], 60).single_error == math.inf
    assert power(HARD_KERNELS[3], 5, 0.0).single_error == math.inf, "a dense matrix of few count vectors"


@FEW
@given(generators(), st.sampled_from(KERNEL_FAMILIES))
def test_another_kernel_fails_the_same_check(rng, family):
    k, kernel = 3, random_kernel(rng, family, 3)
    other = 0.999 * kernel + 0.001 * random_rows(rng, (3, 3))
    exact = dense_kernel(other[None], k)[0]
    values = extreme_values(rng, len(exact))
    error = np.abs(power(kernel, k).expect(0, values) - exact @ values).max()
    assert error > 1e6 * power(kernel, k).relative_error + 1e-9


@pytest.mark.parametrize("n_states", [1, 2, 3, 4])
@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_the_dense_power_is_the_brute_force_kernel(n_states, k):
    for family in KERNEL_FAMILIES:
        kernel = random_kernel(np.random.default_rng(k), family, n_states)
        np.testing.assert_allclose(dense_power(kernel, k), dense_kernel(kernel[None], k)[0], rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("k", [1, 5, 11])
@pytest.mark.parametrize("n_states", [3, 4])
def test_the_factored_and_the_dense_path_agree(n_states, k):
    factored, dense = (power(HARD_KERNELS[n_states], k, allowed) for allowed in (ANY_PRECISION, 0.0))
    assert (factored.method, dense.method) == ("factored", "dense")
    values = extreme_values(np.random.default_rng(k), len(count_vectors(k, n_states)))
    error = np.abs(factored.expect(0, values) - dense.expect(0, values)).max()
    assert error <= factored.relative_error + dense.relative_error
    assert dense.relative_error < factored.relative_error < 1e-9


def test_one_agent_moves_by_the_kernel_itself():
    kernel = HARD_KERNELS[5]
    # Count vector number i has its one agent in state L - 1 - i.
    np.testing.assert_allclose(power(kernel, 1).expect(0, np.eye(5)), kernel[::-1, ::-1], rtol=0, atol=1e-14)


def test_a_single_state_leaves_values_as_they_are():
    for k in (1, 7, 100):
        np.testing.assert_array_equal(power(np.ones((1, 1)), k).expect(0, np.array([[3.0, -1.0]])), [[3.0, -1.0]])


@pytest.mark.parametrize(
    "kernel", [np.eye(4), np.eye(4)[[1, 2, 3, 0]], np.eye(4)[[1, 0, 0, 2]], np.eye(4)[[3, 3, 3, 3]]]
)
@pytest.mark.parametrize("k", [1, 4, 12])
def test_deterministic_moves_carry_values_over(kernel, k):
    counts = count_vectors(k, 4)
    values = np.random.default_rng(0).normal(size=(len(counts), 2))
    number = {tuple(row): position for position, row in enumerate(counts.tolist())}
    successors = [number[tuple(row)] for row in (counts @ kernel.astype(int)).tolist()]
    np.testing.assert_allclose(power(kernel, k).expect(0, values), values[successors], rtol=0, atol=1e-14)


# In closed form, at sizes where no kernel could be stored.


@pytest.mark.parametrize("name", ["robots", "dirichlet", "hard", "rank one", "absorbing"])
def test_products_of_linear_forms_have_their_closed_form_at_forty_agents(name):
    k, rng = 40, np.random.default_rng(2)
    env = robots()
    rows = random_rows(rng, (5, 5), 3.0)
    kernel = {
        "robots": local_kernel(env, uniform_local_policy(env))[2],
        "dirichlet": rows,
        "hard": HARD_KERNELS[5],
        "rank one": np.repeat(rows[:1], 5, axis=0),
        "absorbing": np.where(np.arange(5)[:, None] == 3, np.eye(5), rows),
    }[name]
    operator = power(kernel, k)
    # Small angles, so that the expectation stays of the size of the value; and any angle.
    values, expected = waves(kernel, k, [rng.uniform(-0.2, 0.2, 5), rng.uniform(-np.pi, np.pi, 5)])
    error = np.abs(operator.expect(0, values) - expected)
    assert np.abs(expected).max() > 0.8
    assert error.max() <= operator.relative_error + wave_rounding(k)
    if name in ("robots", "rank one"):
        assert error.max() < 1e-12


@pytest.mark.parametrize(("n_states", "k"), [(2, 200), (3, 60), (4, 25)])
def test_the_stated_error_is_a_bound_at_large_k_too(n_states, k):
    rng = np.random.default_rng(n_states)
    for family in KERNEL_FAMILIES:
        for _ in range(3):
            kernel = random_kernel(rng, family, n_states)
            operator = power(kernel, k)
            values, expected = waves(kernel, k, rng.choice([0.0, 0.1, np.pi / 2, np.pi], size=(4, n_states)))
            error = np.abs(operator.expect(0, values) - expected).max()
            assert error <= operator.relative_error + wave_rounding(k)


@pytest.mark.parametrize("kernel", ["robots", "hard"])
def test_first_and_second_moments_have_their_closed_form_at_thirty_five_agents(kernel):
    k, env = 35, robots()
    kernel = local_kernel(env, uniform_local_policy(env))[1] if kernel == "robots" else HARD_KERNELS[5]
    counts = count_vectors(k, 5)
    pairs = list(itertools.combinations_with_replacement(range(5), 2))
    values = np.hstack([counts, np.stack([counts[:, i] * counts[:, j] for i, j in pairs], axis=1)]).astype(float)
    mean = counts @ kernel
    second = [
        mean[:, i] * mean[:, j] + (i == j) * mean[:, i] - counts @ (kernel[:, i] * kernel[:, j]) for i, j in pairs
    ]
    operator = power(kernel, k)
    moved = operator.expect(0, values)
    allowed = operator.relative_error + 10 * EPSILON
    np.testing.assert_allclose(moved[:, :5], mean, rtol=0, atol=allowed * k**2)
    np.testing.assert_allclose(moved[:, 5:], np.transpose(second), rtol=0, atol=allowed * k**2)


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
def test_constants_stay_constant(family):
    rng = np.random.default_rng(0)
    for n_states, k in [(2, 50), (3, 30), (4, 12), (5, 10)]:
        operator = power(random_kernel(rng, family, n_states), k)
        ones = np.ones((len(count_vectors(k, n_states)), 1))
        np.testing.assert_allclose(operator.expect(0, ones), 1.0, rtol=0, atol=operator.relative_error)


# Identities of symmetric powers.


@DETERMINISTIC
@given(generators(), st.integers(1, 4), st.integers(1, 12), st.sampled_from(KERNEL_FAMILIES))
def test_moving_twice_is_moving_by_the_product(rng, n_states, k, family):
    first, second = random_kernel(rng, family, n_states), random_kernel(rng, "dirichlet", n_states)
    both = power(first @ second, k)
    one, other = power(first, k), power(second, k)
    values = extreme_values(rng, len(count_vectors(k, n_states)))
    error = np.abs(both.expect(0, values) - one.expect(0, other.expect(0, values))).max()
    rounding = 4 * k * n_states * EPSILON  # of the product of the kernels
    assert error <= rounding + both.relative_error + 1.01 * (one.relative_error + other.relative_error)


@DETERMINISTIC
@given(generators(), st.integers(1, 4), st.integers(1, 6), st.sampled_from(KERNEL_FAMILIES))
def test_leaving_an_agent_out_commutes_with_moving(rng, n_states, k, family):
    kernel = random_kernel(rng, family, n_states)
    smaller, larger = power(kernel, k), power(kernel, k + 1)
    values = extreme_values(rng, len(enumerate_counts(k, n_states)))
    moved = larger.expect(0, elevate(values, k, n_states))
    np.testing.assert_allclose(
        moved,
        elevate(smaller.expect(0, values), k, n_states),
        rtol=0,
        atol=smaller.relative_error + larger.relative_error + 10 * EPSILON,
    )


# The operator as others use it.


@pytest.mark.parametrize("family", ["dirichlet", "permutation", "deterministic"])
@pytest.mark.parametrize("path", [ANY_PRECISION, 0.0])
def test_values_are_left_alone_and_results_are_new(family, path):
    kernel = random_kernel(np.random.default_rng(0), family, 4)
    for matrix in (kernel, np.eye(4)):
        operator = power(matrix, 3, path)
        values = np.random.default_rng(1).normal(size=(20, 3))
        before = values.copy()
        values.flags.writeable = False
        first = operator.expect(0, values)
        kept = first.copy()
        second = operator.expect(0, -values)
        np.testing.assert_array_equal(values, before)
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(second, -kept)
        assert not np.shares_memory(first, values)
        assert not np.shares_memory(first, second)


@pytest.mark.parametrize("path", [ANY_PRECISION, 0.0])
def test_the_memory_order_of_values_does_not_matter(path):
    operator = power(HARD_KERNELS[4], 4, path)
    wide = np.random.default_rng(0).normal(size=(70, 6))
    values = np.ascontiguousarray(wide[::2, ::2])
    expected = operator.expect(0, values)
    for same in (np.asfortranarray(values), wide[::2, ::2], np.ascontiguousarray(values.T).T):
        np.testing.assert_allclose(operator.expect(0, same), expected, rtol=0, atol=1e-13)


def test_columns_do_not_mix():
    operator = power(HARD_KERNELS[4], 6)
    values = np.random.default_rng(0).normal(size=(84, 7))
    together = operator.expect(0, values)
    for column in range(7):
        alone = operator.expect(0, values[:, column : column + 1])
        np.testing.assert_allclose(together[:, column : column + 1], alone, rtol=0, atol=1e-13)


def test_the_same_values_give_the_same_result_bit_for_bit():
    values = np.random.default_rng(0).normal(size=(84, 3))
    first, second = (power(HARD_KERNELS[4], 6).expect(0, values) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_each_global_state_has_its_own_kernel_and_path():
    k = 5
    kernels = np.stack([np.eye(4)[[1, 2, 3, 0]], HARD_KERNELS[4], random_rows(np.random.default_rng(0), (4, 4))])
    exact = dense_kernel(kernels, k)
    values = extreme_values(np.random.default_rng(1), exact.shape[-1])
    for allowed, method in ((ANY_PRECISION, "factored"), (1e-14, "factored+dense")):
        operator = ExactTransitions(kernels, k=k, max_relative_error=allowed)
        assert operator.method == method
        for s_g in range(3):
            np.testing.assert_allclose(operator.expect(s_g, values), exact[s_g] @ values, rtol=0, atol=1e-12)
    errors = [power(kernel, k).relative_error for kernel in kernels]
    assert ExactTransitions(kernels, k=k, max_relative_error=ANY_PRECISION).relative_error == max(errors)
    assert errors[0] < errors[2] < errors[1]


# Precision.


def expectation_in_fractions(kernel, k, values):
    """T of a column of values without any rounding: over all destinations of each of the k agents."""
    n_states = len(kernel)
    number = number_of(k, n_states)
    expected = []
    for counts in number:
        agents = np.repeat(np.arange(n_states), counts)
        total = Fraction(0)
        for destinations in itertools.product(range(n_states), repeat=k):
            probability = math.prod(Fraction(float(kernel[pair])) for pair in zip(agents, destinations, strict=True))
            moved = tuple(np.bincount(destinations, minlength=n_states).tolist())
            total += probability * Fraction(float(values[number[moved]]))
        expected.append(total)
    return expected


@pytest.mark.parametrize("path", [ANY_PRECISION, 0.0])
def test_the_stated_error_holds_down_to_the_last_digit(path):
    largest = Fraction(0)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        kernel = random_rows(rng, (3, 3), 0.5)
        operator, values = power(kernel, 3, path), rng.choice([-1.0, 1.0], size=10)
        moved = operator.expect(0, values[:, None])[:, 0]
        exact = expectation_in_fractions(kernel, 3, values)
        error = max(abs(Fraction(float(ours)) - expected) for ours, expected in zip(moved, exact, strict=True))
        assert error <= Fraction(operator.relative_error)
        largest = max(largest, error / Fraction(operator.relative_error))
    assert largest > Fraction(1, 1000)


def test_unstable_factors_are_refused_where_the_dense_matrix_is_too_large():
    env = robots()
    kernels = np.stack([local_kernel(env, uniform_local_policy(env))[0], HARD_KERNELS[5]])
    lost = power(HARD_KERNELS[5], 60).relative_error
    with pytest.raises(InvalidArgumentError) as refusal:
        ExactTransitions(kernels, k=60, max_relative_error=3e-9)
    message = str(refusal.value)
    assert lost > 1e-4
    assert re.match(r"transitions: 'exact' would be off by up to", message)
    assert f"{lost:.1e}" in message
    assert "s_g=1" in message
    assert "k=60" in message
    assert "3.0e-09" in message
    assert "transitions: sampled" in message
    # Fewer agents, or none that are hard to follow, are served.
    assert ExactTransitions(kernels, k=10, max_relative_error=3e-9).method == "factored"
    assert ExactTransitions(kernels[:1], k=60, max_relative_error=3e-9).method == "factored"


@pytest.mark.parametrize("n_states", [3, 4, 5])
def test_the_stated_error_grows_like_powers_of_the_amplification(n_states):
    kernel = HARD_KERNELS[n_states]
    growth = power(kernel, 50).relative_error / power(kernel, 10).relative_error
    expected = factor_kernel(kernel).amplification ** 40
    assert 1.2**40 < expected < growth < 6 * expected


def test_the_loss_of_precision_is_real():
    # On values of changing sign, far more is lost than by rounding alone.
    kernel = random_kernel(np.random.default_rng(22), "sparse", 4)
    operator = power(kernel, 60)
    values, expected = waves(kernel, 60, np.pi * np.array(list(itertools.product([0, 1], repeat=4))))
    error = np.abs(operator.expect(0, values) - expected).max()
    assert 1e-8 < error <= operator.relative_error


def test_any_number_of_agents_is_refused_rather_than_overflowing():
    with pytest.raises(InvalidArgumentError, match="transitions: sampled"):
        power(HARD_KERNELS[5], 1500, 1e-9)


def test_moves_with_probabilities_far_outside_the_unit_interval_do_no_harm():
    # Nearly nobody is in the state that is left with "probability" -999; but its powers leave the range of floats.
    kernel = np.array([0.5, 0.3, 0.2]) + np.array([[0, 0, 0], [-5e-14, 1e-10, -1e-10 + 5e-14], [0, -1e-10, 1e-10]])
    kernel /= kernel.sum(axis=1, keepdims=True)
    for k, method in ((20, "factored"), (62, "dense")):
        operator = power(kernel, k, 1e-9)
        values, expected = waves(kernel, k, [[0.0, 0.1, 0.2], [np.pi, 0.0, np.pi]])
        error = np.abs(operator.expect(0, values) - expected).max()
        assert error <= operator.relative_error + wave_rounding(k)
        assert operator.method == method
    with pytest.raises(InvalidArgumentError, match="transitions: sampled"):
        power(kernel, 150, 1e-9)


# Against sampling.


def largest_z_score(sampled_kernel, exact_kernel, *, k, m):
    """Largest distance of a sampled expectation from the exact one, in standard errors, over count vectors."""
    sampled = sampled_transitions(sampled_kernel[None], k=k, n_mc_samples=m, seed=0)
    values = np.random.default_rng(0).normal(size=(len(count_vectors(k, len(exact_kernel))), 2))
    exact = power(exact_kernel, k)
    mean = exact.expect(0, values)
    variance = exact.expect(0, values**2) - mean**2
    return (np.abs(sampled.expect(0, values) - mean) / np.sqrt(variance / m)).max()


def test_sampled_expectations_scatter_around_the_exact_ones():
    kernel = HARD_KERNELS[3]
    assert largest_z_score(kernel, kernel, k=12, m=3000) < 4
    # Negative control: a kernel that is a little different.
    assert largest_z_score(0.95 * kernel + 0.05 / 3, kernel, k=12, m=3000) > 4


def test_the_largest_k_is_the_last_for_which_exact_transitions_are_built():
    for env in (game("ring", n_agents=20), game("random", n_local_states=5, seed=3), game("formation", n_agents=12)):
        policy = uniform_local_policy(env)
        kernel, reward = local_kernel(env, policy), local_reward(env, policy)
        for tolerance in (1e-3, 1e-6):
            k = largest_exact_k(env, kernel, reward, tolerance=tolerance)
            exact_transitions(env, kernel, reward, k=k, tolerance=tolerance)
            if k < env.n_agents:
                with pytest.raises(InvalidArgumentError, match="'exact' would be off"):
                    exact_transitions(env, kernel, reward, k=k + 1, tolerance=tolerance)
