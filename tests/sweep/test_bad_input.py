"""Bad input through the command line: exit code 2, one clear message, nothing written, before Ray starts."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from distmarl.results.fields import SCHEMA_VERSION
from distmarl.sweep.__main__ import main
from distmarl.sweep.executors.choice import ExecutorChoice
from tests.commands import REPOSITORY, call_in
from tests.sweep.sweeps import TINY, changed, run, write_sweep

# Runs the command and says on the last line of standard output whether Ray was ever imported.
COMMAND = """
import sys
from distmarl.sweep.__main__ import main
try:
    code = main(sys.argv[1:])
finally:
    print("ray" in sys.modules)
sys.exit(code)
"""

USER_GAME = """
import distmarl as dm
import numpy as np

NOT_A_FUNCTION = 3

def swarm(*, n_agents: int, tilt: float = 0.0) -> dm.Environment:
    move = np.full((2, 2, 2, 2), 0.5)
    move[1, 0, 1, 0] += tilt
    return dm.Environment(
        transition_global=np.full((2, 2, 2), 0.5), transition_local=move,
        reward_global=np.zeros((2, 2)), reward_local=np.ones((2, 2, 2)), n_agents=n_agents, gamma=0.9)

def broken(n_agents: int) -> dm.Environment:
    return {}["no such key"]

def wrong(n_agents: int) -> dm.Environment:
    return [1, 2]

def whole(n_agents: int) -> dm.Environment:
    half = lambda *_: [0.5, 0.5]
    return dm.tabulate(half, half, lambda *_: 0.0, lambda *_: 1.0, global_states=2, local_states=2,
        n_global_actions=2, n_local_actions=2, n_agents=n_agents, gamma=0.9)

def types() -> dm.Environment:
    return dm.compose({"calm": dm.robots(), "eager": dm.robots(gamma=0.9)}, shares=[0.5, 0.5])

def holes() -> dm.Environment:
    import dataclasses
    rewards = dm.robots().reward_local.copy()
    rewards[1, 2, 0] = np.nan
    return dataclasses.replace(dm.robots(), reward_local=rewards)

def leaves(n_agents: int) -> dm.Environment:
    raise SystemExit(0)
