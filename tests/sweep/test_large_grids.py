"""Large grids cost what they hold, and no more: counted in operations, not in seconds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distmarl.config import reading
from distmarl.report.__main__ import main as report_main
from distmarl.report.figures.drawing import frames
from distmarl.results import grid_columns, parquet_files
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.tables import BASELINES, GLOBAL_POLICIES, NASH_GAPS, TABLES
from distmarl.status.__main__ import main as status_main
from distmarl.sweep.__main__ import main as sweep_main
from distmarl.sweep.progress import patience
from tests.benchmarks.large_grid import large_sweep, write_folder
from tests.commands import RunCommand, call_in
from tests.places import snapshot_of, write_report
from tests.report.pages import Page, baseline_row, gap_row
from tests.report.results_folders import commit_details, commit_points, grid_of, start_folder
from tests.sweep.sweeps import write_sweep

N_SETTINGS, N_K = 200, 3
GAPS = ("joint_value", "global_lower", "global_upper")
MAX_PAGE_BYTES = 5 * 2**20


@pytest.fixture(scope="module")
def large() -> dict[str, Any]:
    return large_sweep(N_SETTINGS, n_k=N_K, n_seeds=1)


@pytest.fixture(scope="module")
def finished(large: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a sweep file and its results, every task done and published."""
    folder = tmp_path_factory.mktemp("large")
    write_sweep(folder, large, "large.json")
    write_folder(folder / "results" / "large", large)
    return folder


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Counter[str]]:
    """Return a function that counts the calls of another from then on."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> Counter[str]:
        function = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            counted[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)
        return counted

    return count


def test_a_plan_reads_its_file_once_for_all_settings(
    large: dict[str, Any], tmp_path: Path, call_sweep: RunCommand, calls: Callable[[Any, str], Counter[str]]
) -> None:
    write_sweep(tmp_path, large, "large.json")
    calls(reading, "load_yaml")
    counted = calls(reading, "composed")  # to find the lines of what is wrong
    done = call_sweep("large.json", "--plan")
    assert f"settings   {N_SETTINGS}" in done.stdout
    assert counted == {"load_yaml": 1}


def test_a_long_planning_says_how_far_it_is(
    large: dict[str, Any], tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sweep(tmp_path, large, "large.json")
    monkeypatch.setattr(patience, "TOLD_AFTER_S", 0.0)
    done = call_sweep("large.json", "--plan")
    assert f"planned 7 of {N_SETTINGS} settings" in done.stderr
    assert "comparing 1,400 tasks with what is in results/large" in done.stderr
    assert call_sweep("large.json", "--plan", "--quiet").stderr == ""


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_with_nothing_to_do_rewrites_no_table(
    finished: Path, calls: Callable[[Any, str], Counter[str]]
) -> None:
    before = {path: path.stat().st_ino for path in finished.glob("results/large/*/data.parquet")}
    parsed = calls(grid_columns, "content_of")
    done = call_in(finished, sweep_main)("large.json", "--executor", "serial")
    assert (done.returncode, done.stdout) == (0, "")
    assert "all of them done before" in done.stderr
    after = {path: path.stat().st_ino for path in before}
    assert {path.parent.name for path in before if before[path] != after[path]} == {"settings"}
    assert parsed["content_of"] <= 3 * N_SETTINGS


def test_publishing_parses_each_setting_once(
    large: dict[str, Any], tmp_path: Path, calls: Callable[[Any, str], Counter[str]]
) -> None:
    parsed = calls(grid_columns, "content_of")
    write_folder(tmp_path / "results", large)  # 600 evaluations in chunks of 128, and 1,800 rows of global policies
    assert parsed["content_of"] <= 2 * N_SETTINGS  # when the settings are noted, and when all tables are published


def test_the_status_opens_each_part_once(tmp_path: Path, calls: Callable[[Any, str], Counter[str]]) -> None:
    small = large_sweep(20, n_k=N_K, n_seeds=1)
    folder = tmp_path / "results" / "large"
    write_folder(folder, small, in_parts=True)
    n_parts = {path.name: len(list(path.iterdir())) for path in (folder / "_parts").iterdir()}
    counted = calls(parquet_files, "_opened")
    calls(LocalFolder, "names")
    done = call_in(tmp_path, status_main)("results/large")
    assert "140 of 140 tasks done" in done.stdout
    needed = ("timings", "alternations", "trainings", "evaluations", "local_policies", "global_policies", "rollouts")
    # Of each table, what is published is looked for.
    assert counted["_opened"] == sum(n_parts[name] for name in needed) + len(TABLES)
    assert counted["names"] < 30


def test_reading_one_setting_reads_few_rows_of_the_others(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = snapshot_of(finished / "results" / "large")
    names = sorted({name for name, *_ in snapshot.keys(GLOBAL_POLICIES)})
    n_read: list[int] = []
    read = parquet_files.PublishedFile._read
    monkeypatch.setattr(
        parquet_files.PublishedFile,
        "_read",
        lambda self, groups, columns: n_read.append(len(groups)) or read(self, groups, columns),
    )
    assert all(len(snapshot.rows(GLOBAL_POLICIES, setting_id=name)) == 3 * N_K for name in names)
    assert max(n_read) <= 3  # row groups, of 225
    assert snapshot.rows(GLOBAL_POLICIES, setting_id="unknown") == []


def test_the_report_of_a_large_sweep_is_small_and_says_what_it_leaves_to_the_tables(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_LINES", 10)
    monkeypatch.setattr("distmarl.report.terminal_report.MAX_ROWS", 100)
    monkeypatch.setattr("distmarl.report.page.table.MAX_ROWS", 120)
    drawn: list[int] = []
    draw_line = "distmarl.report.figures.drawing.series._draw_line"
    monkeypatch.setattr(draw_line, lambda *_: drawn.append(1))
    done = call_in(finished, report_main)("results/large")
    assert done.returncode == 0
    assert len(drawn) == 4 * 10  # figures against k
    assert f"the first 33 of {N_SETTINGS} settings; all are in the table results/large/summary" in done.stderr
    assert done.stdout.count("Improvement") == 33
    page = Page(finished / "results" / "large" / "report.html")
    assert page.rows("results") == 120
    assert "The first 120 of 600 rows; all are in the table summary." in page.text()
    assert f"10 of {N_SETTINGS} settings drawn" not in page.text()  # the figures are blank here
    assert len(page.all("option")) == 1 + 120
    assert f"all {N_SETTINGS} settings" in page.text()


def test_a_page_of_very_many_settings_stays_below_five_mebibytes(tmp_path: Path) -> None:
    names = {
        f"s{number:04d}": {"environment.gamma": number / 2000, "experiment.seed": number} for number in range(1100)
    }
    store = Gathered(start_folder(tmp_path, settings=names, n_eval_seeds=1))
    asked_for = {"k_values": [2], "n_eval_seeds": 1, "nash_gap": "exact", "baselines": ["random"]}
    (tmp_path / "sweep.yaml").write_text(json.dumps({"name": "tiny", "experiment": asked_for}))
    commit_points(store, grid_of(names, (2,), 1))
    commit_details(store, names, (2,))
    store.commit("b", [(BASELINES, [baseline_row(name, "random", 1.0) for name in names])])
    store.commit("g", [(NASH_GAPS, [gap_row(name, 2, gap) for name in names for gap in GAPS])])
    store.flush()
    page = Path(write_report(tmp_path).page)
    assert Page(page).rows("gaps") == Page(page).rows("baselines") == 1000
    assert page.stat().st_size < MAX_PAGE_BYTES - 5 * 300_000  # which the figures against k take, of fifty lines each


class Gathered:
    """Commits once what would be thousands of parts."""

    def __init__(self, store: Any) -> None:
        self._commit, self._rows = store.commit, {}

    def commit(self, _task: str, rows: Any) -> None:
        for table, of_table in rows:
            self._rows.setdefault(table.name, (table, []))[1].extend(of_table)

    def flush(self) -> None:
        self._commit("all", list(self._rows.values()))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"experiment": {"n_eval_seeds": 2 * 10**9}}, "experiment.n_eval_seeds: must ask for at most 10,000,000"),
        ({"experiment": {"k_range": [1, 10**9]}}, "got 1,000,000,000 subsample sizes"),
        ({"grid": {f"environment.{key}": list(range(220)) for key in "abc"}}, "220 x 220 x 220 = 10,648,000"),
        ({"grid": {f"environment.{key}": list(range(317)) for key in "ab"}}, "must have at most 100,000 combinations"),
        ({"alternating": {"n_random_starts": 10**22}}, "alternating.n_random_starts: must be at most 10000, got 1000"),
        (
            {"grid": {"alternating.n_random_starts": [1, 10**4], "experiment.seed": list(range(51))}},
            "grid.alternating.n_random_starts: must ask for at most 1,000,000 starts, got 10,000 in 102 settings",
        ),
        ({"grid": {"alternating.n_random_starts": [1, 10**22]}}, "got 10,000,000,000,000,000,000,000 in 2 settings"),
        ({"experiment": {"bound": "exact", "bound_m": 10**22}}, "experiment.bound_m: must be at most 92233720368547"),
        ({"evaluation": {"horizon": 10**12}}, "needs about"),
        ({"evaluation": {"n_rollouts": 10**12}}, "needs about"),
    ],
)
@pytest.mark.parametrize("option", ["--plan", "--executor=serial"])
def test_what_is_too_much_is_refused_before_it_is_unfolded(
    sections: dict[str, Any], said: str, option: str, tmp_path: Path, call_sweep: RunCommand
) -> None:
    write_sweep(tmp_path, {"environment": {"n_agents": 10}, "experiment": {"k_values": [1]}} | sections, "huge.json")
    done = call_sweep("huge.json", option)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "results").exists()
