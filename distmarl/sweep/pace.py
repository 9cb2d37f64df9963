"""How often the driver does what takes time: writing parts and tables, and speaking up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

# What completes is committed at once, or when tasks are short, together, to take at most this share of the time.
COMMIT_SHARE = 0.2
MAX_COMMIT_DELAY_S = 1.0
# Publishing rewrites whole tables: the larger they are, the rarer.
PUBLISH_EVERY_S = 20.0
PUBLISH_SHARE = 0.05
# When nothing has completed for so long it is time to ask why; then again after twice as long, and so on.
SILENCE_S = 60.0
# Signals are looked at so often.
POLL_S = 0.5


class Pace:
    """The clock of a driver."""

    def __init__(self) -> None:
        now = time.monotonic()
        self._commit_at = now
        self._publish_at = now + PUBLISH_EVERY_S
        self._silence_s = SILENCE_S
        self._speak_at = now + SILENCE_S

    @property
    def may_commit(self) -> bool:
        """Whether what is completed should wait no longer."""
        return time.monotonic() >= self._commit_at

    @property
    def may_publish(self) -> bool:
        """Whether the tables should be brought up to date."""
        return time.monotonic() >= self._publish_at

    def time_to_speak(self) -> bool:
        """Return whether nothing has completed for long; then not again for twice as long."""
        if time.monotonic() < self._speak_at:
            return False
        self._silence_s *= 2
        self._speak_at = time.monotonic() + self._silence_s
        return True

    def timeout_s(self, *, commit_waits: bool) -> float:
        """Return how long to wait for tasks before something else is due."""
        return min(POLL_S, max(0.0, self._commit_at - time.monotonic())) if commit_waits else POLL_S

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Take the time of a commit."""
        started_at = time.monotonic()
        yield
        now = time.monotonic()
        self._commit_at = now + min((now - started_at) / COMMIT_SHARE, MAX_COMMIT_DELAY_S)
        self._silence_s = SILENCE_S
        self._speak_at = now + SILENCE_S

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Take the time of a publication."""
        started_at = time.monotonic()
        yield
        now = time.monotonic()
        self._publish_at = now + max((now - started_at) / PUBLISH_SHARE, PUBLISH_EVERY_S)
