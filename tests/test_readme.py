"""What the README says is what runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from ruamel.yaml import YAML

from distmarl import NashGap
from distmarl.config.reading import RawSweep
from distmarl.study.plan import make_plan
from distmarl.sweep.__main__ import make_parser
from tests.conftest import REPOSITORY, RunCommand

if TYPE_CHECKING:
    from tests.object_store import ObjectStore

# A sweep of the robots in a second or two; snippets look at k = 10.
SMALLER = shlex.split(
    "--set experiment.k_range=null --set 'experiment.k_values=[1, 10]' --set global_agent.n_mc_samples=3 "
    "--set experiment.n_eval_seeds=3"
)
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


def typed(start: str) -> list[str]:
    """Return the lines to type that begin so."""
    return [line for block in snippets("bash") for line in block.splitlines() if line.startswith(start)]


def type_in(command: str, folder: Path, **environment: str) -> str:
    """Type a line in a folder, a sweep with less to do and in this process, and return what it prints."""
    command = command.replace("python", sys.executable, 1)
    if "distmarl.sweep" in command and "--plan" not in command:
        command = f"{command.partition('  #')[0]} --executor serial {shlex.join(SMALLER)}"
    inherited = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_line_to_type_is_one_that_is_tried() -> None:
    tried = [typed(start) for start in ("python3 -m venv", "python -m distmarl", "ray job submit")]
    assert [len(lines) for lines in tried] == [2, 9, 1]
    assert sum(map(len, tried)) == len(typed(""))


def test_a_results_folder_is_looked_at_as_it_says(
    tmp_path: Path, run_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_sweep(REPOSITORY / "sweeps" / "robots.yaml", "--executor", "serial", *SMALLER)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    for word in ("dm.open", "duckdb"):
        (snippet,) = (block for block in snippets("python") if word in block)
        exec(snippet, {})
    (tmp_path / "sweeps").symlink_to(REPOSITORY / "sweeps")
    commands = [line for line in typed("python -m distmarl") if "s3://" not in line]
    printed = {line: type_in(line, tmp_path) for line in commands}
    assert len(printed) == 6
    (plan,) = (text for line, text in printed.items() if "--plan" in line)
    assert re.search("^ ?global policies +25 +25 ", plan, flags=re.MULTILINE)
    assert set(pd.read_parquet("results/robots-100/evaluations")["n_agents"]) == {100}
    assert (tmp_path / "results" / "robots" / "reward_vs_k.pdf").exists()
    assert (tmp_path / "sweep.schema.json").read_text() == (REPOSITORY / "sweeps" / "sweep.schema.json").read_text()


def test_results_lie_in_a_bucket_as_it_says(tmp_path: Path, object_store: ObjectStore) -> None:
    (tmp_path / "sweeps").symlink_to(REPOSITORY / "sweeps")
    object_store.filesystem.create_dir("my-bucket")
    there, report, elsewhere = (line for line in typed("python -m distmarl") if "s3://" in line)
    endpoint = f"http://{object_store.endpoint}"
    type_in(there, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert "reward_vs_k.pdf" not in object_store.objects("my-bucket/robots")
    type_in(report, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert {"reward_vs_k.pdf", "evaluations/data.parquet"} <= set(object_store.objects("my-bucket/robots"))
    object_store.filesystem.delete_dir("my-bucket/robots")
    assert "minio.lab:9000" in elsewhere
    type_in(elsewhere.replace("minio.lab:9000", object_store.endpoint), tmp_path)
    assert "evaluations/data.parquet" in object_store.objects("my-bucket/robots")
    assert not (tmp_path / "results").exists()


def test_the_job_for_a_cluster_is_a_command_of_ours() -> None:
    (line,) = typed("ray job submit")
    command = shlex.split(line.partition(" -- ")[2])
    assert command[:3] == ["python", "-m", "distmarl.sweep"]
    arguments = make_parser().parse_args(command[3:])
    assert (REPOSITORY / arguments.sweep_file).exists()
    assert Path(arguments.out).is_absolute()


def test_the_grid_is_every_combination_of_its_values() -> None:
    (block,) = (block for block in snippets("yaml") if block.startswith("grid:"))
    plan = make_plan(RawSweep(YAML(typ="safe", pure=True).load(block), "grid"))
    assert len(plan.jobs) == 6
    assert {job.environment.n_agents for job in plan.jobs} == {30, 100, 1000}
    assert {job.setting.global_agent.transitions for job in plan.jobs} == {"sampled", "exact"}


def test_the_keys_of_the_sweep_file_are_all_there_with_their_defaults() -> None:
    (block,) = (block for block in snippets("yaml") if "softmax_temperature_min" in block)
    written = YAML(typ="safe", pure=True).load(block)
    plan = make_plan(RawSweep({}, "defaults"))
    defaults = {**plan.resolved, "name": "robots"}
    assert written == defaults
    assert list(written) == list(defaults)


def test_every_table_is_described() -> None:
    from distmarl.results.tables import TABLES

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
