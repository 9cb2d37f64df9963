"""How fast the global agent's gap shrinks with k in each setting, beside the law of subsamples."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from distmarl.results.summary.over_trainings import over_trainings
from distmarl.values.rates import Rate, fit_rate, sampling_law

GAP = "global_upper"
COLUMNS = ("setting_id", "label", "place", "slope", "ci95_low", "ci95_high", "n_points", "n_trainings", "law")
# Fewer points say nothing about a power.
MIN_POINTS = 3


def gap_rates(gaps: pd.DataFrame) -> pd.DataFrame:
    """Return the power of k with which the upper end of the global agent's gap shrinks, for each setting.

    Parameters
    ----------
    gaps : DataFrame
        ``dm.open(...).nash_gaps``, with ``label`` and ``place`` of the settings. Gaps that are not above their error
        are left out, and settings with fewer than three others.

    Returns
    -------
    DataFrame
        A row for each setting: ``slope`` of log(gap) against log(k), with its 95 % interval ``ci95_low`` and
        ``ci95_high`` (Student's t over the trainings' slopes or, of a single one, of the residuals), ``n_points`` (k
        that count), ``n_trainings``, and ``law``, the slope of sqrt((n - k + 1) / (n k)) at the same k.
    """
    found = gaps[(gaps["quantity"] == GAP) & (gaps["value"] > gaps["error"])]
    rows = []
    for setting_id, own in found.groupby("setting_id", sort=False):
        fits = [fit_rate(each["k"], each["value"]) for _, each in own.groupby("train_seed")]
        k = np.sort(own["k"].unique())
        if max(fit.n_points for fit in fits) < MIN_POINTS:
            continue
        law = fit_rate(k, sampling_law(k, int(own["n_agents"].iloc[0])))
        name = {"setting_id": setting_id, "label": own["label"].iloc[0], "place": own["place"].iloc[0]}
        rows.append({**name, **asdict(_together(fits)), "n_trainings": len(fits), "law": law.slope})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _together(fits: list[Rate]) -> Rate:
    """Return the mean slope over trainings, with its interval; of a single one its own."""
    if len(fits) == 1:
        return fits[0]
    slopes = over_trainings(np.array([[fit.slope for fit in fits]]))
    low, high = (float(end[0]) for end in (slopes.low, slopes.high))
    n_points = max(fit.n_points for fit in fits)
    return Rate(float(slopes.mean[0]), low, high, n_points)
