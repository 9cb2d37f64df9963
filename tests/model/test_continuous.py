"""Grids of cells and games tabulated on them: what they keep of the continuous moves, and what they say they clip."""

from __future__ import annotations

import dataclasses
import math
import re
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.errors import InvalidArgumentError, InvalidEnvironmentError
from tests.reference import largest_frequency_error
from tests.strategies import DETERMINISTIC, FEW

LINE = dm.Grid(-2, 2, 8)


def moments(grid, rows):
    """Means and standard deviations of distributions over a grid's cells."""
    means = rows @ grid.centres
    return means, np.sqrt(np.maximum(rows @ grid.centres**2 - means**2, 0))


def moments_of_clipped(mean, std, low, high):
    """Mean and standard deviation of a clipped normal number, by a sum over a fine mesh."""
    scaled = np.linspace(-8, 8, 40_001)
    weights = np.exp(-(scaled**2) / 2)
    values = np.clip(mean + std * scaled, low, high)
    first = np.average(values, weights=weights)
    return first, math.sqrt(np.average((values - first) ** 2, weights=weights))


@DETERMINISTIC
@given(
    n_cells=st.integers(1, 40),
    mean=st.floats(-5, 5),
    std=st.one_of(st.just(0.0), st.floats(0, 3)),
    low=st.floats(-3, 0),
)
def test_masses_are_distributions(n_cells, mean, std, low):
    row = dm.Grid(low, low + 4, n_cells).normal(mean, std)
    assert (row >= 0).all()
    assert row.sum() == pytest.approx(1, abs=1e-12)


@DETERMINISTIC
@given(n_cells=st.integers(2, 40), place=st.floats(0, 1), std_in_cells=st.floats(0, 2))
def test_the_mean_is_kept_and_so_is_a_deviation_of_half_a_cell_or_more(n_cells, place, std_in_cells):
    """Where nothing is clipped. What is narrower has at most the spread that it takes to keep the mean."""
    grid = dm.Grid(-1, 2, n_cells)
    std = std_in_cells * grid.width
    first, last = grid.centres[[0, -1]] + np.array([7, -7]) * std
    assume(first <= last)
    mean = first + place * (last - first)
    got = moments(grid, grid.normal(mean, std))
    assert got[0] == pytest.approx(mean, abs=1e-9)
    if std_in_cells >= 0.5:
        assert got[1] == pytest.approx(std, rel=0.05)
    else:
        assert got[1] <= grid.width * 0.53


@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.5), (1.7, 0.4), (-2.6, 0.9), (0.1, 0.05)])
def test_means_and_deviations_converge_to_those_of_the_clipped_number(mean, std):
    expected = np.array(moments_of_clipped(mean, std, -2, 2))
    errors = []
    for n_cells in (10, 40, 160, 640):
        grid = dm.Grid(-2, 2, n_cells)
        errors.append(np.abs(np.array(moments(grid, grid.normal(mean, std))) - expected).max())
    assert errors[-1] < 4e-3, "what is clipped is half a width off"
    assert errors[-1] <= errors[0] / 8 + 1e-4
    width = 4 / 640
    naive = np.diff([0, *(NormalDist(mean, std).cdf(-2 + width * i) for i in range(1, 640)), 1])
    np.testing.assert_allclose(dm.Grid(-2, 2, 640).normal(mean, std), naive, atol=0.02 * naive.max())


def test_cells_have_the_frequencies_of_clipped_numbers():
    """On a fine grid; shifted by a tenth of a standard deviation, they would have others."""
    grid, rng = dm.Grid(-1, 1, 30), np.random.default_rng(3)
    cells = grid.cell(rng.normal(0.4, 0.5, 20_000))
    observed = np.bincount(cells, minlength=30)
    assert largest_frequency_error(observed, grid.normal(0.4, 0.5)) <= 4
    assert largest_frequency_error(observed, grid.normal(0.45, 0.5)) > 4


@FEW
@given(n_cells=st.integers(1, 50), low=st.floats(-10, 10), size=st.floats(0.1, 10))
def test_each_centre_is_in_its_cell_and_what_is_beyond_is_in_the_last(n_cells, low, size):
    grid = dm.Grid(low, low + size, n_cells)
    np.testing.assert_array_equal(grid.cell(grid.centres), np.arange(n_cells))
    assert grid.cell([low - 1, low, low + size, np.inf]).tolist() == [0, 0, n_cells - 1, n_cells - 1]
    assert np.diff(grid.centres) == pytest.approx(grid.width)


@FEW
@given(n_cells=st.integers(1, 60), n_classes=st.integers(1, 60))
def test_classes_are_bins_of_the_centres(n_cells, n_classes):
    assume(n_classes <= n_cells)
    grid = dm.Grid(0, 1, n_cells)
    classes = grid.classes(n_classes)
    assert sorted(set(classes.tolist())) == list(range(n_classes))
    middle = dm.Grid(0, 1, n_classes).cell(grid.centres)
    on_edge = np.isclose(grid.centres * n_classes % 1, 0) | np.isclose(grid.centres * n_classes % 1, 1)
    np.testing.assert_array_equal(classes[~on_edge], middle[~on_edge])


