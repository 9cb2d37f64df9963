"""Rollouts against a straightforward simulation of every agent, and how their time grows.

    python -m tests.benchmarks.evaluation [--against CHECKOUT]

One evaluation seed is 50 rollouts of 50 steps of the robots game at k = 10; ten of them are simulated side by side, as
in a sweep. Another checkout of distmarl, an older one, is timed in turns with this one. Then, 100 rollouts of 50 steps
of the warehouse, where local states are many, in each of the ways in which its populations may be drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.measuring import paired_seconds, pin_threads

pin_threads()

import numpy as np  # noqa: E402

import distmarl as dm  # noqa: E402
from distmarl.dynamics import drawing  # noqa: E402
from distmarl.games.warehouse import warehouse  # noqa: E402
from tests.reference import simulate_agents  # noqa: E402

K = 10
POPULATIONS = (30, 100, 150, 151, 1000, 10**6)
N_SEEDS = 10
WAREHOUSES = (500, 1000, 2000, 10**6)
# What another checkout can do, too: it knows no seeds side by side, perhaps.
SCRIPT = """
import json, sys, time
import distmarl as dm
from distmarl.model.options import Evaluation
try:
    from distmarl.values.evaluate import evaluate_seeds
except ImportError:
    evaluate_seeds = None
game = dm.robots(n_agents=1000)
pi_l = dm.uniform_local_policy(game)
pi_g = dm.g_learn(game, pi_l, k=10, transitions="rounded").policy

def ten_seeds(env):
    if evaluate_seeds is None:
        return [dm.evaluate(env, pi_g, pi_l, k=10, n_rollouts=50, horizon=50, seed=seed) for seed in range(10)]
    return evaluate_seeds(env, pi_g, pi_l, k=10, options=Evaluation(n_rollouts=50, horizon=50), seeds=range(10))

taken = {}
for n_agents in map(int, sys.argv[1:]):
    env, tries = dm.robots(n_agents=n_agents), []
    for _ in range(4):
        started = time.process_time()
        ten_seeds(env)
        tries.append(time.process_time() - started)
    taken[n_agents] = min(tries)
print(json.dumps(taken))
"""


def ten_seeds(checkout: Path) -> dict[str, float]:
    """Return the processor time of ten seeds for each population, with the code of a checkout."""
    command = [sys.executable, "-c", SCRIPT, *map(str, POPULATIONS)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=True)
    taken: dict[str, float] = json.loads(done.stdout)
    return taken


def many_states(n_agents: int) -> str:
    """Return what rollouts of the warehouse take, agent by agent unless that takes too long, and by counts."""
    env = warehouse(n_agents=n_agents)
    policies = dm.uniform_local_policy(env), np.eye(3)[np.zeros((env.n_global_states, env.n_local_states), dtype=int)]
    chosen, told = drawing.MAX_AGENTS_PER_WAY, []
    for per_way in (np.inf, 0.0) if n_agents <= 10**4 else (0.0,):
        drawing.MAX_AGENTS_PER_WAY = per_way
        taken = []
        for policy in policies:
            started = time.process_time()
            dm.evaluate(env, np.zeros((env.n_global_states, 5), dtype=int), policy, k=1, n_rollouts=100, horizon=50)
            taken.append(f"{1e3 * (time.process_time() - started):.0f}")
        told.append(f"{drawing.draws_for(env, 100).__name__} {' and '.join(taken)} ms")
    drawing.MAX_AGENTS_PER_WAY = chosen
    return f"{', '.join(told)} (uniform and deterministic policy)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, to be timed in turns with this one")
    other = parser.parse_args().against
    here = Path(__file__).resolve().parents[2]
    rounds = [(ten_seeds(here), ten_seeds(other) if other else None) for _ in range(3)]
    for n_agents in map(str, POPULATIONS):
        mine = min(ours[n_agents] for ours, _ in rounds) / N_SEEDS
        told = f"n = {int(n_agents):,}: {1e3 * mine:.1f} ms a seed"
        if other:
            theirs = min(taken[n_agents] for _, taken in rounds if taken) / N_SEEDS
            told += f", the other checkout {1e3 * theirs:.1f} ms: {theirs / mine:.1f} times as fast"
        print(told)

    for n_agents in WAREHOUSES:
        print(f"warehouse, n = {n_agents:,}: {many_states(n_agents)}")

    env = dm.robots(n_agents=1000)
    local_policy = dm.uniform_local_policy(env)
    policy = dm.g_learn(env, local_policy, k=K, transitions="rounded").policy
    fast, slow, ratio = paired_seconds(
        lambda: dm.evaluate(env, policy, local_policy, k=K, n_rollouts=50, horizon=50, seed=0),
        lambda: simulate_agents(
            env, policy, local_policy, k=K, n_rollouts=50, horizon=50, rng=np.random.default_rng(0)
        ),
        repeats=3,
    )
    print(f"n = 1000, one seed: {fast * 1e3:.1f} ms, a loop over agents {slow * 1e3:.0f} ms: {ratio:.0f} times as fast")


if __name__ == "__main__":
    main()
