"""Writing a report: the figures of a results folder, beside its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from distmarl.config.reading import RawSweep, parse_sweep
from distmarl.config.validation import k_values, validated_sweep
from distmarl.errors import ConfigError, ResultsError
from distmarl.report.figures import difference_vs_k, mode_accuracy_vs_k, reward_vs_k, runtime_vs_k
from distmarl.report.gap_figures import nash_gap_vs_k, price_of_subsampling
from distmarl.report.style import paper_style
from distmarl.report.summary import missing_note, summarise, unfinished_note, with_labels
from distmarl.results.folder import SWEEP_FILE, open_results
from distmarl.results.location import Location
from distmarl.results.lock import locked
from distmarl.results.opening import Place
from distmarl.results.schemas import BASELINES, FAILURES, NASH_GAPS, SETTINGS, TIMINGS, TRAININGS
from distmarl.results.store import Store

TABLES_READ = (TRAININGS, TIMINGS, SETTINGS, FAILURES, NASH_GAPS, BASELINES)
# Large, and of no use here.
UNREAD = ("traceback",)

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
class Report:
    """What a results folder holds, and the figures that were made of it.

    Attributes
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns.
    figures : tuple of str
        Files that were written, with the folder's name.
    skipped : tuple of SkippedFigure
        Figures that were not.
    n_failures : int
        Tasks of the last session that failed.
    unfinished : str, optional
        How far an unfinished sweep is; None for a finished one.
    """

    summary: pd.DataFrame
    figures: tuple[str, ...]
    skipped: tuple[SkippedFigure, ...]
    n_failures: int
    unfinished: str | None


def write_report(folder: Place, *, publish: bool = True) -> Report:
    """Summarise a results folder and write its figures into it.

    Parameters
    ----------
    folder : str, Path or Location
        The results folder.
    publish : bool
        Publish first what has been committed, unless a running sweep holds the folder's lock. Whoever
        holds it itself passes False.

    Raises
    ------
    ResultsError
        When the folder cannot be used, or holds no evaluation of its sweep yet.
    ConfigError
        When its sweep file cannot be read.
    """
    store = open_results(folder)
    if publish:
        _publish_if_free(store)
    sweep = validated_sweep(_read_sweep(store.folder))
    experiment = sweep.experiment
    asked_for, method = k_values(experiment), sweep.evaluation.method
    n_seeds = experiment.n_eval_seeds if method != "exact" else 0
    # Rows of an earlier, larger sweep stay in the tables, but out of the report.
    points = store.summary(lambda k, seed: k in asked_for and seed < n_seeds, asked_for if method != "rollouts" else ())
    # They come first: whatever they rest on has been committed when the other tables are read.
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
        raise ResultsError(
            f"{store.folder}: has no evaluation of its sweep yet{failed}; run the sweep's command again to go on"
        )
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
    written, skipped = _write_figures(store.folder, _figures(summary, gaps, baselines, unfinished))
    return Report(summary, written, skipped, n_failures, unfinished)


def _publish_if_free(store: Store) -> None:
    """Publish, unless another process writes to the folder or this one may not."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(store.folder))
        except ResultsError:
            return  # reading merges what is not published
        store.publish()


def _read_sweep(folder: Location) -> RawSweep:
    """Read the sweep file that ran last."""
    source = folder.describe(SWEEP_FILE)
    try:
        return parse_sweep(folder.read(SWEEP_FILE), source)
    except FileNotFoundError:
        raise ConfigError(f"{source}: there is no such file; run the sweep's command again") from None


def _figures(
    summary: pd.DataFrame, gaps: pd.DataFrame, baselines: pd.DataFrame, unfinished: str | None
) -> Iterator[tuple[str, Figure | None, str | None]]:
    """Yield the name of each figure, the figure, and why it is none; no reason where nobody asked for it."""
    yield REWARD_FIGURE, reward_vs_k(summary, baselines=baselines, unfinished=unfinished), None
    for name, (draw, reason) in FIGURES.items():
        yield name, draw(summary, unfinished=unfinished), reason
    for name, (draw, reason) in GAP_FIGURES.items():
        yield name, draw(with_labels(gaps, summary), unfinished=unfinished), reason if len(gaps) else None


def _write_figures(
    folder: Location, figures: Iterable[tuple[str, Figure | None, str | None]]
) -> tuple[tuple[str, ...], tuple[SkippedFigure, ...]]:
    """Write each figure that there is something to draw for; an old one of the others is deleted."""
    written, skipped = [], []
    for name, figure, reason in figures:
        if figure is None:
            folder.delete([name])
            if reason is not None:
                skipped.append(SkippedFigure(name, reason))
        else:
            with folder.writing(name) as stream, paper_style():
                figure.savefig(stream, format="png", metadata={"Software": None})  # without date or version
            written.append(folder.describe(name))
    return tuple(written), tuple(skipped)
