"""JSON that lies in a results folder, which somebody else may have written."""

from __future__ import annotations

import json
from typing import Any

from distmarl.config.reading import TOO_DEEP, nests_too_deeply


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    ValueError
        When it is no JSON, or is nested deeper than anything that is written here.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if nests_too_deeply(value):
        raise ValueError(TOO_DEEP)
    return value
