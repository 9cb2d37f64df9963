"""Results folders in which tables are damaged or have gone: what is said, what is made again, what runs again."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import distmarl as dm
from distmarl.errors import ResultsError
from distmarl.report.__main__ import main as report
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.tables import TABLES
from distmarl.status.__main__ import main as status
from distmarl.sweep.__main__ import main as sweep
from tests.commands import call_in
from tests.sweep.sweeps import TINY, changed, write_sweep

# Every kind of task, and so every table.
ALL = changed(
    TINY,
    global_agent={"transitions": "exact"},
    alternating={"update": "each", "starts": ["stay", "constant_action"], "ascent": True},
    evaluation={"method": "both"},
    experiment={"local_policy": "per_k", "baselines": ["random"], "nash_gap": "exact", "bound": "exact"},
)
# Nobody's task fills these: they follow from others, or tell when and how tasks ran.
OF_NO_TASK = {"summary", "settings", "timings", "failures"}
# Times differ from run to run.
COMPARED = [name for name in TABLES if name != "timings"]

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("undrawn")]


def run_in(folder: Path, *options: str) -> Any:
    return call_in(folder, sweep)("tiny.json", "--executor", "serial", "--out", "results", *options)


def made(folder: Path, mapping: dict[str, Any]) -> Path:
    write_sweep(folder, mapping)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distmarl.sweep.__main__._report", lambda *_, **__: None)
        done = run_in(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of every kind of task that is done; not to be changed."""
    return made(tmp_path_factory.mktemp("whole"), ALL)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep by the paper's method that is done; not to be changed."""
    return made(tmp_path_factory.mktemp("plain"), changed(TINY, grid={"global_agent.n_mc_samples": [2, 3]}))


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    return lambda source: Path(shutil.copytree(source, tmp_path / "copy"))


def data_file(folder: Path, table: str) -> Path:
    return folder / "results" / table / "data.parquet"


def tables_of(folder: Path) -> dict[str, bytes]:
    return {name: data_file(folder, name).read_bytes() for name in COMPARED}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def scrambled(path: Path) -> None:
    """Leave what the file says of itself as it is, and no row."""
    content = path.read_bytes()
    end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[:4] + bytes(end - 4) + content[end:])


def rotten(path: Path) -> None:
    """Leave all but a column that no key has, which nobody reads who looks what is done."""
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.path_in_schema == "sweep"
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


def deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def check_mended(folder: Path, source: Path, harms: dict[str, Callable[[Path], None]]) -> None:
    """Harm tables; check that the status does not say done, and that the command makes them again as they were."""
    for table, harm in harms.items():
        harm(data_file(folder, table))
    told = call_in(folder, status)("results")
    if "settings" in harms:  # without which nobody knows what was asked for
        assert told.returncode == 2
        assert "run the sweep's command again" in told.stderr
    else:
        assert told.returncode == 0, told.stderr
        assert "To go on:" in told.stdout
        for table in harms:
            assert f"warning: results/{table}/data.parquet: " in told.stdout
    done = run_in(folder)
    assert done.returncode == 0, done.stderr
    assert ("all of them done before" in done.stderr) == (set(harms) <= OF_NO_TASK)
    assert tables_of(folder) == tables_of(source)
    for table, harm in harms.items():
        assert f"results/{table}/data.parquet: " in done.stderr
        aside = [path.name for path in data_file(folder, table).parent.glob("_damaged-*.parquet")]
        assert len(aside) == (harm is not deleted)
        assert all(f"kept as results/{table}/{name}; " in done.stderr for name in aside)
    again = call_in(folder, status)("results")
    assert "To see the results:" in again.stdout
    assert "warning" not in again.stdout


def harms_of_all() -> list[dict[str, Callable[[Path], None]]]:
    """Return what is harmed at the same time: each table is cut short once and deleted once."""
    names = [name for name in TABLES if name != "settings"]  # without which no other is looked at
    half = (len(names) + 1) // 2
    later = names[3:] + names[:3]
    both = [{**dict.fromkeys(names[at::half], cut), **dict.fromkeys(later[at::half], deleted)} for at in range(half)]
    return [*both, {"settings": cut}, {"settings": deleted}]


def test_each_table_is_cut_short_once_and_deleted_once() -> None:
    for harm in (cut, deleted):
        assert sorted(name for harms in harms_of_all() for name in harms if harms[name] is harm) == sorted(TABLES)


