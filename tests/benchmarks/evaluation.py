"""Counted rollouts against a straightforward simulation of every agent.

    python -m tests.benchmarks.evaluation

One evaluation seed is 50 rollouts of 50 steps of the robots game at k = 10.
"""

from __future__ import annotations

from tests.benchmarks.measuring import paired_seconds, pin_threads

pin_threads()

import numpy as np  # noqa: E402

import distmarl as dm  # noqa: E402
from tests.reference import simulate_agents  # noqa: E402

K = 10


def main() -> None:
    env = dm.robots(n_agents=1000)
    local_policy = dm.uniform_local_policy(env)
    policy = dm.g_learn(env, local_policy, k=K, transitions="rounded").policy

    def counted(n_agents: int = 1000) -> None:
        game = dm.robots(n_agents=n_agents)
        dm.evaluate(game, policy, local_policy, k=K, n_rollouts=50, horizon=50, seed=0)

    def per_agent() -> None:
        rng = np.random.default_rng(0)
        simulate_agents(env, policy, local_policy, k=K, n_rollouts=50, horizon=50, rng=rng)

    fast, slow, ratio = paired_seconds(counted, per_agent, repeats=3)
    print(
        f"n = 1000: counted {fast * 1e3:.1f} ms, per agent {slow * 1e3:.0f} ms: {ratio:.0f} times as fast (wanted: 10)"
    )
    few, many, ratio = paired_seconds(lambda: counted(100), lambda: counted(10**6), repeats=15)
    print(
        f"n = 100: {few * 1e3:.1f} ms, n = 10^6: {many * 1e3:.1f} ms: {ratio:.2f} times the time (wanted: 1.5 at most)"
    )


if __name__ == "__main__":
    main()
