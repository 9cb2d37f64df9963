"""The rewards of several sweeps in one figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from distmarl.errors import ResultsError
from distmarl.report.catalogue import FIGURES
from distmarl.report.numbers import Numbers
from distmarl.results.grid_columns import content_of

NAME = "comparison"


def comparison(numbers: Sequence[Numbers]) -> Figure:
    """Draw the rewards of some sweeps against k, named by the sweeps, and what nobody earns more than.

    A game's ceiling is known where any of its sweeps has it. It is a level where all sweeps are about one game, else a
    short line in the colours of the game's sweeps, or in their panels.

    Parameters
    ----------
    numbers : sequence of Numbers
        What each of the results folders holds.

    Raises
    ------
    ResultsError
        When returns are over different numbers of steps.
    """
    n_of_name = Counter(one.sweep.name for one in numbers)
    summaries, bounds, games = [], [], []
    for place, one in enumerate(numbers):
        name = one.sweep.name if n_of_name[one.sweep.name] == 1 else str(one.folder)
        summary = one.summary.assign(setting_id=[f"{place} {setting_id}" for setting_id in one.summary["setting_id"]])
        summary["label"] = [f"{name}, {label}" if label else name for label in summary["label"]]
        summaries.append(summary)
        games += [
            {"setting_id": f"{place} {row['setting_id']}", "folder": str(one.folder), **_game(row)}
            for row in one.settings.to_dict("records")
        ]
        bounds.append(
            one.bounds.assign(setting_id=[f"{place} {setting_id}" for setting_id in one.bounds["setting_id"]])
        )
    known = pd.DataFrame(games)
    _check_horizons(known)
    of_game = pd.concat(bounds)[["setting_id", "horizon", "ceiling"]].merge(known[["setting_id", "game"]])
    shared = known[["setting_id", "game"]].merge(
        of_game.dropna().drop_duplicates("game")[["game", "horizon", "ceiling"]], on="game"
    )
    ends = [one.unfinished for one in numbers if one.unfinished]
    draw = FIGURES["reward_vs_k"].draw
    figure = draw(pd.concat(summaries, ignore_index=True), bounds=shared, unfinished="; ".join(ends) or None)
    assert figure is not None  # there are rows
    return figure


def _game(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what tells the game of a setting from others, and over how many steps its returns are."""
    content = content_of(row)
    horizon = content["evaluation"]["horizon"]
    return {"game": json.dumps([content["environment"], horizon], sort_keys=True), "steps": horizon}


def _check_horizons(known: pd.DataFrame) -> None:
    """Refuse returns that are over different numbers of steps."""
    steps = known.drop_duplicates("steps")
    if len(steps) > 1:
        first, other = steps.to_dict("records")[:2]
        raise ResultsError(
            f"returns are over {first['steps']} steps in {first['folder']} and over {other['steps']} in "
            f"{other['folder']}; compare sweeps with the same evaluation.horizon"
        )
