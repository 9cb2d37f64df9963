"""How much noise cancels between neighbouring k, and how much of it expected rewards take away.

    python -m tests.benchmarks.intervals

Robots, with 2000 rollouts of 50 steps. Variances are of single rollouts and of single pairs of them.
"""

from __future__ import annotations

from tests.benchmarks.measuring import pin_threads

pin_threads()

import numpy as np  # noqa: E402

import distmarl as dm  # noqa: E402

N_ROLLOUTS = 2000
NEIGHBOURS = ((1, 2), (2, 3), (5, 6), (9, 10), (14, 15))


def cancelled(n_agents: int, transitions: str) -> None:
    env = dm.robots(n_agents=n_agents)
    local_policy = dm.train_alternating(env, k=NEIGHBOURS[-1][1], transitions=transitions).local_policy

    def returns(k: int, seed: int) -> np.ndarray:
        policy = dm.g_learn(env, local_policy, k=k, transitions=transitions).policy
        return dm.evaluate(env, policy, local_policy, k=k, n_rollouts=N_ROLLOUTS, seed=seed).returns

    for first, second in NEIGHBOURS:
        before = returns(first, seed=0)
        paired, apart = (returns(second, seed) - before for seed in (0, 1))
        share = apart.var() / paired.var()
        print(f"n = {n_agents}, {transitions}, k = {first} to {second}: 1/{share:.1f} of the variance of unpaired ones")


def taken_away(n_agents: int) -> None:
    env = dm.robots(n_agents=n_agents)
    local_policy = dm.uniform_local_policy(env)
    policy = dm.g_learn(env, local_policy, k=1).policy
    sampled, expected = (
        dm.evaluate(env, policy, local_policy, k=1, n_rollouts=N_ROLLOUTS, reward=reward).std
        for reward in ("sampled", "expected")
    )
    print(
        f"n = {n_agents}, k = 1: expected rewards have {(expected / sampled) ** 2:.4f} of the variance of sampled ones"
    )


def main() -> None:
    for n_agents in (30, 1000):
        for transitions in ("sampled", "exact"):
            cancelled(n_agents, transitions)
    for n_agents in (1, 3, 30, 1000):
        taken_away(n_agents)


if __name__ == "__main__":
    main()
