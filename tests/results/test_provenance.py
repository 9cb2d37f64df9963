from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from distmarl.results import provenance
from distmarl.results.provenance import describe_session


@pytest.fixture
def copy_of_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let distmarl run from a folder that is no checkout."""
    room = tmp_path / "distmarl" / "results"
    room.mkdir(parents=True)
    shutil.copy(provenance.__file__, room)
    monkeypatch.setattr(provenance, "__file__", str(room / "provenance.py"))
    monkeypatch.delenv("DISTMARL_COMMIT", raising=False)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@localhost"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.usefixtures("copy_of_code")
def test_a_copy_of_the_code_has_the_commit_that_its_maker_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_session([], {})["commit"] is None
    monkeypatch.setenv("DISTMARL_COMMIT", "0123abc-dirty")
    session = describe_session([], {})
    assert (session["commit"], session["dirty"]) == ("0123abc", True)
    monkeypatch.setenv("DISTMARL_COMMIT", "")
    assert describe_session([], {})["commit"] is None


def test_a_checkout_knows_better_than_the_environment(copy_of_code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(copy_of_code, "init", "--quiet")
    git(copy_of_code, "add", ".")
    git(copy_of_code, "commit", "--quiet", "--message", "All of it")
    monkeypatch.setenv("DISTMARL_COMMIT", "0123abc")
    commit = git(copy_of_code, "rev-parse", "HEAD")
    session = describe_session([], {})
    assert (session["commit"], session["dirty"]) == (commit, False)
    (copy_of_code / "distmarl" / "results" / "provenance.py").write_text("")
    session = describe_session([], {})
    assert (session["commit"], session["dirty"]) == (commit, True)
