"""Figures against k: pure functions of a summary, which return figures and save nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from distmarl.errors import InvalidArgumentError
from distmarl.report.figure import Caption, ReportFigure
from distmarl.report.figures.drawing.axes import (
    LOG_SCALE_FROM,
    MAX_NAMED,
    RETURN_LABEL,
    figure_of,
    use_plain_numbers,
)
from distmarl.report.figures.drawing.frames import check_frame, settings_to_draw
from distmarl.report.figures.drawing.levels import draw_ceilings, draw_levels, draw_other_pairs, levels_of
from distmarl.report.figures.drawing.series import draw_series, series_of
from distmarl.report.figures.drawing.style import NOTE_COLOUR, paper_style
from distmarl.report.figures.learner_curves import draw_learners
from distmarl.report.figures.trainings import draw_trainings, numbers, with_numbers
from distmarl.report.numbers import Numbers
from distmarl.report.returns import OF_FIRST_TRAINING, has_trainings

SUMMARY_SOURCE = "dm.open(...).points()"
POINT_COLUMNS = ("setting_id", "label", "k", "converged")
RANGE, INTERVAL = ("min_return", "max_return"), ("ci95_low", "ci95_high")
DIFFERENCE_COLUMNS = ("difference", "difference_ci95_low", "difference_ci95_high")

DIFFERENCE_LABEL = "gain over the next smaller k (reward)"
SECONDS_LABEL = "G-LEARN wall-clock time (s)"
ACCURACY_LABEL = "mode accuracy (% of steps)"
BAND_NOTE = "band: 95 % interval of the mean, not of other trainings"
BARS_NOTE = "bars: 95 % interval of the mean, not of other trainings"
LINE_NOTE = "line: exact return"
TABLES_NOTE = "{}: in the tables"
DIFFERENCE_NOTE = "paired; bars: 95 % interval, not of other trainings"
EXACT_DIFFERENCE_NOTE = "differences of exact returns"
FULL_NOTE = f"full information: {OF_FIRST_TRAINING}"

FEW_DECADES = 2


def _summary(of: Numbers) -> dict[str, Any]:
    return {"summary": of.summary}


def reward_vs_k(
    summary: pd.DataFrame,
    *,
    baselines: pd.DataFrame | None = None,
    bounds: pd.DataFrame | None = None,
    learners: pd.DataFrame | None = None,
    policies: pd.DataFrame | None = None,
    unfinished: str | None = None,
    width: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the mean discounted return against k, with bars from the seeds' minimum to their maximum and its interval.

    The band is the 95 % interval over all rollouts: it does not contain how another training would turn out. Bands of
    several settings would hide one another, so there the interval is a bar, and the bars stand side by side; of more
    than eight they are left out. Exact returns are a line through the markers.

    Where each setting was trained several times, each training is a thin line and their median a strong one; a bar is
    the 95 % interval of the mean over trainings (Student's t), and each setting has a panel.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``; every setting is a series.
    baselines : DataFrame, optional
        The table ``baselines``, drawn as levels where there is one setting, or a panel for each.
    bounds : DataFrame, optional
        The table ``bounds``: what nobody earns more than over as many steps is the highest of these levels. It is the
        only one where several settings share axes: a level if it is the same for all, else a short line at the right
        for each of at most eight, in its colour.
    learners : DataFrame, optional
        The table ``learners``, drawn as curves where there is one setting: means over trainings at the largest budget.
    policies : DataFrame, optional
        The table ``policies`` with a column ``value``: pairs from elsewhere, drawn as dashed lines, each the mean over
        trainings, where there is one setting, or a panel for each; else a note says that there are such.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Raises
    ------
    InvalidArgumentError
        When columns are missing, or there are no rows.
    """
    needed = (*POINT_COLUMNS, "n_seeds", "mean_return", "exact_return", *RANGE, *INTERVAL)
    check_frame(summary, "summary", SUMMARY_SOURCE, needed)
    if summary.empty:
        raise InvalidArgumentError("summary: must have a row for each setting and k, got none")
    beside = _Beside(baselines, bounds, learners, policies)
    draw = _draw_returns_of_trainings if has_trainings(summary) else _draw_returns
    with paper_style():
        return figure_of(draw(summary, beside, unfinished, width=width, ax=ax))


