"""Environments of PettingZoo and of Gymnasium from a game. Either library is imported only where it is used."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

from numpy.typing import ArrayLike

from distmarl.errors import MissingExtraError
from distmarl.model.checks import check_choice, checked_integer
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind
from distmarl.model.policies import checked_k, checked_local_policy

if TYPE_CHECKING:
    from distmarl.adapters.global_game import GlobalGame, GlobalGames
    from distmarl.adapters.parallel_game import ParallelGame

RewardsOf = Literal["system", "own"]


def parallel_env(
    env: Environment,
    *,
    k: int,
    n_agents: int | None = None,
    rewards: RewardsOf = "system",
    horizon: int | None = None,
) -> ParallelGame:
    """Return the game of all its agents as an environment of PettingZoo, for multi-agent learners.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to the number of agents.
    n_agents : int, optional
        Number of local agents; by default ``env.n_agents``.
    rewards : {"system", "own"}
        What each agent earns in a step: the system's reward, r_g + mean of r_l, all alike; or its own, which is r_g for
        the global agent and r_l(s_i, s_g, a_i) for a local one.
    horizon : int, optional
        Number of steps after which a game is truncated; by default it goes on for ever.

    Returns
    -------
    pettingzoo.ParallelEnv
        Its agents are ``global``, ``local_0``, ``local_1``, ... The global agent observes s_g and how many of a fresh
        subsample of k agents are in each local state (in each class, where the game has classes):
        ``[s_g, z_0, z_1, ...]``. A local agent observes ``[s_g, s_i]``. Both are of the space ``MultiDiscrete``, and
        actions of ``Discrete``. Each agent's ``info`` has the ``discount``, which is gamma.

    Raises
    ------
    MissingExtraError
        When PettingZoo is not installed: it comes with ``pip install 'distmarl[gym]'``.
    InvalidArgumentError
        When an argument is out of range; in the environment, an action.

    Notes
    -----
    A step takes O(n) time. For large n, :func:`gym_env` simulates by counts.

    Examples
    --------
    >>> import distmarl as dm
    >>> game = dm.parallel_env(dm.robots(), k=2, n_agents=3, horizon=50)
    >>> observations, infos = game.reset(seed=0)
    >>> game.agents
    ['global', 'local_0', 'local_1', 'local_2']
    >>> actions = {agent: game.action_space(agent).sample() for agent in game.agents}
    >>> observations, rewards, terminated, truncated, infos = game.step(actions)
    >>> infos["global"]
    {'discount': 0.95}
    """
    if n_agents is not None:
        env = replace(env, n_agents=checked_integer("n_agents", n_agents))
    check_choice("rewards", rewards, get_args(RewardsOf))
    found: ParallelGame = _module("parallel_game").ParallelGame(
        env, k=checked_k(env, k), horizon=_checked_horizon(horizon), rewards=rewards
    )
    return found


def gym_env(
    env: Environment,
    local_policy: ArrayLike,
    *,
    k: int,
    horizon: int | None = None,
    reward: RewardKind = "sampled",
) -> GlobalGame:
    """Return the global agent's problem, against a local policy, as an environment of Gymnasium.

    The n agents are simulated by counts, so a step costs the same for thirty agents and for a million.

    Parameters
    ----------
    env : Environment
        The game.
    local_policy : array_like, shape (G, L, A_l)
        pi_l, which all local agents keep to.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    horizon : int, optional
        Number of steps after which a game is truncated; by default it goes on for ever.
    reward : {"sampled", "expected"}
        What a step earns, as in :func:`evaluate`: the system's reward, of the local actions that were drawn or its
        expectation.

    Returns
    -------
    gymnasium.Env
        It observes s_g and how many of a fresh subsample of k agents are in each local state (in each class, where the
        game has classes), ``[s_g, z_0, z_1, ...]`` of the space ``MultiDiscrete``; actions are of ``Discrete``. Its
        ``info`` has the ``discount``, which is gamma.

    Raises
    ------
    MissingExtraError
        When Gymnasium is not installed: it comes with ``pip install 'distmarl[gym]'``.
    InvalidArgumentError
        When an argument is out of range or has the wrong shape; in the environment, an action.

    Examples
    --------
    >>> import distmarl as dm
    >>> game = dm.robots(n_agents=1_000_000)
    >>> leader = dm.gym_env(game, dm.uniform_local_policy(game), k=10, horizon=50)
    >>> observation, info = leader.reset(seed=0)
    >>> int(observation[1:].sum()), info
    (10, {'discount': 0.95})
    """
    check_choice("reward", reward, get_args(RewardKind))
    found: GlobalGame = _module("global_game").GlobalGame(
        env,
        checked_local_policy(env, local_policy),
        k=checked_k(env, k),
        horizon=_checked_horizon(horizon),
        reward=reward,
    )
    return found


def gym_vector_env(
    env: Environment,
    local_policy: ArrayLike,
    *,
    k: int,
    n_rollouts: int,
    horizon: int | None = None,
    reward: RewardKind = "sampled",
) -> GlobalGames:
    """Return several games of :func:`gym_env`, which are simulated side by side as arrays.

    Parameters
    ----------
    env, local_policy, k, horizon, reward
        As in :func:`gym_env`.
    n_rollouts : int
        Number of games R.

    Returns
    -------
    gymnasium.vector.VectorEnv
        All its games are truncated at once, and the step after that starts new ones (``AutoresetMode.NEXT_STEP``).

    Raises
    ------
    MissingExtraError
        When Gymnasium is not installed: it comes with ``pip install 'distmarl[gym]'``.
    InvalidArgumentError
        When an argument is out of range or has the wrong shape; in the environment, an action.

    Notes
    -----
    A step takes O(R L² A_l) time and memory at most, whatever the number of agents.

    Examples
    --------
    >>> import distmarl as dm
    >>> game = dm.robots(n_agents=1_000_000)
    >>> leaders = dm.gym_vector_env(game, dm.uniform_local_policy(game), k=10, n_rollouts=64)
    >>> observations, infos = leaders.reset(seed=0)
    >>> observations, rewards, terminated, truncated, infos = leaders.step(leaders.action_space.sample())
    >>> observations.shape, rewards.shape
    ((64, 6), (64,))
    """
    check_choice("reward", reward, get_args(RewardKind))
    found: GlobalGames = _module("global_game").GlobalGames(
        env,
        checked_local_policy(env, local_policy),
        k=checked_k(env, k),
        n_rollouts=checked_integer("n_rollouts", n_rollouts),
        horizon=_checked_horizon(horizon),
        reward=reward,
    )
    return found


def _checked_horizon(horizon: int | None) -> int | None:
    return None if horizon is None else checked_integer("horizon", horizon)


def _module(name: str) -> ModuleType:
    """Return the module with this environment, which imports its library."""
    try:
        return importlib.import_module(f"distmarl.adapters.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("gymnasium", "pettingzoo"):
            raise
        raise MissingExtraError(
            f"{error.name}: this environment needs it, and it is not installed; pip install 'distmarl[gym]' brings it"
        ) from error
