"""What the tests of sweeps share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands import blanked_figures


@pytest.fixture(scope="package", autouse=True)
def _blank_figures() -> Iterator[None]:
    """Leave figures empty: how they look is what the tests of the report are about."""
    with blanked_figures():
        yield
