"""All tables of the page, in its order."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from distmarl.report.numbers import Numbers
from distmarl.report.page.cells import (
    Cell,
    Column,
    K,
    Row,
    interval,
    number,
    scientific,
    text_column,
    words,
    yes_or_no,
)
from distmarl.report.page.headline import find_headlines, reached_text
from distmarl.report.page.table import PageTable
from distmarl.report.returns import has_exact


def _settings(numbers: Numbers) -> pd.DataFrame:
    """Return what each setting comes down to, where there are several."""
    found = find_headlines(numbers)
    rows = [{"label": one.label, "place": place, "headline": one} for place, one in enumerate(found)]
    return pd.DataFrame(rows if len(rows) > 1 else [], columns=["label", "place", "headline"])


def _settings_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:
    found = rows["headline"].tolist()
    has_same_ends = len({(one.first["k"], one.last["k"]) for one in found}) == 1
    meaning = "exact where it is known, else the rollouts' mean"

    def end(name: str, head: str) -> list[Column]:
        def value(key: str, n_decimals: int) -> Any:
            return lambda row: number(getattr(row["headline"], name)[key], n_decimals)

        if has_same_ends:
            k = getattr(found[0], name)["k"]
            return [Column(f"Value, k = {k}", meaning, value("known_return", decimals))]
        return [
            Column(head, "evaluated", value("k", 0)),
            Column("Value there", meaning, value("known_return", decimals)),
        ]

    def uncertainty(row: Row) -> Cell:
        last = row["headline"].last
        if math.isfinite(last["exact_return"]):
            return Cell("exact", 0.0)
        return interval(last["ci95_low"], last["ci95_high"], decimals)

    def full(row: Row) -> Cell:
        known = row["headline"].full
        return number(known.value, decimals) if known else Cell("not known", None)

    columns = [
        *end("first", "Smallest k"),
        *end("last", "Largest k"),
        Column("95 % interval", "of the mean at the largest k; sorted by its width", uncertainty),
        Column(
            "Improvement",
            "in per cent of the value at the smallest k",
            lambda row: number(row["headline"].percent, 1, unit=" %", signed=True),
        ),
    ]
    if any(one.full for one in found):
        columns += [
            Column(
                "95 % at k",
                "smallest k whose value is at least 95 % of the one with full information",
                lambda row: Cell(reached_text(row["headline"]), row["headline"].reached_at),
            ),
            Column("Full information", "value of a global agent that sees everybody", full),
        ]
    return columns


SETTINGS = PageTable(
    "headlines", "headline", "One row for each setting.", "summary", rows=_settings, columns=_settings_columns
)


def _results(numbers: Numbers) -> pd.DataFrame:
    return numbers.settings[["setting_id", "place"]].merge(numbers.summary, on="setting_id")


def _results_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:

    def value(row: Row) -> Cell:
        mean = number(row["mean_return"], decimals)
        return Cell(mean.text + (" ★" if row["is_best"] else ""), mean.order)

    def gain(row: Row) -> Cell:
        mean = number(row["difference"], decimals, signed=True)
        half = (row["difference_ci95_high"] - row["difference_ci95_low"]) / 2
        return Cell(mean.text + (f" ± {half:.{decimals}f}" if math.isfinite(half) else ""), mean.order)

    exact = Column("Exact", "exact expected return", lambda row: number(row["exact_return"], decimals + 2))
    return [
        K,
        Column("Value", "mean discounted return over all rollouts, or the exact one where there are none", value),
        Column(
            "95 % interval",
            "of the mean, over rollouts (Student's t); sorted by its width",
            lambda row: interval(row["ci95_low"], row["ci95_high"], decimals),
        ),
        Column(
            "Seeds' std",
            "sample standard deviation of the evaluation seeds' means",
            lambda row: number(row["std_return"], decimals),
        ),
        *([exact] if has_exact(rows) else []),
        Column("Gain", "over the next smaller k, by paired rollouts, with half its 95 % interval", gain),
        Column(
            "Mode acc.",
            "share of steps at which the global action is a most populated local state",
            lambda row: number(100 * row["mode_accuracy"], 1, unit=" %"),
        ),
        Column("Train (s)", "wall-clock time of G-LEARN", lambda row: number(row["train_seconds"], 2)),
        Column("Seeds", "evaluation seeds", lambda row: number(row["n_seeds"], 0)),
    ]


RESULTS = PageTable(
    "results",
    "results",
    "One row for each {point}; ★ marks the setting's best value.",
    "summary",
    rows=_results,
    columns=_results_columns,
)


def _baselines_columns(_: pd.DataFrame, decimals: int) -> list[Column]:

    def error(row: Row) -> Cell:
        return scientific(row["error"]) if row["method"] == "exact" else number(row["error"], decimals)

    return [
        Column("Baseline", "what it does", lambda row: words(row["baseline"].replace("_", " ")), is_number=False),
        Column("Value", "expected discounted return", lambda row: number(row["value"], decimals)),
        Column("Error", "standard error of a mean; certified bound of an exact value", error),
        text_column("Method", "rollouts, or exact", "method"),
        Column("Rollouts", "over all evaluation seeds", lambda row: number(row["n_rollouts"], 0)),
    ]


BASELINES = PageTable(
    "baselines",
    "results",
    "One row for each baseline and method.",
    "baselines",
    title="Baselines",
    rows=lambda numbers: numbers.baselines,
    columns=_baselines_columns,
)


def _gaps_columns(_: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        K,
        text_column("Quantity", "as in dm.nash_gap", "quantity"),
        Column("Value", "in reward", lambda row: number(row["value"], decimals + 2)),
        Column("Error", "certified; of estimates half the 95 % interval", lambda row: scientific(row["error"])),
        text_column("Kind", "exact, a bound or an estimate", "kind"),
        Column(
            "Of",
            "what it is the value of; or why there is none",
            lambda row: words(row["of"] if pd.isna(row["reason"]) else row["reason"]),
            is_number=False,
        ),
    ]


GAPS = PageTable(
    "gaps",
    "results",
    "One row for each number about a setting and k.",
    "nash_gaps",
    title="Nash gaps",
    rows=lambda numbers: numbers.nash_gaps,
    columns=_gaps_columns,
)


def _certificates_columns(_: pd.DataFrame, __: int) -> list[Column]:
    return [
        K,
        Column(
            "Bound",
            "certified bound of max |V - V*| in the surrogate game (reward)",
            lambda row: scientific(row["bound"]),
        ),
        Column(
            "Converged",
            "whether the bound reached the convergence threshold",
            lambda row: yes_or_no(row["converged"]),
            is_number=False,
        ),
        Column("Sweeps", "of value iteration", lambda row: number(row["n_iterations"], 0)),
        Column(
            "Count vectors",
            "states of the sample, per global state",
            lambda row: Cell(f"{row['n_count_vectors']:,}", row["n_count_vectors"]),
        ),
        text_column("Transitions", "how count vectors move in the surrogate game", "transitions"),
        text_column("Method", "how expectations were computed", "method"),
    ]


def _certificates_words(numbers: Numbers) -> str:
    """Return what the certificates come down to."""
    trainings = numbers.trainings
    methods = ", ".join(sorted(trainings["method"].dropna().unique()))
    computed = f" Expectations were computed by: {methods}." if methods else ""
    return (
        f"{int(trainings['converged'].sum())} of {len(trainings)} trainings reached their convergence threshold; the "
        f"largest certified bound of the error of a value function is {trainings['bound'].max():.1e}.{computed}"
    )


CERTIFICATES = PageTable(
    "certificates",
    "certainty",
    "One row for each training of a global policy.",
    "trainings",
    title="Certificates of all trainings",
    introduction=_certificates_words,
    is_folded=True,
    rows=lambda numbers: numbers.trainings,
    columns=_certificates_columns,
)


def _alternations_columns(_: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        Column("Iteration", "outer iteration, from 0", lambda row: number(row["iteration"], 0)),
        text_column("Proposal", "both policies, or one", "proposal"),
        Column("Joint value", "return of the proposed pair", lambda row: number(row["joint_value"], decimals + 1)),
        Column(
            "Change",
            "relative change against the iteration before",
            lambda row: number(100 * row["relative_change"], 2, unit=" %", signed=True),
        ),
        Column(
            "Decision",
            "whether the proposal was kept",
            lambda row: words("accepted" if row["accepted"] else "reverted"),
            is_number=False,
        ),
        text_column("Stopped because", "why the alternation ended here", "stopped_because"),
        Column("Global bound", "certified bound of G-LEARN (reward)", lambda row: scientific(row["global_bound"])),
        Column("Local bound", "certified bound of L-LEARN (reward)", lambda row: scientific(row["local_bound"])),
    ]


ALTERNATIONS = PageTable(
    "alternations",
    "certainty",
    "One row for each proposal of an outer iteration.",
    "alternations",
    title="Proposals of the alternation",
    introduction=lambda _: (
        "The shared local policy comes from an alternation: in each outer iteration a global and a local policy are "
        "proposed, and kept unless their joint value falls more than alternating.convergence_rtol, relatively, below "
        "the best so far. The policy that is used is that of the best proposal."
    ),
    is_folded=True,
    rows=lambda numbers: numbers.alternations,
    columns=_alternations_columns,
)

PAGE_TABLES = {table.name: table for table in (SETTINGS, RESULTS, BASELINES, GAPS, CERTIFICATES, ALTERNATIONS)}
