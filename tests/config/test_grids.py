"""Grids of whole sections: games with their parameters side by side."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft7Validator

import distmarl as dm
from distmarl.config.grids import label_of, varied_keys
from distmarl.config.reading import RawSweep, apply_overrides, names_function, parse_sweep
from distmarl.config.schema import sweep_schema
from distmarl.config.yaml_text import dump_yaml
from distmarl.errors import DistmarlError
from distmarl.games.lookup import GAMES
from distmarl.study.plan import make_plan
from tests.sweep.sweeps import run

VALIDATOR = Draft7Validator(sweep_schema(GAMES))
QUICK: dict[str, Any] = {
    "alternating": {"n_outer_iterations": 1},
    "evaluation": {"n_rollouts": 3, "horizon": 4},
    "experiment": {"k_values": [1, 2], "n_eval_seeds": 2},
}
TWO_GAMES: dict[str, Any] = {
    **QUICK,
    "name": "two",
    "environment": {"gamma": 0.8},
    "grid": {"environment": [{"name": "conventions", "n_agents": 4}, {"name": "ring", "n_places": 3, "n_agents": 5}]},
}


def plan(mapping: dict[str, Any]) -> Any:
    return make_plan(RawSweep(copy.deepcopy(mapping), "sweep.yaml"))


def test_each_value_is_a_game_over_the_keys_of_the_file() -> None:
    jobs = plan(TWO_GAMES).jobs
    assert [job.environment.digest() for job in jobs] == [
        dm.game("conventions", gamma=0.8, n_agents=4).digest(),
        dm.game("ring", gamma=0.8, n_agents=5, n_places=3).digest(),
    ]
    assert [job.setting.label for job in jobs] == ["conventions(n_agents=4)", "ring(n_places=3, n_agents=5)"]


def test_the_same_setting_has_the_same_id_however_it_is_written() -> None:
    alone = {**QUICK, "name": "two", "environment": {"name": "ring", "n_places": 3, "n_agents": 5, "gamma": 0.8}}
    assert plan(alone).jobs[0].setting_id == plan(TWO_GAMES).jobs[1].setting_id
    with_keys = {**alone, "grid": {"environment.gamma": [0.8, 0.7]}}
    assert plan(with_keys).jobs[0].setting_id == plan(TWO_GAMES).jobs[1].setting_id


def test_what_was_resolved_reads_back_as_the_same_sweep() -> None:
    first = plan(TWO_GAMES)
    again = make_plan(parse_sweep(dump_yaml(first.resolved).encode(), "sweep.yaml"))
    assert [job.setting_id for job in again.jobs] == [job.setting_id for job in first.jobs]
    assert again.resolved == first.resolved


def test_sections_and_keys_are_combined() -> None:
    grid = {
        "local_agent": [{"policy": "softmax"}, {"policy": "greedy", "observation": "included"}],
        "evaluation.horizon": [3, 4],
    }
    jobs = plan({**QUICK, "environment": {"n_agents": 5}, "grid": grid}).jobs
    assert [job.setting.label for job in jobs] == [
        "local_agent(policy=softmax), horizon=3",
        "local_agent(policy=softmax), horizon=4",
        "local_agent(policy=greedy, observation=included), horizon=3",
        "local_agent(policy=greedy, observation=included), horizon=4",
    ]
    assert (jobs[3].setting.local_agent.policy, jobs[3].setting.local_agent.observation) == ("greedy", "included")
    assert jobs[0].setting.local_agent.observation == "outside"
    assert varied_keys(grid) == ["local_agent.policy", "local_agent.observation", "evaluation.horizon"]


def test_a_value_without_a_name_keeps_the_game_of_the_file() -> None:
    mapping = {**QUICK, "environment": {"name": "ring"}, "grid": {"environment": [{"n_places": 3}, {"n_places": 4}]}}
    assert [job.setting.label for job in plan(mapping).jobs] == ["ring(n_places=3)", "ring(n_places=4)"]
    assert label_of({"environment": {"name": "ring"}}, "ring") == "ring"


def test_the_tables_have_a_column_for_each_key(tmp_path: Path) -> None:
    run(tmp_path, TWO_GAMES)
    for name in ("evaluations", "trainings", "settings"):
        rows = pq.read_table(tmp_path / name / "data.parquet").to_pylist()
        found = {tuple(row[f"environment.{key}"] for key in ("name", "n_agents", "n_places")) for row in rows}
        assert found == {("conventions", 4, None), ("ring", 5, 3)}
    results = dm.open(tmp_path)
    assert results.environment(setting={"environment.name": "ring"}).n_local_states == 3
    assert set(results.points()["label"]) == {"conventions(n_agents=4)", "ring(n_places=3, n_agents=5)"}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("environment: [robots]", "grid.environment[0]: must be a mapping of the section's keys, as in {name: robots}"),
        ("environment: []", "grid.environment: must list at least one value"),
        ("environment: [{name: ring}, {name: ring}]", "grid.environment: must list at least one value, and none twice"),
        ("environment: [{n_agents: 30}, {name: robots, n_agents: 30}]", "are the same setting"),
        (
            "environment: [{name: ring, n_agents: 4}]\n  environment.n_agents: [5, 6]",
            "grid.environment[0].n_agents: is varied by grid.environment.n_agents, too; keep one of them",
        ),
        ("evaluation: [{method: both}]", "grid.evaluation[0].method: is not part of a setting"),
        ("local_agent: [{polcy: greedy}]", "grid.local_agent[0].polcy: unknown key; did you mean 'policy'?"),
        ("environment: [{1: 2}]", "grid.environment[0].1: keys must be text, got 1"),
        ("experiment: [{seed: 1}]", "grid.experiment: is not part of a setting"),
        ("environment:\n    - {name: ring}\n    - {name: ringg}", "sweep.yaml:5: environment.name: must be a built-in"),
        (
            "environment:\n    - {name: ring}\n    - name: ring\n      n_place: 3",
            "sweep.yaml:6: environment.n_place: unknown key; did you mean 'n_places'?",
        ),
        (
            "environment:\n    - {name: ring}\n    - name: ring\n      n_places: 1",
            "sweep.yaml:6: environment ring: n_places: must be at least 2, got 1",
        ),
        (
            "local_agent:\n    - {policy: greedy}\n    - policy: gready",
            "sweep.yaml:5: local_agent.policy: must be 'softmax' or 'greedy', got 'gready'",
        ),
        (
            "environment:\n    - {name: ring}\n    - {name: conventions, n_agents: 9}",
            "sweep.yaml:5: experiment.k_range: must be at most n_agents (9) of the setting conventions(n_agents=9)",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_line(grid: str, message: str) -> None:
    with pytest.raises(DistmarlError) as caught:
        make_plan(parse_sweep(f"experiment: {{k_range: [1, 20]}}\ngrid:\n  {grid}\n".encode(), "sweep.yaml"))
    assert message in str(caught.value)


def test_an_unknown_parameter_is_said_to_be_of_one_of_the_games() -> None:
    grid = "environment: {gamma: 0.5, noise: 0}\ngrid:\n  environment: [{name: observable}, {name: ring}]\n"
    with pytest.raises(DistmarlError) as caught:
        make_plan(parse_sweep(grid.encode(), "sweep.yaml"))
    first, second = str(caught.value).splitlines()
    assert first.startswith("sweep.yaml:1: environment.noise: unknown key; known are cost, gamma")
    assert second == "(in the grid's setting environment={'name': 'ring'})"


def test_an_override_of_what_a_section_varies_is_refused() -> None:
    raw = RawSweep(copy.deepcopy(TWO_GAMES), "sweep.yaml")
    with pytest.raises(DistmarlError, match=r"--set environment.n_agents=7: .* override grid.environment with a list"):
        make_plan(apply_overrides(raw, ["environment.n_agents=7"]))
    jobs = make_plan(apply_overrides(raw, ["environment.gamma=0.5"])).jobs
    assert {job.environment.gamma for job in jobs} == {0.5}


def test_a_function_that_only_the_grid_names_is_looked_for() -> None:
    assert names_function(RawSweep({"grid": {"environment": [{"name": "ring"}, {"name": "swarm:game"}]}}, "f"))
    assert not names_function(RawSweep({"grid": {"environment": [{"name": "ring"}]}}, "f"))


@pytest.mark.parametrize(
    "grid",
    [
        {"environment": [{"name": "ring", "n_place": 3}]},
        {"environment": [{"name": "ring", "n_places": 1}]},
        {"environment": [{"name": "ringg"}]},
        {"environment": ["ring"]},
        {"environment": []},
        {"local_agent": [{"polcy": "greedy"}]},
        {"local_agent": [{"policy": "gready"}]},
        {"experiment": [{"seed": 1}]},
    ],
)
def test_what_the_tool_refuses_the_schema_refuses(grid: dict[str, Any]) -> None:
    with pytest.raises(DistmarlError):
        plan({**QUICK, "grid": grid})
    assert not VALIDATOR.is_valid({**QUICK, "grid": grid})


def test_what_the_tool_takes_the_schema_takes() -> None:
    VALIDATOR.validate(TWO_GAMES)
    VALIDATOR.validate({"grid": {"environment": [{"name": "own:game", "any": [1]}, {"n_agents": 3}]}})
    VALIDATOR.validate({"environment": {"n_places": 3}, "grid": {"environment": [{"name": "ring"}]}})
