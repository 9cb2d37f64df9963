"""The JSON schema says what the tool says."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from jsonschema import Draft7Validator

from distmarl.config.__main__ import main, schema_text
from distmarl.config.reading import RawSweep, read_sweep_file
from distmarl.config.schema import described_names, sweep_schema
from distmarl.errors import DistmarlError
from distmarl.games.lookup import GAMES
from distmarl.games.robots import robots
from distmarl.model.options import DEFAULT_K_RANGE, SweepFile
from distmarl.study.plan import make_plan
from tests.commands import REPOSITORY
from tests.sweep.sweeps import TINY
from tests.sweep.test_command import SEED_PROJECT

SCHEMA = sweep_schema(GAMES)
VALIDATOR = Draft7Validator(SCHEMA)
SWEEPS = sorted((REPOSITORY / "sweeps").glob("*.yaml"))
SECTIONS = [name for name, kind in get_type_hints(SweepFile).items() if dataclasses.is_dataclass(kind)]


def tool_accepts(mapping: dict[str, Any]) -> bool:
    try:
        make_plan(RawSweep(copy.deepcopy(mapping), "sweep.yaml"))
    except DistmarlError:
        return False
    return True


def test_the_committed_schema_is_up_to_date() -> None:
    committed = (REPOSITORY / "sweeps" / "sweep.schema.json").read_text()
    assert committed == schema_text(), "type: python -m distmarl.config schema > sweeps/sweep.schema.json"


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SWEEPS, ids=[path.stem for path in SWEEPS])
def test_every_sweep_of_the_project_names_the_schema_and_follows_it(path: Any) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=sweep.schema.json\n")
    VALIDATOR.validate(read_sweep_file(path).mapping)


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        TINY,
        SEED_PROJECT,
        {"environment": {"name": "game:swarm", "any_key": {"at": ["all"]}}, "grid": {"environment.tilt": ["x", 1]}},
        {"environment": {"tilt": 1}, "grid": {"environment.name": ["robots", "game:swarm"]}},
        {"grid": {"global_agent.transitions": ["exact", "rounded"], "experiment.reference_k": [None, 3]}},
        {"environment": None, "evaluation": None, "experiment": None, "runner": None, "grid": None},
    ],
)
def test_a_right_file_follows_the_schema(mapping: dict[str, Any]) -> None:
    VALIDATOR.validate(mapping)


@pytest.mark.parametrize(
    "mapping",
    [
        {"enviroment": {}},
        {"name": "a/b"},
        {"name": None},
        {"global_agent": {"n_mc_sample": 3}},
        {"global_agent": {"n_mc_samples": 3.5}},
        {"global_agent": {"n_mc_samples": True}},
        {"global_agent": {"transitions": "exct"}},
        {"global_agent": {"convergence_threshold": 0}},
        {"local_agent": [1]},
        {"local_agent": {"softmax_temperature_scale": "hot"}},
        {"alternating": {"convergence_rtol": -0.1}},
        {"evaluation": {"horizon": 0}},
        {"experiment": {"k_range": [1]}},
        {"experiment": {"k_range": [1, 2, 3]}},
        {"experiment": {"k_range": [0, 2]}},
        {"experiment": {"k_values": []}},
        {"experiment": {"k_values": 3}},
        {"experiment": {"policies": ["mine:pair"]}},
        {"experiment": {"policies": {"mine": 3}}},
        {"experiment": {"seed": -1}},
        {"runner": {"task_timeout_s": 1e20}},
        {"environment": {"n_agent": 3}},
        {"environment": {"n_agents": "3"}},
        {"environment": {"n_agents": 0}},
        {"environment": {"gamma": 1}},
        {"environment": {"n_local_actions": 4}},
        {"environment": {"reward_global": "steep"}},
        {"environment": {"name": "robot"}},
        {"environment": {"name": 3}},
        {"environment": {"name": "robots", "tilt": 1}},
        {"grid": {"evaluation.horizon": 5}},
        {"grid": {"evaluation.horizon": []}},
        {"grid": {"evaluation.horizon": [5, 5]}},
        {"grid": {"evaluation.horizon": [5, -1]}},
        {"grid": {"evaluation.horizn": [5]}},
        {"grid": {"evaluation": {"horizon": [5]}}},
        {"grid": {"runner.num_cpus": [1]}},
        {"grid": {"experiment.k_values": [[1]]}},
        {"grid": {"environment.n_agents": [30, "many"]}},
        {"grid": {"environment.n_agent": [30]}},
        {"grid": {"environment.opts.a": [1]}},
    ],
    ids=json.dumps,
)
def test_a_wrong_file_is_refused_by_the_schema_as_by_the_tool(mapping: dict[str, Any]) -> None:
    assert not tool_accepts(mapping)
    assert not VALIDATOR.is_valid(mapping)


def test_what_the_tool_takes_follows_the_schema() -> None:
    known = {name: [key.name for key in dataclasses.fields(get_type_hints(SweepFile)[name])] for name in SECTIONS}
    known["environment"] = list(inspect.signature(robots).parameters)
    values = [-1, 0, 1, 26, 0.5, 1e7, None, "exact", [1, 2]]
    plain = [{name: {key: value}} for name in known for key in known[name] for value in values]
    varied = [{"grid": {f"{name}.{key}": [value]}} for name in known for key in known[name] for value in values]
    taken = [mapping for mapping in [*plain, *varied] if tool_accepts(mapping)]
    assert len(taken) > 80
    for mapping in taken:
        VALIDATOR.validate(mapping)


def keys(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key of a sweep file with its schema, the sections and the built-in environment's included."""
    for name, key in schema["properties"].items():
        yield f"{path}{name}", key
        if "properties" in key and name != "grid":
            yield from keys(key, f"{path}{name}.")


