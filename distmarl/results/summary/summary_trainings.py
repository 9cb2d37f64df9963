"""The columns of the table ``summary`` that are about several trainings: each by itself first, then all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distmarl.model.arrays import Array
from distmarl.results.summary.summary_points import Points
from distmarl.values.components import Components, estimate_stratified_mean, pooled_std, variance_components
from distmarl.values.intervals import MeanEstimate, estimate_mean

Row = dict[str, Any]


class Trainings:
    """The trainings of some points.

    Parameters
    ----------
    points : Points
        The points.
    """

    def __init__(self, points: Points) -> None:
        self._each = points.by_training
        self._n = points.n_trainings
        self._starts = np.cumsum(self._n) - self._n

    def columns(self, place: int, row: Mapping[str, Any]) -> Row:
        """Return the columns about a point's trainings; of several, also those that a single one has by itself.

        Parameters
        ----------
        place : int
            Number of the point.
        row : mapping
            Its other columns, over all evaluations.
        """
        runs = slice(self._starts[place], self._starts[place] + self._n[place])
        train_seeds = self._each.train_seeds[runs].tolist()
        seed_means = self._each.seed_means.runs(runs)
        if len(train_seeds) == 1:
            scatter = row["std_return"]
            components = Components(math.nan, math.nan if scatter is None else scatter)
            found = _over_trainings(train_seeds, np.array([row["mean_return"]]), components)
            known = {"training_differences": [row.get("difference")]}
            return {**found, **known, "training_mode_accuracies": [row["mode_accuracy"]]}
        returns = self._each.returns.runs(runs)
        earned = np.array([each.mean() for each in returns])
        return {
            **_of_these_pairs(returns, seed_means),
            **_over_trainings(train_seeds, earned, variance_components(seed_means)),
            **_differences(_means(self._each.differences.runs(runs))),
            "training_mode_accuracies": _means(self._each.accuracies.runs(runs)),
        }


def exact_columns(
    exact: Sequence[Mapping[str, Any]], row: Mapping[str, Any], before: Sequence[Mapping[str, Any]] = ()
) -> Row:
    """Return the row of a point whose exact returns are known.

    The difference to the next smaller k is that of the exact returns. Of a single training with rollouts at both k, it
    stays that of their pairs, which has an interval.

    Parameters
    ----------
    exact : sequence of rows
        Rows of the table ``exact_returns``, one for each training.
    row : mapping
        What is known of the point's rollouts; empty where there are none.
    before : sequence of rows, optional
        Such rows of the next smaller k; none where its exact returns are not known.
    """
    exact = sorted(exact, key=lambda each: each["train_seed"])
    earned, bounds = (np.array([each[name] for each in exact]) for name in ("exact_return", "exact_bound"))
    train_seeds = [each["train_seed"] for each in exact]
    found = _over_trainings(train_seeds, earned, Components(_scatter(earned), 0.0))
    nothing = {"training_differences": [None] * len(exact), "training_mode_accuracies": [None] * len(exact)}
    if row and row["train_seeds"] != train_seeds:
        nothing |= {name: _at(train_seeds, row["train_seeds"], row[name]) for name in nothing}
    place = {name: exact[0][name] for name in ("sweep", "setting_id", "k")}
    gained = {} if len(exact) == 1 and row.get("difference") is not None else _exact_differences(exact, before)
    about = {"n_seeds": 0, "n_rollouts": 0, **nothing, **row, **found, **gained, **place}
    return {**about, "exact_return": float(earned.mean()), "exact_bound": float(bounds.mean())}


def _over_trainings(train_seeds: list[int], earned: Array, components: Components) -> Row:
    """Return the columns about what the trainings earn."""
    estimate = estimate_mean(earned)
    share = components.between_share
    return {
        "n_train_seeds": len(train_seeds),
        "trainings_mean": estimate.mean,
        "trainings_ci95_low": _or_null(estimate.ci95_low),
        "trainings_ci95_high": _or_null(estimate.ci95_high),
        "trainings_median": float(np.median(earned)),
        "trainings_min": float(earned.min()),
        "trainings_max": float(earned.max()),
        "trainings_std": _or_null(_scatter(earned)),
        "between_trainings_std": _or_null(components.between_std),
        "between_seeds_std": _or_null(components.within_std),
        "between_trainings_share": _or_null(share),
        "between_seeds_share": _or_null(1 - share),
        "train_seeds": train_seeds,
        "training_returns": earned,
    }


def _of_these_pairs(returns: Sequence[Array], seed_means: Sequence[Array]) -> Row:
    """Return the columns about these pairs of policies alone, whatever other trainings would earn."""
    over_rollouts = estimate_stratified_mean(returns)
    return {
        "n_seeds": max(map(len, seed_means)),
        "mean_return": over_rollouts.mean,
        **_uncertainty("", over_rollouts),
        **_uncertainty("seeds_", estimate_stratified_mean(seed_means)),
        "std_return": _or_null(pooled_std(seed_means)),
    }


def _exact_differences(exact: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> Row:
    """Return the columns about the difference of exact returns; none where no training has them at both k."""
    earlier = {row["train_seed"]: row["exact_return"] for row in before}
    if not any(row["train_seed"] in earlier for row in exact):
        return {}
    each = [row["exact_return"] - earlier[row["train_seed"]] if row["train_seed"] in earlier else None for row in exact]
    return {"previous_k": before[0]["k"], **_differences(each)}


def _differences(each: list[float | None]) -> Row:
    """Return the columns about the difference to the next smaller k: the mean of those of the trainings."""
    known = [difference for difference in each if difference is not None]
    if not known:
        return {"training_differences": each}
    estimate = estimate_mean(known)
    return {"training_differences": each, "difference": estimate.mean, **_uncertainty("difference_", estimate)}


def _means(samples: Sequence[Array]) -> list[float | None]:
    return [float(sample.mean()) if len(sample) else None for sample in samples]


def _at(wanted: Sequence[int], there: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """Return the values of other trainings in their order; None where there are none."""
    by_name = dict(zip(there, values, strict=True))
    return [by_name.get(name) for name in wanted]


def _scatter(numbers: Array) -> float:
    return float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan


def _or_null(number: float) -> float | None:
    return None if math.isnan(number) else number


def _uncertainty(prefix: str, estimate: MeanEstimate) -> dict[str, float | None]:
    numbers = {
        "standard_error": estimate.standard_error,
        "ci95_low": estimate.ci95_low,
        "ci95_high": estimate.ci95_high,
    }
    return {f"{prefix}{name}": _or_null(number) for name, number in numbers.items()}
