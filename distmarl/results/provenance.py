"""Where results come from: versions, commit, command and platform of every session."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import distmarl

PACKAGES = ("numpy", "ray", "pyarrow", "pandas", "matplotlib")


def describe_session(command: list[str], resources: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a session at its start.

    Parameters
    ----------
    command : list of str
        The command line.
    resources : dict
        What the tasks run on.
    """
    commit = _git("rev-parse", "HEAD")
    return {
        "command": command,
        "started_at": now(),
        "distmarl": distmarl.__version__,
        "commit": commit,
        "dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "hostname": socket.gethostname(),
        "resources": resources,
    }


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _git(*arguments: str) -> str | None:
    """Return what git says of the checkout that distmarl runs from, if it is one."""
    root = Path(distmarl.__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
