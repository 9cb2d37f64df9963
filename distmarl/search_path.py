"""Where modules are looked for: what is installed comes before what lies in someone's folder.

``python -m`` puts the current folder before everything, so that any file there, a ``queue.py`` or a ``pandas.py``,
stands in for the library of that name. Importing this module puts it behind, where it is one of our commands that
Python is about to run; distmarl imports it first of all.
"""

from __future__ import annotations

import sys
from pathlib import Path


def look_in(*folders: Path) -> None:
    """Let modules be found in some folders, too, if they are found nowhere else."""
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def _starts_command() -> bool:
    """Return whether Python is looking for one of our modules to run, with the current folder first."""
    words, keeps_it_out = sys.orig_argv, sys.flags.isolated or getattr(sys.flags, "safe_path", False)
    module = words[words.index("-m") + 1] if sys.argv[:1] == ["-m"] and "-m" in words[:-1] else ""
    return module.partition(".")[0] == __name__.partition(".")[0] and not keeps_it_out


if _starts_command():
    sys.path.append(sys.path.pop(0))
