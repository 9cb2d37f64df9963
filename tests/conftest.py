"""Fixtures that every test may use."""

from __future__ import annotations

import math
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from distmarl.report import printing
from distmarl.sweep.progress import patience
from tests.commands import REPOSITORY, RunCommand, blanked_figures, call_in, command_in
from tests.own_network import leave_network
from tests.timeouts import pytest_runtest_logfinish, pytest_timeout_cancel_timer, pytest_timeout_set_timer

if TYPE_CHECKING:
    from tests.object_store import ObjectStore

__all__ = [
    "REPOSITORY",
    "RunCommand",
    "pytest_runtest_logfinish",
    "pytest_timeout_cancel_timer",
    "pytest_timeout_set_timer",
]  # hooks

# What a script starts in the background is deaf to Ctrl-C, and under nohup to the end of its terminal; and so would be
# what tests start and interrupt.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
# Tests run on all cores already.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Two Rays on one network may get hold of each other's ports.
_HAS_OWN_NETWORK = leave_network()
# The markers of tests that start a Ray.
RAYS = ("ray", "cluster", "slurm")


def pytest_xdist_auto_num_workers() -> int:
    """Let ``-n auto`` start more processes than we have cores: those with tests on Ray mostly wait."""
    from distmarl.sweep.estimates.machine import machine_cores

    return machine_cores()[0] + (2 if _HAS_OWN_NETWORK else 1)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together the tests of a file, which share what they are about, and those that share a browser.

    Files whose tests start a Ray come first, since they take longest, and others that are marked so: no process shall
    be at work on one when all others have ended. At most two Rays run at the same time, of which one is that of the
    faults; where processes share a network, one.
    """
    with_ray = {item.path for item in items if any(item.get_closest_marker(name) for name in RAYS)}
    for item in items:
        group = item.nodeid.partition("::")[0].removesuffix(".py")
        if item.get_closest_marker("browser"):
            group = "browser"
        elif item.path in with_ray:
            group = "ray of faults" if _HAS_OWN_NETWORK and item.path.stem == "test_faults" else "ray"
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (item.path not in with_ray, item.get_closest_marker("long") is None))


@pytest.fixture
def run_sweep(tmp_path: Path) -> RunCommand:
    """Run ``python -m distmarl.sweep`` in an empty folder, as a user does."""
    return command_in(tmp_path, "distmarl.sweep")


@pytest.fixture
def run_undrawn(tmp_path: Path) -> RunCommand:
    """Do the same without the report."""
    return command_in(tmp_path, "tests.undrawn")


@pytest.fixture
def call_sweep(tmp_path: Path) -> RunCommand:
    """Do the same in this process."""
    from distmarl.sweep.__main__ import main

    return call_in(tmp_path, main)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command leave out its report, which takes ten times as long as a small sweep."""
    monkeypatch.setattr("distmarl.sweep.__main__._report", lambda *_, **__: None)


@pytest.fixture
def blank_figures() -> Iterator[None]:
    """Let figures be empty in their files, for tests of what stands beside them: drawing takes longest."""
    with blanked_figures():
        yield


@pytest.fixture(scope="session", autouse=True)
def printing_alone() -> Iterator[None]:
    """Let this process write its figures alone: tests run on all cores already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(printing, "_start", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """Let no command of this process tell that it takes its time, which depends on the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "TOLD_AFTER_S", math.inf)
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectStore]:
    from tests.object_store import ObjectStore

    server = ObjectStore()
    yield server
    server.close()


@pytest.fixture
def object_store(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Return a store of S3's kind, with credentials for it in the environment."""
    from tests.object_store import ENVIRONMENT

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    s3_server.requests.clear()
    return s3_server


@pytest.fixture
def make_read_only() -> Iterator[Callable[[Path], None]]:
    """Let a folder be one that may only be read; root, whom no permission binds, needs a mount for it."""
    undo: list[Callable[[], object]] = []

    def make(folder: Path) -> None:
        if os.getuid() != 0:
            folder.chmod(0o555)
            undo.append(lambda: folder.chmod(0o755))
        elif subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode:
            pytest.skip("no file system can be mounted here")
        else:
            undo.append(lambda: subprocess.run(["umount", folder], check=True))
            subprocess.run(["mount", "-o", "remount,ro,bind", folder, folder], check=True)

    yield make
    for each in undo:
        each()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of one megabyte, where the system lets us mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
