"""``--plan`` says why what a folder holds is trained again; and every command tells of files that are not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distmarl.report.__main__ import main as report_main
from distmarl.sweep.__main__ import main as sweep_main
from tests.commands import call_in
from tests.sweep.sweeps import TINY, changed, write_sweep

GAME = """
import distmarl as dm

def small(*, n_agents, tilt=0.0):
    return dm.robots(n_agents=n_agents, n_global_states=2, n_local_states=2, n_global_actions=2, gamma=0.9 + tilt)
"""
OWN = {**TINY, "environment": {"name": "game_of_changes:small", "n_agents": 6}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a sweep of a game of one's own has run."""
    folder = tmp_path_factory.mktemp("changes")
    (folder / "game_of_changes.py").write_text(GAME)
    write_sweep(folder, OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distmarl.sweep.__main__._report", lambda *_, **__: None)
        assert call_in(folder, sweep_main)("tiny.json", "--executor", "serial").returncode == 0
    return folder


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            changed(OWN, experiment={"k_values": [1, 3, 4]}),
            ["reference_k was 3, is 4; set experiment.reference_k: 3 to keep 7 tasks"],
        ),
        (
            changed(OWN, global_agent={"n_mc_samples": 4}),
            ["global_agent.n_mc_samples was 3, is 4; set global_agent.n_mc_samples: 3 to keep 7 tasks"],
        ),
        (
            changed(OWN, environment={"tilt": 0.05}),
            ["environment.tilt was 0.0, is 0.05; set environment.tilt: 0.0 to keep 7 tasks"],
        ),
        (
            changed(OWN, experiment={"k_values": [1, 3, 4], "seed": 1}),
            ["reference_k was 3, is 4", "experiment.seed was 0, is 1", "as it was, 7 tasks would be kept"],
        ),
    ],
)
def test_a_plan_says_what_changed(folder: Path, now: dict[str, Any], said: list[str]) -> None:
    write_sweep(folder, now, "now.json")
    plan = call_in(folder, sweep_main)("now.json", "--plan").stdout
    assert "1 setting would be trained that the folder does not have, since something changed:" in plan
    for line in said:
        assert line in plan


def test_a_plan_says_that_a_game_was_edited(folder: Path) -> None:
    game = folder / "game_of_changes.py"
    game.write_text(GAME.replace("gamma=0.9", "gamma=0.8"))
    plan = call_in(folder, sweep_main)("tiny.json", "--plan").stdout
    game.write_text(GAME)
    assert "the game: its function returns other tables than it did; bring its code back to keep 7 tasks" in plan


@pytest.mark.parametrize(
    "now",
    [
        OWN,
        changed(OWN, experiment={"n_eval_seeds": 5}),
        changed(OWN, experiment={"k_values": [1, 2, 3]}),
        changed(OWN, grid={"experiment.seed": [0, 1, 2]}),  # which keeps what there is
    ],
)
def test_a_plan_that_keeps_everything_says_nothing(folder: Path, now: dict[str, Any]) -> None:
    write_sweep(folder, now, "now.json")
    assert "something changed" not in call_in(folder, sweep_main)("now.json", "--plan").stdout


def test_a_sweep_and_a_report_tell_of_a_conflicted_copy(folder: Path) -> None:
    evaluations = folder / "results" / "tiny" / "evaluations"
    copy = evaluations / "data (conflicted copy).parquet"
    copy.write_bytes((evaluations / "data.parquet").read_bytes())
    told = "evaluations/data (conflicted copy).parquet: is not a file of distmarl"
    for main, words in (
        (sweep_main, ["tiny.json", "--plan"]),
        (sweep_main, ["tiny.json", "--executor", "serial", "--quiet"]),
        (report_main, ["results/tiny"]),
    ):
        done = call_in(folder, main)(*words)
        assert done.returncode == 0
        assert done.stderr.count(told) == 1
    copy.unlink()
    assert told not in call_in(folder, sweep_main)("tiny.json", "--plan").stderr
