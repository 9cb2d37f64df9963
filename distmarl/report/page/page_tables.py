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
    number_column,
    small_column,
    sort_value,
    text_column,
    training_column,
    words,
    yes_or_no,
)
from distmarl.report.page.comparison_tables import BASELINES, BOUNDS, GAPS, LEARNERS, POLICIES, RATES, WELFARE
from distmarl.report.page.headline import Headline, find_headlines, reached_text
from distmarl.report.page.table import PageTable
from distmarl.report.page.training_tables import COMPARISONS, trainings_columns
from distmarl.report.returns import (
    WELFARE_GAPS,
    bracket,
    has_ceiling,
    has_exact,
    has_trainings,
    has_welfare_gap,
    welfare_meaning_of,
)

POOR_MARK = " †"


def _is_marked(one: Headline) -> bool:
    """Return whether a setting's share of full information would reassure more than it should."""
    return one.has_share and one.is_of_poor_pairs


def _settings_words(numbers: Numbers) -> str:
    """Return what the mark beside some shares means, where there are such."""
    if not any(_is_marked(one) for one in find_headlines(numbers)):
        return ""
    return (
        f"{POOR_MARK.strip()} marks a share of what the setting's local policy can earn, not of what is possible: it "
        "is known, or not ruled out, that others earn clearly more."
    )


def _settings(numbers: Numbers) -> pd.DataFrame:
    """Return what each setting comes down to, where there are several."""
    found = find_headlines(numbers)
    rows = [settings_row(one, place) for place, one in enumerate(found)] if len(found) > 1 else []
    return pd.DataFrame(rows, columns=["label", "place"] if not rows else None)


def settings_row(one: Headline, place: int) -> dict[str, Any]:
    """Return the row of a setting."""
    ends = {f"{end}_{name}": value for end in ("first", "last") for name, value in getattr(one, end).items()}
    full = one.full.value if one.full else None
    return {"label": one.label, "place": place, "headline": one, "percent": one.percent, "full": full, **ends}


def _settings_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:
    value = "exact where it is known, else the rollouts' mean"
    ends = rows[["first_k", "last_k"]].drop_duplicates().to_numpy()
    heads = [f"Value, k = {k}" for k in ends[0]] if len(ends) == 1 else ["Value there"] * 2
    first, last = (
        number_column(head, value, f"{end}_known_return", decimals)
        for head, end in zip(heads, ("first", "last"), strict=True)
    )

    several = has_trainings(rows.rename(columns={"last_n_train_seeds": "n_train_seeds"}))
    over = "over trainings" if several else "over rollouts, of this training alone"

    def uncertainty(row: Row) -> Cell:
        if several:
            return interval(row["last_trainings_ci95_low"], row["last_trainings_ci95_high"], decimals)
        if math.isfinite(row["last_exact_return"]):
            return Cell("exact", 0.0)
        return interval(row["last_ci95_low"], row["last_ci95_high"], decimals)

    def reached(row: Row) -> Cell:
        one = row["headline"]
        return Cell(reached_text(one) + (POOR_MARK if _is_marked(one) else ""), one.reached_at)

    def full(row: Row) -> Cell:
        return Cell("not known", None) if pd.isna(row["full"]) else number(row["full"], decimals)

    def percent(row: Row) -> Cell:
        return number(row["percent"], 1, unit=" %", signed=True)

    columns = [
        *([number_column("Smallest k", "evaluated", "first_k")] if len(ends) > 1 else []),
        first,
        *([number_column("Largest k", "evaluated", "last_k")] if len(ends) > 1 else []),
        last,
        Column("95 % interval", f"of the mean at the largest k, {over}; sorted by its width", uncertainty),
        Column("Improvement", "in per cent of the value at the smallest k", percent),
    ]
    if has_ceiling(rows.rename(columns={"last_ceiling": "ceiling"})):
        meaning = "where the largest k is between random actions and what nobody earns more than"
        columns.append(Column("Of ceiling", meaning, lambda row: number(100 * row["last_ceiling_share"], 1, unit=" %")))
    if has_welfare_gap(rows.rename(columns={f"last_{name}": name for name in WELFARE_GAPS})):
        columns.append(_welfare_column(rows, "at the largest k: ", decimals, "last_"))
    if rows["full"].notna().any():
        meaning = "smallest k whose value is at least 95 % of the one with full information"
        columns.append(Column("95 % at k", meaning, reached))
        meaning = "value of a global agent that sees everybody, with the shared local policy"
        of_first = ", as a baseline that of the first training" if several else ""
        columns.append(Column("Full information", f"{meaning}{of_first}", full))
    return columns


SETTINGS = PageTable(
    "headlines",
    "headline",
    "One row for each setting.",
    "summary",
    introduction=_settings_words,
    rows=_settings,
    columns=_settings_columns,
)


