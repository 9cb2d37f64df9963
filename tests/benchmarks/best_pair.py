"""Time ``dm.best_pair`` beside one default training, and print what both earn.

Robots, n = 30, all with one thread; the ratio is of processor time within this run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

from threadpoolctl import threadpool_limits

import distmarl as dm

T = TypeVar("T")


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """Return what a function returns, and its processor time."""
    started = time.process_time()
    found = function()
    return found, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-agents", type=int, default=30)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 5, 10, 25, 30])
    arguments = parser.parse_args()
    env = dm.robots(n_agents=arguments.n_agents)
    print(f"{'k':>3} {'default':>9} {'s':>6} {'best pair':>10} {'s':>6} {'ratio':>6}  J over all steps, answer")
    with threadpool_limits(limits=1):
        for k in arguments.k:
            trained, default_s = timed(lambda k=k: dm.train_alternating(env, k=k))
            value = dm.exact_return(env, trained.global_policy, trained.local_policy, k=k, tolerance=1e-4).value
            best, best_s = timed(lambda k=k: dm.best_pair(env, k=k))
            print(
                f"{k:3} {value:9.2f} {default_s:6.1f} {best.value:10.2f} {best_s:6.1f} {best_s / default_s:6.1f}"
                f"  {best.answer}, {best.method}"
            )


if __name__ == "__main__":
    main()
