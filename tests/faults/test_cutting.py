"""Who is killed before any operation on files, or meets a full or broken disk there, leaves what can be gone on with.

Every operation is tried by ``python -m tests.benchmarks.cuts``; here, some of them are.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import own_environment
from tests.faults.cutting import check
from tests.sweep.sweeps import run, table_bytes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return table_bytes(folder)


@pytest.mark.parametrize(("how", "every"), [("kill", 23), ("ENOSPC", 41), ("EIO", 53)])
def test_what_is_left_is_whole_and_goes_on(tmp_path: Path, undisturbed: dict[str, bytes], how: str, every: int) -> None:
    command = [sys.executable, "-m", "tests.faults.cutting", str(tmp_path), how, "--every", str(every)]
    done = subprocess.run(command, env=own_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = sorted(tmp_path.iterdir())
    assert len(places) > 150 // every, "a sweep has some hundred operations"
    for place in places:
        check(place, undisturbed)
