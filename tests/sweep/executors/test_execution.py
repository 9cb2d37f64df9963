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
from distmarl.study.kinds.kind import TaskResult
from distmarl.sweep.executors import execution
from distmarl.sweep.executors.execution import Place, execute
from tests.faults.deafness import Deaf, linger, listen_to_nothing

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def handler() -> Any:
    """Set a handler of the program's own, and check that a deadline has put it back and left no timer."""

    def own(*_: Any) -> None: ...

    previous = signal.signal(signal.SIGALRM, own)
    yield own
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is own
    signal.signal(signal.SIGALRM, previous)


def is_given_up(task: Callable[[], Any]) -> bool:
    _, outcome = execute(task, (), Place(0.1))
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
    monkeypatch: pytest.MonkeyPatch, swallow: Callable[[], None]
) -> None:
    swallowed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: swallowed.append(unraisable.exc_type))

    def task() -> None:
        swallow()
        listen_to_nothing()

    assert is_given_up(task)
    assert set(swallowed) == {TaskTimeoutError}


def test_a_deadline_that_was_heard_does_not_disturb_the_tidying() -> None:
    tidied = []

    def task() -> None:
        try:
            listen_to_nothing()
        finally:
            time.sleep(5 * execution.REPEAT_S)
            tidied.append(True)

    assert is_given_up(task)
    assert tidied == [True]


def test_what_ends_in_time_hears_nothing_of_its_deadline() -> None:
    def fail() -> None:
        raise ArithmeticError("a broken kernel")

    outcomes = [execute(task, (), Place(60.0))[1] for task in (lambda: TaskResult(None, {}), fail)]
    assert outcomes[0].failure is None
    assert outcomes[1].failure is not None
    assert outcomes[1].failure.error == "ArithmeticError: a broken kernel"
