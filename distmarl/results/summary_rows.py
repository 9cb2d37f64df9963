"""The table ``summary``: what is known of each setting's and k's expected return.

No task writes it. It follows from the tables ``evaluations`` and ``exact_returns``, so it is worked out anew whenever
they are published, and for a report from the rows that the report is about.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distmarl.values.intervals import MeanEstimate, estimate_difference, estimate_mean

# Whether a row of ``evaluations`` counts, by its k and its evaluation seed.
IsWanted: TypeAlias = Callable[[int, int], bool]

EVALUATION_COLUMNS = ("sweep", "setting_id", "k", "seed", "mode_accuracy", "returns")


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """The evaluations of one setting and k."""

    sweep: str
    setting_id: str
    k: int
    returns: dict[int, NDArray[np.float64]]
    mode_accuracies: list[float]


def summary_rows(
    chunks: Iterable[pa.Table], exact: Iterable[Mapping[str, Any]], is_wanted: IsWanted | None = None
) -> list[dict[str, Any]]:
    """Return the rows of the table ``summary``.

    Parameters
    ----------
    chunks : iterable of pyarrow.Table
        The ``EVALUATION_COLUMNS`` of the table ``evaluations``, sorted by its key. Of all chunks, the returns of two
        k are held at a time.
    exact : iterable of rows
        Rows of the table ``exact_returns``, all of which count.
    is_wanted : callable, optional
        Which rows of ``evaluations`` count; all by default.
    """
    rows: list[dict[str, Any]] = []
    previous: _Point | None = None
    for point in _points(chunks, is_wanted):
        row = _levels(point)
        if previous is not None and previous.setting_id == point.setting_id:
            row |= _difference(previous, point)
        rows.append(row)
        previous = point
    rows = _with_exact_returns(rows, exact)
    best: dict[str, float] = {}
    for row in rows:
        best[row["setting_id"]] = max(_known_return(row), best.get(row["setting_id"], -math.inf))
    return [{**row, "is_best": _known_return(row) == best[row["setting_id"]]} for row in rows]


def _with_exact_returns(rows: list[dict[str, Any]], exact: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with exact returns, and rows of points that have nothing else, sorted by key."""
    points = {(row["setting_id"], row["k"]): row for row in rows}
    for row in exact:
        key = (row["setting_id"], row["k"])
        names = ("sweep", "setting_id", "k", "exact_return", "exact_bound")
        points[key] = {"n_seeds": 0, "n_rollouts": 0, **points.get(key, {}), **{name: row[name] for name in names}}
    return [points[key] for key in sorted(points)]


def _known_return(row: Mapping[str, Any]) -> float:
    """Return the exact return where it is known, else the rollouts' mean."""
    return float(row["mean_return"] if row.get("exact_return") is None else row["exact_return"])


def _points(chunks: Iterable[pa.Table], is_wanted: IsWanted | None) -> Iterator[_Point]:
    for (setting_id, k), group in itertools.groupby(_evaluations(chunks, is_wanted), key=lambda row: (row[1], row[2])):
        sweeps, _, _, seeds, accuracies, returns = zip(*group, strict=True)
        known = [accuracy for accuracy in accuracies if accuracy is not None]
        yield _Point(sweeps[0], setting_id, k, dict(zip(seeds, returns, strict=True)), known)


def _evaluations(chunks: Iterable[pa.Table], is_wanted: IsWanted | None) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks:
        *names, returns = EVALUATION_COLUMNS
        columns = (chunk.column(name).to_pylist() for name in names)
        for row in zip(*columns, chunk.column(returns).to_numpy(), strict=True):
            if is_wanted is None or is_wanted(row[2], row[3]):
                yield row


def _levels(point: _Point) -> dict[str, Any]:
    """Return the columns about the point itself."""
    seed_means = np.array([returns.mean() for returns in point.returns.values()])
    over_rollouts = estimate_mean(np.concatenate(list(point.returns.values())))
    return {
        "sweep": point.sweep,
        "setting_id": point.setting_id,
        "k": point.k,
        "n_seeds": len(seed_means),
        "n_rollouts": over_rollouts.n,
        "mean_return": over_rollouts.mean,
        **_uncertainty("", over_rollouts),
        **_uncertainty("seeds_", estimate_mean(seed_means)),
        "std_return": float(seed_means.std(ddof=1)) if len(seed_means) > 1 else None,
        "min_return": float(seed_means.min()),
        "max_return": float(seed_means.max()),
        "mode_accuracy": float(np.mean(point.mode_accuracies)) if point.mode_accuracies else None,
    }


def _difference(previous: _Point, point: _Point) -> dict[str, Any]:
    """Return the columns about the difference to the next smaller k, over the rollouts of the seeds that both have."""
    shared = [(previous.returns[seed], returns) for seed, returns in point.returns.items() if seed in previous.returns]
    pairs = [(before, after) for before, after in shared if len(before) == len(after)]
    if not pairs:
        return {"previous_k": previous.k, "n_pairs": 0}
    before, after = (np.concatenate(side) for side in zip(*pairs, strict=True))
    estimate = estimate_difference(before, after)
    return {
        "previous_k": previous.k,
        "n_pairs": estimate.n,
        "difference": estimate.mean,
        **_uncertainty("difference_", estimate),
    }


def _uncertainty(prefix: str, estimate: MeanEstimate) -> dict[str, float | None]:
    numbers = {
        "standard_error": estimate.standard_error,
        "ci95_low": estimate.ci95_low,
        "ci95_high": estimate.ci95_high,
    }
    return {f"{prefix}{name}": None if math.isnan(number) else number for name, number in numbers.items()}
