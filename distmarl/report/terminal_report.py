"""From numbers to the terminal: the table that a sweep ends with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import pandas as pd
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from distmarl.report.figures.drawing.frames import MAX_LABEL
from distmarl.report.returns import (
    MISSING,
    bracket,
    decimals_of,
    has_ceiling,
    has_exact,
    has_trainings,
    has_welfare_gap,
    improvement,
    is_unconverged,
    welfare_meaning_of,
)
from distmarl.report.write import Report
from distmarl.wording import fixed, shortened

UNCONVERGED_MARK = "*"
MAX_GLYPHS_TOLD = 20
WIDE = 1000
MAX_ROWS = 1000  # of the table; more are for the tables of the folder
# What a table takes for each column, and at its edges, beside the cells.
BETWEEN, EDGES = 3, 2


def print_report(report: Report, output: Console, messages: Console) -> None:
    """Print the table and the improvement, and tell which figures were written, or why none.

    Parameters
    ----------
    report : Report
        What :func:`distmarl.report.write.write_report` returns.
    output, messages : Console
        Where the numbers go, and where everything else goes.
    """
    summary, unfinished = report.numbers.summary, report.numbers.unfinished_by_kind
    shown = _first_settings(summary)
    output.print(terminal_table(shown, output.width))
    # With the numbers, since they are not final.
    for line in [
        *improvement_lines(shown),
        *ceiling_lines(shown),
        *welfare_lines(shown),
        *([unfinished] if unfinished else []),
    ]:
        output.print(line, markup=False, highlight=False, soft_wrap=True)
    lines = [f"wrote {path}" for path in (*report.figures, report.page) if path]
    lines += [f"no figures and no page: {report.unwritten}"] if report.unwritten else []
    n_settings, n_shown = summary["setting_id"].nunique(), shown["setting_id"].nunique()
    if n_shown < n_settings:
        where = report.numbers.folder.describe("summary")
        lines.insert(0, f"the first {n_shown:,} of {n_settings:,} settings; all are in the table {where}")
    lines += [f"skipped {name}.png: {reason}" for name, reason in report.skipped.items()]
    if report.missing_glyphs:
        glyphs = shortened(report.missing_glyphs, MAX_GLYPHS_TOLD)
        lines.append(f"the font of the figures lacks some characters of the labels, which are boxes there: {glyphs}")
    if (report.numbers.settings["label"].str.len() > MAX_LABEL).any():
        lines.append(f"names of settings of more than {MAX_LABEL} characters are shortened in the figures")
    for line in lines:
        messages.print(line, markup=False, highlight=False, soft_wrap=True)


def _first_settings(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first settings, as many of them, but at least one, as are not too long to be read."""
    names = summary["setting_id"].iloc[: MAX_ROWS + 1].unique()
    if len(summary) <= MAX_ROWS:
        return summary
    return summary[summary["setting_id"].isin(names[: max(1, len(names) - 1)])]


def terminal_table(summary: pd.DataFrame, width: int = WIDE) -> RenderableType:
    """Return the table of values and training times against k.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.returns.summarise` returns. Settings of a grid are groups of rows, also where only
        one of them has any yet.
    width : int
        Columns of the terminal. Where they are few, the label of a setting goes over several rows; where they are
        fewer still, it stands above a table of its own.
    """
    exact, decimals = has_exact(summary), decimals_of(summary)
    shares, gaps = has_ceiling(summary), has_welfare_gap(summary)
    by_setting = summary.groupby("setting_id", sort=False)
    groups = [list(_cells(rows, decimals, exact=exact, shares=shares, gaps=gaps)) for _, rows in by_setting]
    labels = summary.groupby("setting_id", sort=False)["label"].first().tolist()
    captions = [f"{UNCONVERGED_MARK} training has not converged"] if is_unconverged(summary).any() else []
    if has_trainings(summary):
        captions.insert(0, f"mean of {summary['n_train_seeds'].max():,} trainings ± its 95 % interval over them")
    caption = "\n".join(captions)
    value = "Value (mean ± 95 %)" if has_trainings(summary) else "Value (mean ± std)"
    told = [(exact, "Exact"), (shares, "Of ceiling"), (gaps, "Welfare gap")]
    names = ["k", value, *(name for is_told, name in told if is_told), "Train (s)"]
    columns = zip(names, *(cells for rows in groups for cells in rows), strict=True)
    left = width - sum(max(map(len, column)) + BETWEEN for column in columns) - EDGES
    if not any(labels) and left >= 0:
        return _table(names, groups, caption)
    room = left - BETWEEN
    pieces = [piece for label in labels for part in label.split(", ") for piece in part.rpartition("=")]
    if any(labels) and room >= max(map(len, pieces)) + len("="):
        return _table(names, groups, caption, [label_lines(label, room) for label in labels])
    parts: list[RenderableType] = []
    for number, (label, rows) in enumerate(zip(labels, groups, strict=True)):
        last = number == len(groups) - 1
        lines = [Text(line) for line in label_lines(label, width)] if label else []
        parts += [*lines, _table(names, [rows], caption if last else "", narrow=True)]
    return Group(*parts)


