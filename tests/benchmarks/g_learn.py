"""G-LEARN against the authors' published code, on the robots tables with a uniform local policy.

    python -m tests.benchmarks.g_learn --authors PATH/TO/alternating-marl/scripts [--k 25 50]

The authors' code (github.com/emiletimothy/alternating-marl, first commit) makes 100 sweeps of rounded transitions,
which leave an error of up to 0.69 at gamma = 0.95. Ours stops at a certified bound: of 0.69 with
rounded transitions, of 1e-6 with exact ones. Memory is the peak above the level after imports and
a small warm-up. Each measurement has a process of its own, and one BLAS thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import ONE_THREAD, peak_bytes, pin_threads, seconds

AUTHORS_BOUND = 0.69
AUTHORS_SWEEPS = 100
THRESHOLDS = {"rounded": AUTHORS_BOUND, "exact": 1e-6, "sampled": 1e-6}


def measure(who: str, k: int, repeats: int) -> dict[str, float]:
    """Measure one side in this process."""
    pin_threads()
    import distmarl as dm

    env = dm.robots(n_agents=1000)
    policy = dm.uniform_local_policy(env)
    if who == "authors":
        from global_agent_optimizer import GlobalAgentOptimizer

        def learn(k: int) -> float:
            GlobalAgentOptimizer(
                n_sg=5, n_sl=5, n_ga=5, k=k, gamma=0.95,
                P_g=lambda s_g, a_g: env.transition_global[s_g, a_g],
                P_l_pi=lambda s_l, s_g: env.transition_local[s_g, s_l].mean(axis=0),
                r_g=lambda s_g, a_g: env.reward_global[s_g, a_g],
                r_l_pi=lambda s_l, s_g: env.reward_local[s_g, s_l].mean(),
                max_iter=AUTHORS_SWEEPS,
            )  # fmt: skip
            return AUTHORS_BOUND
    else:

        def learn(k: int) -> float:
            return dm.g_learn(env, policy, k=k, transitions=who, convergence_threshold=THRESHOLDS[who]).bound  # type: ignore[arg-type]

    learn(3)
    bounds: list[float] = []
    peak = peak_bytes(lambda: bounds.append(learn(k)))
    return {"seconds": seconds(lambda: learn(k), repeats=repeats, warm_up=False), "bytes": peak, "bound": bounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--authors", type=Path, required=True, help="folder of the authors' scripts")
    parser.add_argument("--k", type=int, nargs="+", default=[25, 50])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=["authors", *THRESHOLDS], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.k[0], arguments.repeats)))
        return
    for k in arguments.k:
        authors = run(arguments, k, "authors")
        print(f"k = {k}: the authors' {AUTHORS_SWEEPS} sweeps {describe(authors)}")
        for kind in THRESHOLDS:
            ours = run(arguments, k, kind)
            faster, leaner = authors["seconds"] / ours["seconds"], ours["bytes"] / authors["bytes"]
            print(f"  {kind:8} {describe(ours)}: {faster:.1f} times as fast, {leaner:.2f} of the memory", flush=True)


def run(arguments: argparse.Namespace, k: int, who: str) -> dict[str, float]:
    """Measure one side in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.g_learn", "--authors", str(arguments.authors)]
    command += ["--k", str(k), "--repeats", str(arguments.repeats), "--measure", who]
    environment = {**ONE_THREAD, "PYTHONPATH": f"{Path.cwd()}:{arguments.authors}", "MPLBACKEND": "agg"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def describe(found: dict[str, float]) -> str:
    return f"to a bound of {found['bound']:.1e} in {found['seconds']:.2f} s, {found['bytes'] / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
