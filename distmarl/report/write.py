"""Writing a report: the figures of a results folder and its page, beside its tables."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from distmarl.errors import ResultsError
from distmarl.report.catalogue import FIGURES, figure_files
from distmarl.report.figures.style import FILE_METADATA, hearing_missing_glyphs, lay_out, paper_style
from distmarl.report.numbers import Numbers, read_numbers
from distmarl.report.page.render import write_page
from distmarl.results.folder import PAGE_FILE, open_results
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import locked
from distmarl.results.store import Store


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was made of the numbers of a results folder.

    Attributes
    ----------
    numbers : Numbers
        The numbers.
    figures : tuple of str
        Files that were written, with the folder's name.
    page : str
        The page with all of this, with the folder's name.
    skipped : dict of str to str
        Why other figures that the sweep asks for were not drawn, by their names.
    missing_glyphs : str
        Characters that the font of the figures lacks.
    """

    numbers: Numbers
    figures: tuple[str, ...]
    page: str
    skipped: dict[str, str]
    missing_glyphs: str = ""


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
    with hearing_missing_glyphs() as missing:
        report = _written(folder, publish=publish, vectors=vectors)
    return replace(report, missing_glyphs="".join(sorted(missing)))


def _written(folder: Location, *, publish: bool, vectors: bool) -> Report:
    """Write a report and return it."""
    snapshot = open_results(folder)
    if publish:
        _publish_if_free(folder)
    numbers = read_numbers(snapshot)
    drawn: dict[str, Figure] = {}
    skipped: dict[str, str] = {}
    for name, figure in FIGURES.items():
        picture = figure.drawn(numbers)
        if picture is not None:
            drawn[name] = picture
            lay_out(picture)
            _write_figure(numbers.folder, name, picture, "png")
        elif reason := figure.why_absent(numbers):
            skipped[name] = reason
    _delete_old_figures(numbers, drawn)
    page = write_page(numbers, drawn, skipped)
    as_vectors = [name for name in drawn if vectors or f"{name}.pdf" in numbers.files]
    for name in as_vectors:
        _write_figure(numbers.folder, name, drawn[name], "pdf")
    files = [*(f"{name}.png" for name in drawn), *(f"{name}.pdf" for name in as_vectors)]
    return Report(numbers, tuple(map(numbers.folder.describe, files)), page, skipped)


def delete_report(folder: Location) -> None:
    """Delete the page and the figures of earlier results."""
    folder.delete({PAGE_FILE, *figure_files()} & set(folder.names()))


def _publish_if_free(folder: Location) -> None:
    """Publish, unless another process writes to the folder or this one may not."""
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(locked(folder))
        except ResultsError:
            return  # reading merges what is not published
        Store(folder, lock).publish()


def _delete_old_figures(numbers: Numbers, drawn: Collection[str]) -> None:
    """Delete what earlier reports drew and this one does not."""
    old = {name for name in figure_files() if name.rpartition(".")[0] not in drawn}
    numbers.folder.delete(old & numbers.files)


def _write_figure(folder: Location, name: str, figure: Figure, kind: str) -> None:
    """Write a figure, the same bytes each time, without date or version."""
    with folder.writing(f"{name}.{kind}") as stream, paper_style():
        figure.savefig(stream, format=kind, metadata=FILE_METADATA[kind])
