"""What nobody earns more than."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.equilibrium.ceilings import prescriptions, sizes, value_bound
from distmarl.equilibrium.ceilings.convexity import convexity_slack
from distmarl.equilibrium.ceilings.joint import JointControl
from distmarl.equilibrium.ceilings.prescriptions import PrescriptionControl
from distmarl.equilibrium.ceilings.sizes import SizeLimits, largest_that_fits
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.blind import blind_pair, blind_return
from tests import reference
from tests.equilibrium.hand_made import followers, frozen_crowd, stag_hunt
from tests.strategies import (
    DETERMINISTIC,
    FEW,
    environments,
    generators,
    random_environment,
    random_global_policy,
    random_local_policy,
)

METHODS = ("joint", "prescriptions")
HORIZONS = (None, 1, 3)


def with_agents(env, n_agents):
    return dataclasses.replace(env, n_agents=n_agents)


@FEW
@given(generators(), st.sampled_from([2, 3]), st.sampled_from(HORIZONS))
def test_the_joint_bound_is_the_optimum_over_every_action_of_every_agent(rng, m, horizon):
    env = random_environment(rng, n_local_states=2 if m == 3 else 3, n_agents=m, concentration=0.3)
    found = dm.value_bound(env, method="joint", horizon=horizon, tolerance=1e-6)
    best = reference.best_joint_return(env, horizon=horizon)
    assert (found.m, found.method, found.horizon) == (m, "joint", horizon)
    assert abs(found.value - best) <= found.error + 1e-9
    assert found.error <= 1e-6


def test_agents_that_move_with_the_next_global_state_would_have_another_optimum():
    rng = np.random.default_rng(1)
    apart = []
    for _ in range(5):
        env = random_environment(rng, n_agents=2, concentration=0.3)
        found = dm.value_bound(env, method="joint", tolerance=1e-6)
        apart.append(abs(found.value - reference.best_joint_return(env, late_locals=True)))
    assert min(apart) > 1e-3


@DETERMINISTIC
@given(environments(max_agents=4), generators())
def test_no_action_of_single_agents_is_better_than_prescriptions_and_slack(env, rng):
    joint, prescribed = JointControl(env), PrescriptionControl(env, 1e-6)
    n_vectors = len(reference.enumerate_counts(env.n_agents, env.n_local_states))
    value = rng.normal(size=(n_vectors, env.n_global_states)) * 10
    above = prescribed.backup(value)
    assert (joint.backup(value) <= above + 1e-10).all()
    # Prescriptions are actions of single agents, too.
    assert (above - convexity_slack(env, value) <= joint.backup(value) + 1e-10).all()


def test_what_the_slack_allows_for_can_happen():
    rng = np.random.default_rng(0)
    needed = 0
    for _ in range(6):
        env = random_environment(rng, n_agents=3)
        value = rng.normal(size=(10, 2)) * 10
        without_slack = PrescriptionControl(env, 1e-6).backup(value) - convexity_slack(env, value)
        needed += bool((JointControl(env).backup(value) > without_slack + 1e-6).any())
    assert needed >= 3


def test_a_convex_value_leaves_no_slack():
    env = random_environment(np.random.default_rng(0), n_agents=5, n_local_actions=3)
    counts = np.array(reference.enumerate_counts(5, 3))
    value = np.stack([(counts**2).sum(axis=1), counts.max(axis=1)], axis=1).astype(float)
    assert convexity_slack(env, value).max() < 1e-9
    assert convexity_slack(env, -value).max() > 0.1


@FEW
@given(environments(max_agents=4), st.sampled_from(HORIZONS))
def test_the_lower_of_the_bounds_is_taken(env, horizon):
    bounds = [dm.value_bound(env, method=method, horizon=horizon, tolerance=1e-6) for method in METHODS]
    chosen = dm.value_bound(env, horizon=horizon, tolerance=1e-6)
    assert chosen.ceiling <= min(bound.ceiling for bound in bounds) + 2e-6
    assert bounds[1].ceiling >= bounds[0].value - bounds[0].error


@FEW
@given(generators(), st.sampled_from(HORIZONS))
def test_bounds_fall_in_the_number_of_agents(rng, horizon):
    env = random_environment(rng, n_agents=6, concentration=0.3)
    policy = random_local_policy(rng, env)
    for options in ({"method": "joint"}, {"local_policy": policy}):
        bounds = [dm.value_bound(env, m=m, horizon=horizon, tolerance=1e-6, **options) for m in range(1, 7)]
        for fewer, more in itertools.pairwise(bounds):
            assert more.value <= fewer.value + fewer.error + more.error


@FEW
@given(environments(max_agents=5), generators(), st.sampled_from(HORIZONS))
def test_no_pair_earns_more(env, rng, horizon):
    ceilings = [dm.value_bound(env, m=m, horizon=horizon).ceiling for m in range(1, env.n_agents + 1)]
    for _ in range(3):
        k = int(rng.integers(1, env.n_agents + 1))
        global_policy, local_policy = random_global_policy(rng, env, k), random_local_policy(rng, env)
        earned = dm.exact_return(env, global_policy, local_policy, k=k, horizon=horizon)
        against = [
            dm.value_bound(env, local_policy=local_policy, m=m, horizon=horizon).ceiling
            for m in range(1, env.n_agents + 1)
        ]
        assert earned.value - earned.bound <= min(*ceilings, *against, np.inf)
    blind = blind_pair(env)
    earned = blind_return(env, blind.global_actions, blind.local_policy, horizon=horizon)
    assert earned.value - earned.bound <= min(ceilings)


@FEW
@given(environments(max_agents=4), generators())
def test_against_a_local_policy_the_bound_at_n_is_what_the_best_answer_earns(env, rng):
    policy = random_local_policy(rng, env)
    found = dm.value_bound(env, local_policy=policy, tolerance=1e-6)
    answer = dm.g_learn(env, policy, k=env.n_agents, transitions="exact")
    earned = dm.exact_return(env, answer.policy, policy, k=env.n_agents)
    assert found.method == "answer"
    assert found.m == env.n_agents
    assert abs(found.value - earned.value) <= found.error + earned.bound + 2 * answer.bound / (1 - env.gamma)


def test_a_long_horizon_ends_before_its_last_step_within_the_tolerance():
    env = random_environment(np.random.default_rng(4), n_agents=3, gamma=0.95, concentration=0.3)
    roughly = dm.value_bound(env, horizon=60, method="joint", tolerance=1e-3)
    exactly = dm.value_bound(env, horizon=60, method="joint", tolerance=1e-10)
    assert roughly.n_iterations < exactly.n_iterations < 60
    assert abs(roughly.value - exactly.value) <= roughly.error + exactly.error
    # From the end of the horizon on there is nothing to earn.
    assert abs(exactly.value - dm.value_bound(env, method="joint").value) > 0.01


@pytest.mark.parametrize(("game", "most"), [(followers, 0.5 + 9), (frozen_crowd, None), (stag_hunt, None)])
def test_games_known_by_hand(game, most):
    env = game(n_agents=4)
    best = reference.best_joint_return(with_agents(env, 2))
    for method in METHODS:
        found = dm.value_bound(env, m=2, method=method, tolerance=1e-6)
        assert found.ceiling >= best - 1e-9
    assert dm.value_bound(env, m=2, method="joint").value == pytest.approx(best, abs=1e-3)
    # These games do not mix, so the backward induction goes to its end.
    assert dm.value_bound(env, m=2, horizon=6).value == pytest.approx(
        reference.best_joint_return(with_agents(env, 2), horizon=6), abs=1e-9
    )
    if most is not None:
        # At first half of the agents are where the others are not, or the global agent is where more of them are.
        assert dm.value_bound(env).ceiling >= most


def test_the_figures_of_the_robots():
    env = dm.robots(n_agents=30)
    for m, value in {1: 177.59, 2: 144.64, 3: 139.06, 5: 132.00}.items():
        assert dm.value_bound(env, m=m, method="joint").value == pytest.approx(value, abs=0.01)
    # As low as the optimum itself, at a number of agents for which that would take a hundred times as long.
    prescribed = dm.value_bound(env, m=5, method="prescriptions")
    assert prescribed.ceiling == pytest.approx(132.00, abs=0.01)


def test_prescriptions_serve_where_their_slack_is_small_and_the_joint_bound_where_it_is_not(monkeypatch):
    env = dm.robots(n_agents=1000, n_global_states=3, n_local_states=3, n_global_actions=3)
    found = dm.value_bound(env, max_vectors=3000)
    jointly = dm.value_bound(env, max_vectors=3000, method="joint")
    assert (found.method, found.m) == ("prescriptions", largest_that_fits(env, "prescriptions", 3000))
    assert found.m > jointly.m == largest_that_fits(env, "joint", 3000)
    assert found.ceiling < jointly.ceiling
    monkeypatch.setattr(prescriptions, "convexity_slack", lambda _game, value: np.full_like(value, 2.0))
    spoilt = dm.value_bound(env, max_vectors=3000)
    assert (spoilt.method, spoilt.m) == ("joint", jointly.m)
    assert spoilt.ceiling < dm.value_bound(env, max_vectors=3000, method="prescriptions").ceiling


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": 0}, "m: must be at least 1, got 0"),
        ({"m": 301}, "m: must be at most n_agents .300., got 301"),
        ({"m": True}, "m: must be an integer"),
        ({"m": 200}, r"m: the game of 200 agents would take [\d.,]+ GiB, and 4 GiB are allowed; the largest m"),
        ({"m": 20, "method": "joint"}, "the largest m that fits is 11"),
        ({"max_vectors": 0}, "max_vectors: must be at least 1, got 0"),
        ({"max_vectors": 3}, "max_vectors: must be at least 15, the number for a single agent, got 3"),
        ({"horizon": 0}, "horizon: must be at least 1, got 0"),
        ({"tolerance": 0.0}, "tolerance: must be positive and finite"),
        ({"tolerance": 1e-18, "m": 2}, "tolerance: 1e-18 was not reached"),
        ({"method": "answer"}, "method: must be one of joint, prescriptions, got 'answer'"),
        ({"local_policy": np.full((5, 5, 3), 1 / 3), "method": "joint"}, "method: is for any control"),
        ({"local_policy": np.ones((5, 5, 3))}, "local_policy"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        dm.value_bound(dm.robots(n_agents=300), **options)


@pytest.mark.parametrize("method", ["joint", "prescriptions", "answer"])
def test_the_largest_size_that_fits_is_the_largest(method):
    env = dm.robots(n_agents=1000)
    for most in (2000, 50_000):
        m = largest_that_fits(env, method, most)
        assert sizes.n_vectors(env, method, m) <= most < sizes.n_vectors(env, method, m + 1)
    assert largest_that_fits(dm.robots(n_agents=3), method, 10**6) == 3
    assert largest_that_fits(env, method, 1) is None


def test_transitions_that_lose_digits_at_m_are_left_to_fewer_agents(monkeypatch):
    env = random_environment(np.random.default_rng(3), n_agents=8)
    policy = random_local_policy(np.random.default_rng(3), env)
    whole = value_bound.AnsweringControl

    def imprecise(game, *arguments):
        if game.n_agents > 3:
            raise InvalidArgumentError("transitions: 'exact' would be off")
        return whole(game, *arguments)

    monkeypatch.setattr(value_bound, "AnsweringControl", imprecise)
    assert dm.value_bound(env, local_policy=policy).m == 2
    with pytest.raises(InvalidArgumentError, match="would be off"):
        dm.value_bound(env, local_policy=policy, m=8)


@FEW
@given(generators())
def test_several_horizons_are_bounded_as_each_of_them(rng):
    env = random_environment(rng, n_agents=4)
    together = value_bound.control_bounds(env, [None, 4], limits=SizeLimits(m=4))
    assert together == [dm.value_bound(env, m=4), dm.value_bound(env, m=4, horizon=4)]
    assume(together[0].value != together[1].value)
