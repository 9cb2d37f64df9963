"""Writing a report: the figures of a results folder and its page, beside its tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial

import pandas as pd
from matplotlib.figure import Figure

from distmarl.config.checking import k_values
from distmarl.errors import ResultsError
from distmarl.report.figures.against_k import difference_vs_k, mode_accuracy_vs_k, reward_vs_k, runtime_vs_k
from distmarl.report.figures.gaps import nash_gap_vs_k, price_of_subsampling
from distmarl.report.figures.style import FILE_METADATA, lay_out, paper_style
from distmarl.report.numbers import missing_note, summarise, unfinished_note, with_labels
from distmarl.report.page.inline_figures import Makers
from distmarl.report.page.render import write_page
from distmarl.report.stored import draw_alternation, draw_policy, draw_scaling, draw_timeline, draw_zone_heatmap
from distmarl.results.folder import open_results, read_sweep
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import find_writer, locked
from distmarl.results.store import Store
from distmarl.results.tables import BASELINES, FAILURES, NASH_GAPS, SETTINGS, TIMINGS, TRAININGS

# The summary comes first: whatever it rests on has been committed when these are read.
TABLES_READ = (TRAININGS, TIMINGS, SETTINGS, FAILURES, NASH_GAPS, BASELINES)
# Large, and of no use here.
UNREAD = ("traceback", "log_tail")

Draw = Callable[..., Figure | None]
REWARD_FIGURE = "reward_vs_k.png"
FIGURES: dict[str, tuple[Draw, str]] = {
    "difference_vs_k.png": (difference_vs_k, "it needs rollouts of two subsample sizes, on the same seeds"),
    "runtime_vs_k.png": (runtime_vs_k, "no training time is stored"),
    "mode_accuracy_vs_k.png": (
        mode_accuracy_vs_k,
        "the mode accuracy needs rollouts, and as many global actions as local states",
    ),
}
GAP_FIGURES: dict[str, tuple[Draw, str]] = {
    "nash_gap_vs_k.png": (nash_gap_vs_k, "no gap is known"),
    "price_of_subsampling.png": (price_of_subsampling, "it needs exact Nash gaps"),
}
# Drawn from the folder's other tables. Nobody asks for scaling.png who varies no n_agents.
STORED_FIGURES: dict[str, tuple[Draw, str | None]] = {
    "zone_heatmap.png": (draw_zone_heatmap, "no rollout is recorded (evaluation.method: exact has none)"),
    "policy.png": (draw_policy, "no policy is stored"),
    "scaling.png": (draw_scaling, None),
}
RUN_FIGURES: dict[str, tuple[Draw, str]] = {
    "alternation.png": (draw_alternation, "no outer iteration is stored"),
    "timeline.png": (draw_timeline, "no task's start is stored"),
}
FIGURE_NAMES = (REWARD_FIGURE, *FIGURES, *GAP_FIGURES, *STORED_FIGURES, *RUN_FIGURES)


@dataclass(frozen=True, slots=True)
class SkippedFigure:
    """A figure that was not drawn.

    Attributes
    ----------
    name : str
        Its file name.
    reason : str
        Why there is nothing to draw.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """What a results folder holds, as far as its report is about it.

    Attributes
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns.
    nash_gaps, baselines : DataFrame
        Rows of these tables that the sweep asks for.
    n_failures : int
        Tasks that have failed and have not succeeded since.
    unfinished : str, optional
        How far an unfinished sweep is; None for a finished one.
    store : Snapshot
        The tables, of which some figures need more.
    """

    summary: pd.DataFrame
    nash_gaps: pd.DataFrame
    baselines: pd.DataFrame
    n_failures: int
    unfinished: str | None
    store: Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a results folder holds, and the figures that were made of it.

    Attributes
    ----------
    summary : DataFrame
        What :func:`distmarl.report.numbers.summarise` returns.
    figures : tuple of str
        Files that were written, with the folder's name.
    page : str
        The page with all of this, with the folder's name.
    skipped : tuple of SkippedFigure
        Figures that were not.
    n_failures : int
        Tasks that have failed and have not succeeded since.
    unfinished : str, optional
        How far an unfinished sweep is; None for a finished one.
    """

    summary: pd.DataFrame
    figures: tuple[str, ...]
    page: str
    skipped: tuple[SkippedFigure, ...]
    n_failures: int
    unfinished: str | None


def write_report(folder: Location, *, publish: bool = True, vectors: bool = False) -> Report:
    """Summarise a results folder and write its page and its figures into it, as PNG and, for papers, as PDF.

    Parameters
    ----------
    folder : Location
        The results folder.
    publish : bool
        Publish first what has been committed, unless a running sweep holds the folder's lock. Whoever
        holds it itself passes False.
    vectors : bool
        Write every figure as PDF, too. Otherwise only those are that there are PDFs of already, so that no PDF
        is older than its PNG.

    Raises
    ------
    ResultsError
        When the folder cannot be used, or holds no evaluation of its sweep yet.
    ConfigError
        When its sweep file cannot be read.
    """
    store = open_results(folder)
    if publish:
        _publish_if_free(folder)
    numbers = read_numbers(store)
    makers = {name: (cache(draw), reason) for name, (draw, reason) in figure_makers(numbers).items()}
    written, skipped = _write_figures(store.folder, makers)
    page = write_page(store, numbers, makers)
    written += _write_vectors(store.folder, makers, all_of_them=vectors)
    return Report(numbers.summary, tuple(written), page, skipped, numbers.n_failures, numbers.unfinished)


def read_numbers(store: Snapshot) -> Numbers:
    """Return what a report says of a results folder, without writing anything.

    Raises
    ------
    ResultsError
        When the folder holds no evaluation of its sweep yet.
    ConfigError
        When its sweep file cannot be read.
    """
    sweep = read_sweep(store.folder)
    experiment = sweep.experiment
    asked_for, method = k_values(experiment), sweep.evaluation.method
    n_seeds = experiment.n_eval_seeds if method != "exact" else 0
    # Rows of an earlier, larger sweep stay in the tables, but out of the report.
    points = store.summary(
        lambda k, seed: k in asked_for and seed < n_seeds, exact_k=asked_for if method != "rollouts" else ()
    )
    tables = {table.name: store.read(table, without=UNREAD) for table in TABLES_READ}
    settings = tables[SETTINGS.name]
    ids = settings.loc[settings["in_sweep"], "setting_id"]
    gaps, baselines = tables[NASH_GAPS.name], tables[BASELINES.name]
    gaps = gaps[(gaps["method"] == experiment.nash_gap) & gaps["k"].isin(asked_for) & gaps["setting_id"].isin(ids)]
    baselines = baselines[baselines["baseline"].isin(experiment.baselines) & baselines["setting_id"].isin(ids)]
    summary = summarise(points, *(tables[table.name] for table in (TRAININGS, TIMINGS, SETTINGS)))
    n_failures = len(tables[FAILURES.name])
    if summary.empty:
        failed = f" ({n_failures} of its tasks failed: see the table failures)" if n_failures else ""
        runs = find_writer(store.folder) is not None
        remedy = "it is running: wait for the first" if runs else "run the sweep's command again to go on"
        raise ResultsError(f"{store.folder}: has no evaluation of its sweep yet{failed}; {remedy}")
    unfinished = unfinished_note(
        points,
        tables[SETTINGS.name],
        k_values=asked_for,
        n_eval_seeds=experiment.n_eval_seeds,
        method=method,
    ) or missing_note(
        (len(gaps.drop_duplicates(["setting_id", "k"])), len(ids) * len(asked_for) * (experiment.nash_gap != "off")),
        (len(baselines.drop_duplicates(["setting_id", "baseline"])), len(ids) * len(experiment.baselines)),
    )
    return Numbers(summary, gaps, baselines, n_failures, unfinished, store)


def _publish_if_free(folder: Location) -> None:
    """Publish, unless another process writes to the folder or this one may not."""
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(folder))
        except ResultsError:
            return  # reading merges what is not published
        Store(folder, lock).publish()


def figure_makers(numbers: Numbers) -> dict[str, tuple[Callable[[], Figure | None], str | None]]:
    """Return what draws each figure, and why it may draw none; no reason where nobody asked for it.

    Parameters
    ----------
    numbers : Numbers
        What :func:`read_numbers` returns.
    """
    summary, unfinished = numbers.summary, numbers.unfinished
    gaps = with_labels(numbers.nash_gaps, summary)
    draw_reward = partial(reward_vs_k, summary, baselines=numbers.baselines, unfinished=unfinished)
    return {
        REWARD_FIGURE: (draw_reward, None),
        **{name: (partial(draw, summary, unfinished=unfinished), reason) for name, (draw, reason) in FIGURES.items()},
        **{
            name: (partial(draw, gaps, unfinished=unfinished), reason if len(gaps) else None)
            for name, (draw, reason) in GAP_FIGURES.items()
        },
        **{
            name: (partial(draw, numbers.store, summary, unfinished=unfinished), reason)
            for name, (draw, reason) in STORED_FIGURES.items()
        },
        **{
            name: (partial(draw, numbers.store, unfinished=unfinished), reason)
            for name, (draw, reason) in RUN_FIGURES.items()
        },
    }


def _write_figures(folder: Location, makers: Makers) -> tuple[list[str], tuple[SkippedFigure, ...]]:
    """Write each figure that there is something to draw for; an old one of the others is deleted."""
    written, skipped = [], []
    existing = set(folder.names())
    for name, (draw, reason) in makers.items():
        figure = draw()
        if figure is None:
            folder.delete({name, vector_name(name)} & existing)
            if reason is not None:
                skipped.append(SkippedFigure(name, reason))
        else:
            lay_out(figure)
            written.append(_save(figure, folder, name))
    return written, tuple(skipped)


def _write_vectors(folder: Location, makers: Makers, *, all_of_them: bool) -> list[str]:
    """Write figures as PDF; those that there are PDFs of already, or all."""
    existing = set(folder.names())
    chosen = {vector_name(name): draw() for name, (draw, _) in makers.items()}
    return [
        _save(figure, folder, name)
        for name, figure in chosen.items()
        if figure is not None and (all_of_them or name in existing)
    ]


def vector_name(name: str) -> str:
    """Return the name of a figure's PDF."""
    return f"{name.removesuffix('.png')}.pdf"


def _save(figure: Figure, folder: Location, name: str) -> str:
    """Write a figure, the same bytes each time, without date or version; return the file's whole name."""
    kind = name.rpartition(".")[2]
    with folder.writing(name) as stream, paper_style():
        figure.savefig(stream, format=kind, metadata=FILE_METADATA[kind])
    return folder.describe(name)
