"""How the cost of the exact operator grows with k, and what bounds it.

    python -m tests.benchmarks.exact_operator [--k 5 10 20 30 40 50 60] [--figure cost.png]

One sweep of value iteration applies T for each of the G = 5 global states of the robots game to five columns. Its
L(L - 1) / 2 two-way moves reorder C rows each (memory) and multiply them with binomial weights (arithmetic). The limits
are measured in the same run: the bandwidth of copying a large array, and the speed of a matrix product.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tests.benchmarks.measuring import peak_bytes, pin_threads, seconds

pin_threads()

import numpy as np  # noqa: E402

import distmarl as dm  # noqa: E402
from distmarl.dynamics.transitions.exact import ExactTransitions  # noqa: E402
from distmarl.model.counts import n_count_vectors  # noqa: E402
from distmarl.model.policies import local_kernel  # noqa: E402

N_STATES = 5
N_MOVES = N_STATES * (N_STATES - 1) // 2


def copy_bandwidth() -> float:
    """Return bytes read and written per second by copying 256 MiB."""
    source = np.ones(2**25)
    target = np.ones_like(source)
    return 2 * source.nbytes / seconds(lambda: np.copyto(target, source))


def product_speed() -> float:
    """Return multiply-adds per second of a square matrix product."""
    size = 1000
    matrix = np.ones((size, size))
    return size**3 / seconds(lambda: matrix @ matrix)


def measure(k: int) -> tuple[float, int]:
    """Return the time of a sweep and its peak memory, operator included."""
    env = dm.robots(n_agents=1000)
    kernel = local_kernel(env, dm.uniform_local_policy(env))
    values = np.random.default_rng(0).normal(size=(n_count_vectors(k, N_STATES), N_STATES))
    operators: list[ExactTransitions] = []

    def sweep() -> None:
        if not operators:
            operators.append(ExactTransitions(kernel, k=k, max_relative_error=1e-6))
        for s_g in range(N_STATES):
            operators[0].expect(s_g, values)

    memory = peak_bytes(sweep)
    return seconds(sweep, repeats=3, warm_up=False), memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=[5, 10, 20, 30, 40, 50, 60])
    parser.add_argument("--figure", help="where to save a figure")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.k[0])))
        return
    bandwidth, speed = copy_bandwidth(), product_speed()
    print(f"copy {bandwidth / 1e9:.1f} GB/s, product {speed / 1e9:.1f} G multiply-adds/s")
    rows = []
    for k in arguments.k:
        command = [sys.executable, "-m", "tests.benchmarks.exact_operator", "--measure", "--k", str(k)]
        taken, memory = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        size = n_count_vectors(k, N_STATES)
        # The products are of (s + 1) x (s + 1) matrices.
        fibres = [(s + 1) ** 2 * n_count_vectors(k - s, N_STATES - 2) for s in range(k + 1)]
        arithmetic = N_STATES * N_MOVES * sum(fibres) * N_STATES / taken
        traffic = N_STATES * N_MOVES * 4 * 8 * size * N_STATES / taken  # each move reads and writes the rows twice
        rows.append((k, size, taken, memory))
        print(
            f"k = {k}: {size:,} count vectors, {taken * 1e3:.1f} ms per sweep, {memory / 2**20:.0f} MiB; "
            f"{arithmetic / 1e9:.1f} G multiply-adds/s ({100 * arithmetic / speed:.0f} % of a product), "
            f"{traffic / 1e9:.1f} GB/s ({100 * traffic / bandwidth:.0f} % of a copy)",
            flush=True,
        )
    if arguments.figure:
        draw(rows, arguments.figure)


def draw(rows: list[tuple[int, int, float, int]], path: str) -> None:
    """Draw time and memory against k, with the model C k / L scaled to the largest k."""
    from matplotlib.figure import Figure

    from distmarl.report.figures.drawing.style import PALETTE, paper_style

    k, size, taken, memory = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    model = size * (k / N_STATES + 1)
    with paper_style():
        figure = Figure()
        axes = figure.add_subplot()
        axes.plot(k, taken, "o-", color=PALETTE[0], label="time of a sweep (s)")
        axes.plot(k, model * taken[-1] / model[-1], "--", color=PALETTE[0], label="C (k/L + 1), scaled")
        axes.plot(k, memory / 2**30, "s-", color=PALETTE[1], label="memory (GiB)")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("subsample size k (agents)")
        axes.legend()
        figure.savefig(path)


if __name__ == "__main__":
    main()
