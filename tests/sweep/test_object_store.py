"""A sweep whose results lie in an object store ends with the tables that it would have on a disk."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import moto.settings
import pandas as pd
import pytest

import distmarl as dm
from distmarl.report.__main__ import main as report
from distmarl.results.storage import lock, opening
from distmarl.results.tables import EVALUATIONS
from distmarl.sweep import pace
from distmarl.sweep.__main__ import main
from distmarl.sweep.executors.choice import ExecutorChoice
from tests.commands import RunCommand, started
from tests.object_store import ENVIRONMENT, ObjectStore, cut_off
from tests.places import locked, read_status, snapshot_of
from tests.sweep.sweeps import DETERMINISTIC_TABLES, TINY, changed, run, table_bytes, write_sweep

pytestmark = pytest.mark.long

# Long enough to be killed on the way.
MANY = changed(TINY, experiment={"n_eval_seeds": 250}, evaluation={"horizon": 400})


def stored_tables(store: ObjectStore, place: str) -> dict[str, bytes]:
    objects = store.objects(place)
    return {name: objects[f"{name}/data.parquet"] for name in DETERMINISTIC_TABLES}


def is_secret_free(*texts: str | bytes) -> bool:
    secrets = [value for name, value in ENVIRONMENT.items() if name.endswith(("KEY_ID", "ACCESS_KEY", "TOKEN"))]
    whole = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    return not any(secret.encode() in whole for secret in secrets)


def test_a_sweep_leaves_the_same_tables_and_report_in_a_store_as_on_a_disk(
    tmp_path: Path,
    object_store: ObjectStore,
    call_sweep: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = f"{object_store.new_bucket()}/sweeps/tiny"
    sweep = write_sweep(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "distmarl.sweep", "--out", object_store.uri(place)])
    local = call_sweep(sweep, "--executor", "serial", "--out", "out")
    done = call_sweep(sweep, "--executor", "serial", "--out", object_store.uri(place))
    assert done.returncode == 0, done.stderr
    assert f"wrote s3://{place}/reward_vs_k.png" in done.stderr
    assert f"python -m distmarl.status {shlex.quote(object_store.uri(place))}" in done.stderr
    assert without_seconds(done.stdout) == without_seconds(local.stdout)
    assert stored_tables(object_store, place) == table_bytes(tmp_path / "out")
    objects = object_store.objects(place)
    local_files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {*objects, "_lock"} == {str(path.relative_to(tmp_path / "out")) for path in local_files}
    for name in ("reward_vs_k.png", "zone_heatmap.png", "policy.png", "sweep.yaml"):
        assert objects[name] == (tmp_path / "out" / name).read_bytes(), name
    frame = pd.read_parquet(object_store.uri(f"{place}/evaluations"))
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / "out" / "evaluations"))
    assert object_store.uri(place) in json.loads(objects["provenance.json"])["sessions"][0]["command"]
    assert is_secret_free(done.stdout, done.stderr, *objects.values())
    assert not is_secret_free(ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])
    for figure in [name for name in objects if name.endswith(".png")]:
        object_store.filesystem.delete_file(f"{place}/{figure}")
    assert report([object_store.uri(place)]) == 0
    assert capsys.readouterr().out == done.stdout
    reported = object_store.objects(place)
    vectors = {name for name in reported if name.endswith(".pdf")}
    assert vectors == {name.replace(".png", ".pdf") for name in objects if name.endswith(".png")}
    assert unlocked({name: content for name, content in reported.items() if name not in vectors}) == unlocked(objects)
    assert read_status(object_store.uri(place)).is_done
    opened, local_results = dm.open(object_store.uri(place)), dm.open(tmp_path / "out")
    pd.testing.assert_frame_equal(opened.table("summary"), local_results.table("summary"))
    assert opened.global_policy(3).tolist() == local_results.global_policy(3).tolist()


def unlocked(objects: dict[str, bytes]) -> dict[str, bytes]:
    """Return objects but for the lock, which the last holder has given back."""
    (last,) = [name for name in objects if name.startswith("_")]
    assert json.loads(objects[last])["has_ended"]
    return {name: content for name, content in objects.items() if name != last}


def without_seconds(table: str) -> list[str]:
    """Return what is printed but for the column of training times, which comes last."""
    return [line.rstrip().rpartition(" ")[0] if "±" in line else line for line in table.splitlines()]


@pytest.mark.usefixtures("undrawn")
def test_a_driver_that_is_killed_is_resumed_and_nothing_is_lost_or_counted_twice(
    tmp_path: Path, object_store: ObjectStore, call_sweep: RunCommand
) -> None:
    place = f"{object_store.new_bucket()}/many"
    sweep = write_sweep(tmp_path, MANY)
    command = [sys.executable, "-m", "distmarl.sweep", str(sweep), "--executor", "serial"]
    n_before = 0
    for _ in range(2):
        n_at_start = n_before
        with started([*command, "--out", object_store.uri(place)], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and n_evaluated(object_store, place) == n_at_start:
                time.sleep(0.02)
            process.kill()
        assert process.returncode == -9
        n_before = n_evaluated(object_store, place)
        assert n_at_start < n_before < 500
    done = call_sweep(sweep, "--executor", "serial", "--out", object_store.uri(place))
    assert done.returncode == 0, done.stderr
    assert f"s3://{place}: took over from process {process.pid} on " in done.stderr
    assert f"503 tasks, {n_before + 3} of them done before" in done.stderr
    assert unlocked(object_store.objects(place))
    run(tmp_path / "whole", MANY)
    assert stored_tables(object_store, place) == table_bytes(tmp_path / "whole")


def n_evaluated(store: ObjectStore, place: str) -> int:
    return len(snapshot_of(store.uri(place)).keys(EVALUATIONS))


def test_a_second_driver_is_refused_before_it_starts_anything(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY_S", 0.1)
    monkeypatch.setattr(ExecutorChoice, "start", lambda *_: pytest.fail("was started"))
    uri = object_store.uri(f"{object_store.new_bucket()}/tiny")
    with locked(uri):
        assert main([str(write_sweep(tmp_path)), "--out", uri]) == 2
    *_, waiting, refused = capsys.readouterr().err.splitlines()
    assert "listening for 30 s whether it still does" in waiting
    assert f"is being written by process {os.getpid()} on " in refused


def test_parts_are_taken_in_while_the_sweep_runs(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "COMMIT_SHARE", math.inf)
    monkeypatch.setattr(pace, "PUBLISH_EVERY_S", 0)
    monkeypatch.setattr(pace, "PUBLISH_SHARE", math.inf)
    place = f"{object_store.new_bucket()}/tiny"
    written: list[str] = []
    with object_store.failing(
        lambda request: written.append(request["PATH_INFO"]) if request["REQUEST_METHOD"] == "PUT" else None
    ):
        run(object_store.uri(place))
    assert written.count(f"/{place}/evaluations/data.parquet") >= 4
    assert unlocked(object_store.objects(place))
    run(tmp_path)
    assert stored_tables(object_store, place) == table_bytes(tmp_path)


def test_starting_afresh_deletes_what_was_there(tmp_path: Path, object_store: ObjectStore) -> None:
    place = f"{object_store.new_bucket()}/tiny"
    run(object_store.uri(place), changed(TINY, experiment={"seed": 1}))
    with object_store.filesystem.open_output_stream(f"{place}/notes.txt") as stream:
        stream.write(b"mine")
    run(object_store.uri(place), overwrite=True)
    run(tmp_path)
    assert stored_tables(object_store, place) == table_bytes(tmp_path)
    assert object_store.objects(place)["notes.txt"] == b"mine"


def test_a_store_that_fails_in_the_middle_ends_the_sweep_and_the_same_command_goes_on(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "MAX_ATTEMPTS", 1)
    place = f"{object_store.new_bucket()}/tiny"
    command = [str(write_sweep(tmp_path)), "--executor", "serial", "--out", object_store.uri(place)]
    with object_store.failing(
        lambda request: cut_off(request) if "_parts/evaluations" in request["PATH_INFO"] else None
    ):
        assert main(command) == 2
    message = capsys.readouterr().err
    assert f"error: s3://{place}/_parts/" in message
    assert "cannot be written: " in message
    assert "Traceback" not in message
    for name, content in object_store.objects(place).items():
        assert content[-4:] == b"PAR1" or not name.endswith(".parquet"), name
    assert main(command) == 0
    run(tmp_path / "whole")
    assert stored_tables(object_store, place) == table_bytes(tmp_path / "whole")


def missing_bucket(store: ObjectStore, _: pytest.MonkeyPatch) -> str:
    return store.uri("no-such-bucket/tiny")


def refused_credentials(store: ObjectStore, patch: pytest.MonkeyPatch) -> str:
    place = store.new_bucket()
    patch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    return store.uri(place)


def read_only_credentials(store: ObjectStore, patch: pytest.MonkeyPatch) -> str:
    place = store.new_bucket()
    iam = boto3.client("iam", endpoint_url=f"http://{store.endpoint}")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    actions = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [actions]})
    iam.put_user_policy(UserName="reader", PolicyName="reading", PolicyDocument=policy)
    patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    patch.delenv("AWS_SESSION_TOKEN")
    patch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    return store.uri(place)


def unreachable_endpoint(_: ObjectStore, __: pytest.MonkeyPatch) -> str:
    return "s3://bucket/tiny?endpoint_override=127.0.0.1:1&scheme=http"


def foreign_folder(store: ObjectStore, _: pytest.MonkeyPatch) -> str:
    place = store.new_bucket()
    with store.filesystem.open_output_stream(f"{place}/thesis.tex") as stream:
        stream.write(b"precious")
    return store.uri(place)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (missing_bucket, "there is no such bucket; create it, or name another one (NoSuchBucket)"),
        (refused_credentials, "the credentials are refused; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (read_only_credentials, "_lock-1.json: cannot be written: the credentials are refused; set AWS_ACCESS_KEY_ID"),
        (unreachable_endpoint, "the store cannot be reached; is the endpoint right? (HTTP error: "),
        (foreign_folder, "is not a results folder of distmarl"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_message_and_exit_code_2(
    tmp_path: Path,
    object_store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[ObjectStore, pytest.MonkeyPatch], str],
    message: str,
) -> None:
    monkeypatch.setattr(opening, "MAX_ATTEMPTS", 1)
    uri = prepare(object_store, monkeypatch)
    assert main([str(write_sweep(tmp_path)), "--executor", "serial", "--out", uri]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("error: s3://")
    assert message in told
    assert is_secret_free(told)
    assert report([uri]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert is_secret_free(told)
