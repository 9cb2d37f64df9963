"""The global agent's problem as environments of Gymnasium."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from distmarl.adapters.counted_play import CountedPlay
from distmarl.adapters.observing import global_sizes
from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind

Flags = NDArray[np.bool_]


class GlobalGame(Env[Ints, np.int64]):
    """One game, in which the player is the global agent; :func:`distmarl.gym_env` makes it."""

    def __init__(
        self, game: Environment, local_policy: Array, *, k: int, horizon: int | None, reward: RewardKind
    ) -> None:
        self.observation_space = MultiDiscrete(global_sizes(game, k))
        self.action_space = Discrete(game.n_global_actions)
        self._play = CountedPlay(game, local_policy, k=k, n_rollouts=1, reward=reward)
        self._game, self._clock = game, Clock(horizon)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Ints, dict[str, Any]]:
        """Start a game. There are no options."""
        super().reset(seed=seed, options=options)
        self._clock.start()
        return self._play.start(self.np_random)[0], self._info()

    def step(self, action: Any) -> tuple[Ints, float, bool, bool, dict[str, Any]]:
        """Take a global action. Games are never terminated; they are truncated at the horizon."""
        a_g = checked_actions(self._game, [action])
        is_over = self._clock.tick()
        observations, rewards = self._play.step(a_g, self.np_random)
        return observations[0], float(rewards[0]), False, is_over, self._info()

    def _info(self) -> dict[str, Any]:
        return {"discount": self._game.gamma}


class GlobalGames(VectorEnv[Ints, Ints, NDArray[Any]]):
    """Several games side by side; :func:`distmarl.gym_vector_env` makes them."""

    def __init__(
        self,
        game: Environment,
        local_policy: Array,
        *,
        k: int,
        n_rollouts: int,
        horizon: int | None,
        reward: RewardKind,
    ) -> None:
        self.num_envs = n_rollouts
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = MultiDiscrete(global_sizes(game, k))
        self.single_action_space = Discrete(game.n_global_actions)
        self.observation_space = batch_space(self.single_observation_space, n_rollouts)
        self.action_space = batch_space(self.single_action_space, n_rollouts)
        self._play = CountedPlay(game, local_policy, k=k, n_rollouts=n_rollouts, reward=reward)
        self._game, self._clock = game, Clock(horizon)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Ints, dict[str, Any]]:
        """Start all games. There are no options."""
        super().reset(seed=seed, options=options)
        self._clock.start()
        return self._play.start(self.np_random), self._info()

    def step(self, actions: ArrayLike) -> tuple[Ints, Array, Flags, Flags, dict[str, Any]]:
        """Take global actions, (R,). All games are truncated at once; the step after that starts new ones."""
        never = np.zeros(self.num_envs, dtype=np.bool_)
        a_g = checked_actions(self._game, actions, self.num_envs)
        if self._clock.is_over:
            observations, info = self.reset()
            return observations, np.zeros(self.num_envs), never, never.copy(), info
        is_over = self._clock.tick()
        observations, rewards = self._play.step(a_g, self.np_random)
        return observations, rewards, never, np.full(self.num_envs, is_over), self._info()

    def _info(self) -> dict[str, Any]:
        return {"discount": np.full(self.num_envs, self._game.gamma), "_discount": np.ones(self.num_envs, dtype=bool)}


class Clock:
    """Counts the steps of a game, up to a horizon if there is one."""

    def __init__(self, horizon: int | None) -> None:
        self._horizon = horizon
        self._n_steps: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether the game has reached its horizon."""
        return self._n_steps is not None and self._n_steps == self._horizon

    def start(self) -> None:
        """Begin to count."""
        self._n_steps = 0

    def tick(self) -> bool:
        """Count a step; return whether it is the last. Raise ResetNeeded where no game goes on."""
        if self._n_steps is None or self.is_over:
            raise ResetNeeded("step: there is no game that goes on; call reset first")
        self._n_steps += 1
        return self.is_over


def checked_actions(game: Environment, actions: ArrayLike, n_rollouts: int = 1) -> Ints:
    """Return one global action for each game, (R,); raise InvalidArgumentError where they are none."""
    given = np.asarray(actions)
    if given.shape != (n_rollouts,) or given.dtype.kind not in "iu":
        raise InvalidArgumentError(f"action: must be {n_rollouts} integer(s), got {given.dtype} of shape {given.shape}")
    wrong = (given < 0) | (given >= game.n_global_actions)
    if wrong.any():
        raise InvalidArgumentError(f"action: must be in 0 .. {game.n_global_actions - 1}, got {shown(given[wrong][0])}")
    return given.astype(np.int64)
