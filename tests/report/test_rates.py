"""How the global agent's gap shrinks with k, as the page tells it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from distmarl.report.rates import gap_rates
from distmarl.values.rates import sampling_law

N_AGENTS = 20


def gaps_of(power: float, *, train_seed: int = 0, k_values: tuple[int, ...] = (1, 2, 5, 10)) -> pd.DataFrame:
    """Return the gaps of a training that fall with a power of k, beside another quantity."""
    rows = [
        {"k": k, "quantity": quantity, "value": value}
        for k in k_values
        for quantity, value in (("global_upper", 3.0 * k**power), ("local_upper", 1.0))
    ]
    names = {"setting_id": "a", "label": "", "place": 0, "n_agents": N_AGENTS, "error": 1e-6, "train_seed": train_seed}
    return pd.DataFrame(rows).assign(**names)


def test_a_power_is_found_and_told_beside_the_law() -> None:
    (row,) = gap_rates(gaps_of(-0.5)).to_dict("records")
    assert (row["slope"], row["n_points"], row["n_trainings"]) == (pytest.approx(-0.5), 4, 1)
    k = np.log([1, 2, 5, 10])
    assert row["law"] == pytest.approx(np.polyfit(k, np.log(sampling_law([1, 2, 5, 10], N_AGENTS)), 1)[0])
    assert row["law"] < -0.5


def test_of_several_trainings_the_interval_is_that_of_their_slopes() -> None:
    trainings = [gaps_of(power, train_seed=number) for number, power in enumerate((-0.4, -0.5, -0.9))]
    (row,) = gap_rates(pd.concat(trainings)).to_dict("records")
    assert (row["slope"], row["n_trainings"]) == (pytest.approx(-0.6), 3)
    half = 4.302653 * np.std([-0.4, -0.5, -0.9], ddof=1) / np.sqrt(3)
    assert row["ci95_high"] - row["slope"] == pytest.approx(half, rel=1e-5)


def test_gaps_within_their_error_do_not_count_and_two_points_are_too_few() -> None:
    small = gaps_of(-0.5).assign(error=lambda rows: np.where(rows["k"] == 10, 9.0, 1e-6))
    assert gap_rates(small)["n_points"].tolist() == [3]
    assert gap_rates(gaps_of(-0.5, k_values=(1, 2))).empty
    assert gap_rates(gaps_of(-0.5).iloc[:0]).empty
