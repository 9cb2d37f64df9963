"""What the page tells of several trainings: columns of the table of results, and settings compared."""

from __future__ import annotations

import pandas as pd

from distmarl.report.numbers import Numbers
from distmarl.report.page.cells import Cell, Column, K, Row, interval, number, number_column, words
from distmarl.report.page.table import PageTable


def trainings_columns(decimals: int) -> list[Column]:
    """Return what is told of several trainings."""
    return [
        Column(
            "Min to max",
            "what the trainings earn; sorted by the width",
            lambda row: interval(row["trainings_min"], row["trainings_max"], decimals),
        ),
        number_column("Median", "of the trainings", "trainings_median", decimals),
        number_column(
            "Trainings' std",
            "between trainings, without the noise of their evaluation (variance component)",
            "between_trainings_std",
            decimals,
        ),
        Column(
            "Its share",
            "of the variance of a training's evaluation seed, what is between trainings; the rest is between seeds",
            lambda row: number(100 * row["between_trainings_share"], 1, unit=" %"),
        ),
        number_column("Trainings", "how many", "n_train_seeds"),
    ]


def _comparison_columns(_: pd.DataFrame, decimals: int) -> list[Column]:
    def how(row: Row) -> Cell:
        return words("pairs" if row["is_paired"] else "Welch")

    def probability(row: Row) -> Cell:
        return number(100 * row["probability"], 0, unit=" %")

    return [
        K,
        number_column("Value", "mean over its trainings", "mean_a", decimals),
        number_column("First setting", "mean over its trainings", "mean_b", decimals),
        Column("Difference", "of the means", lambda row: number(row["difference"], decimals, signed=True)),
        Column(
            "95 % interval",
            "of the difference, over trainings; sorted by its width",
            lambda row: interval(row["ci95_low"], row["ci95_high"], decimals),
        ),
        Column("By", "pairs of trainings of the same seed, or Welch's interval", how, is_number=False),
        Column("Better", "probability that one training earns more than one of the first setting", probability),
        Column(
            "Its interval",
            "95 % (Newcombe's), in per cent; sorted by its width",
            lambda row: interval(100 * row["probability_ci95_low"], 100 * row["probability_ci95_high"], 0),
        ),
    ]


def _comparison_words(numbers: Numbers) -> str:
    """Return what the others are compared with."""
    return f"Each other setting is compared with the first, {numbers.summary['label'].iloc[0]}, over their trainings."


COMPARISONS = PageTable(
    "comparisons",
    "results",
    "One row for each {point} but the first; dm.compare compares any two.",
    "summary",
    title="Settings against the first",
    introduction=_comparison_words,
    rows=lambda numbers: numbers.comparisons,
    columns=_comparison_columns,
)
