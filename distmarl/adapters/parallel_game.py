"""The n-agent game as an environment of PettingZoo, each agent told apart."""

from __future__ import annotations

from typing import Any, Literal, SupportsInt, TypeAlias

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from distmarl.adapters.global_game import Clock
from distmarl.adapters.observing import global_sizes, local_sizes
from distmarl.dynamics.draws import draw_categorical
from distmarl.dynamics.population import draw_shares
from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import Ints
from distmarl.model.checks import is_integer, plain
from distmarl.model.environment import Environment

RewardOf: TypeAlias = Literal["system", "own"]
Observations: TypeAlias = dict[str, Ints]
Infos: TypeAlias = dict[str, dict[str, Any]]

GLOBAL = "global"


class ParallelGame(ParallelEnv[str, Ints, np.int64]):  # type: ignore[misc]  # PettingZoo ships no types
    """One game of all its agents; :func:`distmarl.parallel_env` makes it."""

    def __init__(self, game: Environment, *, k: int, horizon: int | None, rewards: RewardOf) -> None:
        self.metadata = {"name": "distmarl_v0", "render_modes": []}
        self.render_mode = None
        self._game, self._k, self._rewards, self._clock = game, k, rewards, Clock(horizon)
        self._locals = [f"local_{number}" for number in range(game.n_agents)]
        self.possible_agents = [GLOBAL, *self._locals]
        self.agents: list[str] = []
        self.observation_spaces = {name: MultiDiscrete(local_sizes(game)) for name in self._locals}
        self.observation_spaces[GLOBAL] = MultiDiscrete(global_sizes(game, k))
        self.action_spaces = {name: Discrete(game.n_local_actions) for name in self._locals}
        self.action_spaces[GLOBAL] = Discrete(game.n_global_actions)
        self._rng, _ = seeding.np_random()
        self._s_g, self._s_l = 0, np.empty(0, dtype=np.int64)

    def observation_space(self, agent: str) -> MultiDiscrete:
        """Return what an agent may observe."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """Return what an agent may do."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, Infos]:
        """Start a game. There are no options."""
        del options
        if seed is not None:
            self._rng, _ = seeding.np_random(seed)
        game, rng = self._game, self._rng
        self.agents = [*self.possible_agents]
        self._clock.start()
        self._s_g = int(draw_categorical(game.initial_global[None], rng.random(1))[0])
        shares = np.repeat(draw_shares(game, 1, rng), game.n_agents, axis=0)
        self._s_l = draw_categorical(shares, rng.random(game.n_agents))
        return self._observe(), self._infos()

    def step(
        self, actions: dict[str, SupportsInt]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Take an action of each agent. Games are never terminated; they are truncated at the horizon."""
        if self._clock.is_over:
            return {}, {}, {}, {}, {}
        a_g = self._action(actions, GLOBAL)
        a_l = np.array([self._action(actions, name) for name in self._locals])
        is_over = self._clock.tick()
        game, rng, s_g, s_l = self._game, self._rng, self._s_g, self._s_l
        earned_global, earned_local = float(game.reward_global[s_g, a_g]), game.reward_local[s_g, s_l, a_l]
        self._s_g = int(draw_categorical(game.transition_global[s_g, a_g][None], rng.random(1))[0])
        self._s_l = draw_categorical(game.transition_local[s_g, s_l, a_l], rng.random(game.n_agents))
        if self._rewards == "own":
            rewards = {GLOBAL: earned_global, **dict(zip(self._locals, earned_local.tolist(), strict=True))}
        else:
            rewards = dict.fromkeys(self.possible_agents, earned_global + float(earned_local.mean()))
        observations, infos = self._observe(), self._infos()
        terminated = dict.fromkeys(self.agents, False)
        truncated = dict.fromkeys(self.agents, is_over)
        if is_over:
            self.agents = []
        return observations, rewards, terminated, truncated, infos

    def _observe(self) -> Observations:
        """Draw whom the global agent sees; return what each agent observes."""
        game = self._game
        seen = self._s_l[self._rng.choice(game.n_agents, size=self._k, replace=False)]
        counts = np.bincount(game.observation[seen], minlength=game.n_classes)
        local = np.column_stack([np.full(game.n_agents, self._s_g), self._s_l])
        return {GLOBAL: np.array([self._s_g, *counts]), **dict(zip(self._locals, local.copy(), strict=True))}

    def _infos(self) -> Infos:
        return {name: {"discount": self._game.gamma} for name in self.agents}

    def _action(self, actions: dict[str, SupportsInt], agent: str) -> int:
        """Return an agent's action; raise InvalidArgumentError where it has none, or one that there is not."""
        if agent not in actions:
            raise InvalidArgumentError(f"actions: must have one of each agent, got none of {agent!r}")
        action, n_actions = plain(actions[agent]), self.action_spaces[agent].n
        if isinstance(action, np.ndarray) and action.ndim == 0:
            action = action.item()
        if not is_integer(action) or not 0 <= action < n_actions:
            raise InvalidArgumentError(
                f"actions[{agent!r}]: must be an integer of 0 .. {n_actions - 1}, got {shown(action)}"
            )
        return int(action)
