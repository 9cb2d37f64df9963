"""Numbers and names as words: times, sizes, plurals, and text that fits into a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone

# Units of time in seconds, the largest first.
TIME_UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}
SEPARATOR = " · "
# What a terminal obeys rather than shows, what turns the direction of a line, halves of characters, and none at all.
CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def duration(seconds: float) -> str:
    """Return a time as text, in its two largest units: ``2 h 5 min``; a short one, unless whole, with two digits."""
    if isinstance(seconds, float) and seconds < 9.95:
        return f"{seconds:.1f} s" if seconds >= 0.095 else f"{1000 * seconds:.2g} ms"
    whole = round(seconds)
    (unit, size), *smaller = (each for each in TIME_UNITS.items() if whole >= each[1] or each[1] == 1)
    rest = [f"{whole % size // part} {name}" for name, part in smaller[:1]]
    return " ".join([f"{whole // size} {unit}", *rest])


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit: ``3 h ago``."""
    seconds = max(0.0, seconds)
    unit, size = next(each for each in TIME_UNITS.items() if seconds >= each[1] or each[1] == 1)
    number = int(seconds // size)
    return f"{counted(number, 'day') if unit == 'd' else f'{number} {unit}'} ago"


def timestamp(precision: str = "seconds") -> str:
    """Return the present time as ISO 8601 text, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec=precision)


def fixed(number: float, decimals: int, *, signed: bool = False) -> str:
    """Return a number with so many decimals; one that rounds to zero has no sign."""
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    return text if any(digit in text for digit in "123456789") or not math.isfinite(number) else text.lstrip("+-")


def counted(number: float, noun: str) -> str:
    """Return ``1 node`` or ``2 nodes``."""
    amount = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{amount} {noun}" if number == 1 else f"{amount} {noun}s"


def listed(names: Sequence[str], at_most: int) -> str:
    """Return names with commas between them; of many, the first."""
    more = [f"and {len(names) - at_most:,} more"] if len(names) > at_most else []
    return ", ".join([*names[:at_most], *more])


def mebibytes(n_bytes: float) -> str:
    """Return a number of bytes as text."""
    return f"{n_bytes / 2**20:,.0f} MiB"


def harmless(text: str) -> str:
    """Return a text in which control characters are spelt out: an escape as backslash, x, 1, b."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, width: int) -> str:
    """Return a text that fits, without its middle where it is too long."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}" if width > 2 else text[:width]


def fitting_label(label: str, width: int) -> str:
    """Return a setting's label, ``n_agents=30, gamma=0.9``, that fits: all of it, or its values, or nothing."""
    values = ", ".join(part.rpartition("=")[2] for part in label.split(", "))
    return next((text for text in (label, values) if len(text) <= width), "")


def packed(parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield lines of as many parts as fit."""
    line = ""
    for part in (shortened(part, width) for part in parts if part):
        if line and len(line) + len(SEPARATOR) + len(part) > width:
            yield line
            line = ""
        line = f"{line}{SEPARATOR}{part}" if line else part
    if line:
        yield line
