"""Where results come from: versions, commit, command and platform of every session."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import distmarl

PACKAGES = ("numpy", "ray", "pyarrow", "pandas", "matplotlib")
# Names the commit where the code is a copy without its history: in a submitted job, in an image.
COMMIT_VARIABLE = "DISTMARL_COMMIT"


def describe_session(command: list[str]) -> dict[str, Any]:
    """Return what is known of a session at its start."""
    return {
        "command": command,
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "distmarl": distmarl.__version__,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": platform.machine(),
        "hostname": socket.gethostname(),
    }


def _commit() -> str | None:
    """Return the commit of the checkout that distmarl runs from; of a copy, what whoever made it says."""
    root = Path(distmarl.__file__).parent.parent
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE) or None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
