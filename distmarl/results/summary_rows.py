"""The table ``summary``: what is known of each setting's and k's expected return.

No task writes it. It follows from the tables ``evaluations`` and ``exact_returns``, so it is worked out anew whenever
they are published, and for a report from the rows that the report is about.

What the trainings of a setting have in common is worked out in two steps, each training first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distmarl.values.components import Components, estimate_stratified_mean, pooled_std, variance_components
from distmarl.values.intervals import MeanEstimate, estimate_difference, estimate_mean

# Whether a row of ``evaluations`` counts, by its k and its evaluation seed.
IsWanted: TypeAlias = Callable[[int, int], bool]

EVALUATION_COLUMNS = ("sweep", "setting_id", "k", "train_seed", "seed", "mode_accuracy", "returns")

Array: TypeAlias = NDArray[np.float64]
ExactRow: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """The evaluations of one training: the returns of its seeds, and its seeds' mode accuracies."""

    returns: dict[int, Array]
    mode_accuracies: list[float]

    @property
    def seed_means(self) -> Array:
        return np.array([returns.mean() for returns in self.returns.values()])

    @property
    def all_returns(self) -> Array:
        return np.concatenate(list(self.returns.values()))


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """The evaluations of one setting and k, by training."""

    sweep: str
    setting_id: str
    k: int
    trainings: dict[int, _Training]


