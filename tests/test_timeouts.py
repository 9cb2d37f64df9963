"""No test waits for ever."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.commands import REPOSITORY

HANGS = """
import threading, time
import pytest

@pytest.mark.timeout(3)
def test_that_hangs():
    threading.Thread(target=lambda: time.sleep(600), name="another thread", daemon=True).start()
    time.sleep(600)

def test_that_comes_next(): ...
"""


def test_a_test_that_hangs_is_named_with_all_stacks_and_the_next_one_runs(tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "tests" / "timeouts.py", tmp_path / "conftest.py")
    (tmp_path / "test_it.py").write_text(HANGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", REPOSITORY / "pyproject.toml", "--rootdir", tmp_path, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "test_it.py::test_that_hangs: took longer than 3 s" in done.stdout
    assert "another thread:\n" in done.stdout
    assert "MainThread:\n" in done.stdout
    assert done.stdout.count("time.sleep(600)") >= 2
    assert "1 failed, 1 passed" in done.stdout
