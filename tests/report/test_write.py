import fcntl
import os
import threading
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from distmarl.errors import ConfigError, ResultsError
from distmarl.report import catalogue
from distmarl.report.figures.drawing import style
from distmarl.report.write import delete_report
from distmarl.results.folder import SWEEP_FILE
from distmarl.results.snapshot import DATA_FILE, PARTS, Snapshot
from distmarl.results.store import Store
from distmarl.results.tables import EVALUATIONS, FAILURES, TRAININGS
from tests.places import locked, write_report
from tests.report.results_folders import commit_details, commit_points, failure_row, grid_of, start_folder

FIGURES = [
    "reward_vs_k.png",
    "difference_vs_k.png",
    "runtime_vs_k.png",
    "mode_accuracy_vs_k.png",
    "zone_heatmap.png",
    "policy.png",
    "alternation.png",
    "timeline.png",
]
PNG_HEAD, PNG_TAIL = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@pytest.fixture(autouse=True)
def at_few_dots(monkeypatch):
    monkeypatch.setitem(style.STYLE, "figure.dpi", 50)


def finished_folder(folder: Path) -> Store:
    store = start_folder(folder)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    commit_details(store, ["only"], [1, 2])
    return store


def draw_only(some: list[str], patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in catalogue.FIGURES if name not in some]:
        patch.delitem(catalogue.FIGURES, name)


