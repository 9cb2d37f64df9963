"""How much effort a sweep asks for in the search for the best pair, as columns of what was found by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distmarl.model.options import Experiment


def asked_effort(experiment: Experiment) -> dict[str, Any]:
    """Return the bounds on the effort of a search, as columns."""
    return {
        "asked_max_enumerated": experiment.welfare_max_enumerated,
        "asked_starts": experiment.welfare_starts,
    }


def is_of_effort(row: Mapping[str, Any], experiment: Experiment) -> bool:
    """Return whether a row comes from a search within the bounds that a sweep asks for."""
    return all(row[name] == value for name, value in asked_effort(experiment).items())
