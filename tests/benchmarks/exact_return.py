"""One exact return against the rollouts that say as much.

    python -m tests.benchmarks.exact_return [--n-agents 30] [--k 10] [--horizons 50 200]

The robots game with a uniform local policy and G-LEARN's exact answer to it. What a standard error of 0.01 takes
follows from the standard deviation of a few thousand rollouts and the time of each: it is too many to run. They only
ever estimate a truncated sum: at gamma = 0.95, 50 steps leave out 8 % of the infinite one, 200 steps less than 0.01.
"""

from __future__ import annotations

import argparse

from tests.benchmarks.measuring import peak_bytes, pin_threads, seconds

pin_threads()

import numpy as np  # noqa: E402

import distmarl as dm  # noqa: E402

STANDARD_ERROR = 0.01
TOLERANCE = 1e-6
N_ROLLOUTS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-agents", type=int, default=30)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--horizons", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    env, k = dm.robots(n_agents=arguments.n_agents), arguments.k
    local_policy = dm.uniform_local_policy(env)
    policy = dm.g_learn(env, local_policy, k=k, transitions="exact").policy

    found: list[dm.ExactReturn] = []
    memory = peak_bytes(lambda: found.append(dm.exact_return(env, policy, local_policy, k=k, tolerance=TOLERANCE)))
    exact_s = seconds(
        lambda: dm.exact_return(env, policy, local_policy, k=k, tolerance=TOLERANCE),
        repeats=arguments.repeats,
        warm_up=False,
    )
    (value,) = found
    print(
        f"n = {env.n_agents}, k = {k}, infinite sum: {value.value:.7f} within {value.bound:.0e} "
        f"in {exact_s:.2f} s, {value.n_iterations} sweeps, {memory / 2**20:.0f} MiB"
    )
    for horizon in arguments.horizons:
        returns: list[np.ndarray] = []

        def run(horizon: int = horizon, returns: list[np.ndarray] = returns) -> None:
            seed = len(returns)
            returns.append(
                dm.evaluate(env, policy, local_policy, k=k, n_rollouts=N_ROLLOUTS, horizon=horizon, seed=seed).returns
            )

        rollout_s = seconds(run, repeats=arguments.repeats) / N_ROLLOUTS
        deviation = float(np.std(returns, ddof=1))
        n_replaced = (deviation / STANDARD_ERROR) ** 2
        needed_s = n_replaced * rollout_s
        print(
            f"horizon {horizon}: rollouts have a standard deviation of {deviation:.2f}, {rollout_s * 1e6:.0f} us each; "
            f"a standard error of {STANDARD_ERROR} takes {n_replaced:,.0f} of them and {needed_s:.0f} s, "
            f"the exact value {exact_s / needed_s:.3f} of that time (wanted: 0.25 at most)"
        )


if __name__ == "__main__":
    main()
