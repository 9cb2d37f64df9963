"""What the README says is what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from distmarl import NashGap
from distmarl.config.reading import RawSweep
from distmarl.sweep.plan import make_plan
from tests.conftest import REPOSITORY, RunCommand

README = (REPOSITORY / "README.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_both_set_up_commands_are_what_ci_runs() -> None:
    commands = [line for block in snippets("bash") for line in block.splitlines() if "python3 -m venv" in line]
    assert len(commands) == 2
    ci = (REPOSITORY / ".ci" / "run").read_text().splitlines()
    assert set(commands) <= set(ci)


def test_the_notebook_snippet_runs() -> None:
    (snippet,) = (block for block in snippets("python") if "dm.g_learn(" in block)
    names: dict[str, object] = {}
    exec(snippet, names)
    assert names["value"].mean > 50  # type: ignore[attr-defined]
    assert names["exact"].bound <= 1e-8  # type: ignore[attr-defined]


def test_the_gaps_of_the_readme_are_a_bracket() -> None:
    (snippet,) = (block for block in snippets("python") if "nash_gap" in block)
    names: dict[str, object] = {}
    exec("import distmarl as dm\n" + snippet, names)
    gaps = names["gaps"]
    assert isinstance(gaps, NashGap)
    assert gaps.global_lower.value is not None
    assert gaps.global_upper.value is not None
    assert 0 <= gaps.global_lower.value <= gaps.global_upper.value + 1e-5


def test_the_environment_of_ones_own_runs_as_a_sweep_and_the_tables_are_read(
    tmp_path: Path, run_sweep: RunCommand
) -> None:
    (module,) = (block for block in snippets("python") if "def swarm" in block)
    (sweep,) = (block for block in snippets("yaml") if "swarm:swarm" in block)
    (tmp_path / "swarm.py").write_text(module)
    (tmp_path / "swarm.yaml").write_text(sweep)
    done = run_sweep("swarm.yaml", "--executor", "serial", "--out", "results/robots")
    assert done.returncode == 0, done.stderr
    assert "Improvement: " in done.stdout
    (reading,) = (block for block in snippets("python") if "read_parquet" in block)
    exec(reading.replace("results/", f"{tmp_path}/results/"), {})


def test_a_results_folder_is_looked_at_as_it_says(
    tmp_path: Path, run_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller = ("experiment.k_range=null", "experiment.k_values=[1, 10]", "global_agent.n_mc_samples=3")
    options = [word for assignment in smaller for word in ("--set", assignment)]
    done = run_sweep(REPOSITORY / "sweeps" / "robots.yaml", "--executor", "serial", *options)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    for word in ("dm.open", "duckdb"):
        (snippet,) = (block for block in snippets("python") if word in block)
        exec(snippet, {})
    typed = [line for block in snippets("bash") for line in block.splitlines()]
    commands = [line for line in typed if re.match(r"python -m distmarl(\.status|\.config)? ", line)]
    assert len(commands) == 3
    for command in commands:
        subprocess.run(
            command.replace("python", sys.executable, 1),
            shell=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
    assert (tmp_path / "sweep.schema.json").read_text() == (REPOSITORY / "sweeps" / "sweep.schema.json").read_text()


def test_the_keys_of_the_sweep_file_are_all_there_with_their_defaults() -> None:
    (block,) = (block for block in snippets("yaml") if "softmax_temperature_min" in block)
    written = YAML(typ="safe", pure=True).load(block)
    plan = make_plan(RawSweep({}, "defaults"))
    defaults = {**plan.resolved, "name": "robots"}
    assert written == defaults
    assert list(written) == list(defaults)


def test_every_table_is_described() -> None:
    from distmarl.results.schemas import TABLES

    described = re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)
    assert set(described) == set(TABLES)


def test_a_coordinator_that_sees_more_earns_more(tmp_path: Path, run_sweep: RunCommand) -> None:
    robots = REPOSITORY / "sweeps" / "robots.yaml"
    done = run_sweep(
        robots, "--executor", "serial", "--set", "experiment.k_range=null", "--set", "experiment.k_values=[1, 25]"
    )
    assert done.returncode == 0, done.stderr
    returns = pd.read_parquet(tmp_path / "results" / "robots" / "evaluations").groupby("k")["mean_return"]
    rise = returns.mean()[25] - returns.mean()[1]
    standard_error = ((returns.var() / returns.size()).sum()) ** 0.5
    assert rise > 4 * standard_error
    for name in ("reward_vs_k.png", "runtime_vs_k.png", "mode_accuracy_vs_k.png"):
        assert (tmp_path / "results" / "robots" / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "results" / "robots" / "report.html").read_bytes().startswith(b"<!doctype html>")
