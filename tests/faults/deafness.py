"""Code that its deadline does not reach."""

from __future__ import annotations

import time


class Deaf:
    """Takes its time to go. Python swallows whatever is raised in it meanwhile."""

    def __del__(self) -> None:
        linger()


def linger() -> None:
    """Take longer than any deadline."""
    time.sleep(600)


def listen_to_nothing() -> None:
    """Run for ever, in small steps."""
    while True:
        time.sleep(0.001)
