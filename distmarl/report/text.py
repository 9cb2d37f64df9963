"""From numbers to the terminal: the table that a sweep ends with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import TextIOWrapper
from typing import TYPE_CHECKING

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distmarl.report.summary import improvement, is_unconverged

if TYPE_CHECKING:
    from distmarl.report.write import Report

MIN_DECIMALS = 2
SIGNIFICANT_DIGITS = 3
UNCONVERGED_MARK = "*"
MISSING = "-"


def print_report(report: Report, output: Console, messages: Console) -> None:
    """Print the table and the improvement, and tell which figures were written.

    Parameters
    ----------
    report : Report
        What :func:`distmarl.report.write.write_report` returns.
    output, messages : Console
        Where the numbers go, and where everything else goes.
    """
    if isinstance(output.file, TextIOWrapper):
        output.file.reconfigure(errors="replace")  # a terminal of another encoding has no "±", but all numbers
    output.print(results_table(report.summary))
    for line in improvement_lines(report.summary):
        output.print(line, markup=False, highlight=False, soft_wrap=True)
    lines = [f"wrote {path}" for path in (*report.figures, report.page)]
    lines += [f"skipped {figure.name}: {figure.reason}" for figure in report.skipped]
    for line in [*lines, *([report.unfinished] if report.unfinished else [])]:
        messages.print(line, markup=False, highlight=False, soft_wrap=True)


def results_table(summary: pd.DataFrame) -> Table:
    """Return the table of values and training times against k.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns. Several settings are groups of rows.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", caption_justify="left")
    has_groups = summary["setting_id"].nunique() > 1
    if has_groups:
        table.add_column("setting", overflow="fold")
    table.add_column("k", justify="right")
    table.add_column("Value (mean ± std)", justify="right", no_wrap=True)
    if has_exact(summary):
        table.add_column("Exact", justify="right", no_wrap=True)
    table.add_column("Train (s)", justify="right", no_wrap=True)
    for _, rows in summary.groupby("setting_id", sort=False):
        for number, cells in enumerate(_cells(rows, decimals_of(summary))):
            label = [Text(rows["label"].iloc[0] if number == 0 else "")] if has_groups else []
            table.add_row(*label, *cells)
        table.add_section()
    if is_unconverged(summary).any():
        table.caption = f"{UNCONVERGED_MARK} training has not converged"
    return table


def improvement_lines(summary: pd.DataFrame) -> list[str]:
    """Return what each setting gains from its smallest to its largest k, as lines of text.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns. A setting with one k has no lines.
    """
    decimals = decimals_of(summary)
    lines = []
    gains = improvement(summary)
    for gain in gains[gains["first_k"] < gains["last_k"]].to_dict("records"):
        indent = ""
        if len(gains) > 1:
            lines.append(f"{gain['label']}:")
            indent = "  "
        first, last = f"{gain['first_return']:.{decimals}f}", f"{gain['last_return']:.{decimals}f}"
        has_percent = math.isfinite(gain["percent"])
        amount = f"{gain['percent']:.1f}%" if has_percent else f"{gain['absolute']:.{decimals}f}"
        lines.append(f"{indent}Reward range: {first} (k={gain['first_k']}) → {last} (k={gain['last_k']})")
        lines.append(f"{indent}Improvement: {amount}")
    return lines


def has_exact(summary: pd.DataFrame) -> bool:
    """Return whether exact returns stand beside those of rollouts."""
    return bool(summary["exact_return"].notna().any() and summary["n_seeds"].max() > 0)


def _cells(rows: pd.DataFrame, decimals: int) -> Iterator[list[str]]:
    """Yield k, value, exact value if there are any, and training time of each row as text."""
    names = ("k", "mean_return", "std_return", "exact_return", "train_seconds")
    for k, mean, std, exact, seconds, unconverged in zip(
        *(rows[name] for name in names), is_unconverged(rows), strict=True
    ):
        mark = UNCONVERGED_MARK if unconverged else ""
        spread = f" ± {std:.{decimals}f}" if math.isfinite(std) else ""
        exactly = [f"{exact:.{decimals + 2}f}" if math.isfinite(exact) else MISSING] if has_exact(rows) else []
        time = f"{seconds:.2f}" if math.isfinite(seconds) else MISSING
        yield [f"{k}{mark}", f"{mean:.{decimals}f}{spread}", *exactly, time]


def decimals_of(summary: pd.DataFrame) -> int:
    """Return how many decimals show enough digits of the largest return.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns.
    """
    largest = float(summary["mean_return"].abs().max())
    if not largest:
        return MIN_DECIMALS
    return max(MIN_DECIMALS, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest)))
