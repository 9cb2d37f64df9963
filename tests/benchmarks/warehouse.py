"""Train for the warehouse on its grids, and play in the continuum, agent by agent, beside TRPO and simple rules.

n = 500 robots, 50 steps, the same starts for everybody. TRPO's returns are those of the code published with
arXiv 2603.03759, the best of three training seeds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

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
    parser.add_argument("--k", type=int, nargs="+", default=[1, 10, 35])
    parser.add_argument("--n-agents", type=int, default=500)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--horizon", type=int, default=50)
    parser.add_argument("--cells", type=int, nargs=2, default=[25, 75], help="of the coordinator and of the robots")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    n_global_cells, n_local_cells = arguments.cells
    env = dm.game("warehouse", n_agents=arguments.n_agents, n_global_cells=n_global_cells, n_local_cells=n_local_cells)
    grids = {"global_grid": dm.Grid(-2, 2, n_global_cells), "local_grid": dm.Grid(-2, 2, n_local_cells)}
    print("rules, with robots that move towards s_g")
    print(f"  stay at the nearest target      {played(continuum.nearest_target, continuum.towards, 1, arguments)}")
    for k in arguments.k:
        first_mode = played(continuum.FirstMode(), continuum.towards, k, arguments)
        print(f"  stay at the first mode, k = {k:<3} {first_mode} (has a memory)")
    print(f"{'k':>3} {'TRPO':>6} {'in the continuum':>18} {'s':>6}  answer")
    for k in arguments.k:
        with threadpool_limits(limits=1):
            started = time.perf_counter()
            best = dm.best_pair(env, k=k)
            took = time.perf_counter() - started
        pair = dm.ContinuousPair(env, best.global_policy, best.local_policy, k=k, **grids)
        earned = played(pair.act_global, pair.act_local, k, arguments)
        print(f"{k:3} {TRPO.get(k, ''):>6} {earned:>18} {took:6.1f}  {best.answer}, {best.method}", flush=True)


if __name__ == "__main__":
    main()
