from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import distmarl as dm
from distmarl import DistmarlError, Environment
from distmarl.errors import InvalidEnvironmentError
from distmarl.games.robots import robots
from tests.strategies import random_environment, random_rows

TABLES = ("transition_global", "transition_local", "reward_global", "reward_local")
STARTS = ("initial_global", "initial_local_concentration")


@pytest.fixture
def arguments():
    """Arguments of a valid game with G = 2, L = 3, A_g = 4, A_l = 5."""
    rng = np.random.default_rng(0)
    return {
        "transition_global": random_rows(rng, (2, 4, 2)),
        "transition_local": random_rows(rng, (2, 3, 5, 3)),
        "reward_global": rng.normal(size=(2, 4)),
        "reward_local": rng.normal(size=(2, 3, 5)),
        "n_agents": 7,
        "gamma": 0.9,
    }


def refused(arguments, match, **changes):
    with pytest.raises(InvalidEnvironmentError, match=match):
        Environment(**(arguments | changes))


def changed(table, index, value):
    table = np.array(table)
    table[index] = value
    return table


def test_sizes_are_read_from_the_tables(arguments):
    env = Environment(**arguments)
    sizes = (env.n_global_states, env.n_local_states, env.n_global_actions, env.n_local_actions)
    assert sizes == (2, 3, 4, 5)
    assert (env.n_agents, env.gamma) == (7, 0.9)


def test_the_start_is_uniform_and_concentrated_by_default(arguments):
    env = Environment(**arguments)
    np.testing.assert_array_equal(env.initial_global, [0.5, 0.5])
    np.testing.assert_array_equal(env.initial_local_concentration, [0.3, 0.3, 0.3])


def test_a_given_start_is_kept(arguments):
    env = Environment(**arguments, initial_global=[1, 0], initial_local_concentration=[1, 2, 3])
    np.testing.assert_array_equal(env.initial_global, [1.0, 0.0])
    np.testing.assert_array_equal(env.initial_local_concentration, [1.0, 2.0, 3.0])


def test_tables_are_copied_and_read_only(arguments):
    starts = {"initial_global": np.array([0.25, 0.75]), "initial_local_concentration": np.ones(3)}
    given = arguments | starts
    env = Environment(**given)
    for name in TABLES + STARTS:
        before = getattr(env, name).copy()
        given[name][...] = -1.0
        np.testing.assert_array_equal(getattr(env, name), before)
        with pytest.raises(ValueError, match="read-only"):
            getattr(env, name)[...] = 0.0


def test_fields_cannot_be_replaced(arguments):
    with pytest.raises(dataclasses.FrozenInstanceError):
        Environment(**arguments).gamma = 0.5


def test_nested_lists_of_integers_will_do():
    env = Environment(
        transition_global=[[[1]]],
        transition_local=[[[[1]]]],
        reward_global=[[2]],
        reward_local=[[[3]]],
        n_agents=np.int64(4),
        gamma=0,
    )
    assert env.reward_local.dtype == np.float64
    assert (type(env.n_agents), type(env.gamma)) == (int, float)


