from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from distmarl.results.tables import ALTERNATIONS, FAILURES, LOCAL_POLICIES, TIMINGS
from distmarl.status.folder_status import FolderStatus
from distmarl.sweep.session import Interrupted
from tests.places import locked, read_status
from tests.report.results_folders import (
    commit_points,
    failure_row,
    grid_of,
    history_of,
    setting_row,
    start_folder,
    timing_row,
)
from tests.sweep.sweeps import TINY, changed, run
from tests.sweep.test_session import StoppingExecutor

TWO_SETTINGS = {"b": {"environment.n_agents": 30}, "a": {"environment.n_agents": 100}}


def states(status: FolderStatus) -> dict[str, list[str]]:
    return {setting.label: [phase.state for phase in setting.phases.values()] for setting in status.settings}


def counts(status: FolderStatus) -> list[tuple[int, int, int]]:
    phases = [phase for setting in status.settings for phase in setting.phases.values()]
    return [(phase.n_done, phase.n_failed, phase.n_tasks) for phase in phases]


def commit_shared_policy(store: Any, name: str) -> None:
    row = {"sweep": "tiny", "setting_id": name, "train_seed": 0, "s_g": 0, "s_l": 0, "a_l": 0}
    timing = timing_row("shared_policy", name, None, 1.0)
    store.commit(
        f"shared-{name}", [(TIMINGS, [timing]), (ALTERNATIONS, history_of(name, 1.0)), (LOCAL_POLICIES, [row])]
    )


@pytest.mark.parametrize("n_tasks", [1, 4])
def test_an_interrupted_sweep_is_as_far_as_it_came(tmp_path: Path, n_tasks: int) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, executor=StoppingExecutor(n_tasks))
    status = read_status(tmp_path)
    assert sum(n_done for n_done, _, _ in counts(status)) == n_tasks
    assert [n for _, _, n in counts(status)] == [1, 2, 4]
    assert not status.is_done
    assert status.writer is None


