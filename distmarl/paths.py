"""Names of files and folders: as people type them, and as they can be typed again."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from distmarl.errors import DistmarlError


def typed_path(path: str | Path, fault: type[DistmarlError]) -> str:
    """Return a path that someone typed, with its ``~`` or ``~user`` expanded: a shell leaves that of ``--out=~/x``.

    Raises
    ------
    DistmarlError
        Of the type ``fault``, when there is no name, as of a shell's variable that is not set; when it is not UTF-8
        text, since tables, pages and Arrow's file systems know no other; or when it is relative to no folder.
    """
    if path == "":
        raise fault("'': is no name of a file or folder; is a variable of the shell not set?")
    expanded = os.path.expanduser(path)  # noqa: PTH111  # Path takes ./~ for the home, and a name like ~x for an error
    try:
        whole = str(Path(expanded).absolute())
    except FileNotFoundError:
        raise fault(f"{printable(expanded)}: the current folder is no longer there; cd to one that is") from None
    if not is_utf8(whole):
        raise fault(f"{printable(whole)}: the name is not UTF-8 text; choose another one")
    encoding = sys.getfilesystemencoding()
    if not whole.isascii() and encoding != "utf-8":  # Arrow would look for another file than Python
        raise fault(f"{printable(whole)}: the locale has {encoding} for names of files; set PYTHONUTF8=1")
    return expanded


def is_utf8(text: str) -> bool:
    """Return whether a name is UTF-8 text on the disk, too."""
    try:
        os.fsencode(text).decode()
    except UnicodeError:
        return False
    return True


def printable(text: str) -> str:
    """Return a text with whatever is no text escaped."""
    return text.encode(errors="backslashreplace").decode()


def unmistakable(path: str) -> str:
    """Return a relative path as nothing takes it for an option, a home or a URI."""
    return f"./{path}" if path.startswith(("-", "~")) or ":" in path.partition("/")[0] else path


def shell_words(words: Iterable[str]) -> str:
    """Return words as they are typed in a shell, in one line, whatever is in them."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    characters = (f"\\{each}" if each in "'\\" else each if each.isprintable() else _escaped(each) for each in word)
    return f"$'{''.join(characters)}'"


def _escaped(character: str) -> str:
    is_byte = "\udc80" <= character <= "\udcff"  # as Python keeps what is not UTF-8
    content = character.encode(errors="surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in content)