def test_replace_checks_again(arguments):
    env = Environment(**arguments)
    assert dataclasses.replace(env, n_agents=8).n_agents == 8
    with pytest.raises(InvalidEnvironmentError, match="gamma"):
        dataclasses.replace(env, gamma=1.0)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_needs_its_number_of_axes(arguments, name):
    refused(arguments, rf"^{name}: must have the axes \[s_g.*got shape \(2,\)", **{name: np.ones(2)})


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("transition_global", (2, 0, 2)),
        ("transition_local", (2, 3, 0, 3)),
        ("reward_global", (0, 4)),
        ("reward_local", (2, 0, 5)),
        ("initial_global", (0,)),
        ("initial_local_concentration", (0,)),
    ],
)
def test_empty_axes_are_refused(arguments, name, shape):
    size = ", ".join(map(str, shape))
    refused(arguments, rf"^{name}: .* each of size 1 or more, got shape \({size},?\)", **{name: np.ones(shape)})


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("transition_global", (2, 4, 3), r"\(2, 4, 2\)"),
        ("transition_local", (2, 3, 5, 4), r"\(2, 3, 5, 3\)"),
        ("transition_local", (3, 3, 5, 3), r"\(2, 3, 5, 3\)"),
        ("reward_global", (2, 5), r"\(2, 4\)"),
        ("reward_global", (4, 2), r"\(2, 4\)"),
        ("reward_local", (3, 2, 5), r"\(2, 3, 5\)"),
        ("initial_global", (3,), r"\(2,\)"),
        ("initial_local_concentration", (2,), r"\(3,\)"),
    ],
)
def test_tables_whose_sizes_disagree_are_refused(arguments, name, shape, expected):
    table = np.full(shape, 1.0 / shape[-1])
    got = ", ".join(map(str, shape))
    refused(arguments, rf"^{name}: must have shape {expected} .* got \({got},?\)", **{name: table})


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize(
    ("name", "index", "place"),
    [
        ("transition_global", (1, 3, 0), r"s_g=1, a_g=3, s_g'=0"),
        ("transition_local", (1, 2, 4, 0), r"s_g=1, s_l=2, a_l=4, s_l'=0"),
        ("reward_global", (0, 2), r"s_g=0, a_g=2"),
        ("reward_local", (1, 0, 3), r"s_g=1, s_l=0, a_l=3"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(arguments, name, index, place, value, shown):
    table = changed(arguments[name], index, value)
    refused(arguments, rf"^{name}\[{place}\]: must be finite, got {shown}", **{name: table})


def test_a_start_that_is_not_finite_is_refused(arguments):
    refused(arguments, r"^initial_global\[s_g=1\]: must be finite, got nan", initial_global=[1.0, np.nan])
    refused(
        arguments,
        r"^initial_local_concentration\[s_l=2\]: must be finite, got inf",
        initial_local_concentration=[1.0, 1.0, np.inf],
    )


def test_negative_probabilities_are_refused(arguments):
    table = changed(arguments["transition_global"], (1, 2), [1.25, -0.25])
    refused(
        arguments,
        r"^transition_global\[s_g=1, a_g=2, s_g'=1\]: must not be negative, got -0\.25",
        transition_global=table,
    )
    table = changed(arguments["transition_local"], (0, 1, 4), [-0.5, 1.0, 0.5])
    refused(
        arguments,
        r"^transition_local\[s_g=0, s_l=1, a_l=4, s_l'=0\]: must not be negative, got -0\.5",
        transition_local=table,
    )
    refused(arguments, r"^initial_global\[s_g=0\]: must not be negative, got -1", initial_global=[-1.0, 2.0])


def test_rows_that_do_not_sum_to_one_are_refused(arguments):
    table = changed(arguments["transition_global"], (1, 2), [0.5, 0.25])
    refused(arguments, r"^transition_global\[s_g=1, a_g=2\]: must sum to 1 .* a sum of 0\.75", transition_global=table)
    table = changed(arguments["transition_local"], (0, 1, 4), [1.0, 0.5, 0.0])
    refused(
        arguments,
        r"^transition_local\[s_g=0, s_l=1, a_l=4\]: must sum to 1 .* a sum of 1\.5",
        transition_local=table,
    )
    refused(arguments, r"^initial_global\[:\]: must sum to 1 .* a sum of 0\.5", initial_global=[0.5, 0.0])


def test_rows_that_miss_one_by_rounding_are_divided_by_their_sum(arguments):
    nearly = arguments["transition_local"] * (1 + 9e-10)
    env = Environment(**(arguments | {"transition_local": nearly}))
    np.testing.assert_allclose(env.transition_local.sum(axis=-1), 1.0, rtol=0, atol=4e-16)
    refused(arguments, "must sum to 1", transition_local=arguments["transition_local"] * (1 + 2e-9))


@pytest.mark.parametrize("value", [0.0, -0.3])
def test_concentrations_must_be_positive(arguments, value):
    refused(
        arguments,
        rf"^initial_local_concentration\[s_l=1\]: must be positive, got {value}",
        initial_local_concentration=[1.0, value, 1.0],
    )


@pytest.mark.parametrize("gamma", [1.0, 1.5, -0.1, np.nan, np.inf])
def test_gamma_must_be_from_zero_to_less_than_one(arguments, gamma):
    refused(arguments, rf"^gamma: must satisfy 0 <= gamma < 1, got .*{gamma}", gamma=gamma)


@pytest.mark.parametrize("gamma", [None, "0.9", True, [0.9]])
def test_gamma_must_be_a_number(arguments, gamma):
    refused(arguments, "^gamma: must be a number, got", gamma=gamma)


@pytest.mark.parametrize("n_agents", [0, -3, 10**9])
def test_n_agents_must_be_in_range(arguments, n_agents):
    refused(arguments, rf"^n_agents: must be from 1 to 999,999,999, got {n_agents}", n_agents=n_agents)


@pytest.mark.parametrize("n_agents", [2.0, "2", None, True])
def test_n_agents_must_be_an_integer(arguments, n_agents):
    refused(arguments, rf"^n_agents: must be an integer, got {n_agents!r}", n_agents=n_agents)


@pytest.mark.parametrize("value", ["abc", [[1.0], [1.0, 2.0]], object(), {"a": 1}])
def test_tables_must_be_arrays_of_numbers(arguments, value):
    refused(arguments, "^reward_global: must be an array of numbers", reward_global=value)


def test_the_error_is_one_of_ours_and_a_value_error():
    assert issubclass(InvalidEnvironmentError, DistmarlError)
    assert issubclass(InvalidEnvironmentError, ValueError)


def test_digest_depends_on_content_alone(arguments):
    env = Environment(**arguments)
    as_lists = {name: arguments[name].tolist() for name in TABLES}
    starts = {"initial_global": [0.5, 0.5], "initial_local_concentration": [0.3] * 3}
    assert Environment(**(arguments | as_lists | starts)).digest() == env.digest()
    assert pickle.loads(pickle.dumps(env)).digest() == env.digest()


def test_building_a_game_from_its_own_tables_changes_nothing(arguments):
    env = Environment(**arguments)
    assert dataclasses.replace(env).digest() == env.digest()


def test_digest_changes_with_everything_that_defines_the_game(arguments):
    changes = {
        "transition_global": arguments["transition_global"][::-1],
        "transition_local": arguments["transition_local"][:, ::-1],
        "reward_global": changed(arguments["reward_global"], (0, 0), 1e-9),
        "reward_local": changed(arguments["reward_local"], (0, 0, 0), 1e-9),
        "initial_global": [0.25, 0.75],
        "initial_local_concentration": [0.3, 0.3, 0.4],
        "n_agents": 8,
        "gamma": 0.91,
    }
    digests = [Environment(**(arguments | {name: value})).digest() for name, value in changes.items()]
    assert len({Environment(**arguments).digest(), *digests}) == 1 + len(changes)


def test_random_environments_are_valid_and_reproducible():
    first, second = (random_environment(np.random.default_rng(3)) for _ in range(2))
    assert first.digest() == second.digest()


def test_copies_and_unpickled_games_are_the_same_and_read_only():
    env = robots(n_agents=7)
    for other in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert other.digest() == env.digest()
        with pytest.raises(ValueError, match="read-only"):
            other.transition_local[0, 0, 0, 0] = 0.5


def test_a_message_shows_numbers_of_numpy_as_plain_ones() -> None:
    env = robots()
    policy = dm.uniform_local_policy(env)
    for call, said in (
        (lambda: robots(gamma=np.float64(3.0)), "got 3.0"),
        (lambda: robots(n_agents=np.float64(3.0)), "got 3.0"),
        (lambda: dm.g_learn(env, policy, k=np.float64(3.0)), "got 3.0"),
        (lambda: dm.g_learn(env, policy, k=1, seed=(np.int64(3), np.int64(-1))), "got (3, -1)"),
    ):
        with pytest.raises(DistmarlError) as caught:
            call()
        assert str(caught.value).endswith(said)


# Classes of local states, and starts that are mixtures.


def test_every_state_is_a_class_of_its_own_by_default(arguments):
    env = Environment(**arguments)
    assert (env.n_classes, env.sees_states) == (3, True)
    np.testing.assert_array_equal(env.observation, [0, 1, 2])
    populations = np.array([[1, 2, 4], [7, 0, 0]])
    assert env.observed(populations) is populations
    assert env.with_states_seen() is env


def test_classes_are_counted_together(arguments):
    env = Environment(**arguments, observation=[1, 0, 1])
    assert (env.n_classes, env.sees_states) == (2, False)
    np.testing.assert_array_equal(env.observed(np.array([[[1, 2, 4]], [[7, 0, 0]]])), [[[2, 5]], [[0, 7]]])
    assert "L=3 in B=2" in repr(env)
    seeing = env.with_states_seen()
    assert seeing.digest() == Environment(**arguments).digest()


def test_the_same_states_in_another_order_are_not_what_is_seen_by_default(arguments):
    env = Environment(**arguments, observation=[2, 0, 1])
    assert (env.n_classes, env.sees_states) == (3, False)
    np.testing.assert_array_equal(env.observed(np.array([1, 2, 4])), [2, 4, 1])


def test_a_map_of_every_state_to_itself_is_the_same_game(arguments):
    given = Environment(**arguments, observation=np.arange(3, dtype=np.int8))
    assert given.digest() == Environment(**arguments).digest()
    assert given.observation.dtype == np.int64


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (
            [0, 2, 0],
            r"^observation: must be onto the classes 0 .. 2, but no local state has the class 1; number the cl",
        ),
        ([1, 2, 1], r"^observation: must be onto the classes 0 .. 2, but no local state has the class 0"),
        ([0, 2**60, 1], r"^observation: must be onto the classes 0 .. 1152921504606846976, but .* has the class 2;"),
        (np.array([0, 1, 2**64 - 1], np.uint64), r"^observation: must be onto the classes 0 .. 18446744073709551615"),
        ([0, 1], r"^observation: must be the class of each of the 3 local states, integers from 0, got int64 of shape"),
        ([[0], [1], [1]], r"^observation: must be the class of each of the 3 .* got int64 of shape \(3, 1\)$"),
        ([0, -1, 1], r"^observation\[s_l=1\]: must not be negative, got -1$"),
        ([0.0, 1.0, 1.0], r"^observation: must be the class .* got float64 of shape \(3,\)$"),
        ([False, True, True], r"^observation: must be the class .* got bool of shape"),
        ("abc", r"^observation: must be the class"),
        ([[0], [1, 2], [1]], r"^observation: must be the class .* got lists of different lengths$"),
    ],
)
def test_maps_that_are_not_onto_classes_are_refused(arguments, observation, message):
    refused(arguments, message, observation=observation)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"initial_shares": [[0.5, 0.5, 0.1]]}, r"^initial_shares\[part=0\]: must sum to 1 within .* got a sum of 1.1"),
        ({"initial_shares": [[1.5, -0.5, 0.0]]}, r"^initial_shares\[part=0, s_l=1\]: must not be negative, got -0.5"),
        ({"initial_shares": [0.5, 0.5, 0.0]}, r"^initial_shares: must have the axes \[part, s_l\]"),
        ({"initial_shares": [[0.5, 0.5]]}, r"^initial_shares: must have shape \(1, 3\)"),
        ({"initial_shares": np.eye(3), "initial_weights": [0.5, 0.5]}, r"^initial_weights: must have shape \(3,\)"),
        ({"initial_shares": np.eye(3), "initial_weights": [0.5, 0.5, 0.5]}, r"^initial_weights\[:\]: must sum to 1"),
        ({"initial_weights": [1.0]}, r"^initial_weights: belongs to initial_shares; give both, or leave it out$"),
        (
            {"initial_shares": np.eye(3), "initial_local_concentration": [1, 1, 1]},
            r"^initial_shares: takes the place of initial_local_concentration; leave one of them out$",
        ),
    ],
)
def test_mixtures_that_are_none_are_refused(arguments, start, message):
    refused(arguments, message, **start)


