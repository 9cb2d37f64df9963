"""What nobody earns more than: the ceilings of a game, their time and their memory.

    python -m tests.benchmarks.value_bound [--m 1 2 3 5 8 10] [--prescriptions 16] [--horizon 50]

The robots game. First the default bound over all steps, and over a horizon; then the optimum of all actions of m
agents, and the bound by prescriptions, for each m. Seconds are those of the processor, on one core; memory is the
peak above the level before.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from tests.benchmarks.measuring import peak_bytes, pin_threads

pin_threads()

import distmarl as dm  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m", nargs="*", type=int, default=[1, 2, 3, 5, 8, 10], metavar="M")
    parser.add_argument("--prescriptions", nargs="*", type=int, default=[16], metavar="M")
    parser.add_argument("--horizon", type=int, default=50)
    arguments = parser.parse_args()
    asked: list[dict[str, Any]] = [{}, {"horizon": arguments.horizon}]
    asked += [{"m": m, "method": "joint"} for m in arguments.m]
    asked += [{"m": m, "method": "prescriptions"} for m in arguments.prescriptions]
    env = dm.robots(n_agents=30)
    for options in asked:
        found: list[dm.ValueBound] = []

        def measure(options: dict[str, Any] = options, found: list[dm.ValueBound] = found) -> None:
            found.append(dm.value_bound(env, **options))

        cpu = time.process_time()
        memory = peak_bytes(measure)
        cpu = time.process_time() - cpu
        (bound,) = found
        over = "all steps" if bound.horizon is None else f"{bound.horizon} steps"
        print(
            f"{bound.method}, m = {bound.m}, {over}: {bound.ceiling:.2f} (error {bound.error:.1e}), "
            f"{cpu:.1f} s, {memory / 2**20:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