def test_uniform_numbers_fill_cells_by_their_length():
    np.testing.assert_allclose(LINE.uniform(-1, 0.25), [0, 0, 0.4, 0.4, 0.2, 0, 0, 0])
    assert dm.Grid(-1, 2, 7).uniform(-1, 2) == pytest.approx(np.full(7, 1 / 7))


def test_the_mass_beyond_the_ends_is_told():
    expected = NormalDist(1.5, 0.5).cdf(-2) + 1 - NormalDist(1.5, 0.5).cdf(2)
    np.testing.assert_allclose(LINE.beyond([1.5, 2.5, 0.0], [0.5, 0.0, 0.0]), [expected, 1, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dm.Grid(1, 1, 3), "low, high: must be finite, and low less than high, got 1.0 and 1.0"),
        (lambda: dm.Grid(0, math.inf, 3), "low, high: must be finite, and low less than high, got 0.0 and inf"),
        (lambda: dm.Grid(0, 1, 0), "n_cells: must be at least 1, got 0"),
        (lambda: LINE.normal(math.inf, 1), "mean: must be finite, got inf"),
        (lambda: LINE.normal(0, [0.1, -1]), "std: must be finite and 0 or more, got -1.0"),
        (lambda: LINE.cell([0.1, math.nan]), "numbers: must be numbers, got nan"),
        (lambda: LINE.cell("left"), "numbers: must be numbers, got"),
        (lambda: LINE.uniform(0, 3), "low, high: must be in order and on the grid, from -2.0 to 2.0, got 0.0 and 3.0"),
        (lambda: LINE.classes(9), "n_classes: must be at most n_cells (8), got 9"),
    ],
)
def test_what_a_grid_cannot_use_is_refused(call, message):
    with pytest.raises(InvalidArgumentError, match="^" + re.escape(message)):
        call()


FUNCTIONS = {
    "transition_global": lambda s_g, a_g: NormalDist(0.5 * s_g + 0.2 * a_g, 0.3),
    "transition_local": lambda s_l, s_g, a_l: NormalDist(s_l + 0.1 * (s_g - s_l) * a_l, 0.6),
    "reward_global": lambda s_g, a_g: s_g - a_g,
    "reward_local": lambda s_l, s_g, a_l: s_l * s_g - a_l,
}
SIZES = {"n_global_actions": 2, "n_local_actions": 3, "n_agents": 4, "gamma": 0.5}
GRIDS = {"global_states": dm.Grid(-1, 1, 5), "local_states": LINE}


def tabulated(**changes):
    return dm.tabulate(**{**FUNCTIONS, **GRIDS, **SIZES, **changes})


def test_tables_hold_what_the_functions_say_at_the_centres():
    env = tabulated(initial_shares=[LINE.normal(0, 1)], observation=LINE.classes(2)).environment
    s_g, s_l = GRIDS["global_states"].centres, LINE.centres
    np.testing.assert_array_equal(env.transition_global[3, 1], GRIDS["global_states"].normal(0.5 * s_g[3] + 0.2, 0.3))
    expected = LINE.normal(s_l[6] + 0.1 * (s_g[1] - s_l[6]) * 2, 0.6)
    np.testing.assert_allclose(env.transition_local[1, 6, 2], expected, rtol=1e-12)
    assert env.reward_global[4, 1] == pytest.approx(s_g[4] - 1)
    assert env.reward_local[0, 5, 2] == pytest.approx(s_l[5] * s_g[0] - 2)
    assert (env.n_agents, env.gamma, env.n_classes, len(env.initial_shares)) == (4, 0.5, 2, 1)


def test_it_says_how_fine_the_grids_are_and_what_they_clipped():
    made = tabulated()
    assert made.global_moves.std_in_cells == pytest.approx(0.3 / 0.4)
    assert made.local_moves.std_in_cells == pytest.approx(0.6 / 0.5)
    assert made.local_moves.std_error < 1e-3
    assert made.global_moves.clipped.shape == (5, 2)
    assert made.local_moves.clipped[0, 0, 0] == pytest.approx(NormalDist(-1.75, 0.6).cdf(-2), rel=1e-6)
    assert "s_l: 8 cells of 0.5 from -2 to 2; narrowest std 1.2 cells" in str(made)
    assert f"at most {made.local_moves.clipped.max():.1%}" in str(made)
    coarse = tabulated(transition_local=lambda s_l, _, a_l: s_l + 0.25 * a_l)  # certain, half a cell
    assert coarse.local_moves.std_in_cells == math.inf
    assert coarse.local_moves.std_error == pytest.approx(0.25)
    np.testing.assert_allclose(coarse.environment.transition_local[0, 3, 1], [0, 0, 0, 0.5, 0.5, 0, 0, 0])


