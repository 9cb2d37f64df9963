from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.dynamics.transitions.exact import ExactTransitions
from distmarl.dynamics.transitions.factorization import factor_kernel
from distmarl.dynamics.transitions.merges import merge_kernel
from distmarl.dynamics.transitions.moves import Move, as_factorization
from distmarl.errors import InvalidArgumentError
from distmarl.model.policies import local_kernel
from tests.dynamics.test_factorization import amplification_of, product_of
from tests.strategies import FEW, KERNEL_FAMILIES, generators, random_kernel, random_local_policy, random_rows

ROUNDING = 1e-14
# Rows that send nearly everybody on, each to the next state but one: no two-way moves make it up.
WITHOUT_MERGES = 0.98 * np.eye(5)[[2, 3, 4, 0, 1]] + 0.02 / 5


@pytest.mark.parametrize("zones", [2, 3, 4, 5, 6, 8])
def test_robots_are_merged_pair_by_pair_without_any_loss(zones):
    env = dm.robots(n_global_states=zones, n_local_states=zones, n_global_actions=zones)
    greedy = np.eye(env.n_local_actions)[np.random.default_rng(zones).integers(3, size=(zones, zones))]
    policies = (dm.uniform_local_policy(env), random_local_policy(np.random.default_rng(zones), env), greedy)
    for policy, s_g in itertools.product(policies, range(zones)):
        kernel = local_kernel(env, policy)[s_g]
        merges = merge_kernel(kernel)
        assert [move.pair for move in merges.moves] == list(itertools.combinations(range(zones), 2))
        assert all(0 <= q <= 1 for move in merges.moves for q in move.upwards)
        assert merges.amplification == pytest.approx(1.0, abs=ROUNDING)
        np.testing.assert_allclose(product_of(merges, zones), kernel, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("family", KERNEL_FAMILIES)
@FEW
@given(rng=generators(), n_states=st.integers(1, 5))
def test_what_is_found_makes_up_the_kernel(family, rng, n_states):
    kernel = random_kernel(rng, family, n_states)
    merges = merge_kernel(kernel)
    if merges is not None:
        difference = np.abs(product_of(merges, n_states) - kernel).sum(axis=1).max()
        assert difference <= merges.residual + ROUNDING * merges.amplification
        assert merges.residual <= 1e-13
        assert merges.amplification == pytest.approx(amplification_of(merges, n_states), rel=ROUNDING)
        assert len(merges.moves) <= n_states * (n_states - 1) // 2


def test_a_kernel_without_merges_is_written_as_one_way_moves():
    assert merge_kernel(WITHOUT_MERGES) is None
    operator = ExactTransitions(WITHOUT_MERGES[None], k=20, max_relative_error=1e-9)
    assert operator.method == "factored"
    assert operator.relative_error == factor_kernel(WITHOUT_MERGES).relative_error(20)


def test_the_more_precise_of_both_ways_is_taken():
    chosen = set()
    for seed in range(40):
        kernel = random_rows(np.random.default_rng(seed), (3, 3), 0.5)
        merges, one_way = merge_kernel(kernel), factor_kernel(kernel)
        if merges is not None and merges.amplification > 1 + 1e-9:
            errors = (merges.relative_error(9), one_way.relative_error(9))
            assert ExactTransitions(kernel[None], k=9, max_relative_error=1.0).relative_error == min(errors)
            chosen.add(errors.index(min(errors)))
    assert chosen == {0, 1}


def test_agents_are_counted_as_often_as_moves_concern_them():
    # From state 0: the first move concerns it, the second only the half that stayed or came; state 2 meets one move.
    moves = [Move(0, 1, 0.5), Move(1, 2, 0.25, 0.25)]
    found = as_factorization(moves, np.eye(3))
    assert found.n_touched == 2.0  # an agent that starts in state 1 meets both
    assert as_factorization(moves[:1], np.eye(3)).n_touched == 1.0
    assert as_factorization([], np.eye(3)).n_touched == 0.0


@pytest.mark.parametrize("k", [14, 25, 35])
def test_a_discount_near_one_is_solved_exactly(k):
    """With a bound that takes each move for a fibre of all agents this was refused from k = 14 on."""
    env = dm.robots(n_agents=40, gamma=0.999)
    policy = dm.uniform_local_policy(env)
    found = dm.g_learn(env, policy, k=k, transitions="exact", convergence_threshold=1e-6, max_vi_iterations=1)
    assert found.method == "factored"


def test_a_refusal_names_what_would_do():
    env = dm.robots(n_agents=60, gamma=0.9999)
    with pytest.raises(InvalidArgumentError, match="a smaller k, or a larger convergence_threshold"):
        dm.g_learn(env, dm.uniform_local_policy(env), k=25, transitions="exact")
