"""Writing a report: the figures of a results folder and its page, beside its tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from matplotlib.figure import Figure

from distmarl.errors import ResultsError
from distmarl.report.catalogue import FIGURES, figure_files
from distmarl.report.comparison import NAME as COMPARISON
from distmarl.report.comparison import comparison
from distmarl.report.figures.drawing.style import hearing_missing_glyphs, lay_out
from distmarl.report.numbers import Numbers, read_numbers
from distmarl.report.page.render import render_page
from distmarl.report.printing import Order, Printer, print_figure
from distmarl.results.damage import find_damage
from distmarl.results.folder import PAGE_FILE, PROVENANCE_FILE, open_results, stranger_lines
from distmarl.results.shapes import check_files
from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.location import Location
from distmarl.results.storage.lock import locked
from distmarl.results.storage.reasons import OTHER_FOLDER, NotWritableError
from distmarl.results.store import Store

COMPARISON_FILES = (f"{COMPARISON}.png", f"{COMPARISON}.pdf")


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was made of the numbers of a results folder.

    Attributes
    ----------
    numbers : Numbers
        The numbers.
    figures : tuple of str
        Files that were written, with the folder's name.
    page : str or None
        The page with all of this, with the folder's name.
    skipped : dict of str to str
        Why other figures that the sweep asks for were not drawn, by their names.
    unwritten : str or None
        Why there are neither figures nor a page: the results may only be read.
    missing_glyphs : str
        Characters that the font of the figures lacks.
    warnings : sequence of str
        What is wrong with the folder, unless a sweep is writing to it, which has said so itself: tables that are
        damaged, or have gone, without which the report is made, and files that are not distmarl's.
    """

    numbers: Numbers
    figures: tuple[str, ...] = ()
    page: str | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    unwritten: str | None = None
    missing_glyphs: str = ""
    warnings: Sequence[str] = ()


def write_report(
    folder: Location,
    *,
    publish: bool = True,
    vectors: bool = False,
    out: Location | None = None,
    printer: Printer | None = None,
) -> Report:
    """Summarise a results folder and write its page and its figures, as PNG and, for papers, as PDF.

    In a folder that may only be read, nothing is written, and the report says so.

    Parameters
    ----------
    folder : Location
        The results folder.
    publish : bool
        Publish first what has been committed, unless a running sweep holds the folder's lock, or tables are damaged
        or have gone, which only a sweep mends. Whoever holds the lock itself passes False.
    vectors : bool
        Write every figure as PDF, too. Otherwise only those are that there are PDFs of already, so that no PDF
        is older than its PNG.
    out : Location, optional
        Where the figures and the page shall lie instead of the results folder, to which nothing is written then.
    printer : Printer, optional
        Who makes the files of figures; this process alone by default.

    Raises
    ------
    ResultsError
        When the folder cannot be used, or holds no evaluation of its sweep yet, or ``out`` cannot be written.
    ConfigError
        When its sweep file cannot be read.
    """
    with hearing_missing_glyphs() as missing:
        snapshot = open_results(folder)
        damages = find_damage(snapshot) if publish else []
        report = _written(
            snapshot, publish=publish and not damages, vectors=vectors, out=out, printer=printer or Printer()
        )
    found = [*map(str, damages), *(stranger_lines(snapshot) if publish else ())]
    return replace(report, missing_glyphs="".join(sorted(missing)), warnings=found)


def _written(snapshot: Snapshot, *, publish: bool, out: Location | None, **options: Any) -> Report:
    """Write a report and return it."""
    folder = snapshot.folder
    if out is not None and out.path != folder.path:
        return _write(read_numbers(snapshot), _made(out), **options)
    if publish:
        _publish_if_free(folder)
    numbers = read_numbers(snapshot)
    try:
        folder.check()
        return _write(numbers, folder, **options)
    except NotWritableError as error:
        return Report(numbers, unwritten=str(error))


def write_comparison(folders: Sequence[Location], out: Location | None = None) -> tuple[str, ...]:
    """Draw the rewards of several sweeps in one figure, into the first one's folder or another one, as PNG and PDF.

    Raises
    ------
    ResultsError
        When a folder cannot be used, or their returns are not to be compared.
    """
    figure = comparison([read_numbers(open_results(folder)) for folder in folders])
    lay_out(figure)
    place = folders[0] if out is None or out.path == folders[0].path else _made(out)
    check_files(place, COMPARISON_FILES)
    for file in COMPARISON_FILES:
        with place.writing(file) as stream:
            stream.write(print_figure(figure, file.rpartition(".")[2]))
    return tuple(map(place.describe, COMPARISON_FILES))


def _write(numbers: Numbers, out: Location, *, vectors: bool, printer: Printer) -> Report:
    """Write the figures and the page into the results folder, or into another one."""
    is_beside = out is numbers.folder
    check_files(out, [PAGE_FILE, *figure_files()])
    drawn: dict[str, Figure] = {}
    skipped: dict[str, str] = {}
    as_vectors: dict[str, Order] = {}  # another process begins with these, which take longest
    for name, figure in FIGURES.items():
        picture = figure.drawn(numbers)
        if picture is not None:
            drawn[name] = picture
            lay_out(picture)
            if vectors or f"{name}.pdf" in numbers.files:
                as_vectors[f"{name}.pdf"] = printer.order(picture, "pdf")
        elif reason := figure.why_absent(numbers):
            skipped[name] = reason
    as_pixels = {f"{name}.png": printer.order(picture, "png") for name, picture in drawn.items()}
    if is_beside:
        _delete_old_figures(numbers, drawn)
    page = render_page(numbers, drawn, skipped, is_beside=is_beside)
    for file, order in reversed([*as_vectors.items(), *as_pixels.items()]):  # and this one with the last
        with out.writing(file) as stream:
            stream.write(order.content())
    with out.writing(PAGE_FILE) as stream:
        stream.write(page.encode(errors="backslashreplace"))  # half a character is none
    return Report(numbers, tuple(map(out.describe, [*as_pixels, *as_vectors])), out.describe(PAGE_FILE), skipped)


def _made(out: Location) -> Location:
    """Return a folder for figures, which is there; refuse the results folder of a sweep, which has its own."""
    out.check()
    check_files(out, [PROVENANCE_FILE])
    if out.exists(PROVENANCE_FILE):
        raise ResultsError(f"{out}: is a results folder itself, whose figures would be lost; {OTHER_FOLDER}")
    out.make()
    return out


def delete_report(folder: Location) -> None:
    """Delete the page and the figures of earlier results."""
    folder.delete({PAGE_FILE, *figure_files(), *COMPARISON_FILES} & set(folder.names()))


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
