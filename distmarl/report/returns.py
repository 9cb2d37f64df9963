"""From tables to returns: what was measured at each subsample size, and how it is written."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

POINT = ["setting_id", "k"]
MISSING = "-"
# Of several trainings: whose local policy the baseline with full information answers.
OF_FIRST_TRAINING = "of the first training's local policy"
WELFARE_GAPS = ("welfare_lower", "welfare_upper")
MIN_DECIMALS = 2
SIGNIFICANT_DIGITS = 3


def summarise(
    points: pd.DataFrame, trainings: pd.DataFrame, timings: pd.DataFrame, settings: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each setting of the sweep and each k that has been evaluated.

    Parameters
    ----------
    points : DataFrame
        The table ``summary`` of the evaluations that the report is about.
    trainings, timings : DataFrame
        The tables of a results folder.
    settings : DataFrame
        The sweep's settings, in the order of its file; rows of others are left out.

    Returns
    -------
    DataFrame
        Settings in the order of the sweep file, k increasing. Columns are those of the table ``summary``, with the
        exact return as ``mean_return`` of what has no rollouts, and

        - ``label``: the setting's grid values in short;
        - ``train_seconds`` (s): wall-clock time of G-LEARN, the mean over trainings; NaN where none was stored;
        - ``training_seconds`` (s): that of each of ``train_seeds``, a list;
        - ``bound`` (reward), ``converged``: the trainings' certificate, the worst of them; missing where none was
          stored.
    """
    measured = points.drop(columns=["sweep", *(name for name in points.columns if "." in name)])
    measured["mean_return"] = measured["mean_return"].fillna(measured["exact_return"])
    seconds = timings.loc[timings["task"] == "g_learn", [*POINT, "train_seed", "seconds"]].astype({"k": "int64"})
    certificates = trainings[[*POINT, "bound", "converged"]].astype({"converged": "boolean"})
    worst = certificates.groupby(POINT, as_index=False).agg({"bound": "max", "converged": "min"})
    joined = (
        settings[["setting_id", "label"]]
        .merge(measured.sort_values("k", kind="stable"), on="setting_id")
        .merge(worst, on=POINT, how="left")
    )
    keys = zip(*(seconds[name] for name in (*POINT, "train_seed")), strict=True)
    each = dict(zip(keys, seconds["seconds"], strict=True))
    times = [
        np.array([each.get((setting_id, k, train_seed), np.nan) for train_seed in train_seeds])
        for setting_id, k, train_seeds in zip(joined["setting_id"], joined["k"], joined["train_seeds"], strict=True)
    ]
    joined["training_seconds"] = pd.Series(times, index=joined.index, dtype=object)
    known = [of_point[np.isfinite(of_point)] for of_point in times]
    joined["train_seconds"] = [float(of_point.mean()) if len(of_point) else np.nan for of_point in known]
    return joined