def test_the_parts_of_a_mixture_are_equally_likely_by_default(arguments):
    env = Environment(**arguments, initial_shares=np.eye(3)[:2])
    np.testing.assert_array_equal(env.initial_weights, [0.5, 0.5])
    assert env.initial_local_concentration is None
    np.testing.assert_array_equal(env.initial_local_weights, [0.5, 0.5, 0.0])
    np.testing.assert_array_equal(Environment(**arguments).initial_local_weights, [0.3, 0.3, 0.3])


def test_classes_and_mixtures_define_the_game(arguments):
    games = [
        {},
        {"observation": [0, 0, 1]},
        {"observation": [0, 1, 1]},
        {"initial_shares": np.eye(3)},
        {"initial_shares": np.eye(3), "initial_weights": [0.2, 0.3, 0.5]},
        {"initial_shares": np.eye(3)[::-1], "initial_weights": [0.2, 0.3, 0.5]},
    ]
    assert len({Environment(**arguments, **game).digest() for game in games}) == len(games)


def test_copies_keep_classes_and_mixtures(arguments):
    env = Environment(**arguments, observation=[1, 0, 1], initial_shares=np.eye(3)[:2], initial_weights=[0.25, 0.75])
    for other in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env), dataclasses.replace(env)):
        assert other.digest() == env.digest()
        np.testing.assert_array_equal(other.observation, [1, 0, 1])
        for name in ("observation", "initial_shares", "initial_weights"):
            assert not getattr(other, name).flags.writeable