"""


def refuse(folder: Path, *arguments: str | Path) -> str:
    """Run a command that must be refused, check how it is, and return its message."""
    before = sorted(folder.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExecutorChoice, "start", lambda *_: pytest.fail("tasks would have run"))
        done = call_in(folder, main)(*arguments)
    check_refusal(done)
    assert sorted(folder.rglob("*")) == before, "something was written"
    return done.stderr


def check_refusal(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1, done.stderr


def run_cold(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, which says whether Ray was imported."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def refuse_sweep(folder: Path, mapping: dict[str, Any], *arguments: str | Path) -> str:
    return refuse(folder, write_sweep(folder, mapping).name, *arguments)


def test_a_missing_file(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    assert "tiny.jso: there is no such file (did you mean tiny.json?)" in refuse(tmp_path, "tiny.jso")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    run(tmp_path / "out")
    message = refuse(tmp_path, "out")
    assert "error: out: is a folder; name the sweep file, for example out/sweep.yaml\n" in message
    (tmp_path / "empty").mkdir()
    assert "error: empty: is a folder; name the sweep file\n" in refuse(tmp_path, "empty")


def test_bad_input_is_refused_before_ray_is_imported(tmp_path: Path) -> None:
    (tmp_path / "game.py").write_text(USER_GAME)
    sweep = write_sweep(tmp_path, {**TINY, "environment": {"name": "game:swarm", "n_agents": 5, "tilt": 0.1}})
    done = run_cold(tmp_path, sweep.name)
    check_refusal(done)
    assert "transition_local[s_g=1, s_l=0, a_l=1]: must sum to 1" in done.stderr
    assert done.stdout.splitlines()[-1:] == ["False"], "Ray was imported"
    assert {path.name for path in tmp_path.iterdir()} == {"game.py", sweep.name}, "something was written"


def test_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("name: [tiny\n")
    assert "sweep.yaml:2: is not valid YAML" in refuse(tmp_path, "sweep.yaml")


def test_a_misspelt_key(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, changed(TINY, evaluation={"n_rolouts": 3}))
    assert "evaluation.n_rolouts: unknown key; did you mean 'n_rollouts'?" in message


def test_a_misspelt_parameter_of_the_environment(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, changed(TINY, environment={"n_agent": 3}))
    assert "environment.n_agent: unknown key; did you mean 'n_agents'?" in message


def test_a_wrong_type(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, changed(TINY, evaluation={"horizon": "long"}))
    assert "evaluation.horizon: must be an integer, got 'long'" in message


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ({"k_values": [1, 7]}, "experiment.k_values: must be at most n_agents (6), got 7"),
        ({"k_values": [0, 1]}, "experiment.k_values[0]: must be at least 1, got 0"),
        ({"k_values": [2, 2]}, "experiment.k_values[1]: must not repeat a value, got 2 twice"),
        ({"reference_k": 7}, "experiment.reference_k: must be at most n_agents (6), got 7"),
    ],
)
def test_impossible_subsamples(tmp_path: Path, experiment: dict[str, Any], message: str) -> None:
    assert message in refuse_sweep(tmp_path, changed(TINY, experiment=experiment))


def test_the_default_range_of_k_can_be_too_wide(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, {"environment": {"n_agents": 10}})
    rule = "experiment.k_range: must be at most n_agents (10), and is [1, 25] by default: set it, or k_values"
    assert rule in message
    message = refuse_sweep(tmp_path, {"environment": {"n_agents": 10}, "experiment": {"k_range": [1, 12]}})
    assert "experiment.k_range: must be at most n_agents (10), got 12" in message


def test_a_k_above_one_settings_population_names_the_setting(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, {**TINY, "grid": {"environment.n_agents": [6, 2]}})
    assert "must be at most n_agents (2) of the setting n_agents=2, got 3" in message


def test_exact_values_of_a_population_that_is_too_large_for_them(tmp_path: Path) -> None:
    sweep = {"environment": {"n_agents": 1000}, "alternating": {"joint_value": "exact"}}
    message = refuse_sweep(tmp_path, sweep)
    assert "alternating.joint_value: must be rollouts, got 'exact': n_agents: 1000 agents in 5 local states" in message
    grid = {**sweep, "experiment": {"k_values": [1]}, "grid": {"environment.n_agents": [10, 1000]}}
    message = refuse_sweep(tmp_path, grid)
    assert "alternating.joint_value: must be rollouts in the setting n_agents=1000, got 'exact'" in message


@pytest.mark.parametrize("gamma", [1, 1.5, -0.1])
def test_an_impossible_discount(tmp_path: Path, gamma: float) -> None:
    message = refuse_sweep(tmp_path, changed(TINY, environment={"gamma": gamma}))
    assert "gamma: must satisfy 0 <= gamma < 1, got " in message


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"name": "game:swarm", "n_agents": 5, "tilt": 0.1}, "transition_local[s_g=1, s_l=0, a_l=1]: must sum to 1"),
        ({"name": "game:swarm", "n_agents": 5, "tlit": 0.1}, "environment.tlit: unknown key; did you mean 'tilt'?"),
        ({"name": "game:swarm"}, "environment.n_agents: is required"),
        ({"name": "game:swram", "n_agents": 5}, "module game has no function 'swram'; did you mean 'swarm'?"),
        ({"name": "game:NOT_A_FUNCTION"}, "module game has no function 'NOT_A_FUNCTION'"),
        ({"name": "queue:swarm", "n_agents": 5}, "module queue has no function 'swarm'; known are"),
        ({"name": "queue:swarm", "n_agents": 5}, f"(it is {queue.__file__})"),
        ({"name": "gmae:swarm", "n_agents": 5}, "there is no module 'gmae'"),
        ({"name": "game:broken", "n_agents": 5}, "environment game:broken raised KeyError: 'no such key' (game.py:15)"),
        ({"name": "game:leaves", "n_agents": 5}, "environment game:leaves raised SystemExit: 0"),
        ({"name": "builtins:dict"}, "environment: dict does not tell its parameters"),
        ({"name": "needy:swarm"}, "importing needy raised ModuleNotFoundError: No module named 'absent'"),
        ({"name": "game:types"}, "environment game:types: gamma: must be the same in calm and eager, got 0.95 and 0.9"),
        ({"name": "game:holes"}, "environment game:holes: reward_local[s_g=1, s_l=2, a_l=0]: must be finite, got nan"),
        ({"name": "game:wrong", "n_agents": 5}, "must return a distmarl.Environment, got a list"),
        ({"name": "game:whole", "n_agents": 5}, "got a Tabulated, whose environment is one"),
        ({"name": "syntax:swarm"}, "importing syntax raised SyntaxError"),
        ({"name": "robot"}, "did you mean 'robots'?"),
        ({"name": 3}, "environment.name: must be a string, got 3"),
    ],
)
def test_a_users_environment_that_cannot_be_used(tmp_path: Path, environment: dict[str, Any], message: str) -> None:
    (tmp_path / "game.py").write_text(USER_GAME)
    (tmp_path / "queue.py").write_text(USER_GAME)
    (tmp_path / "syntax.py").write_text("def swarm(:\n")
    (tmp_path / "needy.py").write_text("import absent\n")
    assert message in refuse_sweep(tmp_path, {**TINY, "environment": environment})


def test_two_ways_to_the_same_setting(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, {**TINY, "grid": {"experiment.reference_k": [None, 3]}})
    assert "grid: reference_k=None and reference_k=3 are the same setting" in message


def test_too_many_count_vectors(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, {"environment": {"n_agents": 10**6}, "experiment": {"k_values": [5000]}})
    assert "experiment.k_values: 5000 agents in 5 states have more than 2,147,483,647 count vectors" in message


def test_a_discount_from_the_command_line_is_blamed_on_it(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, TINY, "--set", "environment.gamma=1")
    assert "--set environment.gamma=1: environment robots: gamma: must satisfy" in message


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file/results: cannot be written" in refuse_sweep(tmp_path, TINY, "--out", "file/results")


def test_a_place_that_is_none(tmp_path: Path) -> None:
    assert "s4://bucket/x: cannot be opened: Unrec" in refuse_sweep(tmp_path, TINY, "--out", "s4://bucket/x")


def test_credentials_on_the_command_line(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, TINY, "--out", "s3://name:hunter2@bucket/x")
    assert "s3://bucket/x: the URI carries credentials" in message
    assert "hunter2" not in message


def test_a_foreign_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")
    for overwrite in ([], ["--overwrite"]):
        message = refuse_sweep(tmp_path, TINY, "--out", "thesis", *overwrite)
        assert "thesis: is not a results folder of distmarl" in message


def test_another_sweeps_folder(tmp_path: Path) -> None:
    run(tmp_path / "results")
    message = refuse_sweep(tmp_path, {**TINY, "name": "other"}, "--out", "results")
    assert "holds the results of the sweep 'tiny', not of 'other'" in message


def test_tables_of_another_schema_version(tmp_path: Path) -> None:
    run(tmp_path / "results")
    path = tmp_path / "results" / "trainings" / "data.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"distmarl.schema_version": b"0"}), path)
    message = refuse_sweep(tmp_path, TINY, "--out", "results")
    assert f"was written with schema version 0, this distmarl uses version {SCHEMA_VERSION}" in message


@pytest.mark.parametrize(
    "assignment",
    ["evaluation.horizon", "evaluation.horizon=0", "name.x=1", "evaluation.horizn=3", "evalution.horizon=3"],
)
def test_an_impossible_override(tmp_path: Path, assignment: str) -> None:
    assert f"--set {assignment}: " in refuse_sweep(tmp_path, TINY, "--set", assignment)


def test_cores_that_are_no_number(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, TINY, "--num-cpus", "many")
    assert "--set runner.num_cpus=many: runner.num_cpus: must be an integer, got 'many'" in message


def test_more_cores_per_task_than_the_local_ray_gets(tmp_path: Path) -> None:
    message = refuse_sweep(tmp_path, TINY, "--set", "runner.cpus_per_train=3", "--num-cpus", "2")
    assert "runner.cpus_per_train: each training asks for 3 cores, but the local Ray has 2" in message


def test_an_unknown_option(tmp_path: Path) -> None:
    assert "unrecognized arguments: --ovrewrite" in refuse_sweep(tmp_path, TINY, "--ovrewrite")


@pytest.mark.parametrize(
    ("assignment", "hint"),
    [
        ("n_agents=10", "n_agents: unknown key; did you mean environment.n_agents?"),
        ("n_rollouts=10", "n_rollouts: unknown key; did you mean evaluation.n_rollouts?"),
        (
            "max_vi_iterations=10",
            "unknown key; did you mean global_agent.max_vi_iterations or local_agent.max_vi_iterations?",
        ),
        ("environment.horizon=10", "environment.horizon: unknown key; did you mean evaluation.horizon?"),
        ("evaluation.gamma=0.5", "evaluation.gamma: unknown key; did you mean environment.gamma?"),
        ("grid.n_agents=[10, 20]", "grid.n_agents: unknown section; did you mean environment.n_agents?"),
        ("n_agnts=10", "n_agnts: unknown key; known are"),
    ],
)
def test_a_key_without_its_section_is_told_where_it_belongs(tmp_path: Path, assignment: str, hint: str) -> None:
    error = refuse_sweep(tmp_path, {"name": "tiny"}, "--set", assignment)
    assert f"--set {assignment}: " in error
    assert hint in error


def test_a_plan_writes_nothing_and_starts_nothing(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, {**TINY, "grid": {"environment.n_agents": [6, 8]}})
    done = run_cold(tmp_path, path.name, "--plan")
    assert done.returncode == 0
    assert re.search(r"^ *in all +14 +14 ", done.stdout, flags=re.MULTILINE)
    assert "k=3: 10 count vectors" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"
    assert list(tmp_path.iterdir()) == [path]
    assert json.loads(path.read_text())["name"] == "tiny"
