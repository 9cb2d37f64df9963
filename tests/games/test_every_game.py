"""What holds of every built-in game: its parameters, its tables, and what pairs of policies earn in it."""

from __future__ import annotations

import inspect
import math
from typing import Annotated

import numpy as np
import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.config.checking import bind_parameters
from distmarl.config.reading import RawSweep
from distmarl.config.schema import parameter_schemas
from distmarl.errors import EnvironmentLookupError, InvalidEnvironmentError
from distmarl.games.lookup import GAMES
from distmarl.games.parameters import with_ranges
from tests import reference
from tests.strategies import FEW, random_global_policy, random_local_policy
from tests.test_docstrings import run_examples

# The smallest game of each that still has all of its rules.
SMALLEST = {
    "robots": {"n_global_states": 2, "n_local_states": 2, "n_global_actions": 2},
    "formation": {"global_reach": 1},
    "conventions": {},
    "congestion": {},
    "ring": {"n_places": 3},
    "observable": {"n_places": 3},
    "random": {"n_global_states": 2, "n_local_states": 3},
    "federated": {"n_levels": 2},
    "load_balancing": {"capacity": 1, "n_rates": 2},
    "types": {"n_places": 2},
    "demand_response": {"n_levels": 2},
    "warehouse": {"n_global_cells": 5, "n_local_cells": 5},
}


def test_every_game_is_tried_at_its_smallest():
    assert SMALLEST.keys() == GAMES.keys()


@pytest.mark.parametrize("name", GAMES)
def test_the_example_in_its_docstring_runs(name):
    run_examples(GAMES[name], name)


@pytest.mark.parametrize("name", GAMES)
def test_a_pair_earns_what_brute_force_and_simulation_say(name):
    """Over every joint state of two agents, and by rollouts, which miss the value by at most 4 standard errors."""
    env = dm.game(name, **SMALLEST[name], n_agents=2)
    rng = np.random.default_rng(5)
    global_policy, local_policy = random_global_policy(rng, env, 1), random_local_policy(rng, env)
    horizon = 8
    exact = dm.exact_return(env, global_policy, local_policy, k=1, horizon=horizon).value
    law = reference.subsampled_action_law(env, global_policy, 1)
    assert exact == pytest.approx(reference.joint_return(env, law, local_policy, horizon=horizon), abs=1e-9)
    found = dm.evaluate(env, global_policy, local_policy, k=1, n_rollouts=4000, horizon=horizon, seed=0)
    assert abs(found.mean - exact) <= 4 * found.std / math.sqrt(4000)
    late = reference.joint_return(env, law, local_policy, horizon=horizon, late_locals=True)
    if name not in ("conventions", "congestion", "ring", "warehouse"):  # where s_g does not move local agents
        assert abs(late - exact) > 1e-4, "a mistake in the order of moves would not be seen"


@pytest.mark.parametrize("name", GAMES)
def test_its_source_and_every_parameter_are_told(name):
    function = GAMES[name]
    text = inspect.getdoc(function) or ""
    assert "References\n----------\n" in text
    assert parameter_schemas(function).keys() == inspect.signature(function).parameters.keys()


def ranges():
    """Every number of every game with its bounds, as the schema tells them."""
    for name, function in GAMES.items():
        for key, schema in parameter_schemas(function).items():
            if schema["type"] in ("integer", "number"):
                yield pytest.param(name, key, schema, id=f"{name}.{key}")


@pytest.mark.parametrize(("name", "key", "schema"), list(ranges()))
def test_what_the_schema_refuses_the_game_refuses(name, key, schema):
    assert {"minimum", "exclusiveMinimum"} & schema.keys(), "has no lower bound"
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    with pytest.raises(InvalidEnvironmentError, match=key):
        dm.game(name, **{key: lowest - 1})
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    if highest is not None:
        with pytest.raises(InvalidEnvironmentError, match=key):
            dm.game(name, **{key: highest + 1})
    for value in (math.nan, "3", True):
        with pytest.raises(InvalidEnvironmentError, match=key):
            dm.game(name, **{key: value})


def values_of(schema):
    """The values that a parameter may have; of sizes, the small ones."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    lowest, highest = schema["minimum"], schema.get("maximum", schema.get("exclusiveMaximum", 100))
    return st.integers(lowest, min(highest, 6)) if schema["type"] == "integer" else st.floats(lowest, highest)


@FEW
@given(data=st.data(), name=st.sampled_from(sorted(GAMES.keys() - {"robots", "random"})))
def test_any_parameters_in_their_ranges_make_a_game(data, name):
    given_parameters = {}
    for key, schema in parameter_schemas(GAMES[name]).items():
        if key not in ("gamma", "n_agents"):
            given_parameters[key] = data.draw(values_of(schema), label=key)
    env = dm.game(name, **given_parameters)
    assert np.isfinite(env.reward_local).all()


def changed_value(schema):
    """Another value of a parameter, in its range."""
    default = schema["default"]
    if "enum" in schema:
        return next(value for value in schema["enum"] if value != default)
    return default + 1 if isinstance(default, int) else default * 0.5 + 0.03


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (name, key)
        for name, function in GAMES.items()
        for key in parameter_schemas(function)
        if name != "robots"  # whose keys tests/sweep/test_keys.py changes
    ],
)
def test_every_parameter_changes_the_game(name, key):
    other = dm.game(name, **{key: changed_value(parameter_schemas(GAMES[name])[key])})
    assert other.digest() != dm.game(name).digest()


@pytest.mark.parametrize("name", GAMES)
def test_keys_of_a_sweep_file_are_its_parameters(name):
    bound = bind_parameters(GAMES[name], {"n_agents": 7}, RawSweep({}, "file"), "environment")
    assert dm.game(name, **bound).digest() == dm.game(name, n_agents=7).digest()


def test_a_game_with_an_unknown_name_or_key_is_refused():
    with pytest.raises(EnvironmentLookupError, match="did you mean 'formation'"):
        dm.game("formatin")
    with pytest.raises(EnvironmentLookupError, match="has no parameter 'n_place'; did you mean 'n_places'"):
        dm.game("ring", n_place=3)
    with pytest.raises(EnvironmentLookupError, match=r"must return a distmarl.Environment, got a str"):
        dm.game("tests.games.test_every_game:no_game", name="x")


def test_a_value_that_is_none_of_the_choices_is_refused():
    with pytest.raises(InvalidEnvironmentError, match=r"^seen: must be one of consumption, direction, state, got 'x'$"):
        dm.game("demand_response", seen="x")


def no_game(name):
    return name


@with_ranges
def doubled(*, number: Annotated[int, Ge(1), Le(3)] = 1):
    return 2 * number


def test_ranges_are_checked_whatever_the_function_returns():
    assert doubled(number=np.int64(3)) == 6
    with pytest.raises(InvalidEnvironmentError, match=r"^number: must be at most 3, got 4$"):
        doubled(number=4)
