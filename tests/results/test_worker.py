from __future__ import annotations

import signal
import time

import pytest

from distmarl.results.storage.worker import Worker


def test_calls_are_made_in_order_and_waited_for() -> None:
    worker, made = Worker(), []
    for number in range(3):
        worker.run(lambda number=number: made.append(number))  # type: ignore[misc]
        assert made[-1] == number
    assert made == [0, 1, 2]


def test_what_a_call_raises_is_raised_and_the_next_one_is_made() -> None:
    worker, made = Worker(), []
    with pytest.raises(ZeroDivisionError):
        worker.run(lambda: 1 // 0)
    worker.run(lambda: made.append("next"))
    assert made == ["next"]


def test_a_call_that_is_interrupted_is_done_before_the_interruption_goes_on() -> None:
    worker, made = Worker(), []

    def slow() -> None:
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.2)
        made.append("done")

    with pytest.raises(KeyboardInterrupt):
        worker.run(slow)
    assert made == ["done"]
