"""The environments under the libraries that they are for: run on demand, ``DISTMARL_LEARNERS=1 pytest -m learners``."""

from __future__ import annotations

import os
import runpy

import numpy as np
import pytest

import distmarl as dm
from tests.commands import REPOSITORY

pytestmark = [
    pytest.mark.learners,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif("DISTMARL_LEARNERS" not in os.environ, reason="trains others' learners: set DISTMARL_LEARNERS"),
]
K, HORIZON = 3, 20


@pytest.fixture
def game():
    return dm.robots(n_agents=6, n_global_states=3, n_local_states=3, n_global_actions=3)


def test_ppo_of_stable_baselines3_learns_on_the_global_agents_problem(game):
    pytest.importorskip("stable_baselines3", reason="pip install stable-baselines3")
    learn = runpy.run_path(str(REPOSITORY / "sweeps" / "ppo.py"))["learn"]
    local_policy = dm.train_alternating(game, k=K, transitions="exact").local_policy
    n_counts = len(dm.count_vectors(K, game.n_classes))
    uniform = np.full((3, n_counts, 3), 1 / 3)
    learnt = learn(game, local_policy, k=K, n_steps=6_000)
    values = [dm.exact_return(game, each, local_policy, k=K).value for each in (uniform, learnt)]
    best = dm.best_answer(game, local_policy, k=K).value
    assert values[0] < values[1] <= best + 1e-6


def test_ppo_of_rllib_learns_on_the_game_of_all_agents(game):
    pytest.importorskip("ray.rllib", reason="pip install 'ray[rllib]' torch")
    import ray
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.connectors.env_to_module import FlattenObservations
    from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
    from ray.tune.registry import register_env

    register_env("game", lambda _config: ParallelPettingZooEnv(dm.parallel_env(game, k=K, horizon=HORIZON)))
    config = (
        PPOConfig()
        .environment("game")
        .env_runners(
            num_env_runners=0,
            env_to_module_connector=lambda *_args, **_options: FlattenObservations(multi_agent=True),
        )
        .training(gamma=game.gamma, train_batch_size_per_learner=1_000, minibatch_size=250, num_epochs=5)
        .multi_agent(
            policies={"global", "local"},
            policy_mapping_fn=lambda agent, _episode, **_options: agent.partition("_")[0],
        )
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    try:
        returns = [algorithm.train()["env_runners"]["episode_return_mean"] for _ in range(4)]
    finally:
        algorithm.stop()
        ray.shutdown()
    assert np.isfinite(returns).all()
    assert returns[-1] > returns[0]
