"""The command as a user types it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import distmarl
from distmarl.sweep.__main__ import main
from distmarl.sweep.executors.choice import ExecutorChoice
from tests.commands import REPOSITORY, RunCommand, call_in, command_in
from tests.sweep.sweeps import TINY, run, write_sweep

# The keys of the published code's hyperparameters.json, with smaller numbers.
SEED_PROJECT = {
    "environment": {
        "n_global_states": 3,
        "n_local_states": 3,
        "n_global_actions": 3,
        "n_local_actions": 3,
        "n_agents": 20,
        "gamma": 0.95,
    },
    "global_agent": {"n_mc_samples": 5, "max_vi_iterations": 100, "convergence_threshold": 1e-6},
    "local_agent": {
        "max_vi_iterations": 100,
        "convergence_threshold": 1e-6,
        "softmax_temperature_scale": 3.0,
        "softmax_temperature_min": 0.3,
    },
    "alternating": {"n_outer_iterations": 5, "convergence_rtol": 0.01},
    "evaluation": {"n_rollouts": 10, "horizon": 10},
}


GAME = """
import distmarl as dm

def swarm(*, n_agents: int) -> dm.Environment:
    return dm.robots(n_agents=n_agents, gamma=0.9)
"""


def tasks_to_run(plan: str) -> dict[str, tuple[int, int]]:
    """Return for each row of a plan's table how many tasks there are, and how many would run."""
    rows = re.findall(r"^ ?(\S[\w ]+?)  +([\d,]+) +([\d,]+)  ", plan, flags=re.MULTILINE)
    return {name: (int(total.replace(",", "")), int(left.replace(",", ""))) for name, total, left in rows}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("experiment", [{"k_range": [1, 4], "n_eval_seeds": 2}, {"k_values": [1, 2, 3, 4]}])
def test_the_published_codes_hyperparameters_run_as_they_stand(
    tmp_path: Path, call_sweep: RunCommand, experiment: dict[str, object]
) -> None:
    write_sweep(tmp_path, {**SEED_PROJECT, "experiment": experiment}, "hyperparameters.json")
    done = call_sweep("hyperparameters.json", "--executor", "serial")
    assert done.returncode == 0, done.stderr
    evaluations = pd.read_parquet(tmp_path / "results" / "hyperparameters" / "evaluations")
    assert sorted(set(evaluations["k"])) == [1, 2, 3, 4]


