"""Two settings of a sweep, compared over their trainings at each k that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distmarl.values.comparison import Comparison, compare_samples

COLUMNS = (
    *("k", "n_a", "n_b", "mean_a", "mean_b", "difference", "ci95_low", "ci95_high", "is_paired"),
    *("probability", "probability_ci95_low", "probability_ci95_high"),
)


def comparison_rows(first: pd.DataFrame, second: pd.DataFrame, *, shares_seeds: bool) -> list[dict[str, Any]]:
    """Return how a first setting compares with a second, a row for each k that both have.

    Parameters
    ----------
    first, second : DataFrame
        The settings' rows of the table ``summary``.
    shares_seeds : bool
        Whether trainings of the same number have the same seeds in both; so they have where ``experiment.seed`` is
        the same. Those that both have are paired, where there are two or more of them.
    """
    others = {int(row["k"]): row for row in second.to_dict("records")}
    pairs = [(row, others[int(row["k"])]) for row in first.to_dict("records") if int(row["k"]) in others]
    rows = []
    for mine, yours in pairs:
        a, b = _by_training(mine), _by_training(yours)
        common = sorted(a.keys() & b.keys()) if shares_seeds else []
        is_paired = len(common) > 1
        samples = [_sample(each, common if is_paired else list(each)) for each in (a, b)]
        rows.append(_row(int(mine["k"]), compare_samples(*samples, is_paired=is_paired)))
    return rows


def _by_training(row: dict[Any, Any]) -> dict[int, float]:
    """Return what each training earns."""
    return dict(zip(map(int, row["train_seeds"]), map(float, row["training_returns"]), strict=True))


def _sample(by_training: dict[int, float], train_seeds: list[int]) -> NDArray[np.float64]:
    return np.array([by_training[number] for number in train_seeds])


def _row(k: int, found: Comparison) -> dict[str, Any]:
    values = (
        *(k, found.n_first, found.n_second, found.mean_first, found.mean_second),
        *(found.difference, found.ci95_low, found.ci95_high, found.is_paired),
        *(found.probability, found.probability_ci95_low, found.probability_ci95_high),
    )
    return dict(zip(COLUMNS, values, strict=True))
