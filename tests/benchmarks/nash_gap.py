"""The Nash gap with all of its brackets, and its estimate.

    python -m tests.benchmarks.nash_gap [--sizes 12:4 30:10 1000:10] [--best]

The robots game and a pair trained with the defaults, or the best pair that is found, for each n:k. Exact gaps are
computed up to thirty agents. Seconds of the processor are those of one core; where other work shares it, the clock
shows more. Memory is the peak above the level after training.
"""

from __future__ import annotations

import argparse
import time

from tests.benchmarks.measuring import peak_bytes, pin_threads

pin_threads()

import distmarl as dm  # noqa: E402

LARGEST_EXACT = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["12:4", "30:10", "1000:10"], metavar="N:K")
    parser.add_argument("--best", action="store_true", help="gaps of the best pair that is found")
    arguments = parser.parse_args()
    for size in arguments.sizes:
        n_agents, k = map(int, size.split(":"))
        env = dm.robots(n_agents=n_agents)
        pair = dm.best_pair(env, k=k) if arguments.best else dm.train_alternating(env, k=k)
        for method in ("exact", "estimate"):
            if method == "exact" and n_agents > LARGEST_EXACT:
                continue
            found: list[dm.NashGap] = []

            def measure(method: str = method, found: list[dm.NashGap] = found) -> None:
                found.append(dm.nash_gap(env, pair.global_policy, pair.local_policy, k=k, method=method))  # noqa: B023

            wall, cpu = time.perf_counter(), time.process_time()
            memory = peak_bytes(measure)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{method}: {cpu:.1f} s of the processor, {wall:.1f} s by the clock, {memory / 2**20:.0f} MiB")
            print(found[0], flush=True)


if __name__ == "__main__":
    main()
