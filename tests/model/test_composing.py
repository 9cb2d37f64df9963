"""Games of several types of local agents."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import distmarl as dm
from distmarl.dynamics.population import initial_population
from distmarl.errors import InvalidArgumentError, InvalidEnvironmentError
from distmarl.model.counts import count_vectors
from tests import reference
from tests.strategies import random_global_policy, random_local_policy


def part(n_states: int, seed: int, **changes: object) -> dm.Environment:
    """Return a game of a type; all have the same global agent."""
    rng, shared = np.random.default_rng(seed), np.random.default_rng(0)
    tables = {
        "transition_global": shared.dirichlet(np.ones(2), size=(2, 2)),
        "reward_global": shared.normal(size=(2, 2)),
        "transition_local": rng.dirichlet(np.ones(n_states), size=(2, n_states, 2)),
        "reward_local": rng.normal(size=(2, n_states, 2)),
    }
    return dm.Environment(**{**tables, "n_agents": 3, "gamma": 0.8, **changes})  # type: ignore[arg-type]


@pytest.fixture
def game() -> dm.Environment:
    return dm.compose({"a": part(2, seed=1), "b": part(1, seed=2)}, shares=[0.7, 0.3])


def test_nobody_changes_type_and_each_moves_and_earns_as_in_its_own_game(game: dm.Environment) -> None:
    assert game.local_types == ("a", "a", "b")
    assert not game.transition_local[:, :2, :, 2].any()
    assert not game.transition_local[:, 2, :, :2].any()
    np.testing.assert_array_equal(game.transition_local[:, :2, :, :2], part(2, seed=1).transition_local)
    np.testing.assert_array_equal(game.reward_local[:, 2], part(1, seed=2).reward_local[:, 0])


def test_types_alone_earn_what_their_games_earn() -> None:
    """Where nearly all are of one type and the types are not seen, the game is that type's."""
    alone = part(2, seed=1)
    both = dm.compose({"a": alone, "b": part(2, seed=2)}, shares=[1 - 1e-9, 1e-9], sees_types=False)
    own = dm.Environment(
        **{name: getattr(alone, name) for name in ("transition_global", "transition_local", "reward_global")},
        **{name: getattr(alone, name) for name in ("reward_local", "n_agents", "gamma")},
        initial_shares=[[0.5, 0.5]],
    )
    rng = np.random.default_rng(3)
    global_policy, local_policy = random_global_policy(rng, own, 2), random_local_policy(rng, own)
    twice = np.tile(local_policy, (1, 2, 1))
    expected = dm.exact_return(own, global_policy, local_policy, k=2).value
    assert dm.exact_return(both, global_policy, twice, k=2).value == pytest.approx(expected, abs=1e-6)


def test_a_pair_earns_what_brute_force_and_simulation_say(game: dm.Environment) -> None:
    rng = np.random.default_rng(5)
    global_policy, local_policy = random_global_policy(rng, game, 2), random_local_policy(rng, game)
    exact = dm.exact_return(game, global_policy, local_policy, k=2, horizon=8)
    found = dm.evaluate(game, global_policy, local_policy, k=2, n_rollouts=4000, horizon=8, seed=0)
    error = found.std / math.sqrt(4000)
    assert abs(found.mean - exact.value) <= 4 * error
    other = dm.compose({"a": part(2, seed=1), "b": part(1, seed=2)}, shares=[0.3, 0.7])
    assert abs(found.mean - dm.exact_return(other, global_policy, local_policy, k=2, horizon=8).value) > 8 * error


def test_fixed_shares_are_those_of_a_multinomial_and_drawn_ones_scatter_more(game: dm.Environment) -> None:
    drawn = dm.compose({"a": part(2, seed=1), "b": part(1, seed=2)}, shares=[0.7, 0.3], concentration=2.0)
    n_b = count_vectors(3, 3)[:, 2]
    of_fixed = np.array([initial_population(game)[n_b == number].sum() for number in range(4)])
    np.testing.assert_allclose(of_fixed, reference.multinomial_pmf(3, np.array([0.7, 0.3]))[::-1], atol=1e-12)
    of_drawn = np.array([initial_population(drawn)[n_b == number].sum() for number in range(4)])
    beta_binomial = reference.dirichlet_multinomial_pmf(3, np.array([1.4, 0.6]))[::-1]
    np.testing.assert_allclose(of_drawn, beta_binomial, atol=1e-12)
    assert of_drawn[3] > 2 * of_fixed[3]