class _Beside(NamedTuple):
    """Tables of what the trained pairs are drawn beside."""

    baselines: pd.DataFrame | None
    bounds: pd.DataFrame | None
    learners: pd.DataFrame | None
    policies: pd.DataFrame | None

    def draw(self, panels: Sequence[Axes], ax: Axes | None, setting_ids: Sequence[str]) -> None:
        """Draw each setting's own in its panel, and only ceilings where several settings share axes."""
        if len(panels) == len(setting_ids):
            draw_levels(panels, ax, [levels_of(name, self.baselines, self.bounds) for name in setting_ids])
        else:
            draw_ceilings(panels[0], ax, setting_ids, self.bounds)
        draw_learners(panels[0], ax, setting_ids, self.learners)
        if len(panels) == len(setting_ids):
            draw_other_pairs(panels, ax, setting_ids, self.policies)

    def notes(self, n_panels: int, setting_ids: Sequence[str]) -> list[str]:
        """Return the note of what is not drawn beside several settings."""
        if len(setting_ids) == 1:
            return []
        left = {"baselines": self.baselines, "learners": self.learners, "pairs from elsewhere": self.policies}
        if n_panels > 1:
            left = {"learners": self.learners}
        known = [name for name, rows in left.items() if rows is not None and rows["setting_id"].isin(setting_ids).any()]
        return [TABLES_NOTE.format(", ".join(known))] if known else []


def _draw_returns_of_trainings(
    summary: pd.DataFrame, beside: _Beside, unfinished: str | None, *, width: float | None, ax: Axes | None
) -> Axes:
    """Draw the returns of several trainings, with a panel for each setting unless axes are given."""
    names = list(dict.fromkeys(with_numbers(summary, "training_returns")["setting_id"]))
    notes = ["exact returns"] if summary["exact_return"].notna().all() else []
    if beside.baselines is not None and (ax is None or len(names) == 1):
        own = beside.baselines[beside.baselines["setting_id"].isin(names)]
        notes += [FULL_NOTE] if "full_information" in set(own["baseline"]) else []
    notes += beside.notes(len(names) if ax is None else 1, names)
    look: dict[str, Any] = {"label": RETURN_LABEL, "width": width, "ax": ax}
    panels = draw_trainings(summary, "training_returns", notes, unfinished, **look)
    beside.draw(panels, ax, names if ax is not None else names[: len(panels)])
    return panels[0]


def _draw_returns(
    summary: pd.DataFrame, beside: _Beside, unfinished: str | None, *, width: float | None, ax: Axes | None
) -> Axes:
    """Draw the returns of a single training of each setting, on the same axes."""
    names = list(dict.fromkeys(summary["setting_id"]))
    is_clear = len(names) <= MAX_NAMED
    has_interval = is_clear and summary["ci95_low"].notna().any()
    has_band = has_interval and len(names) == 1
    bars = INTERVAL if has_interval and not has_band else RANGE if is_clear and summary["n_seeds"].max() > 1 else None
    has_line = summary["exact_return"].notna().any() and summary["n_seeds"].max() > 0
    notes = [_seeds_note(summary, bars == RANGE), *([LINE_NOTE] if has_line else [])]
    notes[1:1] = [BAND_NOTE] if has_band else [BARS_NOTE] if has_interval else []
    axes = draw_series(
        summary,
        "mean_return",
        notes + beside.notes(1, names),
        unfinished,
        width=width,
        ax=ax,
        bars=bars,
        band=INTERVAL if has_band else None,
        is_joined=not has_line,
    )
    axes.set_ylabel(RETURN_LABEL)
    if has_line:
        for one in series_of(settings_to_draw(summary)[0], "exact_return"):
            axes.plot(one.points["k"], one.points["exact_return"], color=one.style.colour, zorder=2)
    beside.draw([axes], ax, names)
    return axes