@pytest.mark.usefixtures("undrawn")
def test_two_keys_are_a_sweep(tmp_path: Path, call_sweep: RunCommand) -> None:
    (tmp_path / "two.json").write_text('{"environment": {"n_agents": 100, "gamma": 0.99}}')
    plan = call_sweep("two.json", "--plan")
    assert tasks_to_run(plan.stdout) == {
        "shared local policies": (1, 1),
        "global policies": (25, 25),
        "evaluations": (250, 250),
        "in all": (276, 276),
    }
    done = call_sweep("two.json", "--executor", "serial", "--set", "experiment.k_range=[1, 2]")
    assert done.returncode == 0, done.stderr
    evaluations = pd.read_parquet(tmp_path / "results" / "two" / "evaluations")
    assert set(evaluations["n_agents"]) == {100}
    assert set(evaluations["gamma"]) == {0.99}


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A sweep as a user runs it, in a process of its own: the folder that it was typed in, and what was printed."""
    folder = tmp_path_factory.mktemp("typed")
    names = ("numpy", "pandas", "matplotlib", "secrets", "queue", "typing")
    not_installed = ("bottleneck", "numexpr")  # pandas takes them where they are found
    in_the_way = [folder / f"{name}.py" for name in (*names, *not_installed)]
    for path in in_the_way:
        path.write_text("raise ImportError('what is installed comes first')\n")
    done = command_in(folder, "distmarl.sweep")(write_sweep(folder), "--executor", "serial", "--out", "out")
    for path in in_the_way:
        path.unlink()
    return folder, done


def test_the_command_tells_how_far_it_is_and_what_came_of_it(
    typed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = typed
    assert "7 tasks, on this process, one task at a time" in done.stderr.splitlines()
    assert "shared local policies 1/1, global policies 2/2, evaluations 4/4" in done.stderr
    assert "Value (mean ± std)" in done.stdout
    assert "Improvement: " in done.stdout
    assert done.stderr.splitlines()[-7:] == [
        "results in out",
        "  tables (Parquet), figures, sweep.yaml, provenance.json",
        "to see more:",
        "  out/report.html, in a browser",
        "  python -m distmarl.report out",
        "  python -m distmarl.status out",
        '  r = dm.open("out")  # after import distmarl as dm',
    ]
    again = call_in(folder, main)("tiny.json", "--executor", "serial", "--out", "out")
    assert "7 tasks, all of them done before" in again.stderr
    assert again.stdout == done.stdout


def test_the_session_is_in_the_provenance(typed: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = typed
    session, *_ = json.loads((folder / "out" / "provenance.json").read_text())["sessions"]
    assert session["command"][-4:] == ["--executor", "serial", "--out", "out"]
    assert session["distmarl"] == distmarl.__version__
    assert (session["outcome"], session["done"], session["failed"]) == ("ended", 7, 0)
    assert session["started_at"] <= session["ended_at"]
    if session["commit"] is not None:
        assert re.fullmatch("[0-9a-f]{40}", session["commit"])
        assert session["dirty"] in (True, False)


def test_quiet_says_nothing_when_all_is_well(tmp_path: Path, call_sweep: RunCommand) -> None:
    done = call_sweep(write_sweep(tmp_path), "--executor", "serial", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "results" / "tiny" / "reward_vs_k.png").exists()


@pytest.mark.parametrize(
    ("changes", "is_looked_in"),
    [
        ({}, False),
        ({"environment": {"name": "swarm_of_mine:swarm", "n_agents": 6}}, True),
        ({"environment": {"n_agents": 6}, "grid": {"environment.name": ["robots", "swarm_of_mine:swarm"]}}, True),
    ],
)
def test_the_sweep_files_folder_is_looked_in_last_and_only_for_a_named_function(
    tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], is_looked_in: bool
) -> None:
    folder = tmp_path / "sweeps"
    folder.mkdir()
    (folder / "swarm_of_mine.py").write_text(GAME)
    looked_in: list[str] = []
    monkeypatch.setattr(ExecutorChoice, "check", lambda _: looked_in.extend(sys.path))
    done = call_sweep(write_sweep(folder, {**TINY, **changes}), "--plan")
    assert done.returncode == 0, done.stderr
    assert looked_in[-2:] == [str(tmp_path), str(folder)] if is_looked_in else str(folder) not in looked_in


@pytest.mark.usefixtures("undrawn")
def test_overwriting_deletes_what_distmarl_wrote_and_names_the_rest(tmp_path: Path, call_sweep: RunCommand) -> None:
    out = tmp_path / "out"
    run(out)
    old = (out / "trainings" / "data.parquet").read_bytes()
    mine = ["evaluations/data (copy).parquet", "settings/mine/notes.txt", "_parts/rollouts/a.csv", "_tmp-mine", "b.txt"]
    for name in (*mine, "_parts/evaluations/e.parquet", "reward_vs_k.png", "report.html"):
        (out / name).parent.mkdir(exist_ok=True, parents=True)
        (out / name).write_text("a part of an earlier run, or a figure of it, or mine")
    before = {name: (out / name).read_text() for name in mine}
    done = call_sweep(write_sweep(tmp_path), "--executor", "serial", "--out", "out", "--overwrite", "--set=name=other")
    assert done.returncode == 0, done.stderr
    told = "_tmp-mine, b.txt, _parts/rollouts/a.csv, evaluations/data (copy).parquet, settings/mine"
    assert f"out: kept what distmarl has not written: {told}\n" in done.stderr
    assert {name: (out / name).read_text() for name in mine} == before
    assert not any((out / name).exists() for name in ("_parts/evaluations/e.parquet", "reward_vs_k.png", "report.html"))
    assert (out / "trainings" / "data.parquet").read_bytes() != old


@pytest.mark.usefixtures("undrawn")
def test_training_that_does_not_converge_is_warned_of(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path)
    done = call_sweep(sweep, "--executor", "serial", "--quiet", "--set", "global_agent.max_vi_iterations=2")
    assert done.returncode == 0
    assert re.search(r"k3: certified to [\d.e+]+ only, after 2 sweeps, which is above its conv", done.stderr)


@pytest.mark.usefixtures("undrawn")
def test_a_relative_folder_in_a_submitted_job_is_warned_of(tmp_path: Path, call_sweep: RunCommand) -> None:
    job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    sweep = write_sweep(tmp_path)
    relative = call_sweep(sweep, "--executor", "serial", "--quiet", **job)
    assert "give --out an absolute path" in relative.stderr
    absolute = call_sweep(sweep, "--executor", "serial", "--quiet", "--out", tmp_path / "out", **job)
    assert absolute.stderr == ""


def test_a_finished_sweep_is_planned_as_done(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path)
    run(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    plan = call_sweep(sweep, "--out", "out", "--plan").stdout
    assert tasks_to_run(plan)["in all"] == (7, 0)
    assert "expected   nothing is left to run" in plan
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


@pytest.mark.usefixtures("undrawn")
def test_a_file_cut_short_is_spoken_of_and_deleted(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path)
    run(tmp_path / "out")
    torn = tmp_path / "out" / "_parts" / "evaluations" / "torn.parquet"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"PAR1")
    again = call_sweep(sweep, "--executor", "serial", "--out", "out")
    assert "out: 1 file cut short (power lost?): deleted, and the tasks run again" in again.stderr
    assert again.returncode == 0
    assert not torn.exists()


def test_settings_of_an_earlier_file_are_spoken_of_and_kept_out_of_the_figures(
    tmp_path: Path, call_sweep: RunCommand
) -> None:
    sweep = write_sweep(tmp_path)
    run(tmp_path / "out")
    done = call_sweep(sweep, "--executor", "serial", "--out", "out", "--set", "environment.n_agents=7")
    assert "out also holds 1 setting of an earlier sweep file" in done.stderr
    assert len(re.findall(r"^ +[13] ", done.stdout, flags=re.MULTILINE)) == 2


CHANGING_GAME = """
import dataclasses
import distmarl as dm
import numpy as np

