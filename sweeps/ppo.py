"""PPO of stable-baselines3 as the global agent, beside ours: ``python sweeps/ppo.py``.

It needs ``pip install 'distmarl[gym]' stable-baselines3``. PPO plays :func:`distmarl.gym_env`; what it has learnt
becomes a table, which is valued exactly like any other. ``pair`` is for sweeps:
``experiment: {policies: {PPO: "ppo:pair"}}``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import distmarl as dm

N_GAMES, N_STEPS, HORIZON = 8, 30_000, 50
FOLDER = Path("results") / "ppo"  # keeps what has been learnt: sweeps ask for it each time that they are started


def learn(env: dm.Environment, local_policy: NDArray[np.float64], *, k: int, n_steps: int) -> NDArray[np.integer]:
    """Return what PPO plays against a local policy after so many steps of the game, (G, C)."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    games = make_vec_env(
        lambda: dm.gym_env(env, local_policy, k=k, horizon=HORIZON, reward="expected"), n_envs=N_GAMES, seed=0
    )
    games = VecNormalize(games, norm_obs=False, gamma=env.gamma)
    model = PPO("MlpPolicy", games, gamma=env.gamma, n_steps=256, batch_size=256, seed=0, device="cpu")
    return dm.tabulate_policy(env, model.learn(n_steps), k=k)


def pair(env: dm.Environment, k: int) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
    """Return PPO's global policy and the local one that it has learnt against: that of a training at k = 10."""
    local_policy = dm.train_alternating(env, k=min(10, env.n_agents), seed=0).local_policy
    kept = FOLDER / f"{env.digest()[:12]}-k{k}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, learn(env, local_policy, k=k, n_steps=N_STEPS))
    return np.load(kept), local_policy


def main() -> None:
    """Print what PPO, G-LEARN and the best answer earn against the same local policy."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--k", type=int, default=5, help="agents that the global agent sees (default: 5)")
    parser.add_argument("--steps", type=int, nargs="+", default=[5_000, N_STEPS], help="steps of the game")
    arguments = parser.parse_args()
    env, k = dm.robots(), arguments.k
    local_policy = dm.train_alternating(env, k=10, seed=0).local_policy

    def tell(name: str, policy: NDArray[np.integer | np.float64]) -> None:
        value = dm.exact_return(env, policy, local_policy, k=k, horizon=HORIZON, tolerance=1e-6)
        print(f"{name:24} {value.value:7.2f}")

    n_counts = len(dm.count_vectors(k, env.n_classes))
    tell("uniform", np.full((env.n_global_states, n_counts, env.n_global_actions), 1 / env.n_global_actions))
    for n_steps in arguments.steps:
        tell(f"PPO, {n_steps:,} steps", learn(env, local_policy, k=k, n_steps=n_steps))
    tell("G-LEARN", dm.g_learn(env, local_policy, k=k, transitions="exact").policy)
    tell("best answer", dm.best_answer(env, local_policy, k=k).policy)


if __name__ == "__main__":
    main()
