"""What a grid varies: dotted keys, or whole sections, whose values are mappings of several keys at once.

``environment: [{name: robots}, {name: formation, n_agents: 50}]`` varies ``environment.name`` and
``environment.n_agents``. A value sets its keys over those of the file's own section. Tables have a column for each
dotted key, whichever way it is varied.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

GRID_SECTIONS = ("environment", "global_agent", "local_agent", "alternating", "evaluation")
GRID_EXPERIMENT_KEYS = ("reference_k", "seed")


def varied_keys(grid: Mapping[str, Iterable[Any]]) -> list[str]:
    """Return every dotted key that a grid varies, by itself or in values of its section, in order."""
    keys = [(key, values) for key, values in grid.items()]
    found = (
        [f"{key}.{name}" for value in values for name in value] if key in GRID_SECTIONS else [key]
        for key, values in keys
    )
    return [*dict.fromkeys(key for each in found for key in each)]


def values_by_section(combination: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return one combination of a grid's values as sections with keys."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in combination.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {}).update({name: value} if name else value)
    return sections


def label_of(combination: Mapping[str, Any], game: str) -> str:
    """Return a combination in short.

    Parameters
    ----------
    combination : mapping
        The grid's keys and values.
    game : str
        The setting's game, by which a value of the section ``environment`` is called.

    Examples
    --------
    >>> label_of({"environment": {"name": "formation", "n_agents": 50}, "experiment.seed": 1}, "formation")
    'formation(n_agents=50), seed=1'
    """
    parts = []
    for key, name, value in zip(combination, short_names(combination), combination.values(), strict=True):
        if key in GRID_SECTIONS:
            inner = [f"{each}={value[each]}" for each in value if key != "environment" or each != "name"]
            called = game if key == "environment" else key
            parts.append(f"{called}({', '.join(inner)})" if inner else called)
        else:
            parts.append(f"{name}={value}")
    return ", ".join(parts)


def short_names(keys: Collection[str]) -> Collection[str]:
    """Return dotted keys without their sections, where that is clear."""
    short = [key.rpartition(".")[2] for key in keys]
    return short if len(set(short)) == len(keys) else keys
