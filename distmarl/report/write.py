"""Writing a report: the figures of a results folder, beside its tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from distmarl.config.reading import RawSweep, parse_sweep
from distmarl.config.validation import k_values, validated_sweep
from distmarl.errors import ConfigError, ResultsError
from distmarl.report.figures import mode_accuracy_vs_k, reward_vs_k, runtime_vs_k
from distmarl.report.style import paper_style
from distmarl.report.summary import summarise, unfinished_note
from distmarl.results.folder import SWEEP_FILE, open_results
from distmarl.results.location import Location
from distmarl.results.lock import locked
from distmarl.results.opening import Place
from distmarl.results.schemas import EVALUATIONS, FAILURES, SETTINGS, TIMINGS, TRAININGS
from distmarl.results.store import Store

# Evaluations come first: whatever they rest on has been committed when the other tables are read.
TABLES_READ = (EVALUATIONS, TRAININGS, TIMINGS, SETTINGS, FAILURES)
# Large, and of no use here.
UNREAD = ("returns", "traceback")

Draw = Callable[..., Figure | None]
FIGURES: dict[str, tuple[Draw, str]] = {
    "reward_vs_k.png": (reward_vs_k, ""),
    "runtime_vs_k.png": (runtime_vs_k, "no training time is stored"),
    "mode_accuracy_vs_k.png": (
        mode_accuracy_vs_k,
        "the mode accuracy needs as many global actions as local states",
    ),
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
    tables = {table.name: store.read(table, without=UNREAD) for table in TABLES_READ}
    experiment = validated_sweep(_read_sweep(store.folder)).experiment
    evaluations = tables[EVALUATIONS.name]
    # Rows of an earlier, larger sweep stay in the tables, but out of the report.
    is_asked_for = evaluations["k"].isin(k_values(experiment)) & (evaluations["seed"] < experiment.n_eval_seeds)
    tables[EVALUATIONS.name] = evaluations[is_asked_for]
    summary = summarise(*(tables[table.name] for table in (EVALUATIONS, TRAININGS, TIMINGS, SETTINGS)))
    n_failures = len(tables[FAILURES.name])
    if summary.empty:
        failed = f" ({n_failures} of its tasks failed: see the table failures)" if n_failures else ""
        raise ResultsError(
            f"{store.folder}: has no evaluation of its sweep yet{failed}; run the sweep's command again to go on"
        )
    unfinished = unfinished_note(
        tables[EVALUATIONS.name],
        tables[SETTINGS.name],
        k_values=k_values(experiment),
        n_eval_seeds=experiment.n_eval_seeds,
    )
    written, skipped = _write_figures(store.folder, summary, unfinished)
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


def _write_figures(
    folder: Location, summary: pd.DataFrame, unfinished: str | None
) -> tuple[tuple[str, ...], tuple[SkippedFigure, ...]]:
    """Write each figure that there is something to draw for; an old one of the others is deleted."""
    written, skipped = [], []
    for name, (draw, reason) in FIGURES.items():
        figure = draw(summary, unfinished=unfinished)
        if figure is None:
            folder.delete([name])
            skipped.append(SkippedFigure(name, reason))
        else:
            with folder.writing(name) as stream, paper_style():
                figure.savefig(stream, format="png", metadata={"Software": None})  # without date or version
            written.append(folder.describe(name))
    return tuple(written), tuple(skipped)