REWARD = ReportFigure(
    reward_vs_k,
    lambda of: {
        "summary": of.summary,
        "baselines": of.baselines,
        "bounds": of.bounds,
        "learners": of.learners,
        "policies": of.policies,
    },
    Caption(
        "Reward against k",
        "The discounted return that the trained pair of policies earns, against the number k of local agents that the "
        "global agent sees. Of a single training, bars reach from the evaluation seeds' smallest mean to their largest "
        "and the band is the 95 % interval of the mean (a bar where there are several settings): it contains the noise "
        "of the evaluation, not how another training would turn out. Of several trainings, each is a thin line and "
        "their median a strong one, and a bar is the mean with its 95 % interval over trainings. Lines without bars "
        "are exact returns or baselines. A solid level is what no policies whatever earn more than; of several "
        "settings on the same axes it is a short line at the right, in the setting's colour. Dashed curves are "
        "model-free learners at their largest budget of samples (open markers), and pairs from elsewhere (full ones), "
        "means over trainings.",
        "Of a single training, markers are means over all rollouts of the n-agent game, or exact returns where there "
        "are no rollouts. Of several, each earns its exact return where all of them have one, else its rollouts' mean, "
        "and markers are the median of these. Intervals are Student's t: over the rollouts of a single training, else "
        "over the trainings, each with evaluation seeds of its own.",
        "Line chart of the mean discounted return against the subsample size k, with intervals",
    ),
    absent="no return is known",
)


def difference_vs_k(
    summary: pd.DataFrame, *, unfinished: str | None = None, width: float | None = None, ax: Axes | None = None
) -> Figure | None:
    """Draw what each k gains over the next smaller one, with 95 % intervals; None where nothing can be compared.

    Exact returns of a single training are compared without an interval.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, "n_seeds", "exact_return", *DIFFERENCE_COLUMNS))
    if summary["difference"].isna().all():
        return None
    exact = [EXACT_DIFFERENCE_NOTE] if _are_exact_differences(summary) else []
    if has_trainings(summary):
        look: dict[str, Any] = {"label": DIFFERENCE_LABEL, "width": width, "ax": ax, "is_joined": False}
        with paper_style():
            panels = draw_trainings(summary, "training_differences", exact, unfinished, **look)
            for axes in panels:
                axes.axhline(0, color=NOTE_COLOUR, linewidth=0.6, zorder=1)
        return figure_of(panels[0])
    has_bars = summary["setting_id"].nunique() <= MAX_NAMED and summary["difference_ci95_low"].notna().any()
    bars = ("difference_ci95_low", "difference_ci95_high") if has_bars else None
    notes = [DIFFERENCE_NOTE] if has_bars else exact
    with paper_style():
        axes = draw_series(summary, "difference", notes, unfinished, width=width, ax=ax, bars=bars, is_joined=False)
        axes.set_ylabel(DIFFERENCE_LABEL)
        axes.axhline(0, color=NOTE_COLOUR, linewidth=0.6, zorder=1)
    return figure_of(axes)


DIFFERENCE = ReportFigure(
    difference_vs_k,
    _summary,
    Caption(
        "Gain over the next smaller k",
        "How much more the pair earns with k agents in view than with the next smaller k. Above the zero line, seeing "
        "more helped; an interval that crosses it leaves that open.",
        "The mean of paired differences: rollouts of the same evaluation seed have the same initial states and random "
        "numbers for every k. Bars are 95 % intervals (Student's t) over the pairs of a single training, and do not "
        "contain how another one would turn out. Of several, each training's difference is a dot, and bars are over "
        "the trainings. Differences are those of exact returns where several trainings have them at both k, or where "
        "there are no rollouts; of a single training these have no bar.",
        "Chart of the gain in return over the next smaller k against k, with 95 % intervals and a line at zero",
    ),
    absent="it needs exact returns of two subsample sizes, or rollouts of both on the same seeds",
)


def runtime_vs_k(
    summary: pd.DataFrame, *, unfinished: str | None = None, width: float | None = None, ax: Axes | None = None
) -> Figure | None:
    """Draw the wall-clock time of G-LEARN against k; None when no time was stored.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, "train_seconds"))
    seconds = summary["train_seconds"].dropna()
    if seconds.empty:
        return None
    with paper_style():
        if has_trainings(summary):
            look: dict[str, Any] = {"label": SECONDS_LABEL, "width": width, "ax": ax}
            axes = draw_trainings(summary, "training_seconds", [], unfinished, **look)[0]
        else:
            axes = draw_series(summary, "train_seconds", [], unfinished, width=width, ax=ax)
            axes.set_ylabel(SECONDS_LABEL)
        if seconds.min() > 0 and seconds.max() / seconds.min() > LOG_SCALE_FROM:
            axes.set_yscale("log")
            has_few_decades = seconds.max() / seconds.min() < 10**FEW_DECADES
            use_plain_numbers(axes.yaxis, subs=(1.0, 2.0, 5.0) if has_few_decades else (1.0,))
        else:
            axes.set_ylim(bottom=0)
    return figure_of(axes)


