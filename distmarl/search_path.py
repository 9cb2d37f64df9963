"""Where modules are looked for: what is installed comes before what lies in someone's folder.

``python -m`` puts the current folder before everything, so that any file there, a ``queue.py`` or a ``pandas.py``,
stands in for the library of that name. Importing this module takes it away where it is one of our commands that
Python is about to run, or puts it behind if it is where distmarl itself was found. So distmarl imports it first of all,
and it imports only what Python has imported by then.
"""

import os
import sys


def look_in(*folders: "os.PathLike[str]") -> None:
    """Let modules be found in some folders, too, if they are found nowhere else."""
    for folder in map(os.fspath, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def _starts_command() -> bool:
    """Return whether Python is looking for one of our modules to run, with the current folder first."""
    words, keeps_it_out = sys.orig_argv, sys.flags.isolated or getattr(sys.flags, "safe_path", False)
    module = words[words.index("-m") + 1] if sys.argv[:1] == ["-m"] and "-m" in words[:-1] else ""
    return module.partition(".")[0] == __name__.partition(".")[0] and not keeps_it_out


if _starts_command():
    _first = sys.path.pop(0)
    if os.path.realpath(_first) == os.path.realpath(__file__ + "/../.."):
        sys.path.append(_first)
