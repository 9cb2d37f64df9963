"""A cluster that cannot be joined, and a Ray that cannot be started: one message, and nothing written."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distmarl.sweep.clusters import joining, local_ray
from tests.commands import RunCommand, heard, own_environment, started
from tests.sweep.sweeps import write_sweep


@pytest.fixture(autouse=True)
def no_token_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file with a token be told of."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port where somebody listens who says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_an_address_where_nobody_listens_is_given_up(tmp_path: Path, call_sweep: RunCommand) -> None:
    address = f"127.0.0.1:{free_port()}"
    sweep = write_sweep(tmp_path)
    done = call_sweep(sweep, "--out", "out", "--join-timeout", "3", RAY_ADDRESS=address)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first == f"joining the Ray cluster at {address} (from RAY_ADDRESS), for 3 s at most"
    assert second.startswith(f"error: cannot join the Ray cluster at {address} (from RAY_ADDRESS): nobody listens ")
    assert "for 3 s (--join-timeout). " in second
    assert "or unset RAY_ADDRESS to start a Ray of this machine; --executor serial needs none" in second
    assert "set RAY_AUTH_MODE=token" in second
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["ray://127.0.0.1:{port}", "auto"])
def test_nobody_is_said_to_listen_where_nobody_does(tmp_path: Path, call_sweep: RunCommand, address: str) -> None:
    told = call_sweep(
        write_sweep(tmp_path), "--quiet", "--join-timeout", "3", "--address", address.format(port=free_port())
    )
    assert told.returncode == 2
    assert "something listens" not in told.stderr
    # A fast machine hears from Ray itself that there is none, before the time is over; a slow one hears nothing.
    said = (
        ("no Ray has answered, for ", "Could not find any running Ray")
        if address == "auto"
        else ("nobody listens there (",)
    )
    assert any(each in told.stderr for each in said)


def test_an_address_where_something_else_listens_is_given_up(
    tmp_path: Path, call_sweep: RunCommand, silent_port: int
) -> None:
    address = f"127.0.0.1:{silent_port}"
    done = call_sweep(write_sweep(tmp_path), "--address", address, "--join-timeout", "3", "--quiet")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot join the Ray cluster at {address} (from --address): something ")
    assert "or leave out --address to start a Ray of this machine" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_heard_while_a_cluster_is_joined(tmp_path: Path, silent_port: int, number: int) -> None:
    command = [sys.executable, "-m", "distmarl.sweep", str(write_sweep(tmp_path)), "--out", "out"]
    environment = own_environment(RAY_ADDRESS=f"127.0.0.1:{silent_port}")
    with started(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "joining the Ray cluster at ")
        process.send_signal(number)
        said = process.stderr.read()
        assert process.wait() == 130
    assert "interrupted; what was done is kept. To go on: " in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


# What Ray has made of itself until then crashes when Python ends it.
HALF_STARTED = """
import os, signal, sys
import ray
from distmarl.sweep.__main__ import main

number = int(sys.argv.pop())

def init(**_):
    os.kill(os.getpid(), number)

ray.init, ray.shutdown = init, os.abort
import atexit
atexit.register(os.abort)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_ray_starts_leaves_at_once(tmp_path: Path, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HALF_STARTED, write_sweep(tmp_path), "--out", tmp_path / "out", str(int(number))],
        cwd=tmp_path,
        env=own_environment(RAY_AUTH_TOKEN="0" * 64),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert "interrupted; what was done is kept. To go on: " in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon"])
def test_a_timeout_is_a_number_of_seconds(tmp_path: Path, call_sweep: RunCommand, value: str) -> None:
    refused = call_sweep(write_sweep(tmp_path), f"--join-timeout={value}")
    assert refused.returncode == 2
    assert "--join-timeout" in refused.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("AF_UNIX path length cannot exceed 107 bytes"), "Set RAY_TMPDIR to a folder with a short path. "),
        (PermissionError(13, "Permission denied", "/.ray/auth_token"), "Let HOME be a folder that can be written, or "),
        (Exception("The current node timed out during startup."), "Exception: The current node timed out during "),
        (SystemExit(1), "Ray ended with exit code 1. "),
    ],
)
@pytest.mark.parametrize("address", [None, "127.0.0.1:6379"])
def test_whatever_ray_raises_is_one_message(
    tmp_path: Path,
    call_sweep: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    words: str,
    address: str | None,
) -> None:
    places: list[Path] = []

    def init(_temp_dir: str = "", **_: Any) -> None:
        places.append(Path(_temp_dir))
        raise error

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr(joining, "_try", lambda *_, **__: None)
    joined = ["--address", address] if address else []
    done = call_sweep(write_sweep(tmp_path), "--out", "out", "--quiet", *joined)
    what = f"cannot join the Ray cluster at {address} (from --address): " if address else "cannot start a local Ray: "
    *_, last = done.stderr.splitlines()
    assert done.returncode == 2
    assert last.startswith(f"error: {what}"), done.stderr
    assert words in last
    assert last.endswith("--executor serial needs no Ray")
    assert address or not places[0].parent.exists(), "there are no logs to keep"
    assert not (tmp_path / "out").exists()


def test_a_local_ray_that_has_no_place_says_what_it_needs(
    tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_ray, "USUAL_PLACE", "/no/such/place")
    done = call_sweep(write_sweep(tmp_path), "--quiet", RAY_TMPDIR="/x" * 60)
    assert done.returncode == 2
    assert "is too long for Ray's sockets (more than 29 bytes), and /no/such/place is not a folder; " in done.stderr
    assert "set RAY_TMPDIR to a folder with a short path" in done.stderr


def test_a_token_that_others_can_read_is_told_of(
    tmp_path: Path, call_sweep: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "_try", lambda *_, **__: "no cluster")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret")
    sweep = write_sweep(tmp_path)
    for mode, is_told in ((0o644, True), (0o600, False)):
        token.chmod(mode)
        done = call_sweep(sweep, "--address", "127.0.0.1:6379", "--quiet", HOME=str(tmp_path))
        told = f"warning: {token}: others on this machine can read Ray's token" in done.stderr
        assert told is is_told, done.stderr
        assert "secret" not in done.stderr
