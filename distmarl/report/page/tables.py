"""The tables of the page, from the tables of a results folder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from distmarl.report.page.cells import (
    MAX_ROWS,
    SETTING,
    Cell,
    Column,
    PageTable,
    Row,
    interval,
    number,
    page_table,
    scientific,
    sort_value,
    words,
    yes_or_no,
)
from distmarl.report.page.headline import Headline
from distmarl.report.text import decimals_of, has_exact


def headline_table(found: Sequence[Headline], decimals: int) -> PageTable:
    """Return what each setting comes down to.

    Parameters
    ----------
    found : sequence of Headline
        The settings' headlines.
    decimals : int
        Of values.
    """
    ends = {(one.first["k"], one.last["k"]) for one in found}
    columns = [
        SETTING,
        *(Column(head, meaning) for head, meaning in _ends_heads(ends)),
        Column("95 % interval", "of the mean at the largest k; sorted by its width"),
        Column("Improvement", "in per cent of the value at the smallest k"),
    ]
    has_full = any(one.full for one in found)
    if has_full:
        columns += [
            Column("95 % at k", "smallest k whose value is at least 95 % of the one with full information"),
            Column("Full information", "value of a global agent that sees everybody"),
        ]

    def cells(place: int, one: Headline) -> list[Cell]:
        values = [[number(row["k"], 0), number(row["known_return"], decimals)] for row in (one.first, one.last)]
        low, high = one.last["ci95_low"], one.last["ci95_high"]
        is_exact = math.isfinite(one.last["exact_return"])
        full = number(one.full.value, decimals) if one.full else Cell("not known", None)
        return [
            Cell(one.label, place),
            *(cell for pair in values for cell in (pair if len(ends) > 1 else pair[1:])),
            Cell("exact", 0.0) if is_exact else Cell(interval(low, high, decimals), sort_value(high - low)),
            number(one.percent, 1, unit=" %", signed=True),
            *([Cell(reached_text(one), one.reached_at), full] if has_full else []),
        ]

    rows = [cells(place, one) for place, one in enumerate(found)]
    caption = "One row for each setting."
    return PageTable("headlines", caption, "summary", columns, rows[:MAX_ROWS], len(rows), list(range(len(rows))))


def _ends_heads(ends: set[tuple[float, float]]) -> list[tuple[str, str]]:
    """Return the heads of the columns about the smallest and the largest k, and what they mean."""
    value = "exact where it is known, else the rollouts' mean"
    if len(ends) == 1:
        ((first, last),) = ends
        return [(f"Value, k = {first}", value), (f"Value, k = {last}", value)]
    return [("Smallest k", "evaluated"), ("Value there", value), ("Largest k", "evaluated"), ("Value there", value)]


def reached_text(headline: Headline) -> str:
    """Return the k at which the share of full information is reached, or why there is none."""
    if headline.full is None:
        return "not known"
    if not headline.has_share:
        return "not defined"
    if headline.reached_at is None:
        return "not reached"
    return f"{headline.reached_at}"


def results_table(summary: pd.DataFrame) -> PageTable:
    """Return what is known of each setting and k.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns, with ``place`` of the settings.
    """
    decimals = decimals_of(summary)
    columns = [
        Column("k", "local agents that the global agent sees"),
        Column("Value", "mean discounted return over all rollouts, or the exact one where there are none"),
        Column("95 % interval", "of the mean, over rollouts (Student's t); sorted by its width"),
        Column("Seeds' std", "sample standard deviation of the evaluation seeds' means"),
        *([Column("Exact", "exact expected return")] if has_exact(summary) else []),
        Column("Gain", "over the next smaller k, by paired rollouts, with half its 95 % interval"),
        Column("Mode acc.", "share of steps at which the global action is a most populated local state"),
        Column("Train (s)", "wall-clock time of G-LEARN"),
        Column("Seeds", "evaluation seeds"),
    ]

    def cells(row: Row) -> list[Cell]:
        low, high = row["ci95_low"], row["ci95_high"]
        half = (row["difference_ci95_high"] - row["difference_ci95_low"]) / 2
        gain = number(row["difference"], decimals, signed=True)
        best = " ★" if row["is_best"] else ""
        exact = [number(row["exact_return"], decimals + 2)] if has_exact(summary) else []
        return [
            number(row["k"], 0),
            Cell(number(row["mean_return"], decimals).text + best, row["mean_return"]),
            Cell(interval(low, high, decimals), sort_value(high - low)),
            number(row["std_return"], decimals),
            *exact,
            Cell(gain.text + (f" ± {half:.{decimals}f}" if math.isfinite(half) else ""), gain.order),
            number(100 * row["mode_accuracy"], 1, unit=" %"),
            number(row["train_seconds"], 2),
            number(row["n_seeds"], 0),
        ]

    caption = "One row for each k" if summary["setting_id"].nunique() == 1 else "One row for each setting and k"
    return page_table("results", f"{caption}; ★ marks the setting's best value.", "summary", columns, summary, cells)


def certificates_table(trainings: pd.DataFrame) -> PageTable:
    """Return how well each training's value is certified.

    Parameters
    ----------
    trainings : DataFrame
        Rows of the table ``trainings``, with ``label`` and ``place`` of the settings.
    """
    columns = [
        Column("k", "local agents that the global agent sees"),
        Column("Bound", "certified bound of max |V - V*| in the surrogate game (reward)"),
        Column("Converged", "whether the bound reached the convergence threshold", False),
        Column("Sweeps", "of value iteration"),
        Column("Count vectors", "states of the sample, per global state"),
        Column("Transitions", "how count vectors move in the surrogate game", False),
        Column("Method", "how expectations were computed", False),
    ]

    def cells(row: Row) -> list[Cell]:
        return [
            number(row["k"], 0),
            scientific(row["bound"]),
            yes_or_no(row["converged"]),
            number(row["n_iterations"], 0),
            Cell(f"{row['n_count_vectors']:,}", row["n_count_vectors"]),
            words(row["transitions"]),
            words(row["method"]),
        ]

    caption = "One row for each training of a global policy."
    return page_table("certificates", caption, "trainings", columns, trainings, cells)


def alternation_table(alternations: pd.DataFrame, decimals: int) -> PageTable:
    """Return what the trainings of the shared local policies proposed.

    Parameters
    ----------
    alternations : DataFrame
        Rows of the table ``alternations``, with ``label`` and ``place`` of the settings.
    decimals : int
        Of joint values.
    """
    columns = [
        Column("Iteration", "outer iteration, from 0"),
        Column("Proposal", "both policies, or one", False),
        Column("Joint value", "return of the proposed pair"),
        Column("Change", "relative change against the iteration before"),
        Column("Decision", "whether the proposal was kept", False),
        Column("Stopped because", "why the alternation ended here", False),
        Column("Global bound", "certified bound of G-LEARN (reward)"),
        Column("Local bound", "certified bound of L-LEARN (reward)"),
    ]

    def cells(row: Row) -> list[Cell]:
        return [
            number(row["iteration"], 0),
            words(row["proposal"]),
            number(row["joint_value"], decimals + 1),
            number(100 * row["relative_change"], 2, unit=" %", signed=True),
            words("accepted" if row["accepted"] else "reverted"),
            words(row["stopped_because"]),
            scientific(row["global_bound"]),
            scientific(row["local_bound"]),
        ]

    caption = "One row for each proposal of an outer iteration."
    return page_table("alternations", caption, "alternations", columns, alternations, cells)


def gaps_table(gaps: pd.DataFrame, decimals: int) -> PageTable:
    """Return what deviating would gain.

    Parameters
    ----------
    gaps : DataFrame
        Rows of the table ``nash_gaps``, with ``label`` and ``place`` of the settings.
    decimals : int
        Of values.
    """
    columns = [
        Column("k", "local agents that the global agent sees"),
        Column("Quantity", "as in dm.nash_gap", False),
        Column("Value", "in reward"),
        Column("Error", "certified; of estimates half the 95 % interval"),
        Column("Kind", "exact, a bound or an estimate", False),
        Column("Of", "what it is the value of; or why there is none", False),
    ]

    def cells(row: Row) -> list[Cell]:
        return [
            number(row["k"], 0),
            words(row["quantity"]),
            number(row["value"], decimals + 2),
            scientific(row["error"]),
            words(row["kind"]),
            words(row["of"] if pd.isna(row["reason"]) else row["reason"]),
        ]

    return page_table("gaps", "One row for each number about a setting and k.", "nash_gaps", columns, gaps, cells)


def baselines_table(baselines: pd.DataFrame, decimals: int) -> PageTable:
    """Return what the pairs are compared with.

    Parameters
    ----------
    baselines : DataFrame
        Rows of the table ``baselines``, with ``label`` and ``place`` of the settings.
    decimals : int
        Of values.
    """
    columns = [
        Column("Baseline", "what it does", False),
        Column("Value", "expected discounted return"),
        Column("Error", "standard error of a mean; certified bound of an exact value"),
        Column("Method", "rollouts, or exact", False),
        Column("Rollouts", "over all evaluation seeds"),
    ]

    def cells(row: Row) -> list[Cell]:
        return [
            words(str(row["baseline"]).replace("_", " ")),
            number(row["value"], decimals),
            scientific(row["error"]) if row["method"] == "exact" else number(row["error"], decimals),
            words(row["method"]),
            number(row["n_rollouts"], 0),
        ]

    return page_table("baselines", "One row for each baseline and method.", "baselines", columns, baselines, cells)
