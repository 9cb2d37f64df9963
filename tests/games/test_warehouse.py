"""The warehouse on its grids: its tables, and pairs that earn in the continuum what the tabulated game says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import distmarl as dm
from tests.games import continuous_warehouse as continuum
from tests.sweep.sweeps import run

GAMMA, HORIZON = 0.95, 30


@pytest.fixture(scope="module")
def env():
    return dm.game("warehouse", n_agents=2)


@pytest.fixture(scope="module")
def grids(env):
    return [dm.Grid(-2, 2, size) for size in (env.n_global_states, env.n_local_states)]


@pytest.fixture(scope="module")
def local_policy(grids):
    """Move towards s_g."""
    towards = continuum.towards(grids[0].centres[:, None], grids[1].centres)
    return np.eye(3)[towards]


def in_the_continuum(pair, *, rng, mirrored=False, **options):
    """What a pair earns agent by agent; with ``mirrored``, for controls, the coordinator sees everybody at -s_l."""
    return continuum.simulate(
        lambda s_g, seen: pair.act_global(s_g, -seen if mirrored else seen),
        lambda s_g, s_l: pair.act_local(s_g, s_l, rng),
        k=pair.k,
        horizon=HORIZON,
        rng=rng,
        **options,
    )


def value_of_blind_pair(env, actions, local_policy):
    """What a pair earns whose coordinator acts by s_g alone, exactly: every agent's law of (s_g, s_l) is the same."""
    law = np.multiply.outer(env.initial_global, env.initial_weights @ env.initial_shares)
    own = np.arange(env.n_global_states)
    moves = np.einsum("gla,glam->glm", local_policy, env.transition_local)
    rewards = env.reward_global[own, actions][:, None] + (local_policy * env.reward_local).sum(axis=-1)
    value = 0.0
    for step in range(HORIZON):
        value += GAMMA**step * (law * rewards).sum()
        law = np.einsum("glm,gh->hm", np.einsum("gl,glm->glm", law, moves), env.transition_global[own, actions])
    return value


def test_a_pair_that_stays_earns_in_the_continuum_what_the_tabulated_game_says(env, grids, local_policy):
    """The coordinator stays at the nearest target. The grids are good for 1 % of the return."""
    actions = continuum.nearest_target(grids[0].centres, None)
    pair = dm.ContinuousPair(
        env, np.tile(actions[:, None], (1, 5)), local_policy, k=1, global_grid=grids[0], local_grid=grids[1]
    )
    returns = in_the_continuum(pair, n_agents=2, n_rollouts=10_000, rng=np.random.default_rng(1))
    value = value_of_blind_pair(env, actions, local_policy)
    tolerance = 4 * returns.std() / math.sqrt(10_000) + 0.01 * value
    assert tolerance < 0.03 * value
    assert abs(returns.mean() - value) <= tolerance
    # The control: where the coordinator has the spread of its cell besides its noise, it earns less.
    wide = math.hypot(0.08, grids[0].width / math.sqrt(6))
    means = grids[0].centres[:, None] + 0.6 * (continuum.TARGETS - grids[0].centres[:, None])
    spread = dataclasses.replace(env, transition_global=grids[0].normal(means, wide))
    assert returns.mean() - value_of_blind_pair(spread, actions, local_policy) > tolerance


def test_a_pair_that_sees_agents_earns_in_the_continuum_what_rollouts_of_counts_say(grids, local_policy):
    """The coordinator goes to the fullest bin that it sees; mirrored, it goes away from it."""
    env = dm.game("warehouse", n_agents=12)
    fullest = np.tile(dm.count_vectors(3, 5).argmax(axis=1), (env.n_global_states, 1))
    told = dm.evaluate(env, fullest, local_policy, k=3, n_rollouts=600, horizon=HORIZON, seed=0)
    pair = dm.ContinuousPair(env, fullest, local_policy, k=3, global_grid=grids[0], local_grid=grids[1])
    returns = {
        mirrored: in_the_continuum(pair, n_agents=12, n_rollouts=600, rng=np.random.default_rng(2), mirrored=mirrored)
        for mirrored in (False, True)
    }
    error = 4 * math.hypot(told.std, returns[False].std()) / math.sqrt(600)
    assert abs(returns[False].mean() - told.mean) <= error + 0.01 * told.mean
    assert abs(returns[True].mean() - told.mean) > error + 0.01 * told.mean