RUNTIME = ReportFigure(
    runtime_vs_k,
    _summary,
    Caption(
        "Training time against k",
        "Seconds that training the global policy takes, against k. The number of count vectors of k agents, and the "
        "time with it, grows as a power of k.",
        "Wall-clock time of the G-LEARN task as its worker measured it, without waiting and without the training of "
        "the shared local policy. From the table timings.",
        "Line chart of the wall-clock training time in seconds against the subsample size k",
    ),
    absent="no training time is stored",
)


def mode_accuracy_vs_k(
    summary: pd.DataFrame, *, unfinished: str | None = None, width: float | None = None, ax: Axes | None = None
) -> Figure | None:
    """Draw the share of steps at which the global action is a most populated local state, against k.

    None where no setting defines it: it needs as many global actions as local states.

    Parameters
    ----------
    summary : DataFrame
        ``dm.open(...).points()``; every setting is a series.
    unfinished : str, optional
        What to write above the axes of an unfinished sweep.
    width : float, optional
        Width of the figure in inches; by default that of a paper's column.
    ax : Axes, optional
        Where to draw instead of in a figure of its own.

    Raises
    ------
    InvalidArgumentError
        When columns are missing.
    """
    check_frame(summary, "summary", SUMMARY_SOURCE, (*POINT_COLUMNS, "mode_accuracy"))
    if summary["mode_accuracy"].isna().all():
        return None
    with paper_style():
        if has_trainings(summary):
            each = [100 * numbers(values) for values in summary["training_mode_accuracies"]]
            percent = summary.assign(training_mode_accuracies=pd.Series(each, index=summary.index))
            look: dict[str, Any] = {"label": ACCURACY_LABEL, "width": width, "ax": ax}
            return figure_of(draw_trainings(percent, "training_mode_accuracies", [], unfinished, **look)[0])
        percent = summary.assign(mode_accuracy=100 * summary["mode_accuracy"])
        axes = draw_series(percent, "mode_accuracy", [], unfinished, width=width, ax=ax)
        axes.set_ylabel(ACCURACY_LABEL)
    return figure_of(axes)


MODE_ACCURACY = ReportFigure(
    mode_accuracy_vs_k,
    _summary,
    Caption(
        "Mode accuracy against k",
        "How often the global action is the local state that most agents are in. Higher means that the sample tells "
        "the global agent more about the population; 100 % is not always best for the return.",
        "Share of the steps of all rollouts at which the action is any of the most populated local states, mean over "
        "evaluation seeds. Defined where there are as many global actions as local states.",
        "Line chart of the mode accuracy in per cent of steps against the subsample size k",
    ),
    absent="the mode accuracy needs rollouts, and as many global actions as local states",
)


def _are_exact_differences(summary: pd.DataFrame) -> bool:
    """Return whether all differences are known to be those of exact returns."""
    if summary["exact_return"].isna().any():
        return False
    compared = summary[summary["difference"].notna()]
    is_alone = compared["n_train_seeds"] == 1 if has_trainings(summary) else True
    return not (is_alone & (compared["n_seeds"] > 0)).any()


def _seeds_note(summary: pd.DataFrame, has_bars: bool) -> str:
    n_seeds = int(summary["n_seeds"].max())
    if n_seeds == 0:
        return "exact returns"
    if n_seeds == 1:
        return "one evaluation seed"
    up_to = "" if summary["n_seeds"].min() == n_seeds else "up to "
    return f"mean of {up_to}{n_seeds} evaluation seeds" + ("; bars: min to max" if has_bars else "")
