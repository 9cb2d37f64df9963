"""Names of files and folders: as people type them, and as they can be typed again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from distmarl.errors import DistmarlError


def typed_path(path: str | Path, fault: type[DistmarlError]) -> str:
    """Return a path that someone typed, with its ``~`` or ``~user`` expanded: a shell leaves that of ``--out=~/x``.

    Raises
    ------
    DistmarlError
        Of the type ``fault``, when the name is not UTF-8 text: tables, pages and Arrow's file systems know no other.
    """
    expanded = os.path.expanduser(path)  # noqa: PTH111  # Path takes ./~ for the home, and a name like ~x for an error
    whole = str(Path(expanded).absolute())
    if not is_utf8(whole):
        raise fault(f"{printable(whole)}: the name is not UTF-8 text; choose another one")
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
