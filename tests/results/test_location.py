"""Every kind of place keeps the same promises."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage import opening
from distmarl.results.storage.location import Location, ReplacedError
from distmarl.results.storage.opening import open_location
from tests.object_store import ObjectStore, cut_off

LARGE = 11 * 2**20  # more than is uploaded in one piece, unless it replaces a certain version


@pytest.fixture(params=["disk", "s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "disk":
        return open_location(tmp_path / "results")
    return s3_location(request.getfixturevalue("object_store"))


def s3_location(store: ObjectStore) -> Location:
    return open_location(store.uri(f"{store.new_bucket()}/some/prefix"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_ATTEMPTS", 1)


def write(location: Location, name: str, content: bytes, **options: Any) -> None:
    with location.writing(name, **options) as stream:
        stream.write(content)


def test_what_is_written_is_read(location: Location) -> None:
    location.make()
    assert location.names() == []
    write(location, "b", b"first")
    write(location, "b", b"second")
    write(location, "folder/a", b"")
    assert location.names() == ["b", "folder"]
    assert location.names("folder") == ["a"]
    assert location.is_there()
    assert (location.exists("b"), location.exists("a"), location.exists("folder/a")) == (True, False, True)
    assert (location.read("b"), location.read("folder/a")) == (b"second", b"")
    assert [file.open().read() for file in location.files(["b", "folder/a"])] == [b"second", b""]
    assert location.files(["b"])[0].name == location.describe("b") == f"{location}/b"


def test_what_is_not_there_is_not_found(location: Location) -> None:
    assert location.names("nowhere") == []
    assert not location.exists("nowhere")
    location.delete(["nowhere"])
    location.delete_empty_folder("nowhere")
    with pytest.raises(FileNotFoundError):
        location.read("nowhere")
    with pytest.raises(FileNotFoundError):
        location.files(["nowhere"])[0].open()


def test_what_is_deleted_is_gone(location: Location) -> None:
    for name in ("a/1", "a/2", "a/b/3", "5"):
        write(location, name, b"x")
    location.delete(["a/1", "a/2"])
    assert location.names("a") == ["b"]
    location.delete_empty_folder("a")
    assert location.read("a/b/3") == b"x"
    location.delete(["a/b/3"])
    location.delete_empty_folder("a")
    assert location.names() == ["5"]


@pytest.mark.parametrize("error", [ValueError, OSError(errno.EIO, "broken"), KeyboardInterrupt])
def test_a_write_that_fails_halfway_leaves_what_was_there(location: Location, error: Any) -> None:
    def write_half(name: str) -> None:
        with location.writing(name) as stream:
            stream.write(b"half")
            raise error

    write(location, "old", b"whole")
    for name in ("old", "new"):
        with pytest.raises((ValueError, ResultsError, KeyboardInterrupt)):
            write_half(name)
    assert location.names() == ["old"]
    assert location.read("old") == b"whole"


def test_an_interruption_while_an_object_is_uploaded_does_not_tear_it(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    write(location, "object", b"old")
    with object_store.failing(lambda _: signal.raise_signal(signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        write(location, "object", b"whole")
    assert location.read("object") == b"whole"


def test_a_small_file_is_one_request_and_so_is_reading_it_and_deleting_many(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    object_store.requests.clear()
    write(location, "part", b"x" * 1000)
    assert location.create("other", b"x")
    location.read("part")
    location.delete(["part", "other", "nowhere"])
    assert object_store.requests == [("PUT", ""), ("PUT", ""), ("GET", ""), ("POST", "delete")]


def test_a_large_object_appears_when_all_of_its_pieces_have_arrived(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    write(location, "table", b"old")
    seen: list[bytes] = []
    with object_store.failing(lambda request: seen.append(location.read("table")) if pieces(request) else None):
        write(location, "table", b"n" * LARGE)
    assert seen == [b"old"] * 3
    assert location.read("table") == b"n" * LARGE


def pieces(request: dict[str, Any]) -> bool:
    return "partNumber" in request["QUERY_STRING"]


def test_a_file_is_created_once(location: Location) -> None:
    location.make()
    assert location.create("a", b"first")
    assert not location.create("a", b"second")
    assert location.read("a") == b"first"
    assert location.names() == ["a"]


def test_on_a_disk_without_links_a_file_is_created_once_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", cannot)
    location = open_location(tmp_path)
    assert [location.create("a", content) for content in (b"first", b"second")] == [True, False]
    assert (location.names(), location.read("a")) == (["a"], b"first")


@pytest.mark.parametrize("size", [100, LARGE])
def test_a_store_replaces_the_version_that_was_read_and_no_other(object_store: ObjectStore, size: int) -> None:
    location = s3_location(object_store)
    assert location.version("table") is None
    for number, replaced in enumerate([b"", *[b"%d" % number * size for number in range(3)]]):
        content, version = (replaced, None) if not replaced else location.read_version("table")
        assert content == replaced
        with location.writing("table", replaces=version) as stream:
            stream.write(b"%d" % number * size)
        with pytest.raises(ReplacedError, match="table: was replaced by another process"):
            write(location, "table", b"late", replaces=version)
    assert location.version("table") == location.read_version("table")[1]
    location.delete(["table"])
    with pytest.raises(ReplacedError):
        write(location, "table", b"late", replaces=version)
    assert location.names() == []


def test_an_upload_whose_answer_is_lost_is_not_taken_for_another_ones(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    with object_store.losing_answers(lambda request: request["REQUEST_METHOD"] == "PUT"):
        assert location.create("lock", b"mine")
    assert location.read("lock") == b"mine"
    _, version = location.read_version("lock")
    with object_store.losing_answers(lambda request: request["REQUEST_METHOD"] == "PUT"):
        write(location, "lock", b"mine again", replaces=version)
    assert location.read("lock") == b"mine again"


class Guarded:
    """A lock's number, and what happens when it is asked."""

    def __init__(self, number: int, happens: Any = lambda: None) -> None:
        self.number, self.check = number, happens


