"""Tables of the page about what pairs are compared with: baselines, ceilings, better pairs and deviations."""

from __future__ import annotations

import pandas as pd

from distmarl.report.page.cells import (
    Cell,
    Column,
    K,
    Row,
    interval,
    number,
    number_column,
    scientific,
    small_column,
    text_column,
    training_column,
    words,
)
from distmarl.report.page.table import PageTable
from distmarl.report.rates import gap_rates


def _baselines_columns(_: pd.DataFrame, decimals: int) -> list[Column]:

    def error(row: Row) -> Cell:
        return scientific(row["error"]) if row["method"] == "exact" else number(row["error"], decimals)

    return [
        Column("Baseline", "what it does", lambda row: words(row["baseline"].replace("_", " ")), is_number=False),
        number_column("Value", "expected discounted return", "value", decimals),
        Column("Error", "standard error of a mean; certified bound of an exact value", error),
        text_column("Method", "rollouts, or exact", "method"),
        number_column("Rollouts", "over all evaluation seeds", "n_rollouts"),
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


def _learners_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:

    def known(row: Row) -> Cell:
        return number(row["mean_return"] if pd.isna(row["exact_return"]) else row["exact_return"], decimals)

    return [
        K,
        *training_column(rows),
        Column("Learner", "what it does", lambda row: words(row["learner"].replace("_", " ")), is_number=False),
        number_column("Samples", "draws of an agent's next state", "n_samples"),
        Column("Return", "exact where it is known, else the mean of rollouts", known),
        number_column("From", "lower end of the mean's 95 % interval, over rollouts", "ci95_low", decimals),
        number_column("To", "upper end of it", "ci95_high", decimals),
        Column(
            "Visited",
            "share of the global states and count vectors in which the global agent ever was",
            lambda row: number(100 * row["visited"], 1, unit=" %"),
        ),
    ]


LEARNERS = PageTable(
    "learners",
    "results",
    "One row for each learner and budget of samples at each {point}.",
    "learners",
    title="Model-free learners",
    introduction=lambda _: (
        "Q-learners that know no table of the game and learn from what they play. Nothing certifies how far they have "
        "come."
    ),
    is_folded=True,
    rows=lambda numbers: numbers.learners,
    columns=_learners_columns,
)


def _policies_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:
    exact = number_column("Exact", "exact expected return", "exact_return", decimals + 2)
    of_ceiling = Column(
        "Of ceiling",
        "where the value is between random actions and what nobody earns more than",
        lambda row: number(100 * row["ceiling_share"], 1, unit=" %"),
    )
    return [
        text_column("Pair", "its name in experiment.policies", "policy"),
        K,
        *training_column(rows),
        number_column("Value", "exact where it is known, else the rollouts' mean", "value", decimals),
        Column(
            "95 % interval",
            "of the rollouts' mean (Student's t), of this pair alone",
            lambda row: interval(row["ci95_low"], row["ci95_high"], decimals),
        ),
        *([exact] if rows["exact_return"].notna().any() else []),
        *([of_ceiling] if rows["ceiling_share"].notna().any() else []),
        text_column("Function", "what made it", "function"),
    ]


POLICIES = PageTable(
    "policies",
    "results",
    "One row for each pair, k and training.",
    "policies",
    title="Pairs from elsewhere",
    rows=lambda numbers: numbers.policies,
    columns=_policies_columns,
)


def _bounds_columns(_: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        text_column("Returns over", "the horizon of the rollouts, or all steps to come", "steps"),
        number_column("Ceiling", "no policies whatever earn more: the bound with its error", "ceiling", decimals),
        small_column("Error", "certified; part of the ceiling", "error"),
        number_column("Random", "what uniform actions of everybody earn", "random", decimals),
        number_column("m", "agents of the game whose optimum it is", "m"),
        text_column("Method", "over all actions of m agents, or over prescriptions with their slack", "method"),
    ]


BOUNDS = PageTable(
    "bounds",
    "results",
    "One row for each horizon.",
    "bounds",
    title="What nobody earns more than",
    rows=lambda numbers: numbers.bounds,
    columns=_bounds_columns,
)


def _welfare_columns(_: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        number_column(
            "Value", "over all steps, of the best pair found whose global agent sees everyone", "value", decimals
        ),
        small_column("Error", "certified", "error"),
        text_column("Found", "by enumeration, or from which start and by what", "source"),
        number_column("Compared", "local policies", "n_policies"),
        number_column("Solved", "of them, those that no bound passed over", "n_solved"),
        Column("Reason", "why there is none", lambda row: words(row["reason"]), is_number=False),
    ]


WELFARE = PageTable(
    "welfare",
    "results",
    "One row for each search.",
    "welfare",
    title="The best pair that was found",
    rows=lambda numbers: numbers.welfare,
    columns=_welfare_columns,
)


def _gaps_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        K,
        *training_column(rows),
        text_column("Quantity", "as in dm.nash_gap", "quantity"),
        number_column("Value", "in reward", "value", decimals + 2),
        small_column("Error", "certified; of estimates half the 95 % interval", "error"),
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


def _rates_columns(_rows: pd.DataFrame, _decimals: int) -> list[Column]:
    return [
        number_column("Slope", "of log(gap) against log(k)", "slope", 2),
        Column("95 %", "Student's t: over trainings, of a single one of residuals", _slope_interval),
        number_column("By the law", "slope of sqrt((n - k + 1) / (n k)) at the same k", "law", 2),
        number_column("k", "that count: whose gap is above its error", "n_points"),
        number_column("Trainings", "that the slope is the mean of", "n_trainings"),
    ]


def _slope_interval(row: Row) -> Cell:
    return interval(row["ci95_low"], row["ci95_high"], 2)


RATES = PageTable(
    "rates",
    "results",
    "One row for each setting with gaps at three k or more.",
    "nash_gaps",
    title="How the global agent's gap shrinks with k",
    introduction=lambda _: (
        "The slope of the gap's upper end (what the global agent would gain at most by seeing everyone) on logarithmic "
        "axes. Shares that are estimated from k of very many agents err like 1/sqrt(k), a slope of -0.5; where k nears "
        "n, the error falls faster."
    ),
    is_folded=True,
    rows=lambda numbers: gap_rates(numbers.nash_gaps),
    columns=_rates_columns,
)