def test_mixtures_of_parts_are_drawn_for_each_type() -> None:
    clusters = part(2, seed=1, initial_shares=[[1, 0], [0, 1]], initial_weights=[0.25, 0.75])
    game = dm.compose({"a": clusters, "b": part(1, seed=2)}, shares=[0.5, 0.5])
    np.testing.assert_allclose(game.initial_shares, [[0.5, 0, 0.5], [0, 0.5, 0.5]])
    np.testing.assert_allclose(game.initial_weights, [0.25, 0.75])
    with pytest.raises(InvalidArgumentError, match=r"concentration: .* where a part starts with initial_shares"):
        dm.compose({"a": clusters, "b": part(1, seed=2)}, shares=[0.5, 0.5], concentration=1)


def test_what_is_seen_of_types() -> None:
    coarse = part(3, seed=1, observation=[0, 1, 1])
    parts = {"a": coarse, "b": part(2, seed=2)}
    assert dm.compose(parts, shares=[0.5, 0.5]).observation.tolist() == [0, 1, 1, 2, 3]
    assert dm.compose(parts, shares=[0.5, 0.5], sees_types=False).observation.tolist() == [0, 1, 1, 0, 1]
    with pytest.raises(InvalidArgumentError, match=r"sees_types: may be false .* got 2 in a, 1 in b"):
        dm.compose({"a": coarse, "b": part(1, seed=2)}, shares=[0.5, 0.5], sees_types=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma": 0.9}, "gamma: must be the same in a and b, got 0.8 and 0.9"),
        ({"reward_global": [[0, 0], [0, 1]]}, r"reward_global\[0, 0\]: must be the same in a and b, got .* and 0.0"),
        ({"initial_global": [1, 0]}, r"initial_global\[0\]: must be the same in a and b, got 0.5 and 1.0"),
        ({"reward_local": np.ones((2, 1, 1)), "transition_local": np.ones((2, 1, 1, 1))}, "a and b must have the same"),
    ],
)
def test_parts_that_disagree_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidEnvironmentError, match=message):
        dm.compose({"a": part(2, seed=1), "b": part(1, seed=2, **changes)}, shares=[0.5, 0.5])


def test_parts_of_other_sizes_of_the_global_agent_are_refused() -> None:
    with pytest.raises(
        InvalidEnvironmentError, match=r"transition_global: .* got the shapes \(2, 2, 2\) and \(5, 5, 5\)"
    ):
        dm.compose({"a": part(2, seed=1), "b": dm.robots(gamma=0.8)}, shares=[0.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shares": [0.5, 0.6]}, r"shares: must be 2 numbers above 0 that sum to 1, .* got \[0.5, 0.6\]"),
        ({"shares": [1.0, 0.0]}, "shares: must be 2 numbers above 0"),
        ({"shares": [1.0]}, "shares: must be 2 numbers"),
        ({"shares": "half"}, "shares: must be 2 numbers"),
        ({"shares": [0.5, 0.5], "concentration": -1}, "concentration: must be"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        dm.compose({"a": part(2, seed=1), "b": part(1, seed=2)}, **arguments)  # type: ignore[arg-type]


def test_what_is_no_mapping_of_games_and_disagreeing_numbers_of_agents_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="parts: must be a mapping of names to games"):
        dm.compose([part(2, seed=1)], shares=[1.0])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="parts: must map names to games, got 'a': str"):
        dm.compose({"a": "robots"}, shares=[1.0])  # type: ignore[dict-item]
    parts = {"a": part(2, seed=1), "b": dataclasses.replace(part(1, seed=2), n_agents=7)}
    with pytest.raises(InvalidArgumentError, match=r"n_agents: must be given .* got 3 in a, 7 in b"):
        dm.compose(parts, shares=[0.5, 0.5])
    assert dm.compose(parts, shares=[0.5, 0.5], n_agents=4).n_agents == 4


def test_names_of_types_belong_to_all_states() -> None:
    with pytest.raises(InvalidEnvironmentError, match="local_types: must be the name of the type of each of the 2"):
        part(2, seed=1, local_types=["a"])