def test_states_may_have_no_place_on_a_line():
    env = tabulated(local_states=2, transition_local=lambda s_l, *_: np.eye(2)[s_l]).environment
    np.testing.assert_array_equal(env.transition_local[0, :, 0], np.eye(2))
    np.testing.assert_array_equal(env.reward_local[:, 0], np.tile([0.0, -1.0, -2.0], (5, 1)))
    made = tabulated(transition_local=lambda *_: np.full(8, 0.125))
    assert made.environment.transition_local[0, 0, 0].tolist() == [0.125] * 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transition_local": lambda *_: "left"}, "transition_local(-1.75, -0.8, 0): must return probabilities: could"),
        ({"transition_local": lambda *_: [0.5, 0.5]}, "transition_local(-1.75, -0.8, 0): must return 8 probabilities"),
        (
            {"transition_global": lambda *_: math.nan},
            "transition_global(-0.8, 0): must be finite, got NormalDist(mu=nan",
        ),
        ({"local_states": 0}, "local_states: must be an integer of 1 or more, got 0"),
        (
            {"local_states": 3, "transition_local": lambda *_: NormalDist(0, 1)},
            "transition_local(0, -0.8, 0): must return probabilities",
        ),
        ({"reward_local": lambda *_: None}, "reward_local(-1.75, -0.8, 0): must return a number, got None"),
        ({"n_local_actions": 0}, "n_local_actions: must be an integer of 1 or more, got 0"),
    ],
)
def test_what_a_function_may_not_return_is_named_with_the_call(changes, message):
    with pytest.raises(InvalidEnvironmentError, match="^" + re.escape(message)):
        tabulated(**changes)


@pytest.fixture(scope="module")
def pair():
    made = tabulated(observation=LINE.classes(2))
    rng = np.random.default_rng(0)
    local_policy = rng.dirichlet(np.ones(3), size=(5, 8))
    return made.pair(rng.integers(2, size=(5, 4)), local_policy, k=3)


def test_a_pair_acts_on_numbers_as_its_tables_say(pair):
    seen = np.array([[-1.9, 0.3, 1.1], [-0.1, -0.2, -3.0]])
    counts = [[1, 2], [3, 0]]
    s_g = np.array([0.9, -0.1])
    cells = [4, 2]
    expected = [pair.global_policy[cell, dm.rank(z)] for cell, z in zip(cells, counts, strict=True)]
    assert pair.act_global(s_g, seen).tolist() == expected
    assert int(pair.act_global(0.9, seen[0])) == expected[0]
    best = pair.act_local(s_g[:, None], seen)
    assert best.tolist() == pair.local_policy.argmax(axis=-1)[[[4], [2]], [[0, 4, 6], [3, 3, 0]]].tolist()


def test_drawn_actions_have_the_probabilities_of_the_policy(pair):
    drawn = pair.act_local(0.9, np.full(20_000, 1.1), np.random.default_rng(1))
    observed = np.bincount(drawn, minlength=3)
    assert largest_frequency_error(observed, pair.local_policy[4, 6]) <= 4
    assert largest_frequency_error(observed, pair.local_policy[4, 5]) > 4


def test_a_global_policy_of_distributions_is_drawn_from(pair):
    law = np.random.default_rng(2).dirichlet(np.ones(2), size=(5, 4))
    drawing = dataclasses.replace(pair, global_policy=law)
    here = law[4, dm.rank([1, 2])]
    seen = np.tile([-1.9, 0.3, 1.1], (20_000, 1))
    assert (drawing.act_global(0.9, seen) == here.argmax()).all()
    observed = np.bincount(drawing.act_global(0.9, seen, np.random.default_rng(1)), minlength=2)
    assert largest_frequency_error(observed, here) <= 4
    assert largest_frequency_error(observed, law[4, dm.rank([2, 1])]) > 4


def test_a_pair_may_act_on_states_without_a_line():
    env = dm.game("ring", n_places=3, n_agents=2)
    pair = dm.ContinuousPair(env, [[0, 1, 2]] * 3, dm.uniform_local_policy(env), k=1, global_grid=None, local_grid=None)
    assert pair.act_global([0, 1], [[2], [0]]).tolist() == [0, 2]
    with pytest.raises(InvalidArgumentError, match=r"^s_g: must be states, integers from 0 to 2"):
        pair.act_global(3, [0])
    with pytest.raises(InvalidArgumentError, match=r"^seen: must be states, integers from 0 to 2"):
        pair.act_global(0, [0.5])


def test_what_does_not_fit_a_pair_is_refused(pair):
    with pytest.raises(InvalidArgumentError, match=r"^seen: must be the states of k = 3 agents, got shape \(2,\)$"):
        pair.act_global(0.0, [0.1, 0.2])
    tables = (pair.environment, pair.global_policy, pair.local_policy)
    with pytest.raises(InvalidArgumentError, match=r"^local_grid: must have as many cells .* \(8\), got 5$"):
        dm.ContinuousPair(*tables, k=3, global_grid=pair.global_grid, local_grid=pair.global_grid)
    with pytest.raises(InvalidArgumentError, match=r"^global_policy: must be integers of shape"):
        dm.ContinuousPair(*tables, k=2, global_grid=pair.global_grid, local_grid=pair.local_grid)
