"""Writing a report: the figures of a results folder, beside its tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from distmarl.config.reading import read_sweep_file
from distmarl.config.validation import k_values, validated_sweep
from distmarl.errors import ResultsError
from distmarl.report.figures import mode_accuracy_vs_k, reward_vs_k, runtime_vs_k
from distmarl.report.style import paper_style
from distmarl.report.summary import summarise, unfinished_note
from distmarl.results.folder import SWEEP_FILE, locked, open_results
from distmarl.results.schemas import EVALUATIONS, FAILURES, SETTINGS, TIMINGS, TRAININGS
from distmarl.results.store import Store

# Evaluations come first: whatever they rest on has been committed when the other tables are read.
TABLES_READ = (EVALUATIONS, TRAININGS, TIMINGS, SETTINGS, FAILURES)
# Large, and of no use here.
UNREAD = ("returns", "traceback")
READ_ATTEMPTS = 5

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
class Numbers:
    """What a results folder holds.

    Attributes
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns.
    n_failures : int
        Tasks of the last session that failed.
    unfinished : str, optional
        How far an unfinished sweep is; None for a finished one.
    """

    summary: pd.DataFrame
    n_failures: int
    unfinished: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a results folder holds, and the figures that were made of it.

    Attributes
    ----------
    summary : DataFrame
        What :func:`distmarl.report.summary.summarise` returns.
    figures : tuple of Path
        Files that were written.
    skipped : tuple of SkippedFigure
        Figures that were not.
    n_failures : int
        Tasks of the last session that failed.
    unfinished : str, optional
        How far an unfinished sweep is; None for a finished one.
    """

    summary: pd.DataFrame
    figures: tuple[Path, ...]
    skipped: tuple[SkippedFigure, ...]
    n_failures: int
    unfinished: str | None


def write_report(folder: str | Path, *, publish: bool = True) -> Report:
    """Summarise a results folder and write its figures into it.

    Parameters
    ----------
    folder : str or Path
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
    numbers = read_numbers(store)
    written, skipped = _write_figures(store.folder, numbers.summary, numbers.unfinished)
    return Report(numbers.summary, written, skipped, numbers.n_failures, numbers.unfinished)


def read_numbers(store: Store) -> Numbers:
    """Return what a report says of a results folder, without writing anything.

    Raises
    ------
    ResultsError
        When the folder holds no evaluation of its sweep yet.
    ConfigError
        When its sweep file cannot be read.
    """
    tables = _read_tables(store)
    experiment = validated_sweep(read_sweep_file(store.folder / SWEEP_FILE)).experiment
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
    return Numbers(summary, n_failures, unfinished)


def _publish_if_free(store: Store) -> None:
    """Publish, unless another process writes to the folder or this one may not."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(store.folder))
        except (ResultsError, OSError):
            return  # reading merges what is not published
        store.publish()


def _read_tables(store: Store) -> dict[str, pd.DataFrame]:
    """Read the tables, again when a running sweep published meanwhile and deleted what was to be read."""
    for _ in range(READ_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return {table.name: store.read(table, without=UNREAD) for table in TABLES_READ}
    return {table.name: store.read(table, without=UNREAD) for table in TABLES_READ}


def _write_figures(
    folder: Path, summary: pd.DataFrame, unfinished: str | None
) -> tuple[tuple[Path, ...], tuple[SkippedFigure, ...]]:
    """Write each figure that there is something to draw for; an old one of the others is deleted."""
    written, skipped = [], []
    for name, (draw, reason) in FIGURES.items():
        figure = draw(summary, unfinished=unfinished)
        try:
            if figure is None:
                (folder / name).unlink(missing_ok=True)
                skipped.append(SkippedFigure(name, reason))
            else:
                _save(figure, folder / name)
                written.append(folder / name)
        except OSError as error:
            raise ResultsError(f"{folder / name}: cannot be written: {error.strerror or error}") from error
    return tuple(written), tuple(skipped)


def _save(figure: Figure, path: Path) -> None:
    """Save a figure aside and rename it, so that no reader sees half a file; without date or version."""
    aside = path.with_name(f"_{path.name}.tmp")
    with paper_style():
        figure.savefig(aside, format="png", metadata={"Software": None})
    aside.replace(path)
