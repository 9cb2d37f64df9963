"""Where results come from: versions, commit, command and platform of every session."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from distmarl.version import __version__
from distmarl.wording import timestamp

PACKAGES = ("numpy", "ray", "pyarrow", "pandas", "matplotlib")
# Names the commit where the code is a copy without its history: in a submitted job, in an image.
COMMIT_VARIABLE = "DISTMARL_COMMIT"
DIRTY = "-dirty"
MOST = 2**63  # of any number: nor is it infinite, nor no number at all


def describe_session(command: list[str], resources: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a session at its start.

    Parameters
    ----------
    command : list of str
        The command line.
    resources : dict
        What the tasks run on.
    """
    commit = _commit()
    return {
        "command": command,
        "started_at": timestamp(),
        "distmarl": __version__,
        "commit": None if commit is None else commit.removesuffix(DIRTY),
        "dirty": None if commit is None else commit.endswith(DIRTY),
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "hostname": socket.gethostname(),
        "resources": resources,
    }


def find_fault(provenance: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the content of a provenance, as far as others rely on it; None where nothing is."""
    if not isinstance(provenance.get("sweep"), str):
        return "it names no sweep"
    sessions = provenance.get("sessions")
    if not isinstance(sessions, list) or not sessions:
        return "it has no list of sessions"
    for number, session in enumerate(sessions):
        place = f"sessions[{number}]"
        if not isinstance(session, dict):
            return f"{place} must be an object, got {session!r}"
        for name, (kind, check) in SESSION_KEYS.items():
            if name not in session and name in REQUIRED:
                return f"{place} has no {name}"
            if name in session and not check(session[name]):
                return f"{place}.{name} must be {kind}, got {session[name]!r}"
    return None


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and -MOST < value < MOST


def _is_resources(value: Any) -> bool:
    nodes = value.get("nodes", []) if isinstance(value, dict) else None
    return isinstance(nodes, list) and all(
        isinstance(node, dict) and all(_is_number(node.get(name, 0)) for name in ("CPU", "memory")) for node in nodes
    )


# What is read of a session: what it must be, and whether it is that.
SESSION_KEYS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "command": ("a list of words", _is_words),
    "started_at": ("a time with its zone", _is_time),
    "ended_at": ("a time with its zone", _is_time),
    "tables": ("a list of words", _is_words),
    "packages": ("an object", _is_object),
    "resources": ("an object, with nodes and their numbers", _is_resources),
    "done": ("a number", _is_number),
    "failed": ("a number", _is_number),
}
REQUIRED = ("command", "started_at")


def _commit() -> str | None:
    """Return the commit of the checkout that distmarl runs from; of a copy, what whoever made it says."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE) or None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=40", f"--dirty={DIRTY}"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
