"""The place of a local Ray: a private folder with a short path, a token of its own, and an end with this process."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from distmarl.errors import ExecutorError
from distmarl.paths import shell_words
from distmarl.sweep.clusters import keeper

# A socket's path may have 107 bytes on Linux and 103 on macOS; below its folder Ray needs 64 of them, we 14.
MAX_PATH = (107 if sys.platform == "linux" else 103) - 64 - 14
USUAL_PLACE = "/tmp"
TOKEN_FILE = Path(".ray", "auth_token")

# One for all local Rays of this process: Ray reads it once.
_token = secrets.token_hex(32)


class Keeper:
    """A process that outlives this one, tidies up after it and speaks for it.

    Parameters
    ----------
    *folder : str
        The private folder of a local Ray, if there is one.
    """

    def __init__(self, *folder: str) -> None:
        words = f"the sweep was ended from outside; what was done is kept. To go on: {shell_words(sys.orig_argv)}"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, words, *folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not meant for it
        )

    def close(self, *, keep: bool = False) -> None:
        """Let it tidy up, all but the folder where that is to be kept."""
        if self._process.poll() is None:
            with suppress(BrokenPipeError):
                self._process.communicate(keeper.KEEP if keep else keeper.END)


class LocalPlace:
    """Where a local Ray lives, while it does.

    Nobody else can enter its folder, which goes when the Ray ends. So does whatever of that Ray is left, also when this
    process is killed. Its token is known to this process and those that it starts: no file is needed, nor a home.

    Attributes
    ----------
    temp_dir : str
        What Ray is to take for its temporary folder.
    note : str or None
        Why it is not where the environment says.

    Raises
    ------
    ExecutorError
        When there is no place for the folder.
    """

    def __init__(self) -> None:
        name, base = _asked_for()
        fault = _fault(base)
        self.note = None
        if fault:
            if usual_fault := _fault(USUAL_PLACE):
                raise ExecutorError(
                    f"cannot start a local Ray: {name} ({base}) {fault}, and {USUAL_PLACE} {usual_fault}; set "
                    "RAY_TMPDIR to a folder with a short path that can be written, or use --executor serial"
                )
            base = USUAL_PLACE
        # Ray opens its temporary folder to everybody, so it gets one within ours.
        self._folder = tempfile.mkdtemp(prefix="dm-", dir=base)
        self.temp_dir = str(Path(self._folder, "r"))
        if fault:
            self.note = f"{name} ({_asked_for()[1]}) {fault}: the local Ray keeps its files in {self._folder}"
        self._keeper = Keeper(self._folder)
        self._has_own_token = not any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
        if self._has_own_token:
            os.environ["RAY_AUTH_TOKEN"] = _token

    @property
    def has_logs(self) -> bool:
        """Whether Ray has come so far as to write any."""
        return Path(self.temp_dir).exists()

    def close(self, *, keep: bool = False) -> None:
        """End what is left of the Ray, and delete its folder unless it is to be kept for its logs."""
        if self._has_own_token:
            os.environ.pop("RAY_AUTH_TOKEN", None)
        self._keeper.close(keep=keep)
        if not keep:
            shutil.rmtree(self._folder, ignore_errors=True)


def readable_token() -> str | None:
    """Return what to say of the file with Ray's token, if others can read it and it counts."""
    if "RAY_AUTH_TOKEN" in os.environ:
        return None
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path(os.environ.get("HOME", "/"), TOKEN_FILE))
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not mode & 0o044:
        return None
    return (
        f"{path}: others on this machine can read Ray's token, and so run what they like on a Ray that asks for it; "
        f"chmod 600 {path}"
    )


def _asked_for() -> tuple[str, str]:
    """Return where Ray's temporary folder shall lie, as Ray understands the environment, and what says so."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if (name == "RAY_TMPDIR" or sys.platform == "linux") and os.environ.get(name):
            return name, os.environ[name]
    return "the usual place", USUAL_PLACE


def _fault(folder: str) -> str | None:
    """Return why Ray's files cannot be in a folder; None if they can."""
    if not Path(folder).is_absolute():
        return "is not an absolute path"
    if len(os.fsencode(folder)) > MAX_PATH:
        return f"is too long for Ray's sockets (more than {MAX_PATH} bytes)"
    if not Path(folder).is_dir():
        return "is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written"
    return None
