from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from distmarl.report import printing
from distmarl.report.catalogue import FIGURES
from distmarl.report.figures.drawing.style import lay_out
from distmarl.report.numbers import read_numbers
from tests.places import open_results
from tests.report.results_folders import commit_details, commit_points, grid_of, start_folder

START = printing._start


@pytest.fixture
def printer(monkeypatch):
    """A printer with another process, on one core, too."""
    monkeypatch.setattr(printing, "_start", START)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with printing.printing() as printer:
        yield printer


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Every figure of a folder."""
    folder = tmp_path_factory.mktemp("results")
    store = start_folder(folder)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    commit_details(store, ["only"], [1, 2])
    numbers = read_numbers(open_results(folder))
    figures = {name: figure.drawn(numbers) for name, figure in FIGURES.items()}
    found = {name: figure for name, figure in figures.items() if figure is not None}
    for figure in found.values():
        lay_out(figure)
    return found


def a_figure(formatter=None):
    figure = Figure((2, 1))
    axes = figure.add_subplot()
    axes.plot([1, 2], [3, 4])
    if formatter is not None:
        axes.xaxis.set_major_formatter(FuncFormatter(formatter))
    return figure


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_another_process_makes_the_same_bytes_of_every_figure(printer, drawn, kind):
    orders = {name: printer.order(figure, kind) for name, figure in drawn.items()}
    assert len(orders) > 7
    for name, order in orders.items():
        assert order.elsewhere.result(timeout=60) == printing.print_figure(drawn[name], kind), name
        assert order.content() == order.elsewhere.result()


def test_what_the_other_has_not_begun_is_made_here(printer, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    exchange = printing._exchange
    monkeypatch.setattr(printing, "_exchange", lambda *sent: (begun.set(), go_on.wait(60), exchange(*sent))[-1])
    figure = a_figure()
    first, second = printer.order(figure, "pdf"), printer.order(figure, "png")
    assert begun.wait(60)
    here = []
    make = printing.print_figure
    monkeypatch.setattr(printing, "print_figure", lambda figure, kind: (here.append(kind), make(figure, kind))[-1])
    assert second.content().startswith(b"\x89PNG")
    go_on.set()
    assert first.content().startswith(b"%PDF")
    assert here == ["png"]


def test_nothing_is_lost_with_the_other_process(printer):
    figure = a_figure()
    assert printer.order(figure, "png").elsewhere.result(timeout=60) is not None
    printer._other.kill()
    printer._other.wait()
    order = printer.order(figure, "png")
    assert order.elsewhere.result(timeout=60) is None
    assert order.content() == printing.print_figure(figure, "png")


def test_another_process_that_does_nothing_is_not_waited_for_without_end(printer, monkeypatch):
    figure = a_figure()
    assert printer.order(figure, "png").elsewhere.result(timeout=60) is not None
    monkeypatch.setattr(printing, "PATIENCE_S", 0.2)
    printer._other.send_signal(signal.SIGSTOP)
    order = printer.order(figure, "pdf")
    while not order.elsewhere.running():
        time.sleep(0.01)
    assert order.content() == printing.print_figure(figure, "pdf")


@pytest.mark.parametrize(
    "says", ["print('hello', flush=True)", "import sys; sys.exit(3)", "import os; os.write(1, b'x' * 99)"]
)
def test_another_process_that_says_something_or_ends_at_its_start_takes_nothing_along(
    tmp_path, monkeypatch, drawn, says
):
    (tmp_path / "sitecustomize.py").write_text(says)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(printing, "_start", START)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    figure = drawn["zone_heatmap"]  # larger than a pipe
    with printing.printing() as printer:
        orders = [printer.order(figure, "png") for _ in range(4)]
        assert {order.content() for order in orders} == {printing.print_figure(figure, "png")}


@pytest.mark.parametrize("executable", ["", None, "/nowhere/python"])
def test_where_no_process_can_be_started_this_one_does_it_all(monkeypatch, executable):
    monkeypatch.setattr(printing, "_start", START)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(sys, "executable", executable)
    with printing.printing() as printer:
        assert printer.order(a_figure(), "png").content().startswith(b"\x89PNG")


def test_a_figure_that_cannot_be_sent_is_made_here(printer):
    order = printer.order(a_figure(lambda value, _: f"{value:g}"), "png")
    assert order.elsewhere is None
    assert order.content().startswith(b"\x89PNG")


def test_the_other_process_ends_with_the_block(monkeypatch):
    monkeypatch.setattr(printing, "_start", START)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with printing.printing() as printer:
        orders = [printer.order(a_figure(), "pdf") for _ in range(3)]
    assert printer._other.poll() is not None
    assert all(order.content().startswith(b"%PDF") for order in orders)


def test_on_one_core_there_is_no_other_process(monkeypatch):
    monkeypatch.setattr(printing, "_start", START)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with printing.printing() as printer:
        assert printer.order(a_figure(), "png").elsewhere is None
