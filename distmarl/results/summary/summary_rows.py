"""The table ``summary``: what is known of each setting's and k's expected return.

No task writes it. It follows from the tables ``evaluations`` and ``exact_returns``, so it is worked out anew whenever
they are published, and for a report from the rows that the report is about. What several trainings have in common is
worked out in two steps (:mod:`distmarl.results.summary.summary_trainings`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distmarl.model.arrays import Array
from distmarl.results.summary.summary_points import IsWanted, Points, whole_points
from distmarl.results.summary.summary_trainings import Trainings, exact_columns
from distmarl.values.intervals import estimate_means

UNCERTAINTY = ("standard_error", "ci95_low", "ci95_high")


def summary_rows(
    chunks: Iterable[pa.Table],
    exact: Iterable[Mapping[str, Any]],
    is_wanted: IsWanted | None = None,
    n_train_seeds: int | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the table ``summary``.

    Parameters
    ----------
    chunks : iterable of pyarrow.Table
        The ``EVALUATION_COLUMNS`` of the table ``evaluations``, sorted by its key. Of all chunks, a few are held at a
        time, or as many as two k of a setting have.
    exact : iterable of rows
        Rows of the table ``exact_returns``.
    is_wanted : callable, optional
        Which rows of ``evaluations`` count; all by default.
    n_train_seeds : int, optional
        How many trainings count, from the first on; all by default.
    """
    rows = [row for points in whole_points(chunks, is_wanted, n_train_seeds) for row in _rows(points)]
    rows = _with_exact_returns(rows, exact, n_train_seeds)
    best: dict[str, float] = {}
    for row in rows:
        best[row["setting_id"]] = max(_known_return(row), best.get(row["setting_id"], -math.inf))
    return [{**row, "is_best": _known_return(row) == best[row["setting_id"]]} for row in rows]


def _with_exact_returns(
    rows: list[dict[str, Any]], exact: Iterable[Mapping[str, Any]], n_train_seeds: int | None
) -> list[dict[str, Any]]:
    """Return the rows with exact returns, and rows of points that have nothing else, sorted by key."""
    points = {(row["setting_id"], row["k"]): row for row in rows}
    known: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in exact:
        if n_train_seeds is None or row["train_seed"] < n_train_seeds:
            known.setdefault((row["setting_id"], row["k"]), []).append(row)
    # Of an unfinished sweep, some may be missing.
    whole = {key: found for key, found in known.items() if len(found) >= points.get(key, {}).get("n_train_seeds", 0)}
    before: tuple[str, int] | None = None
    for key in sorted(points.keys() | whole.keys()):
        if key in whole:
            earlier = whole.get(before, []) if before is not None and before[0] == key[0] else []
            points[key] = exact_columns(whole[key], points.get(key, {}), earlier)
        before = key
    return [points[key] for key in sorted(points)]


def _known_return(row: Mapping[str, Any]) -> float:
    """Return the exact return where it is known, else the rollouts' mean."""
    return float(row["mean_return"] if row.get("exact_return") is None else row["exact_return"])


def _rows(points: Points) -> Iterator[dict[str, Any]]:
    """Yield the rows of the points that are new."""
    levels, differences = _levels(points), _differences(points)
    n_pairs, has_previous, trainings = differences["n_pairs"], points.follows, Trainings(points)
    for place in range(points.n_known, len(points)):
        row = {name: column[place] for name, column in levels.items()}
        if has_previous[place]:
            row |= {"previous_k": levels["k"][place - 1], "n_pairs": n_pairs[place]}
        if has_previous[place] and n_pairs[place]:
            row |= {name: column[place] for name, column in differences.items()}
        yield row | trainings.columns(place, row)


def _levels(points: Points) -> dict[str, Sequence[Any]]:
    """Return the columns about each point itself."""
    returns, seed_means = points.returns, points.seed_means
    over_rollouts, over_seeds = returns.each(estimate_means, 4), seed_means.each(estimate_means, 4)
    scatter, lowest, highest = seed_means.each(_scatter, 3)
    return {
        "sweep": points.sweeps,
        "setting_id": points.setting_ids,
        "k": points.k.tolist(),
        "n_seeds": seed_means.sizes.tolist(),
        "n_rollouts": returns.sizes.tolist(),
        "mean_return": over_rollouts[0].tolist(),
        **_uncertainty("", over_rollouts),
        **_uncertainty("seeds_", over_seeds),
        "std_return": _known(scatter, seed_means.sizes > 1),
        "min_return": lowest.tolist(),
        "max_return": highest.tolist(),
        "mode_accuracy": _known(points.accuracies.each(_mean, 1)[0], points.accuracies.sizes > 0),
    }


def _differences(points: Points) -> dict[str, Sequence[Any]]:
    """Return the columns about the difference to the next smaller k, over the rollouts of the seeds that both have."""
    pairs = points.differences
    estimates = pairs.each(estimate_means, 4)
    return {
        "n_pairs": pairs.sizes.tolist(),
        "difference": estimates[0].tolist(),
        **_uncertainty("difference_", estimates),
    }


def _mean(samples: Array) -> Array:
    return samples.mean(axis=1)[np.newaxis]


def _scatter(samples: Array) -> Array:
    """Return the standard deviation, the smallest and the largest number of each sample."""
    deviation = samples.std(axis=1, ddof=1) if samples.shape[1] > 1 else np.full(len(samples), math.nan)
    return np.stack([deviation, samples.min(axis=1), samples.max(axis=1)])


def _uncertainty(prefix: str, estimates: Array) -> dict[str, list[float | None]]:
    """Return the columns of standard errors and intervals, null where there are none."""
    return {
        f"{prefix}{name}": _known(numbers, ~np.isnan(numbers))
        for name, numbers in zip(UNCERTAINTY, estimates[1:], strict=True)
    }


def _known(numbers: Array, is_known: NDArray[np.bool_]) -> list[float | None]:
    return [number if known else None for number, known in zip(numbers.tolist(), is_known.tolist(), strict=True)]
