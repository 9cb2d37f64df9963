"""The headline of a report: what seeing more is worth, and how much of it is enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from distmarl.report.numbers import Numbers
from distmarl.report.returns import (
    OF_FIRST_TRAINING,
    WELFARE_GAPS,
    bracket,
    has_trainings,
    improvement,
    known_returns,
    welfare_meaning,
)

SHARE = 0.95
FULL, BLIND = "full_information", "blind"


class _Value(NamedTuple):
    """What a setting is worth at one k."""

    k: int
    known_return: float
    exact_return: float


@dataclass(frozen=True, slots=True)
class FullInformation:
    """What the game is worth to a global agent that sees everybody.

    Attributes
    ----------
    value : float
        The value (reward).
    source : str
        Where it comes from, in words.
    """

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What one setting comes down to.

    Attributes
    ----------
    label : str
        The setting's grid values in short.
    first, last : dict
        The summary's rows of the smallest and of the largest evaluated k, with ``known_return``: the exact return, or
        the rollouts' mean where none is known.
    absolute, percent : float
        What the largest k gains over the smallest: in reward, and in per cent of the smallest's size (NaN for 0).
    full : FullInformation, optional
        The value with full information; None where the sweep has none.
    reached_at : int, optional
        The smallest evaluated k whose value is at least ``SHARE`` of that; None where there is none.
    falls_below_at : tuple of int
        Larger evaluated k whose value is less than that again.
    blind : float, optional
        What the best pair earns whose global agent sees nobody; None where the sweep has no such baseline.
    """

    label: str
    first: dict[str, Any]
    last: dict[str, Any]
    absolute: float
    percent: float
    full: FullInformation | None
    reached_at: int | None
    falls_below_at: tuple[int, ...]
    blind: float | None = None

    @property
    def is_sight_unpaid(self) -> bool:
        """Whether the best pair that sees nobody earns no less than the largest k."""
        return self.blind is not None and self.blind >= self.last["known_return"]

    @property
    def ceiling_share(self) -> float | None:
        """Where between random actions and what nobody earns more than the largest k is; None where not known."""
        share = float(self.last.get("ceiling_share", math.nan))
        return None if math.isnan(share) else share

    def welfare_gap(self, decimals: int) -> str | None:
        """Return what the best pair would gain over the largest k's, by bounds, as text; None where not known."""
        low, high = (float(self.last.get(name, math.nan)) for name in WELFARE_GAPS)
        return None if math.isnan(low) and math.isnan(high) else bracket(low, high, decimals)

    @property
    def welfare_meaning(self) -> str:
        """What the welfare gap means, in words."""
        return welfare_meaning(not math.isnan(self.last["welfare_lower"]), self.last["welfare_steps"])

    @property
    def is_of_poor_pairs(self) -> bool:
        """Whether it is known, or not ruled out, that other local policies earn clearly more than full information.

        A welfare gap's upper end proves no gap, and neither does a ceiling: both only fail to rule one out. The upper
        end counts where nothing else is known: a search that found little, or a near ceiling, says more than it does.
        """
        share = self.ceiling_share
        found, most = (float(self.last.get(name, math.nan)) for name in WELFARE_GAPS)
        missing = most if math.isnan(found) and share is None else found
        is_below = self.full is not None and missing > (1 - SHARE) * abs(self.full.value)
        return is_below or (share is not None and share < SHARE)

    @property
    def has_share(self) -> bool:
        """Whether a share of the value with full information means anything: only of a positive one."""
        return self.full is not None and self.full.value > 0


def reached_text(headline: Headline) -> str:
    """Return the k at which the share of full information is reached, or why there is none."""
    if headline.full is None:
        return "not known"
    if not headline.has_share:
        return "not defined"
    if headline.reached_at is None:
        return "not reached"
    return f"{headline.reached_at}"


def find_headlines(numbers: Numbers) -> list[Headline]:
    """Return the headline of each setting, in the sweep's order."""
    return headlines(numbers.summary, numbers.baselines, numbers.n_agents)


def headlines(summary: pd.DataFrame, baselines: pd.DataFrame, n_agents: dict[str, int]) -> list[Headline]:
    """Return the headline of each setting, in the summary's order.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.returns.summarise` returns.
    baselines : DataFrame
        Rows of the table ``baselines``.
    n_agents : dict
        The number of local agents of each setting, by its id.
    """
    gains = {gain["setting_id"]: gain for gain in improvement(summary).to_dict("records")}
    full_values, blind_values = (_values_of(baselines, name) for name in (FULL, BLIND))
    points = summary.assign(known_return=known_returns(summary))
    # Settings stand together. There may be thousands, for each of which a frame would take milliseconds.
    starts = np.flatnonzero(
        np.append(True, points["setting_id"].to_numpy()[1:] != points["setting_id"].to_numpy()[:-1])
    )
    ends = np.append(starts[1:], len(points))
    firsts, lasts = (
        [{str(name): value for name, value in row.items()} for row in points.iloc[places].to_dict("records")]
        for places in (starts, ends - 1)
    )
    known = list(zip(*(points[name].tolist() for name in _Value._fields), strict=True))
    whose = f" ({OF_FIRST_TRAINING})" if has_trainings(summary) else ""
    found = []
    for first, last, start, end in zip(firsts, lasts, starts, ends, strict=True):
        values = [_Value(*each) for each in known[start:end]]
        name = first["setting_id"]
        full = _full_information(values, full_values.get(name), n_agents[name], whose)
        gain = gains[name]
        reached, below = _reached(values, full)
        blind = blind_values[name]["value"] if name in blind_values else None
        found.append(
            Headline(gain["label"], first, last, gain["absolute"], gain["percent"], full, reached, below, blind)
        )
    return found


def _values_of(baselines: pd.DataFrame, name: str) -> dict[Any, dict[Any, Any]]:
    """Return what a baseline is worth in each setting, exactly where that is known, and by which method."""
    own = baselines[baselines["baseline"] == name].sort_values("method")  # an exact one first
    return own.drop_duplicates("setting_id").set_index("setting_id")[["value", "method"]].to_dict("index")


def _full_information(
    values: Sequence[_Value], baseline: Mapping[Any, Any] | None, n_agents: int, whose: str
) -> FullInformation | None:
    """Return the baseline with full information, or else the value at k = n; None where there is neither."""
    if baseline is not None:
        source = f"the baseline full_information{whose}, by {_method(baseline['method'])}"
        return FullInformation(float(baseline["value"]), source)
    all_seen = next((value for value in values if value.k == n_agents), None)
    if all_seen is None:
        return None
    method = "rollouts" if math.isnan(all_seen.exact_return) else "exact"
    return FullInformation(float(all_seen.known_return), f"k = n = {n_agents}, by {_method(method)}")


def _method(method: str) -> str:
    return {"exact": "the exact return"}.get(method, method)


def _reached(values: Sequence[_Value], full: FullInformation | None) -> tuple[int | None, tuple[int, ...]]:
    """Return the first k that reaches the share, and the later ones that do not."""
    if full is None or full.value <= 0:
        return None, ()
    is_enough = {value.k: value.known_return >= SHARE * full.value for value in values}
    first = next((k for k, enough in is_enough.items() if enough), None)
    if first is None:
        return None, ()
    return first, tuple(k for k, enough in is_enough.items() if k > first and not enough)
