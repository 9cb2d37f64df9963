"""Who is frozen at any moment, taken over and thawed loses nothing of anybody's, and says that it lost the lock.

Every moment is tried by ``python -m tests.benchmarks.freezes``; here, some of them are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distmarl.results.tables import EVALUATIONS, SUMMARY, TRAININGS
from tests.commands import started
from tests.faults.freezing import MORE, NEVER, Freezer, duel_in_store, duel_on_disk, hasty
from tests.object_store import ObjectStore
from tests.places import snapshot_of
from tests.sweep.sweeps import TINY, changed, run, table_bytes, write_sweep


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    with hasty():
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    run(folder, MORE)
    return table_bytes(folder)


@pytest.mark.parametrize(
    ("at", "how", "other_at"),
    [
        (3, "before", NEVER),
        ("PUT .*/_parts/evaluations/", "after", NEVER),
        ("PUT .*/evaluations/data.parquet", "before", NEVER),
        ("PUT .*/evaluations/data.parquet", "before", "PUT .*/summary/data.parquet"),
        ("PUT .*/summary/data.parquet", "before", NEVER),
        ("PUT .*/sweep.yaml", "before", NEVER),
        ("POST ", "late", NEVER),
        (70, "before", 30),
    ],
)
def test_in_a_store(
    object_store: ObjectStore, undisturbed: dict[str, bytes], at: int | str, how: str, other_at: int | str
) -> None:
    first, second = Freezer(at, how), Freezer(other_at)
    duel_in_store(object_store, first, second).check(undisturbed)
    assert first.frozen.is_set() or first.late


@pytest.mark.parametrize(
    ("at", "other_at"),
    [
        (20, NEVER),
        ("os.rename .*/_parts/evaluations/", NEVER),
        ("os.rename .*/evaluations/data.parquet", NEVER),
        ("os.rename .*/evaluations/data.parquet", "os.rename .*/summary/data.parquet"),
        ("os.remove .*/_parts/", 150),
    ],
)
def test_on_a_disk_that_cannot_lock(
    tmp_path: Path, undisturbed: dict[str, bytes], at: int | str, other_at: int | str
) -> None:
    folder = tmp_path / "results" / "tiny"
    first, second = Freezer(at), Freezer(other_at)
    duel_on_disk(folder, first, second).check(undisturbed)
    assert first.frozen.is_set()


def test_a_command_that_was_stopped_and_taken_over_ends_with_exit_code_2(
    tmp_path: Path, object_store: ObjectStore
) -> None:
    many = changed(TINY, experiment={"n_eval_seeds": 100}, evaluation={"horizon": 200})
    more = changed(many, experiment={"n_eval_seeds": 101})
    uri = object_store.uri(f"{object_store.new_bucket()}/tiny")
    command = [sys.executable, "-m", "distmarl.sweep", str(write_sweep(tmp_path, many)), "--executor", "serial"]
    with started([*command, "--out", uri], stderr=subprocess.PIPE, text=True) as process:
        while not snapshot_of(uri).keys(EVALUATIONS):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        run(uri, more)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate()
    assert process.returncode == 2, said
    assert f"error: {uri.partition('?')[0]}: was taken over by process {os.getpid()} on " in said
    assert "which has ended since; this process seemed to have ended, and stops" in said
    assert "Traceback" not in said
    run(tmp_path / "whole", more)
    run(uri, more)
    snapshot = snapshot_of(uri)
    whole = snapshot_of(tmp_path / "whole")
    for table in (EVALUATIONS, TRAININGS, SUMMARY):
        assert snapshot.read(table).equals(whole.read(table)), table.name