def _table(
    names: Sequence[str],
    groups: Sequence[Sequence[Sequence[str]]],
    caption: str,
    labels: Sequence[Sequence[str]] = (),
    *,
    narrow: bool = False,
) -> Table:
    """Return a table of groups of rows; the lines of a group's label stand in a column before it."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", caption=caption or None, caption_justify="left")
    if narrow:
        table.padding, table.pad_edge = (0, 1, 0, 0), False
    if labels:
        table.add_column("setting", no_wrap=True)
    for name in names:
        table.add_column(name.replace(" (", "\n(") if narrow else name, justify="right", no_wrap=True)
    for rows, lines in itertools.zip_longest(groups, labels, fillvalue=()):
        for cells, line in itertools.zip_longest(rows, lines, fillvalue=""):
            table.add_row(*([Text(line)] if labels else []), *cells)
        table.add_section()
    return table


def label_lines(label: str, width: int) -> list[str]:
    """Return the label of a setting in lines: broken between its keys and, where it must be, before values.

    Parameters
    ----------
    label : str
        Such as ``n_agents=30, gamma=0.9``.
    width : int
        What a line should fit into. Values are never cut; a key is, in its middle.
    """
    lines = [""]
    for part in label.split(", "):
        key, equals, value = part.rpartition("=")
        if len(lines[-1]) + len(part) + len(", ,") <= width or not lines[-1]:
            pieces = [f"{lines.pop()}, {part}".removeprefix(", ")]
        else:
            lines[-1] += ","
            pieces = [part]
        if len(pieces[0]) + len(",") > width and key:
            room = max(width - len(equals), 3)
            pieces = [f"{shortened(key, room)}{equals}", value]
        lines += pieces
    return lines


def improvement_lines(summary: pd.DataFrame) -> list[str]:
    """Return what each setting gains from its smallest to its largest k, as lines of text.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.returns.summarise` returns. A setting with one k has no lines.
    """
    decimals = decimals_of(summary)
    lines = []
    gains = improvement(summary)
    for gain in gains[gains["first_k"] < gains["last_k"]].to_dict("records"):
        indent = ""
        if gain["label"]:
            lines.append(f"{gain['label']}:")
            indent = "  "
        first, last = fixed(gain["first_return"], decimals), fixed(gain["last_return"], decimals)
        has_percent = math.isfinite(gain["percent"])
        amount = f"{fixed(gain['percent'], 1)}%" if has_percent else fixed(gain["absolute"], decimals)
        lines.append(f"{indent}Reward range: {first} (k={gain['first_k']}) → {last} (k={gain['last_k']})")
        lines.append(f"{indent}Improvement: {amount}")
    return lines


def ceiling_lines(summary: pd.DataFrame) -> list[str]:
    """Return what nobody earns more than in each setting, as lines of text.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.returns.with_ceilings` returns.
    """
    if not has_ceiling(summary):
        return []
    decimals = decimals_of(summary)
    settings = summary.drop_duplicates("setting_id", keep="last").dropna(subset="ceiling")
    lines = []
    for row in settings.to_dict("records"):
        label = f"{row['label']}: " if summary["setting_id"].nunique() > 1 else ""
        random, ceiling = f"{row['random_return']:.{decimals}f}", f"{row['ceiling']:.{decimals}f}"
        lines.append(f"{label}Nobody earns more than {ceiling} (100 % of ceiling); random actions earn {random} (0 %)")
    return lines


def welfare_lines(summary: pd.DataFrame) -> list[str]:
    """Return what the welfare gaps of the table mean, as lines of text; none where it has none.

    Parameters
    ----------
    summary : DataFrame
        What :func:`distmarl.report.returns.with_welfare_gaps` returns.
    """
    if not has_welfare_gap(summary):
        return []
    return [f"Welfare gap: {welfare_meaning_of(summary)}"]


def _cells(rows: pd.DataFrame, decimals: int, *, exact: bool, shares: bool, gaps: bool) -> Iterator[list[str]]:
    """Yield the cells of each row: k, value, training time, and between them what else there is."""
    level, scatter = _value_and_spread(rows)
    columns = (rows["k"], level, scatter, rows["exact_return"], rows["train_seconds"])
    of_ceiling = [[percent(share)] for share in rows["ceiling_share"]] if shares else [[]] * len(rows)
    ends = zip(rows["welfare_lower"], rows["welfare_upper"], strict=True) if gaps else []
    welfare = [[bracket(*each, decimals)] for each in ends] or [[]] * len(rows)
    for k, mean, std, value, seconds, share, gap, unconverged in zip(
        *columns, of_ceiling, welfare, is_unconverged(rows), strict=True
    ):
        mark = UNCONVERGED_MARK if unconverged else ""
        spread = f" ± {std:.{decimals}f}" if math.isfinite(std) else ""
        exactly = [fixed(value, decimals + 2) if math.isfinite(value) else MISSING] if exact else []
        time = f"{seconds:.2f}" if math.isfinite(seconds) else MISSING
        yield [f"{k}{mark}", f"{fixed(mean, decimals)}{spread}", *exactly, *share, *gap, time]


def _value_and_spread(rows: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return the mean over trainings and half its interval or, of single ones, the mean and the seeds' scatter."""
    if has_trainings(rows):
        return rows["trainings_mean"], (rows["trainings_ci95_high"] - rows["trainings_ci95_low"]) / 2
    return rows["mean_return"], rows["std_return"]


def percent(share: float) -> str:
    """Return a share as text."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else MISSING