def test_on_a_disk_the_guard_is_asked_when_the_file_lies_aside(tmp_path: Path) -> None:
    location, seen = open_location(tmp_path), []
    write(location, "table", b"old")
    write(location, "table", b"new", guard=Guarded(7, lambda: seen.append((location.read("table"), location.names()))))
    ((content, (aside, name)),) = seen
    assert (content, aside[:13], name) == (b"old", "_tmp-00000007", "table")
    assert location.read("table") == b"new"

    def forbid() -> None:
        raise ResultsError("was taken over")

    with pytest.raises(ResultsError, match="was taken over"):
        write(location, "table", b"late", guard=Guarded(7, forbid))
    assert (location.names(), location.read("table")) == (["table"], b"new")


def test_on_a_disk_what_lower_numbers_wrote_aside_gets_nowhere(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    write(location, "folder/table", b"old")
    with pytest.raises(ResultsError, match="table: cannot be written: No such file"):
        write(location, "folder/table", b"late", guard=Guarded(7, lambda: location.delete_asides(8)))
    assert location.read("folder/table") == b"old"
    for writer in (Guarded(7, lambda: location.delete_asides(7)), None):
        write(location, "folder/table", b"new", guard=writer)
    with location.writing("folder/table") as stream:  # by somebody who needs no lock
        stream.write(b"newest")
        location.delete_asides(8)
    assert location.read("folder/table") == b"newest"
    assert location.names("folder") == ["table"]


def test_a_folder_that_is_tidied_up_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location, made = open_location(tmp_path), Path.mkdir
    tidied = iter([True])

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        made(path, *arguments, **options)
        if next(tidied, False):
            location.delete_empty_folder("a")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    write(location, "a/b/c", b"x")
    assert location.read("a/b/c") == b"x"


def test_tidying_up_deletes_no_file_that_comes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location, walk = open_location(tmp_path), os.walk

    def walk_slowly(*arguments: Any, **options: Any) -> Any:
        found = list(walk(*arguments, **options))
        write(location, "a/b/c", b"x")
        return found

    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.setattr(os, "walk", walk_slowly)
    location.delete_empty_folder("a")
    assert location.read("a/b/c") == b"x"


@pytest.mark.parametrize(
    ("size", "fault"),
    [
        (100, cut_off),
        (100, lambda request: 500 if request["REQUEST_METHOD"] == "PUT" else None),
        (LARGE, lambda request: 500 if "partNumber=2" in request["QUERY_STRING"] else None),
        (LARGE, lambda request: cut_off(request) if "partNumber=1" in request["QUERY_STRING"] else None),
        (LARGE, lambda request: 500 if request["REQUEST_METHOD"] == "POST" and pieces_are_done(request) else None),
    ],
    ids=["cut off", "refused", "second piece refused", "first piece cut off", "completion refused"],
)
@pytest.mark.usefixtures("impatient")
def test_an_upload_that_fails_leaves_what_was_there(object_store: ObjectStore, size: int, fault: Any) -> None:
    location = s3_location(object_store)
    write(location, "old", b"whole")
    with object_store.failing(fault):
        for name in ("old", "new"):
            with pytest.raises(ResultsError, match=f"prefix/{name}: cannot be written: "):
                write(location, name, b"n" * size)
    assert location.read("old") == b"whole"
    assert not location.exists("new")
    write(location, "new", b"n" * size)
    assert location.read("new") == b"n" * size


def pieces_are_done(request: dict[str, Any]) -> bool:
    return "uploadId" in request["QUERY_STRING"]


def test_a_store_that_recovers_is_asked_again(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    answers = iter([503, 500])
    with object_store.failing(lambda _: next(answers, None)):
        write(location, "a", b"x")
    assert location.read("a") == b"x"


def test_a_file_of_a_store_is_read_as_it_was_when_it_was_fetched(object_store: ObjectStore) -> None:
    location = s3_location(object_store)
    write(location, "table", b"old")
    (file,) = location.files(["table"])
    write(location, "table", b"new!")
    location.delete(["table"])
    assert file.open().read() == b"old"


def test_files_that_a_power_loss_tore_are_deleted(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    write(location, "evaluations/data.parquet", b"whole")
    (tmp_path / "evaluations" / f"_tmp-{uuid.uuid4().hex}").write_bytes(b"ha")
    (tmp_path / f"_tmp-{uuid.uuid4().hex}").write_bytes(b"")
    (tmp_path / "_tmp-notes").write_bytes(b"of someone")
    location.delete_torn_files()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["_tmp-notes", "data.parquet"]


def test_whoever_was_taken_over_deletes_nothing_that_the_next_one_writes(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    write(location, "table", b"new", guard=Guarded(8, lambda: location.delete_torn_files(7)))
    assert location.read("table") == b"new"


def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk: Path) -> None:
    location = open_location(small_disk)
    write(location, "table", b"whole")
    with pytest.raises(ResultsError, match="table: cannot be written: No space left on device; free some and run"):
        write(location, "table", b"n" * 2**21)
    assert [path.name for path in small_disk.iterdir()] == ["table"]
    write(location, "table", b"n" * 2**19)


def test_a_read_only_disk_is_refused(small_disk: Path) -> None:
    location = open_location(small_disk / "results")
    location.check()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ResultsError, match=r"results: cannot be written \(.*disk forbids it\)"):
        location.check()
    with pytest.raises(ResultsError, match="results: cannot be made: Read-only file system"):
        location.make()
    with pytest.raises(ResultsError, match="a: cannot be written: Read-only file system; choose another folder"):
        write(open_location(small_disk), "a", b"x")


def test_a_folder_that_the_system_forbids_is_refused() -> None:
    with pytest.raises(ResultsError, match="cannot be made"):
        open_location("/proc/results").make()
