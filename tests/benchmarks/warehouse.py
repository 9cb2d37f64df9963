"""Play the pairs that a sweep found for the warehouse in the continuum, agent by agent, beside TRPO and simple rules.

n = 500 robots, 50 steps, the same starts for everybody. TRPO's returns are those of the code published with
arXiv 2603.03759, the best of three training seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

import distmarl as dm
from tests.games import continuous_warehouse as continuum

TRPO = {1: 125, 10: 138, 35: 148}


def played(act_global, act_local, k, arguments):
    """The returns in the continuum as a mean with its standard error."""
    rng = np.random.default_rng(arguments.seed)
    returns = continuum.simulate(
        act_global,
        act_local,
        n_agents=arguments.n_agents,
        k=k,
        n_rollouts=arguments.starts,
        horizon=arguments.horizon,
        rng=rng,
    )
    return f"{returns.mean():7.1f} ± {returns.std() / len(returns) ** 0.5:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="results folder of sweeps/warehouse.yaml")
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--horizon", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results = dm.open(arguments.results)
    env, sizes = results.environment(), sorted(results.points()["k"])
    arguments.n_agents = env.n_agents
    grids = {"global_grid": dm.Grid(-2, 2, env.n_global_states), "local_grid": dm.Grid(-2, 2, env.n_local_states)}
    print("rules, with robots that move towards s_g")
    print(f"  stay at the nearest target      {played(continuum.nearest_target, continuum.towards, 1, arguments)}")
    for k in sizes:
        first_mode = played(continuum.FirstMode(), continuum.towards, k, arguments)
        print(f"  stay at the first mode, k = {k:<3} {first_mode} (has a memory)")
    print(f"{'k':>3} {'TRPO':>6} {'in the continuum':>18}")
    for k in sizes:
        pair = dm.ContinuousPair(env, results.global_policy(k), results.local_policy(), k=k, **grids)
        print(f"{k:3} {TRPO.get(k, ''):>6} {played(pair.act_global, pair.act_local, k, arguments):>18}", flush=True)


if __name__ == "__main__":
    main()
