"""What ``--plan`` prints."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distmarl.results.storage.opening import open_location
from distmarl.study.kinds import KINDS
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.progress.plan_text import print_plan
from tests.sweep.sweeps import changed, plan_of

GRID: dict[str, Any] = {
    "name": "robots",
    "environment": {"n_agents": 30},
    "evaluation": {"method": "both"},
    "experiment": {"nash_gap": "exact", "baselines": ["random"], "n_eval_seeds": 1000},
    "grid": {"global_agent.convergence_threshold": [1e-6, 1e-4], "environment.gamma": [0.9, 0.95]},
}


def printed(mapping: dict[str, Any], width: int = 80, n_cpus: int = 2, slower: float = 1.0) -> str:
    plan, stream = plan_of(mapping), io.StringIO()
    factors = dict.fromkeys(("shared_policy", "g_learn", "baselines", "nash_gap", "exact_return", "evaluate"), slower)
    costs = Costs(plan, factors, "the timings of 7 tasks in the results folder")
    console = Console(file=stream, width=width, highlight=False)
    folder = open_location(Path("results/robots"))
    print_plan(plan, folder, plan.pending(None), costs, console, n_cpus=n_cpus, where=" of this machine")
    return stream.getvalue()


@pytest.mark.parametrize("width", [120, 80, 64, 63, 40])
def test_a_plan_fits_and_no_number_is_cut(width: int) -> None:
    text = printed(GRID, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "…" not in text
    words = " ".join(text.split())
    for part in ("convergence_threshold=1e-06", "gamma=0.95", "100,000", "MiB", "on 2 cores of this machine"):
        assert part in words
    assert "predicted from the timings of 7 tasks in the results folder" in words


def expected_s(text: str) -> int:
    found = re.search(r"expected   about (?:(\d+) h )?(?:(\d+) min)?(?: ?(\d+) s)?", text)
    assert found is not None
    hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def test_slower_workers_take_longer_and_more_of_them_less_long() -> None:
    small = changed({"name": "robots"}, experiment={"n_eval_seeds": 1000})
    once = expected_s(printed(small))
    assert expected_s(printed(small, slower=10)) == pytest.approx(10 * once, rel=0.05)
    assert expected_s(printed(small, n_cpus=8)) == pytest.approx(once / 4, rel=0.2)


def test_idle_cores_are_lent_to_the_shared_policy() -> None:
    alone = {"name": "robots", "environment": {"n_agents": 60}, "experiment": {"k_values": [60], "n_eval_seeds": 1}}
    fixed = changed(alone, runner={"cpus_per_train": 1})
    assert expected_s(printed(alone, n_cpus=8)) < 0.6 * expected_s(printed(fixed, n_cpus=8))


def memory_of_shared_policies(text: str) -> int:
    found = re.search(r"shared local policies .* ([\d,]+) MiB", text)
    assert found is not None
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize(("n_cpus", "n_settings", "n_threads"), [(1, 1, 1), (3, 1, 3), (8, 1, 5), (8, 4, 2)])
def test_a_shared_policy_takes_the_memory_of_the_cores_that_it_is_lent(
    n_cpus: int, n_settings: int, n_threads: int
) -> None:
    alone = {
        "name": "robots",
        "global_agent": {"transitions": "exact"},
        "experiment": {"k_values": [40]},
        "environment": {"n_agents": 60},
        "grid": {"environment.gamma": [0.9, 0.91, 0.92, 0.93][:n_settings]},
    }
    asked = changed(alone, runner={"cpus_per_train": n_threads})
    lent = memory_of_shared_policies(printed(alone, n_cpus=n_cpus))
    assert lent == memory_of_shared_policies(printed(asked, n_cpus=n_cpus))
    assert (lent > memory_of_shared_policies(printed(alone, n_cpus=1))) == (n_threads > 1)
    (job, *_), mebibyte = plan_of(alone).jobs, 2**20
    assert lent == round(KINDS["shared_policy"].n_bytes(job, None, n_threads) / mebibyte)
