"""The command and the page tell where the minimum temperature makes the softmax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands import RunCommand
from tests.sweep.sweeps import TINY, write_sweep

GAME = """
import dataclasses
import distmarl as dm

def pennies(*, n_agents: int = 4, factor: float = 0.02, bonus: float = 3.0) -> dm.Environment:
    env = dm.robots(n_agents=n_agents, n_global_states=3, n_local_states=3, n_global_actions=3)
    return dataclasses.replace(env, reward_local=factor * env.reward_local, reward_global=0 * env.reward_global + bonus)
"""
PENNIES: dict[str, Any] = {**TINY, "environment": {"name": "pennies:pennies"}}
SAID = "softmax_temperature_min"


@pytest.mark.parametrize(
    ("section", "is_told"),
    [({}, True), ({"softmax_temperature_unit": "range"}, False), ({"policy": "greedy"}, False)],
    ids=["default", "relative", "greedy"],
)
def test_a_minimum_that_decides_is_told_before_the_run_and_on_the_page(
    tmp_path: Path, call_sweep: RunCommand, section: dict[str, Any], is_told: bool
) -> None:
    (tmp_path / "pennies.py").write_text(GAME)
    path = write_sweep(tmp_path, {**PENNIES, "local_agent": section})
    planned = call_sweep(path, "--plan")
    done = call_sweep(path, "--executor", "serial", "--out", "out")
    assert (planned.returncode, done.returncode) == (0, 0), done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (planned.stderr, done.stderr, page):
        assert (SAID in text and "the greedy" in text) == is_told
    assert ("not of what is possible with the best one" in page) == is_told


def test_robots_are_told_nothing(tmp_path: Path, call_sweep: RunCommand) -> None:
    planned = call_sweep(write_sweep(tmp_path), "--plan")
    assert SAID not in planned.stderr
