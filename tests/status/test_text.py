from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from rich.console import Console

from distmarl.results.storage.opening import open_location
from distmarl.status.folder_status import FailedTask, FolderStatus, PhaseStatus, SettingStatus
from distmarl.status.text import MAX_FAILURES_SHOWN, MAX_SETTINGS_SHOWN, next_step, print_status

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc)
DONE = PhaseStatus(1, 1, 0, "done")
COMMAND = ("python", "-m", "distmarl.sweep", "my sweep.yaml", "--overwrite", "--out", "results/robots")


def setting(n_agents: int, trainings: PhaseStatus = DONE, evaluations: PhaseStatus = DONE) -> SettingStatus:
    phases = {"shared_policy": DONE, "g_learn": trainings, "evaluate": evaluations}
    return SettingStatus(f"n_agents={n_agents}", {"environment.n_agents": n_agents}, phases)  # type: ignore[arg-type]


def status(settings: Sequence[SettingStatus], **changes: Any) -> FolderStatus:
    given = {
        "folder": open_location("results/robots"),
        "sweep": "robots",
        "failures": (),
        "writer": None,
        "last_result_at": NOW - timedelta(seconds=200),
        "command": COMMAND,
        **changes,
    }
    return FolderStatus(settings=settings, **given)


def text(told: FolderStatus, width: int = 80, **options: Any) -> str:
    stream = io.StringIO()
    print_status(told, Console(file=stream, width=width, emoji=False, highlight=False, **options), NOW)
    return stream.getvalue()


UNFINISHED = status(
    [
        setting(30),
        setting(100, PhaseStatus(25, 25, 0, "done"), PhaseStatus(250, 104, 0, "missing")),
        setting(1000, PhaseStatus(25, 10, 2, "failed"), PhaseStatus(2500, 0, 0, "missing")),
    ],
    failures=[FailedTask("g_learn", "n_agents=1000", [("k", 3)], "ValueError: [red]no[/red] :smile:")],
)


def test_a_file_gets_one_plain_line_per_setting() -> None:
    lines = text(UNFINISHED).splitlines()
    assert lines[:3] == [
        "robots in results/robots",
        "144 of 2,805 tasks done, 2 failed",
        "last result 3 min ago (2026-01-02 11:56:40 UTC)",
    ]
    assert [line.split() for line in lines[4:7]] == [
        ["30", "done", "done", "done"],
        ["100", "done", "done", "104/250"],
        ["1000", "done", "10/25", "2", "failed", "0/2,500"],
    ]
    assert lines[7:] == [
        "failed global policies k=3 (n_agents=1000)",
        "  ValueError: [red]no[/red] :smile:",
        "tracebacks: results/robots/failures",
        "To try again what failed:",
        "  python -m distmarl.sweep 'my sweep.yaml' --out results/robots",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_but_the_command(width: int) -> None:
    lines = text(UNFINISHED, width, force_terminal=True, no_color=True, color_system=None).splitlines()
    assert max(map(len, lines[:-1])) <= width
    assert "2 failed" in " ".join(lines)


def test_several_trainings_are_named() -> None:
    lines = text(status([setting(30)], n_train_seeds=5)).splitlines()
    assert lines[:3] == ["robots in results/robots", "3 of 3 tasks done", "5 trainings of each setting"]
    assert "of each setting" not in text(status([setting(30)]))


def test_a_running_sweep_names_its_process() -> None:
    running = status([setting(30, PhaseStatus(25, 12, 0, "running"))], writer="process 7 on host[1]")
    lines = text(running).splitlines()
    assert "running: process 7 on host[1]" in lines
    assert lines[-1] == "  python -m distmarl.status results/robots --watch"
    assert "12/25 running" in text(running)


def test_a_finished_sweep_names_the_report() -> None:
    assert text(status([setting(30)])).splitlines()[-1] == "  python -m distmarl.report results/robots"


def test_an_interrupted_sweep_names_the_command_without_starting_afresh() -> None:
    lines = text(status([setting(30, PhaseStatus(25, 12, 0, "missing"))])).splitlines()
    assert lines[-2:] == ["To go on:", "  python -m distmarl.sweep 'my sweep.yaml' --out results/robots"]


def test_of_very_many_settings_the_unfinished_ones_are_shown() -> None:
    settings = [setting(n) for n in range(MAX_SETTINGS_SHOWN + 3)]
    settings[-1] = setting(12345, PhaseStatus(25, 12, 0, "missing"))
    shown = text(status(settings))
    assert "12345" in shown
    assert "and 3 more" in shown


def test_of_very_many_failures_the_first_are_shown() -> None:
    failures = [
        FailedTask("evaluate", "", [("k", k), ("seed", 0)], "ValueError: no") for k in range(MAX_FAILURES_SHOWN + 5)
    ]
    shown = text(status([setting(30)], failures=failures))
    assert shown.count("ValueError") == MAX_FAILURES_SHOWN
    assert "5 more and all tracebacks: results/robots/failures" in shown
    assert "failed evaluations k=0 seed=0\n" in shown


def test_keys_that_would_be_confused_keep_their_sections() -> None:
    grid = {"global_agent.max_vi_iterations": 5, "local_agent.max_vi_iterations": 6}
    phases = setting(30).phases
    shown = text(status([SettingStatus("", grid, phases)]), 120)
    assert "global_agent.max_vi_iterations  local_agent.max_vi_iterations" in shown


RETRY = (*COMMAND, "--retry-failed")


def test_an_option_with_which_nothing_would_run_is_not_repeated() -> None:
    missing = [setting(30, PhaseStatus(25, 12, 0, "missing"))]
    assert next_step(status(missing, command=RETRY)) == next_step(status(missing))
    failed = status(missing, command=RETRY, failures=UNFINISHED.failures)
    assert next_step(failed)[1] == "python -m distmarl.sweep 'my sweep.yaml' --out results/robots --retry-failed"


@pytest.mark.parametrize(
    ("folder", "words", "command"),
    [
        ("results/robots", ["r.yaml"], "r.yaml"),
        ("results/robots/", ["r.yaml", "--out=results/robots"], "r.yaml --out=results/robots"),
        ("copy", ["r.yaml"], "r.yaml --out=copy"),
        ("copy", ["--out", "results/robots", "r.yaml"], "r.yaml --out=copy"),
        ("copy", ["r.yaml", "--out=results/robots", "--fail-fast"], "r.yaml --fail-fast --out=copy"),
        ("-copy", ["r.yaml"], "r.yaml --out=./-copy"),
        ("a copy", ["r.yaml"], "r.yaml '--out=a copy'"),
    ],
)
def test_the_command_leads_to_the_folder_that_was_looked_at(folder: str, words: list[str], command: str) -> None:
    unfinished = setting(30, PhaseStatus(25, 10, 0, "missing"))
    told = status([unfinished], folder=open_location(folder), command=["python", "-m", "distmarl.sweep", *words])
    assert next_step(told) == ("To go on:", f"python -m distmarl.sweep {command}")