def summary_rows(
    chunks: Iterable[pa.Table],
    exact: Iterable[ExactRow],
    is_wanted: IsWanted | None = None,
    n_train_seeds: int | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the table ``summary``.

    Parameters
    ----------
    chunks : iterable of pyarrow.Table
        The ``EVALUATION_COLUMNS`` of the table ``evaluations``, sorted by its key. Of all chunks, the returns of two
        k are held at a time.
    exact : iterable of rows
        Rows of the table ``exact_returns``.
    is_wanted : callable, optional
        Which rows of ``evaluations`` count; all by default.
    n_train_seeds : int, optional
        How many trainings count, from the first on; all by default.
    """
    by_point: dict[tuple[str, int], dict[int, ExactRow]] = {}
    for known in exact:
        if n_train_seeds is None or known["train_seed"] < n_train_seeds:
            by_point.setdefault((known["setting_id"], known["k"]), {})[known["train_seed"]] = known
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    previous: _Point | None = None
    for point in _points(_evaluations(chunks, is_wanted, n_train_seeds)):
        key = (point.setting_id, point.k)
        rows[key] = {**_levels(point), **_of_trainings(point.trainings, by_point.get(key, {}))}
        if previous is not None and previous.setting_id == point.setting_id:
            rows[key] |= _difference(previous, point)
        previous = point
    for key, of_point in by_point.items():
        others = rows.get(key) or _of_trainings({}, of_point)
        if len(of_point) >= others["n_train_seeds"]:  # of an unfinished sweep, not all may be known
            rows[key] = {**_exact_levels(key, of_point), **others}
    best: dict[str, float] = {}
    for (setting_id, _), row in rows.items():
        best[setting_id] = max(_known_return(row), best.get(setting_id, -math.inf))
    return [{**rows[key], "is_best": _known_return(rows[key]) == best[key[0]]} for key in sorted(rows)]


def _known_return(row: Mapping[str, Any]) -> float:
    """Return the exact return where it is known, else the rollouts' mean."""
    return float(row["mean_return"] if row.get("exact_return") is None else row["exact_return"])


def _points(evaluations: Iterator[tuple[Any, ...]]) -> Iterator[_Point]:
    for (setting_id, k), group in itertools.groupby(evaluations, key=lambda row: (row[1], row[2])):
        trainings: dict[int, _Training] = {}
        sweep = ""
        for row in group:
            sweep, _, _, train_seed, seed, accuracy, returns = row
            training = trainings.setdefault(train_seed, _Training({}, []))
            training.returns[seed] = returns
            training.mode_accuracies.extend([] if accuracy is None else [accuracy])
        yield _Point(sweep, setting_id, k, trainings)


def _evaluations(
    chunks: Iterable[pa.Table], is_wanted: IsWanted | None, n_train_seeds: int | None
) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks:
        *names, returns = EVALUATION_COLUMNS
        columns = (chunk.column(name).to_pylist() for name in names)
        for row in zip(*columns, chunk.column(returns).to_numpy(), strict=True):
            is_of_sweep = n_train_seeds is None or row[3] < n_train_seeds
            if is_of_sweep and (is_wanted is None or is_wanted(row[2], row[4])):
                yield row


def _levels(point: _Point) -> dict[str, Any]:
    """Return the columns about the rollouts of these pairs of policies, whatever other trainings would earn."""
    trainings = list(point.trainings.values())
    by_seed = [training.seed_means for training in trainings]
    seed_means = np.concatenate(by_seed)
    over_rollouts = estimate_stratified_mean([training.all_returns for training in trainings])
    accuracies = [accuracy for training in trainings for accuracy in training.mode_accuracies]
    return {
        "sweep": point.sweep,
        "setting_id": point.setting_id,
        "k": point.k,
        "n_seeds": max(map(len, by_seed)),
        "n_rollouts": over_rollouts.n,
        "mean_return": over_rollouts.mean,
        **_uncertainty("", over_rollouts),
        **_uncertainty("seeds_", estimate_stratified_mean(by_seed)),
        "std_return": _or_null(pooled_std(by_seed)),
        "min_return": float(seed_means.min()),
        "max_return": float(seed_means.max()),
        "mode_accuracy": float(np.mean(accuracies)) if accuracies else None,
    }


def _exact_levels(key: tuple[str, int], exact: Mapping[int, ExactRow]) -> dict[str, Any]:
    """Return the columns about exact returns, and those of a point that has nothing else."""
    setting_id, k = key
    rows = list(exact.values())
    about = {"sweep": rows[0]["sweep"], "setting_id": setting_id, "k": k, "n_seeds": 0, "n_rollouts": 0}
    returns, bounds = ([row[name] for row in rows] for name in ("exact_return", "exact_bound"))
    return {**about, "exact_return": _mean(returns), "exact_bound": _mean(bounds)}


def _of_trainings(trainings: Mapping[int, _Training], exact: Mapping[int, ExactRow]) -> dict[str, Any]:
    """Return the columns about the trainings: exact returns where all of them have one, else their rollouts' means."""
    is_exact = len(exact) >= len(trainings)
    names = sorted(exact if is_exact else trainings)
    if is_exact:
        earned = np.array([exact[name]["exact_return"] for name in names])
        spread = float(earned.std(ddof=1)) if len(names) > 1 else math.nan
        components = Components(spread, 0.0)
    else:
        earned = np.array([trainings[name].all_returns.mean() for name in names])
        components = variance_components([trainings[name].seed_means for name in names])
    estimate = estimate_mean(earned)
    share = components.between_share
    accuracies = (trainings[name].mode_accuracies if name in trainings else [] for name in names)
    return {
        "n_train_seeds": len(names),
        "trainings_mean": estimate.mean,
        "trainings_ci95_low": _or_null(estimate.ci95_low),
        "trainings_ci95_high": _or_null(estimate.ci95_high),
        "trainings_median": float(np.median(earned)),
        "trainings_min": float(earned.min()),
        "trainings_max": float(earned.max()),
        "trainings_std": float(earned.std(ddof=1)) if len(earned) > 1 else None,
        "between_trainings_std": _or_null(components.between_std),
        "between_seeds_std": _or_null(components.within_std),
        "between_trainings_share": _or_null(share),
        "between_seeds_share": _or_null(1 - share),
        "train_seeds": names,
        "training_returns": earned,
        "training_differences": [None] * len(names),
        "training_mode_accuracies": [float(np.mean(each)) if each else None for each in accuracies],
    }


def _difference(previous: _Point, point: _Point) -> dict[str, Any]:
    """Return the columns about the difference to the next smaller k.

    It is that of each training first, over the rollouts of the seeds that both have.
    """
    none = _Training({}, [])
    paired = {
        train_seed: _paired(previous.trainings.get(train_seed, none), training)
        for train_seed, training in point.trainings.items()
    }
    n_pairs = sum(estimate.n for estimate in paired.values() if estimate)
    about = {"previous_k": previous.k, "n_pairs": n_pairs}
    known = [estimate for estimate in paired.values() if estimate]
    if not known:
        return about
    found = known[0] if len(paired) == 1 else estimate_mean([estimate.mean for estimate in known])
    each = [estimate.mean if estimate else None for estimate in paired.values()]
    return {**about, "difference": found.mean, **_uncertainty("difference_", found), "training_differences": each}


def _paired(before: _Training, after: _Training) -> MeanEstimate | None:
    """Return what a training's rollouts earn more at the larger k; None where none are of the same seeds."""
    shared = [(before.returns[seed], returns) for seed, returns in after.returns.items() if seed in before.returns]
    pairs = [pair for pair in shared if len(pair[0]) == len(pair[1])]
    return estimate_difference(*(np.concatenate(side) for side in zip(*pairs, strict=True))) if pairs else None


def _mean(values: Sequence[float]) -> float:
    return values[0] if len(values) == 1 else float(np.mean(values))


def _or_null(number: float) -> float | None:
    return None if math.isnan(number) else number


def _uncertainty(prefix: str, estimate: MeanEstimate) -> dict[str, float | None]:
    numbers = {
        "standard_error": estimate.standard_error,
        "ci95_low": estimate.ci95_low,
        "ci95_high": estimate.ci95_high,
    }
    return {f"{prefix}{name}": _or_null(number) for name, number in numbers.items()}
