"""A task's deadline comes until it is heard, and leaves nothing behind."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from distmarl.errors import TaskTimeoutError
from distmarl.study import tasks
from distmarl.sweep.executors import execution
from distmarl.sweep.executors.execution import Outcome, execute
from tests.faults.deafness import Deaf, linger, listen_to_nothing

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a function as a task."""

    def run_task(function: Callable[[], Any], timeout_s: float = 0.1) -> Outcome:
        monkeypatch.setitem(tasks.TASK_FUNCTIONS, "evaluate", function)
        _, outcome = execute("evaluate", (), timeout_s)
        return outcome

    return run_task


@pytest.fixture(autouse=True)
def handler() -> Any:
    """Set a handler of the program's own, and check that a deadline has put it back and left no timer."""

    def own(*_: Any) -> None: ...

    previous = signal.signal(signal.SIGALRM, own)
    yield own
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is own
    signal.signal(signal.SIGALRM, previous)


def given_up(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.error.startswith("TaskTimeoutError: ran longer than ")


def dropped() -> None:
    Deaf()


def collected() -> None:
    def callback(phase: str, _info: Any) -> None:
        if phase == "start":
            linger()

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)


@pytest.mark.parametrize("swallow", [dropped, collected])
def test_a_deadline_that_python_swallows_comes_again(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, swallow: Callable[[], None]
) -> None:
    swallowed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: swallowed.append(unraisable.exc_type))

    def task() -> None:
        swallow()
        listen_to_nothing()

    assert given_up(run(task))
    assert set(swallowed) == {TaskTimeoutError}


def test_a_deadline_that_was_heard_does_not_disturb_the_tidying(run: Callable[..., Outcome]) -> None:
    tidied = []

    def task() -> None:
        try:
            listen_to_nothing()
        finally:
            time.sleep(5 * execution.REPEAT_S)
            tidied.append(True)

    assert given_up(run(task))
    assert tidied == [True]


def test_what_ends_in_time_hears_nothing_of_its_deadline(run: Callable[..., Outcome]) -> None:
    def fail() -> None:
        raise ArithmeticError("a broken kernel")

    assert run(lambda: tasks.TaskResult(None, {}), timeout_s=60.0).failure is None
    failure = run(fail, timeout_s=60.0).failure
    assert failure is not None
    assert failure.error == "ArithmeticError: a broken kernel"
