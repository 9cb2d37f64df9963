"""From tables to numbers: what was measured at each subsample size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distmarl.model.options import EvaluationMethod
from distmarl.results.folder import sweep_settings

POINT = ["setting_id", "k"]


def summarise(
    points: pd.DataFrame, trainings: pd.DataFrame, timings: pd.DataFrame, settings: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each setting of the sweep and each k that has been evaluated.

    Parameters
    ----------
    points : DataFrame
        The table ``summary`` of the evaluations that the report is about.
    trainings, timings, settings : DataFrame
        The tables of a results folder. Rows of settings that are not ``in_sweep`` are left out.

    Returns
    -------
    DataFrame
        Settings in the order of the sweep file, k increasing. Columns are those of the table ``summary``, with the
        exact return as ``mean_return`` of what has no rollouts, and

        - ``label``: the setting's grid values in short;
        - ``train_seconds`` (s): wall-clock time of G-LEARN; NaN where none was stored;
        - ``bound`` (reward), ``converged``: the training's certificate; missing where none was stored.
    """
    measured = points.drop(columns=["sweep", *(name for name in points.columns if "." in name)])
    measured["mean_return"] = measured["mean_return"].fillna(measured["exact_return"])
    seconds = timings.loc[timings["task"] == "g_learn", [*POINT, "seconds"]].astype({"k": "int64"})
    certificates = trainings[[*POINT, "bound", "converged"]].astype({"converged": "boolean"})
    return (
        _ordered_settings(settings)
        .merge(measured, on="setting_id")
        .merge(seconds.rename(columns={"seconds": "train_seconds"}), on=POINT, how="left")
        .merge(certificates, on=POINT, how="left")
        .sort_values(["order", "k"], ignore_index=True)
        .drop(columns="order")
    )


def with_labels(rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table for the points of a summary, in its order, with the settings' labels.

    Parameters
    ----------
    rows : DataFrame
        Rows of a table with the columns ``setting_id`` and ``k``.
    summary : DataFrame
        What :func:`summarise` returns.
    """
    return summary[[*POINT, "label"]].merge(rows, on=POINT)


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


def unfinished_note(
    points: pd.DataFrame,
    settings: pd.DataFrame,
    *,
    k_values: Sequence[int],
    n_eval_seeds: int,
    method: EvaluationMethod = "rollouts",
) -> str | None:
    """Return how far an unfinished sweep is, or None when nothing is missing.

    Parameters
    ----------
    points : DataFrame
        The table ``summary`` of the evaluations that the sweep file asks for.
    settings : DataFrame
        The table of a results folder.
    k_values : sequence of int
        Subsample sizes that the sweep file asks for.
    n_eval_seeds : int
        Evaluation seeds that it asks for, per k.
    method : {"rollouts", "exact", "both"}
        How it asks for returns. An exact one counts like an evaluation seed.
    """
    ids = settings.loc[settings["in_sweep"], "setting_id"]
    n_per_point = (n_eval_seeds if method != "exact" else 0) + (method != "rollouts")
    planned = len(ids) * len(k_values) * n_per_point
    asked = points[points["setting_id"].isin(ids)]
    done = int(asked["n_seeds"].sum()) if method != "exact" else 0
    done += int(asked["exact_return"].notna().sum()) if method != "rollouts" else 0
    return None if done >= planned else f"unfinished: {done} of {planned} evaluations"


def missing_note(n_gaps: tuple[int, int], n_baselines: tuple[int, int]) -> str | None:
    """Return which gaps and baselines are missing, or None.

    Parameters
    ----------
    n_gaps, n_baselines : tuple of int
        How many there are, and how many the sweep file asks for.
    """
    missing = [
        f"{done} of {planned} {name}"
        for (done, planned), name in ((n_gaps, "Nash gaps"), (n_baselines, "baselines"))
        if done < planned
    ]
    return f"unfinished: {', '.join(missing)}" if missing else None


def _ordered_settings(settings: pd.DataFrame) -> pd.DataFrame:
    """Return the id, label and place of the sweep's settings, in the order of the sweep file."""
    chosen = sweep_settings(settings)[["setting_id", "label"]]
    return chosen.assign(order=range(len(chosen)))