def game():
    env = dm.robots(n_agents=6, n_global_states=3, n_local_states=3, n_global_actions=3)
    return dataclasses.replace(env, reward_global=REWARD)
"""


@pytest.mark.usefixtures("undrawn")
def test_a_game_that_is_another_one_each_time_is_told_as_such(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path, {**TINY, "environment": {"name": "random_game:game"}})
    module = tmp_path / "random_game.py"
    module.write_text(CHANGING_GAME.replace("REWARD", "np.random.default_rng().random((3, 3))"))
    for told in (
        "",
        "random_game:game draws at random: it returned another game than in 1 setting that out",
    ):
        done = call_sweep(sweep, "--executor", "serial", "--out", "out")
        assert done.returncode == 0, done.stderr
        assert told in done.stderr
        assert ("draws at random" in done.stderr) is bool(told)
    module.write_text(CHANGING_GAME.replace("REWARD", "np.eye(3)"))
    done = call_sweep(sweep, "--executor", "serial", "--out", "out")
    assert "random_game:game has changed since: it returned another game than in 2 settings that out" in done.stderr
    assert "earlier sweep file" not in done.stderr


def test_a_smaller_sweep_reports_only_what_it_asks_for(tmp_path: Path, call_sweep: RunCommand) -> None:
    sweep = write_sweep(tmp_path)
    run(tmp_path / "out")
    smaller = ("--set", "experiment.k_values=[1]", "--set", "experiment.reference_k=3")
    done = call_sweep(sweep, "--executor", "serial", "--out", "out", *smaller)
    assert "5 tasks" not in done.stdout
    assert not re.search(r"^ +3 ", done.stdout, flags=re.MULTILINE)


def test_a_failure_whose_text_looks_like_markup_is_told_as_it_is(tmp_path: Path, call_sweep: RunCommand) -> None:
    slow = {"evaluation": {"n_rollouts": 4, "horizon": 100_000_000}, "runner": {"task_timeout_s": 0.2}}
    sweep = write_sweep(tmp_path, {**TINY, **slow})
    done = call_sweep(sweep, "--executor", "serial", "--out", "a[/red]b:x:")
    assert done.returncode == 1, done.stderr
    assert "a[/red]b:x:/failures" in done.stderr


def test_help_and_version(call_sweep: RunCommand) -> None:
    assert call_sweep("--version").stdout == f"distmarl {distmarl.__version__}\n"
    usage = call_sweep("--help").stdout
    assert "exit codes: 0 done, 1 some tasks failed or Ray was lost, 2 bad input, 130 interrupted (by Ctrl-C," in usage


@pytest.mark.parametrize("name", ["robots", "paper", "smoke", "transitions"])
def test_every_sweep_of_the_project_can_be_planned(call_sweep: RunCommand, name: str) -> None:
    done = call_sweep(REPOSITORY / "sweeps" / f"{name}.yaml", "--plan")
    assert done.returncode == 0, done.stderr
    assert f"sweep      {name}, into results/{name}" in done.stdout


def test_the_sweep_of_the_paper_is_what_the_paper_ran(call_sweep: RunCommand) -> None:
    plan = call_sweep(REPOSITORY / "sweeps" / "paper.yaml", "--plan").stdout
    assert tasks_to_run(plan)["global policies"] == (50, 50)
    assert tasks_to_run(plan)["evaluations"] == (750, 750)