def test_a_finished_sweep_is_done(tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    run(tmp_path)
    status = read_status(tmp_path)
    assert status.is_done
    assert states(status) == {"": ["done", "done", "done"]}
    assert status.sweep == "tiny"
    assert status.last_result_at is not None
    assert before - timedelta(seconds=1) <= status.last_result_at <= datetime.now(timezone.utc)


def test_the_code_of_the_environment_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    game = "import distmarl as dm\ndef small(n_agents): return dm.robots(n_agents=n_agents)\n"
    (tmp_path / "game.py").write_text(game)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        run(tmp_path / "out", {**TINY, "environment": {"name": "game:small", "n_agents": 6}})
    (tmp_path / "game.py").unlink()
    monkeypatch.delitem(__import__("sys").modules, "game")
    assert read_status(tmp_path / "out").is_done


def test_settings_stand_in_the_order_of_their_values_and_apart(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings=TWO_SETTINGS)
    commit_shared_policy(store, "b")
    commit_points(store, [("b", 1, 0), ("b", 1, 1), ("b", 2, 0)], whole=True)
    status = read_status(tmp_path)
    assert [setting.grid for setting in status.settings] == [
        {"environment.n_agents": 30},
        {"environment.n_agents": 100},
    ]
    assert counts(status) == [(1, 0, 1), (2, 0, 2), (3, 0, 4), (0, 0, 1), (0, 0, 2), (0, 0, 4)]
    assert states(status)["n_agents=30"] == ["done", "done", "missing"]


def test_trainings_are_those_of_the_sweep_file(tmp_path: Path) -> None:
    start_folder(tmp_path / "one")
    start_folder(tmp_path / "several", n_train_seeds=5)
    assert [read_status(tmp_path / name).n_train_seeds for name in ("one", "several")] == [1, 5]


def test_settings_of_an_earlier_sweep_file_are_left_out(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings=TWO_SETTINGS)
    store.add_settings([setting_row("b", TWO_SETTINGS["b"])], ["environment.n_agents"])
    assert list(states(read_status(tmp_path))) == ["n_agents=30"]


def test_what_failed_is_told_with_the_first_line_of_its_error(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings=TWO_SETTINGS)
    commit_shared_policy(store, "a")
    commit_points(store, grid_of(["a"], [1], 2), whole=True)
    store.commit("failed", [(FAILURES, [{**failure_row("a", 2), "error": "ValueError: no\nand more"}])])
    status = read_status(tmp_path)
    assert states(status)["n_agents=100"] == ["done", "failed", "missing"]
    (failure,) = status.failures
    assert (failure.task, failure.label, failure.numbers) == ("g_learn", "n_agents=100", [("k", 2)])
    assert failure.error == "ValueError: no"


def test_what_can_run_is_running_while_a_process_holds_the_lock(tmp_path: Path) -> None:
    store = start_folder(tmp_path, settings=TWO_SETTINGS)
    commit_shared_policy(store, "b")
    with locked(tmp_path):
        status = read_status(tmp_path)
        assert status.writer is not None
        assert "process" in status.writer
        assert states(status) == {
            "n_agents=30": ["done", "running", "waiting"],
            "n_agents=100": ["running", "waiting", "waiting"],
        }
        commit_points(store, grid_of(["b"], [1], 1), whole=True)
        assert states(read_status(tmp_path))["n_agents=30"] == ["done", "running", "running"]
    assert states(read_status(tmp_path))["n_agents=30"] == ["done", "missing", "missing"]


def test_what_needs_a_failed_task_neither_runs_nor_waits(tmp_path: Path) -> None:
    store = start_folder(tmp_path)
    store.commit("failed", [(FAILURES, [{**failure_row("only", 1), "task": "shared_policy", "k": None}])])
    with locked(tmp_path):
        assert states(read_status(tmp_path)) == {"": ["failed", "missing", "missing"]}


def test_what_failed_earlier_runs_again(tmp_path: Path) -> None:
    store = start_folder(tmp_path)
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    failed = {**failure_row("only", 1), "task": "shared_policy", "k": None, "failed_at": yesterday}
    store.commit("failed", [(FAILURES, [failed])])
    assert states(read_status(tmp_path)) == {"": ["failed", "missing", "missing"]}
    with locked(tmp_path):
        status = read_status(tmp_path)
    assert states(status) == {"": ["running", "waiting", "waiting"]}
    assert not status.failures


def test_phases_that_are_asked_for_wait_for_what_they_need(tmp_path: Path) -> None:
    asked_for = changed(TINY, experiment={"nash_gap": "exact", "baselines": ["random"]}, evaluation={"method": "both"})
    with pytest.raises(Interrupted):
        run(tmp_path, asked_for, executor=StoppingExecutor(2))
    with locked(tmp_path):
        (setting,) = read_status(tmp_path).settings
    phases = {kind: (phase.n_done, phase.n_tasks, phase.state) for kind, phase in setting.phases.items()}
    done = {kind: phase for kind, phase in phases.items() if phase[0]}
    assert done.pop("shared_policy") == (1, 1, "done")
    assert sum(phase[0] for phase in done.values()) == 1
    assert {kind: phase[1] for kind, phase in phases.items()} == {
        "shared_policy": 1, "g_learn": 2, "baselines": 1, "welfare": 1, "nash_gap": 2, "exact_return": 2, "evaluate": 4
    }  # fmt: skip
    assert phases["nash_gap"][2] == "waiting"  # for the search for the best pair
    later = {phases[kind][2] for kind in ("exact_return", "evaluate")}
    assert later == ({"running"} if phases["g_learn"][0] else {"waiting"})
    run(tmp_path, asked_for)
    assert read_status(tmp_path).is_done


def test_baselines_have_the_rollouts_of_their_setting(tmp_path: Path) -> None:
    sweep = {**changed(TINY, experiment={"baselines": ["random"]}), "grid": {"evaluation.n_rollouts": [3, 4]}}
    run(tmp_path, sweep)
    assert read_status(tmp_path).is_done
    with pytest.raises(Interrupted):
        run(tmp_path, changed(sweep, experiment={"n_eval_seeds": 3}), executor=StoppingExecutor(0))
    assert [setting.phases["baselines"].state for setting in read_status(tmp_path).settings] == ["missing", "missing"]


def test_nothing_is_changed(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, executor=StoppingExecutor(3))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    read_status(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
