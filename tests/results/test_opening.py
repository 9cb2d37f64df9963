"""Paths and URIs, and the credentials that they must not carry."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from urllib.parse import quote

import pytest

from distmarl.errors import ResultsError
from distmarl.results.storage import opening
from distmarl.results.storage.disk import LocalFolder
from distmarl.results.storage.opening import open_location
from tests.object_store import ObjectStore

SECRET = "hunter2"


def test_a_path_and_a_file_uri_are_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_location("results/a b").writing("x") as stream:
        stream.write(b"here")
    for place in (tmp_path / "results" / "a b", f"file://{tmp_path}/results/a%20b", "results/a b/"):
        location = open_location(place)
        assert isinstance(location, LocalFolder)
        assert location.read("x") == b"here"


def test_only_a_path_can_be_relative(tmp_path: Path, object_store: ObjectStore) -> None:
    assert open_location("results/a").is_relative
    assert str(open_location("results/a/")) == "results/a"
    absolute = (tmp_path, f"file://{tmp_path}", object_store.uri("bucket/a"))
    assert not any(open_location(place).is_relative for place in absolute)


def test_a_location_is_opened_once(tmp_path: Path) -> None:
    location = open_location(tmp_path)
    assert open_location(location) is location


def test_a_bucket_of_its_own_needs_no_prefix(object_store: ObjectStore) -> None:
    location = open_location(object_store.uri(object_store.new_bucket()))
    assert not location.is_there()
    with location.writing("a/b") as stream:
        stream.write(b"x")
    assert location.names() == ["a"]
    assert str(location).startswith("s3://bucket-")
    assert "?" not in str(location)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_endpoint_may_come_from_the_environment(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    bucket = object_store.new_bucket()
    monkeypatch.setenv(variable, f"http://{object_store.endpoint}")
    with open_location(f"s3://{bucket}/a").writing("b") as stream:
        stream.write(b"x")
    assert object_store.objects(bucket) == {"a/b": b"x"}
    monkeypatch.setenv(variable, "http://127.0.0.1:1")  # the URI comes first
    assert open_location(object_store.uri(f"{bucket}/a")).read("b") == b"x"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s4://bucket/x", "s4://bucket/x: cannot be opened: Unrecognized filesystem type in URI"),
        ("s3:/bucket/x", "cannot be opened: Missing bucket name"),
        ("s3://", "s3://: names no bucket; it must be of the form s3://bucket/prefix"),
        (
            "s3://bucket/x?endpoint=a",
            "s3://bucket/x: cannot be opened: Unexpected query parameter in S3 URI: 'endpoint'",
        ),
        ("file://results/x", "file://results/x: cannot be opened: Unsupported hostname"),
        ("file:///a b", "file:///a b: cannot be opened: Cannot parse URI"),
        ("s3://[bucket/x", "the place of the results is not a URI"),
        ("mock:///bucket/x", "mock:///bucket/x: mock is no store that refuses to replace what it is not told of"),
    ],
)
def test_what_is_no_place_is_refused(place: str, message: str) -> None:
    with pytest.raises(ResultsError) as refused:
        open_location(place)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://key:{SECRET}@bucket/x",
        f"s3://{SECRET}@bucket/x",
        f"s3://bucket/x?access_key=a&secret_key={SECRET}",
        f"s3://bucket/x?session_token={SECRET}",
        f"s3://bucket/x?SECRET_KEY={SECRET}",
        f"gs://bucket/x?access_token={SECRET}",
        f"abfs://container:{SECRET}@account.dfs.core.windows.net/x",
        f"abfs://container@account.dfs.core.windows.net/x?client_secret={SECRET}",
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ResultsError, match=r"the URI carries credentials, .* put them into the environment") as refused:
        open_location(uri)
    assert SECRET not in str(refused.value)
    assert "/x: " in str(refused.value)


def test_a_container_is_no_credential() -> None:
    name = "abfs://container@account.dfs.core.windows.net/x"
    assert str(open_location(name)) == name


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "bucket/a/b"),
        ("gs://anonymous@bucket/a?scheme=http&endpoint_override=127.0.0.1:1", "bucket/a"),
        ("abfs://container@account.dfs.core.windows.net/a", "container/a"),
        ("abfss://account.blob.core.windows.net/container/a", "container/a"),
        ("abfs://account@container/a?enable_tls=false", "container/a"),
        ("s3://bucket/a?endpoint_override=127.0.0.1:1&tls_verify_certificates=false", "bucket/a"),
    ],
)
@pytest.mark.usefixtures("object_store")
def test_stores_have_the_uris_that_pyarrow_gives_them(uri: str, path: str) -> None:
    location = open_location(uri)
    assert (location.path, location.typed, location.is_relative) == (path, uri, False)


def test_names_of_objects_are_the_same_for_pyarrow(object_store: ObjectStore) -> None:
    name = "a b/ü~#x%20y+&='(1)"
    place = f"{object_store.new_bucket()}/{name}"
    with object_store.filesystem.open_output_stream(f"{place}/one") as stream:
        stream.write(b"1")
    location = open_location(object_store.uri(quote(place)))
    with location.writing("two") as stream:
        stream.write(b"2")
    assert location.names() == ["one", "two"]
    assert location.read("one") == b"1"
    assert object_store.objects(place) == {"one": b"1", "two": b"2"}


def test_a_store_that_never_answers_is_given_up(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert object_store  # for its credentials
    monkeypatch.setattr(opening, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(opening, "REQUEST_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        location = open_location(f"s3://bucket/x?endpoint_override={endpoint}&scheme=http")
        accepted: list[socket.socket] = []
        threading.Thread(target=lambda: accepted.append(server.accept()[0])).start()
        with pytest.raises(
            ResultsError, match=r"cannot be listed: the store cannot be reached; is the endpoint right\?"
        ):
            location.check()
    assert accepted
    accepted[0].close()