def is_whole_png(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(PNG_HEAD) and data.endswith(PNG_TAIL)


def parts(folder: Path) -> list[Path]:
    return list((folder / PARTS).rglob("*.parquet"))


def test_a_report_has_numbers_and_figures_of_the_same_bytes_each_time(tmp_path):
    finished_folder(tmp_path)
    report = write_report(tmp_path)
    assert report.figures == tuple(str(tmp_path / name) for name in FIGURES)
    assert all(is_whole_png(Path(path)) for path in report.figures)
    assert report.page == str(tmp_path / "report.html")
    assert report.numbers.summary["mean_return"].tolist() == [10.5, 20.5]
    assert (report.skipped, len(report.numbers.failures), report.numbers.unfinished) == ({}, 0, None)
    first = [Path(path).read_bytes() for path in report.figures]
    assert [Path(path).read_bytes() for path in write_report(tmp_path).figures] == first


@pytest.mark.usefixtures("blank_figures")
def test_a_report_leaves_nothing_but_figures_its_page_and_tables(tmp_path):
    finished_folder(tmp_path).publish()
    before = {path.name for path in tmp_path.iterdir()}
    write_report(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before | {*FIGURES, "report.html", "_lock", "_lock-1.json"}


def test_a_figure_is_laid_out_once_for_all_files_and_the_page(tmp_path, monkeypatch):
    finished_folder(tmp_path)
    laid_out: list[Figure] = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda engine, figure: (laid_out.append(figure), execute(engine, figure))
    )
    write_report(tmp_path, vectors=True)
    assert len(laid_out) == len(FIGURES) == len(set(map(id, laid_out)))


def test_vectors_are_written_on_request_the_same_bytes_each_time(tmp_path, monkeypatch):
    finished_folder(tmp_path)
    some = ["difference_vs_k", "zone_heatmap", "timeline"]
    pictures, vectors = [f"{name}.png" for name in some], [f"{name}.pdf" for name in some]
    draw_only(some, monkeypatch)
    report = write_report(tmp_path, vectors=True)
    assert [Path(path).name for path in report.figures] == [*pictures, *vectors]
    first = {name: (tmp_path / name).read_bytes() for name in (*pictures, *vectors)}
    assert all(first[name].startswith(b"%PDF") and b"Date" not in first[name] for name in vectors)
    write_report(tmp_path, vectors=True)
    assert {name: (tmp_path / name).read_bytes() for name in first} == first
    (tmp_path / "unrelated.pdf").write_bytes(b"of a user")
    for name in vectors[:-1]:
        (tmp_path / name).write_bytes(b"older")
    (tmp_path / vectors[-1]).unlink()
    write_report(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in first if name != vectors[-1]} == {
        name: content for name, content in first.items() if name != vectors[-1]
    }
    assert not (tmp_path / vectors[-1]).exists()


@pytest.mark.usefixtures("blank_figures")
def test_all_figures_can_be_deleted_and_nothing_else(tmp_path):
    store = finished_folder(tmp_path)
    write_report(tmp_path, vectors=True)
    for name in ("mine_vs_k.png", "policy.txt", "reward_vs_k.svg"):
        (tmp_path / name).write_bytes(b"of a user")
    delete_report(store.folder)
    kept = {path.name for path in tmp_path.iterdir()}
    assert not any((tmp_path / name).exists() for name in FIGURES)
    assert not list(tmp_path.glob("*.pdf"))
    assert {"mine_vs_k.png", "policy.txt", "reward_vs_k.svg"} <= kept


def test_a_figure_is_never_seen_half_written(tmp_path, monkeypatch):
    finished_folder(tmp_path)
    draw_only([FIGURES[0].removesuffix(".png")], monkeypatch)
    whole = Path(write_report(tmp_path).figures[0]).read_bytes()
    seen: list[bytes] = []

    def lose_half(number: int) -> None:
        os.truncate(number, 100)
        seen.append((tmp_path / FIGURES[0]).read_bytes())
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", lose_half)
    with pytest.raises(ResultsError, match=r"reward_vs_k\.png: cannot be written: No space left"):
        write_report(tmp_path)
    assert seen == [whole]
    assert (tmp_path / FIGURES[0]).read_bytes() == whole


@pytest.mark.usefixtures("blank_figures")
def test_what_was_committed_is_published(tmp_path):
    finished_folder(tmp_path)
    assert parts(tmp_path)
    write_report(tmp_path)
    assert not parts(tmp_path)
    assert (tmp_path / EVALUATIONS.name / DATA_FILE).exists()


@pytest.mark.usefixtures("blank_figures")
def test_without_publishing_the_tables_are_left_alone(tmp_path):
    finished_folder(tmp_path)
    before = sorted(parts(tmp_path))
    report = write_report(tmp_path, publish=False)
    assert sorted(parts(tmp_path)) == before
    assert len(report.numbers.summary) == 2


@pytest.mark.usefixtures("blank_figures")
def test_whoever_holds_the_lock_can_report(tmp_path):
    finished_folder(tmp_path)
    with locked(tmp_path):
        report = write_report(tmp_path, publish=False)
    assert len(report.figures) == len(FIGURES)


@pytest.mark.usefixtures("blank_figures")
def test_a_folder_that_is_being_written_is_read_without_publishing(tmp_path):
    finished_folder(tmp_path)
    before = sorted(parts(tmp_path))
    with (tmp_path / "_lock").open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        report = write_report(tmp_path)
    assert sorted(parts(tmp_path)) == before
    assert report.numbers.summary["n_seeds"].tolist() == [2, 2]


@pytest.mark.usefixtures("blank_figures")
def test_a_part_that_is_published_while_it_is_read_is_not_lost(tmp_path, monkeypatch):
    store = finished_folder(tmp_path)
    listed = Snapshot._part_names
    publish_once = threading.Event()

    def parts_that_go_away(self: Snapshot, table: object) -> list[str]:
        files = listed(self, table)
        if self is not store and table is TRAININGS and not publish_once.is_set():
            publish_once.set()
            store.publish()
        return files

    monkeypatch.setattr(Snapshot, "_part_names", parts_that_go_away)
    report = write_report(tmp_path, publish=False)
    assert publish_once.is_set()
    assert report.numbers.summary["n_seeds"].tolist() == [2, 2]
    assert report.numbers.summary["bound"].notna().all()


@pytest.mark.usefixtures("blank_figures")
def test_an_unfinished_sweep_is_told(tmp_path):
    store = start_folder(tmp_path, k_values=[1, 2, 4], n_eval_seeds=3)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    commit_details(store, ["only"], [1, 2])
    numbers = write_report(tmp_path).numbers
    assert numbers.unfinished == "unfinished: 7 of 13 tasks"
    missing = "2 of 3 global policies, 4 of 9 evaluations"
    assert numbers.unfinished_by_kind == f"unfinished: 7 of 13 tasks ({missing})"


@pytest.mark.usefixtures("blank_figures")
def test_undefined_mode_accuracy_is_skipped_with_its_reason_and_its_old_figure(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2), accuracy=lambda _, __: None)
    commit_details(store, ["only"], [1, 2])
    (tmp_path / "mode_accuracy_vs_k.png").write_bytes(b"of earlier results")
    report = write_report(tmp_path)
    assert [*report.skipped] == ["mode_accuracy_vs_k"]
    assert "as many global actions as local states" in report.skipped["mode_accuracy_vs_k"]
    assert [Path(path).name for path in report.figures] == [name for name in FIGURES if "accuracy" not in name]
    assert not (tmp_path / "mode_accuracy_vs_k.png").exists()


@pytest.mark.usefixtures("blank_figures")
def test_failures_are_counted(tmp_path):
    store = finished_folder(tmp_path)
    store.commit("g_learn-only-9", [(FAILURES, [failure_row("only", 9)])])
    assert len(write_report(tmp_path).numbers.failures) == 1


def test_a_sweep_without_evaluations_is_refused(tmp_path):
    store = start_folder(tmp_path)
    with pytest.raises(ResultsError, match="has no evaluation of its sweep yet; run the sweep's command again"):
        write_report(tmp_path)
    store.commit("g_learn-only-1", [(FAILURES, [failure_row("only", 1)])])
    with pytest.raises(ResultsError, match="1 of its tasks failed"):
        write_report(tmp_path)
    with locked(tmp_path), pytest.raises(ResultsError, match="; it is running: wait for the first"):
        write_report(tmp_path)


def test_a_folder_without_its_sweep_file_is_refused(tmp_path):
    finished_folder(tmp_path)
    (tmp_path / SWEEP_FILE).unlink()
    with pytest.raises(ConfigError, match=r"sweep\.yaml: there is no such file"):
        write_report(tmp_path)