def with_ceilings(summary: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with what nobody earns more than over the same horizon, NaN where that is not known.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarise` returns.
    bounds : DataFrame
        The table ``bounds``.

    Returns
    -------
    DataFrame
        With three columns more: ``ceiling`` and ``random_return`` (reward), the latter what uniform actions earn, and
        ``ceiling_share``: where between the two the row's return is. (A return can be negative; this share means
        the same wherever the rewards have their zero.)
    """
    known = bounds.loc[bounds["horizon"].notna(), ["setting_id", "ceiling", "random"]]
    joined = summary.merge(known.rename(columns={"random": "random_return"}), on="setting_id", how="left")
    room = (joined["ceiling"] - joined["random_return"]).replace(0, np.nan)
    return joined.assign(ceiling_share=(known_returns(joined) - joined["random_return"]) / room)


def with_shares(pairs: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Return rows of single pairs with their ``value`` (reward), exact where it is known, and ``ceiling_share``."""
    known = bounds.loc[bounds["horizon"].notna(), ["setting_id", "ceiling", "random"]]
    joined = pairs.merge(known, on="setting_id", how="left")
    joined["value"] = joined["exact_return"].fillna(joined["mean_return"])
    room = (joined["ceiling"] - joined["random"]).replace(0, np.nan)
    return joined.assign(ceiling_share=(joined["value"] - joined["random"]) / room)


def with_welfare_gaps(summary: pd.DataFrame, gaps: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with what the best pair would gain over each row's, NaN where that is not known.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarise` returns.
    gaps : DataFrame
        Rows of the table ``nash_gaps`` of one method.
    bounds : DataFrame
        The table ``bounds``.

    Returns
    -------
    DataFrame
        With two columns more, ``welfare_lower`` and ``welfare_upper`` (reward): what the best pair that was found would
        gain, and what no policies whatever gain more than, errors included, by the lower of the ceilings of both tables
        over the same steps. And ``welfare_steps``: how many these are, infinite for all steps.
    """
    # Infinity equals itself, so it can be merged on.
    present = gaps.assign(steps=gaps["horizon"].astype(float).fillna(math.inf), least=gaps["value"] - gaps["error"])
    most = gaps.assign(most=gaps["value"] + gaps["error"])
    joined = (
        summary.merge(_over_trainings(gaps, "welfare_lower", "value", "welfare_lower"), on=POINT, how="left")
        .merge(_over_trainings(most, "welfare_upper", "most", "welfare_upper"), on=POINT, how="left")
        .merge(_over_trainings(present, "joint_value", "steps", "welfare_steps"), on=POINT, how="left")
        .merge(_over_trainings(present, "joint_value", "least", "least"), on=POINT, how="left")
    )
    over = bounds["horizon"].astype(float).fillna(math.inf)
    ceilings = bounds[["setting_id"]].assign(welfare_steps=over, most=bounds["ceiling"])
    room = joined.merge(ceilings.astype({"most": float}), on=["setting_id", "welfare_steps"], how="left")
    uppers = room[["welfare_upper"]].assign(by_bounds=room["most"] - room["least"])
    return joined.drop(columns="least").assign(welfare_upper=uppers.min(axis=1))


def _over_trainings(gaps: pd.DataFrame, quantity: str, column: str, name: str) -> pd.DataFrame:
    """Return the mean of a column over the trainings of each setting and k, in the rows of one quantity."""
    return gaps[gaps["quantity"] == quantity].groupby(POINT)[column].mean().rename(name).reset_index()


def welfare_meaning(has_found: bool, steps: float) -> str:
    """Return what a welfare gap means, in words.

    Parameters
    ----------
    has_found : bool
        Whether a best pair was searched for.
    steps : float
        Steps that the returns are over, infinite for all; NaN where rows differ.
    """
    found = "what the best pair that was found would gain, and " if has_found else ""
    over = "all steps" if math.isinf(steps) else "the steps of the gaps" if math.isnan(steps) else f"{steps:.0f} steps"
    return f"{found}what nobody gains more than, over {over}"


def welfare_meaning_of(summary: pd.DataFrame, prefix: str = "") -> str:
    """Return what the welfare gaps of several rows mean, in words; columns may have a prefix."""
    steps = summary[f"{prefix}welfare_steps"].dropna().unique()
    has_found = bool(summary[f"{prefix}welfare_lower"].notna().any())
    return welfare_meaning(has_found, float(steps[0]) if len(steps) == 1 else math.nan)


def has_welfare_gap(summary: pd.DataFrame) -> bool:
    """Return whether it is known of any row what the best pair would gain, or what nobody gains more than."""
    return any(name in summary.columns and bool(summary[name].notna().any()) for name in WELFARE_GAPS)


def has_ceiling(summary: pd.DataFrame) -> bool:
    """Return whether it is known of any row what nobody earns more than."""
    return "ceiling" in summary.columns and bool(summary["ceiling"].notna().any())


def known_returns(summary: pd.DataFrame) -> pd.Series[float]:
    """Return the exact return of each row, or the rollouts' mean where none is known."""
    return summary["exact_return"].fillna(summary["mean_return"])


def improvement(summary: pd.DataFrame) -> pd.DataFrame:
    """Return what each setting gains from its smallest to its largest evaluated k, exactly where that is known.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarise` returns.

    Returns
    -------
    DataFrame
        One row per setting: ``setting_id``, ``label``, ``first_k``, ``last_k`` (agents), ``first_return``,
        ``last_return``, ``absolute`` (reward) and ``percent`` of the first return's size, NaN when that is 0.
    """
    known = summary.assign(known_return=known_returns(summary))
    by_setting = known.sort_values("k", kind="stable").groupby("setting_id", sort=False)
    gains = by_setting.agg(
        label=("label", "first"),
        first_k=("k", "first"),
        last_k=("k", "last"),
        first_return=("known_return", "first"),
        last_return=("known_return", "last"),
    )
    gains["absolute"] = gains["last_return"] - gains["first_return"]
    gains["percent"] = 100 * gains["absolute"] / gains["first_return"].abs().replace(0, np.nan)
    return gains.loc[summary["setting_id"].unique()].reset_index()


def is_unconverged(summary: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows' trainings are known not to have converged.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarise` returns.

    Returns
    -------
    ndarray of bool, shape (rows,)
    """
    return ~summary["converged"].fillna(True).to_numpy(dtype=bool)


def has_trainings(summary: pd.DataFrame) -> bool:
    """Return whether a summary is about several trainings of a setting."""
    return "n_train_seeds" in summary.columns and bool(summary["n_train_seeds"].max() > 1)


def bracket(low: float, high: float, decimals: int) -> str:
    """Return a number that is known by two bounds, or by one of them, as text."""
    if not math.isfinite(low):
        return f"up to {high:.{decimals}f}" if math.isfinite(high) else MISSING
    return f"{low:.{decimals}f} to {high:.{decimals}f}" if math.isfinite(high) else f"from {low:.{decimals}f}"


def has_exact(summary: pd.DataFrame) -> bool:
    """Return whether exact returns stand beside those of rollouts."""
    return bool(summary["exact_return"].notna().any() and summary["n_seeds"].max() > 0)


def decimals_of(summary: pd.DataFrame) -> int:
    """Return how many decimals show enough digits of the largest return.

    Parameters
    ----------
    summary : DataFrame
        What :func:`summarise` returns.
    """
    largest = float(summary["mean_return"].abs().max())
    if not largest:
        return MIN_DECIMALS
    return max(MIN_DECIMALS, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest)))