def _welfare_column(rows: pd.DataFrame, where: str, decimals: int, prefix: str = "") -> Column:
    """Return the column of what the best pair would gain, by its bounds."""
    meaning = f"{where}{welfare_meaning_of(rows, prefix)}"
    low, high = (f"{prefix}{name}" for name in WELFARE_GAPS)

    def gap(row: Row) -> Cell:
        order = sort_value(row[high] if pd.isna(row[low]) else row[low])
        return Cell(bracket(row[low], row[high], decimals), order)

    return Column("Welfare gap", meaning, gap)


def _results(numbers: Numbers) -> pd.DataFrame:
    return numbers.settings[["setting_id", "place"]].merge(numbers.summary, on="setting_id")


# By whether settings were trained several times.
_VALUE = {
    False: "mean discounted return over all rollouts, or the exact one where there are none",
    True: "mean over trainings of what each earns: its exact return where it is known, else its rollouts' mean",
}
_INTERVAL = {
    False: "of the mean, over rollouts (Student's t), of this training alone; sorted by its width",
    True: "of the mean, over trainings (Student's t); sorted by its width",
}


def _results_columns(rows: pd.DataFrame, decimals: int) -> list[Column]:

    several = has_trainings(rows)
    compared = "paired trainings" if several else "paired rollouts" if rows["n_seeds"].max() else "exact returns"
    level = "trainings_mean" if several else "mean_return"
    low, high = (f"trainings_{end}" if several else end for end in ("ci95_low", "ci95_high"))

    def value(row: Row) -> Cell:
        mean = number(row[level], decimals)
        return Cell(mean.text + (" ★" if row["is_best"] else ""), mean.order)

    def gain(row: Row) -> Cell:
        mean = number(row["difference"], decimals, signed=True)
        half = (row["difference_ci95_high"] - row["difference_ci95_low"]) / 2
        return Cell(mean.text + (f" ± {half:.{decimals}f}" if math.isfinite(half) else ""), mean.order)

    exact = number_column("Exact", "exact expected return", "exact_return", decimals + 2)
    of_ceiling = Column(
        "Of ceiling",
        "where the value is between random actions and what nobody earns more than",
        lambda row: number(100 * row["ceiling_share"], 1, unit=" %"),
    )
    return [
        K,
        Column("Value", _VALUE[several], value),
        Column("95 % interval", _INTERVAL[several], lambda row: interval(row[low], row[high], decimals)),
        *(trainings_columns(decimals) if several else []),
        number_column("Seeds' std", "standard deviation of the evaluation seeds' means", "std_return", decimals),
        *([exact] if has_exact(rows) else []),
        *([of_ceiling] if has_ceiling(rows) else []),
        *([_welfare_column(rows, "", decimals)] if has_welfare_gap(rows) else []),
        Column("Gain", f"over the next smaller k, by {compared}, with half its 95 % interval", gain),
        Column(
            "Mode acc.",
            "share of steps at which the global action is a most populated local state",
            lambda row: number(100 * row["mode_accuracy"], 1, unit=" %"),
        ),
        number_column("Train (s)", "wall-clock time of G-LEARN", "train_seconds", 2),
        number_column("Seeds", "evaluation seeds of a training", "n_seeds"),
    ]


RESULTS = PageTable(
    "results",
    "results",
    "One row for each {point}; ★ marks the setting's best value.",
    "summary",
    rows=_results,
    columns=_results_columns,
)


def _certificates_columns(rows: pd.DataFrame, _: int) -> list[Column]:
    return [
        K,
        *training_column(rows),
        small_column("Bound", "certified bound of max |V - V*| in the surrogate game (reward)", "bound"),
        Column(
            "Converged",
            "whether the bound reached the convergence threshold",
            lambda row: yes_or_no(row["converged"]),
            is_number=False,
        ),
        number_column("Sweeps", "of value iteration", "n_iterations"),
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


def _has_starts(alternations: pd.DataFrame) -> bool:
    return "start" in alternations and alternations["start"].nunique() > 1


def _alternations_columns(frame: pd.DataFrame, decimals: int) -> list[Column]:
    return [
        *training_column(frame),
        *([text_column("Start", "what the alternation began with", "start")] if _has_starts(frame) else []),
        number_column("Iteration", "outer iteration, from 0", "iteration"),
        text_column("Proposal", "both policies, or one", "proposal"),
        number_column("Joint value", "return of the proposed pair", "joint_value", decimals + 1),
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
        small_column("Global bound", "certified bound of G-LEARN (reward)", "global_bound"),
        small_column("Local bound", "certified bound of L-LEARN (reward)", "local_bound"),
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

PAGE_TABLES = {
    table.name: table
    for table in (
        SETTINGS,
        RESULTS,
        COMPARISONS,
        BASELINES,
        LEARNERS,
        POLICIES,
        BOUNDS,
        WELFARE,
        GAPS,
        RATES,
        CERTIFICATES,
        ALTERNATIONS,
    )
}