def test_a_stored_pair_acts_in_the_continuum_and_earns_there_what_its_table_says(tmp_path, grids):
    """Trained in a sweep, whose evaluations are of the tabulated game."""
    sweep = {
        "name": "warehouse",
        "environment": {"name": "warehouse", "n_agents": 12},
        "global_agent": {"transitions": "exact", "convergence_threshold": 3.0},
        "local_agent": {"policy": "greedy"},
        "alternating": {"update": "each", "starts": ["stay"], "n_outer_iterations": 1},
        "evaluation": {"n_rollouts": 600, "horizon": HORIZON},
        "experiment": {"k_values": [3], "n_eval_seeds": 1},
    }
    run(tmp_path, sweep)
    results = dm.open(tmp_path)
    told = results.evaluations.iloc[0]
    pair = dm.ContinuousPair(
        results.environment(),
        results.global_policy(3),
        results.local_policy(),
        k=3,
        global_grid=grids[0],
        local_grid=grids[1],
    )
    returns = {
        mirrored: in_the_continuum(pair, n_agents=12, n_rollouts=600, rng=np.random.default_rng(3), mirrored=mirrored)
        for mirrored in (False, True)
    }
    error = 4 * math.hypot(told["std_return"], returns[False].std()) / math.sqrt(600)
    assert abs(returns[False].mean() - told["mean_return"]) <= error + 0.01 * told["mean_return"]
    assert told["mean_return"] - returns[True].mean() > error, "whoever sees the others mirrored earns less"


def test_steps_worked_by_hand(env, grids):
    """s_g = 0.96 towards -0.8: on average 0.96 + 0.6 (-0.8 - 0.96) = -0.096; s_l = -0.8 up: -0.75."""
    coordinator, robots = grids
    s_g, s_l = coordinator.cell(0.96), robots.cell(-0.8)
    assert (coordinator.centres[s_g], robots.centres[s_l]) == pytest.approx((0.96, -0.8))
    for row, centres, mean, std in (
        (env.transition_global[s_g, 1], coordinator.centres, -0.096, 0.08),
        (env.transition_local[3, s_l, 1], robots.centres, -0.75, 0.04),
        (env.transition_local[3, s_l, 0], robots.centres, -0.8, 0.04),
    ):
        assert row @ centres == pytest.approx(mean, abs=1e-9)
        assert math.sqrt(row @ (centres - mean) ** 2) == pytest.approx(std, rel=0.05)
    assert env.reward_global[s_g, 3] == pytest.approx(5 * math.exp(-(0.16**2) / 0.18))
    near = coordinator.cell(-0.8)
    assert env.reward_local[near, s_l].tolist() == pytest.approx([10, 9.75, 9.75])
    assert env.reward_local[s_g, s_l, 0] == pytest.approx(10 * math.exp(-(1.76**2) / 0.08))
    up, down = env.transition_local[3, 0, 1], env.transition_local[3, 0, 2]
    assert down[0] > 0.97 > 0.3 > up[0], "who goes beyond the end is clipped to it"


def test_the_start_has_two_clusters_and_bins_have_as_many_cells(env, grids):
    coordinator, robots = grids
    assert env.initial_global @ coordinator.centres == pytest.approx(0, abs=1e-12)
    assert env.initial_global[np.abs(coordinator.centres) > 1.08].sum() == 0
    np.testing.assert_array_equal(env.observation, np.repeat(range(5), 15))
    in_bins = np.stack([env.initial_shares[:, env.observation == each].sum(axis=1) for each in range(5)], axis=1)
    assert len({tuple(row.argsort()[-2:]) for row in in_bins}) == 20, "every ordered pair of two bins"
    np.testing.assert_allclose(np.sort(in_bins, axis=1)[:, -2:], [[0.45, 0.55]] * 20, atol=0.02)
    spread = (env.initial_weights @ env.initial_shares) @ robots.centres**2
    assert spread == pytest.approx(0.18**2 + np.mean([1.6**2, 0.8**2, 0, 0.8**2, 1.6**2]), rel=0.01)


def test_the_game_is_mirrored(env):
    np.testing.assert_allclose(env.transition_global, env.transition_global[::-1, ::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(env.reward_global, env.reward_global[::-1, ::-1], rtol=1e-12)
    mirrored = env.transition_local[::-1, ::-1, [0, 2, 1], ::-1]
    np.testing.assert_allclose(env.transition_local, mirrored, atol=1e-12)
    np.testing.assert_array_equal(env.observation, 4 - env.observation[::-1])
