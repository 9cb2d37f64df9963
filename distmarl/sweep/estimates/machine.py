"""What this process may use of its machine: cores and memory.

A batch system or a container gives a process less than the machine has: some of its cores (the affinity), a share of
their time or a part of the memory (the limits of the cgroups that it is in, each inside the next).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def machine_cores() -> tuple[int, str]:
    """Return how many cores this process may use, and where the number comes from, in words that follow it.

    Of a share of a core that is not whole, the whole ones count, so that no more is asked for than there is.
    """
    there = os.cpu_count() or 1
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there  # macOS has none
    quota = min(_quotas(), default=float(own))
    if quota < own:
        return max(1, int(quota)), f" of this machine's {there}, as the cgroup's quota of {quota:g} says"
    if own < there:
        return own, f" of this machine's {there}, as this process's CPU affinity says"
    return there, " of this machine"


def machine_memory() -> int:
    """Return the bytes of memory that this process may use."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _own_cgroups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limits += [int(text) for text in _words(folder / name) if text.isdecimal()]
    return min(limits)


def _quotas() -> Iterator[float]:
    """Yield the cores' worth of time that each cgroup grants, where it limits it."""
    for folder in _own_cgroups("cpu"):
        of_version_1 = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        for words in (_words(folder / "cpu.max"), of_version_1):
            if len(words) == 2 and all(map(str.isdecimal, words)):  # "max" and -1 are no limit
                yield int(words[0]) / int(words[1])


def _own_cgroups(controller: str) -> Iterator[Path]:
    """Yield the folders of the cgroups that this process is in and that may limit a resource, in both versions.

    A container may show its own cgroup as the root, while it tells the path that the host knows it by; what is not
    there limits nothing.
    """
    for line in _lines(OWN_CGROUPS):
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root, inside = CGROUPS / (controller if controllers else ""), PurePosixPath(path.lstrip("/"))
            if ".." not in inside.parts:
                yield from (root / part for part in (inside, *inside.parents))


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of the system, none where it has no such file."""
    with suppress(OSError):
        return path.read_text().splitlines()
    return []
