from __future__ import annotations

from collections.abc import Iterator

import pytest

from distmarl.report.catalogue import FIGURES
from distmarl.report.page.page_tables import PAGE_TABLES


@pytest.fixture(autouse=True)
def _records_stay_in_order() -> Iterator[None]:
    """Bring the lists of records back in their order: what monkeypatch puts back comes last."""
    kept = [(records, dict(records)) for records in (FIGURES, PAGE_TABLES)]
    yield
    for records, whole in kept:
        records.clear()
        records.update(whole)  # type: ignore[arg-type]