@pytest.mark.parametrize("harms", harms_of_all(), ids=" ".join)
def test_tables_that_are_cut_short_or_deleted_are_made_again(
    whole: Path, copied: Callable[[Path], Path], harms: dict[str, Callable[[Path], None]]
) -> None:
    check_mended(copied(whole), whole, harms)


@pytest.mark.parametrize(
    "harms",
    [
        {"evaluations": empty},
        {"evaluations": scrambled, "alternations": empty},
        {"summary": empty},
        {"local_policies": deleted, "summary": deleted},
        {"rollouts": deleted},
        {"global_policies": deleted},
    ],
    ids=" ".join,
)
def test_tables_of_the_papers_method_are_made_again(
    plain: Path, copied: Callable[[Path], Path], harms: dict[str, Callable[[Path], None]]
) -> None:
    check_mended(copied(plain), plain, harms)


@pytest.mark.parametrize("source", ["whole", "plain"])
def test_what_tasks_need_in_turn_is_made_again_first(
    source: str, request: pytest.FixtureRequest, copied: Callable[[Path], Path]
) -> None:
    undisturbed = request.getfixturevalue(source)
    check_mended(copied(undisturbed), undisturbed, {"local_policies": deleted, "evaluations": cut, "rollouts": deleted})


def test_readers_say_what_is_damaged_and_go_on_without_it(whole: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(whole)
    for table in ("nash_gaps", "timings"):
        cut(data_file(folder, table))
    deleted(data_file(folder, "bounds"))
    before = {path: path.read_bytes() for path in (folder / "results").rglob("*.parquet")}
    told = call_in(folder, report)("results", "--out", "page")
    assert told.returncode == 0, told.stderr
    for table in ("nash_gaps", "timings", "bounds"):
        assert f"warning: results/{table}/data.parquet: " in told.stderr
    assert "unfinished: 17 of 20 tasks" in told.stdout
    planned = run_in(folder, "--plan")
    assert "results/nash_gaps/data.parquet: is not a readable Parquet file" in planned.stderr
    assert {path: path.read_bytes() for path in (folder / "results").rglob("*.parquet")} == before
    with pytest.warns(UserWarning, match="the sweep's command") as seen:
        results = dm.open(folder / "results")
    said = " ".join(str(warning.message) for warning in seen)
    assert all(words in said for words in ("bounds: deleted", "nash_gaps/data", "timings/data"))
    assert "nash_gaps, timings" in repr(results)
    with pytest.raises(
        ResultsError, match=r"timings/data\.parquet: is not a readable .*; restore it from a copy, or move"
    ):
        _ = results.timings
    assert len(results.trainings) == 2


def test_a_report_without_evaluations_says_that_they_are_damaged(plain: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(plain)
    empty(data_file(folder, "evaluations"))
    told = call_in(folder, report)("results")
    assert told.returncode == 2
    assert "results/evaluations/data.parquet: is not a readable Parquet file" in told.stderr
    assert data_file(folder, "evaluations").read_bytes() == b""


def test_an_interruption_between_keeping_aside_and_the_end_changes_nothing(
    whole: Path, copied: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(whole)
    cut(data_file(folder, "choices"))
    with monkeypatch.context() as patch:
        patch.setattr("distmarl.sweep.session._drive", lambda *_: (_ for _ in ()).throw(ResultsError("killed")))
        assert run_in(folder).returncode == 2
    assert "warning: results/choices/data.parquet: " in call_in(folder, status)("results").stdout
    run_in(folder)
    assert tables_of(folder) == tables_of(whole)


def test_a_damaged_file_is_never_written_over(plain: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(plain)
    for number in range(3):
        data_file(folder, "trainings").write_bytes(b"%d" % number)
        assert run_in(folder).returncode == 0
    kept = data_file(folder, "trainings").parent.glob("_damaged-*")
    assert sorted(path.read_bytes() for path in kept) == [b"0", b"1", b"2"]
    assert len(pd.read_parquet(folder / "results" / "trainings")) == 4  # readers of the folder pass over them
    assert "trainings/_damaged" not in call_in(folder, status)("results").stdout


def test_another_table_in_its_place_is_kept_aside_too(plain: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(plain)
    shutil.copy(data_file(folder, "settings"), data_file(folder, "trainings"))
    done = run_in(folder)
    assert "trainings/data.parquet: is not a readable Parquet file of distmarl: it has no column k" in done.stderr
    assert tables_of(folder) == tables_of(plain)


def as_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def as_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def as_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # a socket's path must be short
        server.bind(path.name)


def as_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def as_file(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
    path.write_text("mine")


FILES = ("sweep.yaml", "provenance.json", "report.html", "_lock", "_lock.json", "evaluations/data.parquet")
PART = "_parts/trainings/x.parquet"
SHAPES: list[tuple[Callable[[Path], None], str, str]] = [
    *((as_pipe, name, "is a named pipe, where a file belongs") for name in (*FILES, PART, "reward_vs_k.png")),
    *((as_folder, name, "is a folder, where a file belongs") for name in (*FILES, PART)),
    *((as_file, name, "is a file, where a folder belongs") for name in ("evaluations", "_parts")),
    (as_socket, "summary/data.parquet", "is a socket, where a file belongs"),
    (as_device, "provenance.json", "is a device, where a file belongs"),
]


@pytest.mark.parametrize(("make", "name", "words"), SHAPES)
def test_what_is_no_file_where_one_belongs_is_refused_at_once(
    plain: Path, copied: Callable[[Path], Path], make: Callable[[Path], None], name: str, words: str
) -> None:
    folder = copied(plain)
    make(folder / "results" / name)
    for done in (run_in(folder), call_in(folder, status)("results"), call_in(folder, report)("results")):
        assert done.returncode == 2
        assert f"results/{name}: {words}; move it away" in done.stderr


def test_a_folder_where_a_figure_belongs_is_refused(plain: Path, copied: Callable[[Path], Path]) -> None:
    folder = copied(plain)
    (folder / "results" / "reward_vs_k.png").mkdir()
    done = call_in(folder, report)("results")
    assert done.returncode == 2
    assert "results/reward_vs_k.png: is a folder, where a file belongs; move it away" in done.stderr


@pytest.mark.parametrize("name", ["_tmp-x", f"_tmp-{'0' * 32}", f"mine/_tmp-{'0' * 32}"])
def test_a_folder_named_as_a_half_written_file_is_left_alone(
    plain: Path, copied: Callable[[Path], Path], name: str
) -> None:
    folder = copied(plain)
    (folder / "results" / name).mkdir(parents=True)
    done = run_in(folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "results" / name).is_dir()


def test_new_folders_are_flushed_into_their_parents_before_anything_is_deleted(
    plain: Path, copied: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watch all that is made, flushed and deleted while a sweep is run anew: what is new is known to its parent."""
    folder = copied(plain)
    shutil.rmtree(folder / "results")
    flushed: set[Path] = set()
    unknown: list[Path] = []

    def inode(path: Path) -> tuple[int, int]:
        found = path.stat()
        return found.st_dev, found.st_ino

    real_fsync, real_mkdir, real_delete = os.fsync, Path.mkdir, LocalFolder.delete
    made_folders: dict[Path, tuple[int, int]] = {}

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            for path in [path for path, parent in made_folders.items() if parent == (found.st_dev, found.st_ino)]:
                flushed.add(path)
                del made_folders[path]

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        real_mkdir(path, *arguments, **options)
        made_folders[path] = inode(path.parent)

    def delete(location: LocalFolder, names: Any) -> None:
        chosen = list(names)
        unknown.extend(made_folders if chosen else ())
        real_delete(location, chosen)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(LocalFolder, "delete", delete)
    assert run_in(folder).returncode == 0
    assert not unknown
    assert {path.name for path in flushed} >= {"results", "_parts", "evaluations", "summary"}


@pytest.mark.parametrize("table", ["evaluations", "trainings", "summary"])
def test_damage_that_only_reading_all_of_it_shows_is_found_once_nothing_is_left_to_do(
    copied: Callable[[Path], Path], plain: Path, table: str
) -> None:
    folder = copied(plain)
    rotten(data_file(folder, table))
    done = run_in(folder)
    assert done.returncode == 0, done.stderr
    assert f"{table}/data.parquet: is not a readable Parquet file of distmarl" in done.stderr
    assert "; kept as " in done.stderr
    assert tables_of(folder) == tables_of(plain)