def described_keys(game: str) -> dict[str, dict[str, Any]]:
    """Return every key of a sweep file with its schema, the parameters of a game included."""
    built_in = SCHEMA["allOf"][list(GAMES).index(game)]["then"]["properties"]["environment"]
    parameters = {path: key for path, key in keys(built_in, "environment.") if path != "environment.name"}
    return {**dict(keys(SCHEMA)), **parameters}


@pytest.mark.parametrize(
    ("path", "key"), [(f"{game}: {path}", key) for game in GAMES for path, key in described_keys(game).items()]
)
def test_every_key_is_described(path: str, key: dict[str, Any]) -> None:
    assert len(key["description"]) > 10, path
    assert "``" not in key["description"]


def test_the_defaults_are_those_of_the_dataclasses_and_the_signatures() -> None:
    told = {path: key["default"] for path, key in described_keys("robots").items() if "default" in key}
    sections = {
        f"{section}.{key.name}": list(key.default) if isinstance(key.default, tuple) else key.default
        for section in SECTIONS
        for key in dataclasses.fields(get_type_hints(SweepFile)[section])
        if key.default is not dataclasses.MISSING
    }
    game = {f"environment.{key.name}": key.default for key in inspect.signature(robots).parameters.values()}
    assert told == {**sections, **game, "environment.name": "robots"}


def test_the_default_range_of_k_is_in_its_description() -> None:
    first, last = DEFAULT_K_RANGE
    assert f"by default {first} and {last}" in described_keys("robots")["experiment.k_range"]["description"]


def test_descriptions_are_found_in_a_docstring() -> None:
    def function() -> None:
        """Do something.

        Parameters
        ----------
        one, two : int
            Both of
            them, ``together``.
        three
            Alone.

        Raises
        ------
        ValueError
            Never.
        """

    together = "Both of them, `together`."
    assert described_names(function, "Parameters") == {"one": together, "two": together, "three": "Alone."}
    assert described_names(function, "Attributes") == {}


def test_the_command_prints_the_schema_and_nothing_without_being_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()
    with pytest.raises(SystemExit, match="2"):
        main([])
    refused = capsys.readouterr()
    assert refused.out == ""
    assert "usage: python -m distmarl.config" in refused.err
