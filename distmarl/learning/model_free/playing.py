"""Two Q-learners that play the game together: the global agent on (s_g, z), all local agents on (s_g, s_l).

Several rollouts advance side by side, as counts: agents in the same state that take the same action and arrive in the
same state learn the same, so that one update with their number as its weight stands for all of them. This is exact
in law. What is counted as a sample is one draw of one agent's next state: a step of a rollout takes n + 1 of them.
What an agent earns is told with them; first states, actions, and whom the global agent sees take none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from distmarl.dynamics.draws import draw_categorical, draw_subsample
from distmarl.learning.model_free.generative import GenerativeModel, Step
from distmarl.learning.model_free.tables import QTable
from distmarl.learning.surrogate_game import action_type
from distmarl.model.arrays import Array, GlobalPolicy, Ints, read_only
from distmarl.model.counts import n_count_vectors, rank_valid
from distmarl.model.environment import Environment

# Rollouts side by side: as many as take about so many samples in a step, but one at least.
SAMPLES_PER_STEP = 500

# Draws the first global states, (R,), and the first populations, (R, L).
Start: TypeAlias = Callable[[Environment, int, np.random.Generator], tuple[Ints, Ints]]


@dataclass(frozen=True, slots=True, eq=False)
class QLearningResult:
    """What two Q-learners have learnt. It carries no certificate: nothing says how far from the best it is.

    Attributes
    ----------
    global_policy : ndarray of int, shape (G, C)
        The best action by what was learnt, for each global state and count vector of what is seen. Where the global
        agent never was, it takes the action that was best on average in that global state.
    local_policy : ndarray, shape (G, L, A_l)
        The best action by what was learnt, with probability 1.
    global_value : ndarray, shape (G, C)
        The largest learnt value: of the system's reward, over all steps to come.
    local_value : ndarray, shape (G, L)
        The same of a local agent's own reward.
    n_samples : int
        Draws of an agent's next state, at most as many as were asked for.
    visited : float
        Share of the (s_g, z) in which the global agent ever was.
    """

    global_policy: GlobalPolicy = field(repr=False)
    local_policy: Array = field(repr=False)
    global_value: Array = field(repr=False)
    local_value: Array = field(repr=False)
    n_samples: int
    visited: float


def n_parallel(n_agents: int) -> int:
    """Return how many rollouts of a game of so many local agents are played side by side."""
    return max(1, SAMPLES_PER_STEP // (n_agents + 1))


def samples_per_step(n_agents: int) -> int:
    """Return how many samples a step of all these rollouts takes: no budget can be smaller."""
    return n_parallel(n_agents) * (n_agents + 1)


class Players:
    """Both learners, and the rollouts that they play.

    Parameters
    ----------
    env : Environment
        The game that is played.
    k : int
        Number of agents that the global agent sees.
    epsilon : float
        Least probability with which an action is drawn uniformly.
    start : callable
        Draws the first states.
    horizon : int
        Steps until all rollouts start anew.
    rng : Generator
        Draws everything.
    global_policy, local_policy : ndarray, optional
        A policy that is played as it is, and not learnt.
    """

    def __init__(
        self,
        env: Environment,
        *,
        k: int,
        epsilon: float,
        start: Start,
        horizon: int,
        rng: np.random.Generator,
        global_policy: GlobalPolicy | None = None,
        local_policy: Array | None = None,
    ) -> None:
        self._env, self._k, self._epsilon, self._rng = env, k, epsilon, rng
        self._start, self._horizon = start, horizon
        self._fixed_global, self._fixed_local = global_policy, local_policy
        self._n_seen = n_count_vectors(k, env.n_classes)
        self._global = QTable(env.n_global_states * self._n_seen, env.n_global_actions, env.gamma)
        self._local = QTable(env.n_global_states * env.n_local_states, env.n_local_actions, env.gamma)
        self._model = GenerativeModel(env, rng)
        self._step = 0

    def play(self, budgets: Sequence[int]) -> Iterator[QLearningResult]:
        """Play until another step would exceed a budget, and yield what is learnt by then; for increasing budgets."""
        for budget in budgets:
            while self._model.n_samples + samples_per_step(self._env.n_agents) <= budget:
                self._advance()
            yield self._result()

    def _advance(self) -> None:
        """Play a step of all rollouts, and learn from it."""
        env = self._env
        if self._step % self._horizon == 0:
            self._s_g, self._population = self._start(env, n_parallel(env.n_agents), self._rng)
            self._seen = self._observe(self._s_g, self._population)
        s_g, seen = self._s_g, self._seen
        a_g = self._global_actions(seen)
        step = self._model.step(s_g, self._population, a_g, self._local_law(s_g))
        if self._step == 0:
            self._begin(step)
        self._s_g, self._population = step.global_states, step.moves.sum(axis=(1, 2))
        self._seen = self._observe(self._s_g, self._population)
        if self._fixed_global is None:
            best = self._global.values[self._seen].max(axis=1)
            self._global.learn(seen, a_g, step.global_rewards + step.local_rewards + env.gamma * best)
        if self._fixed_local is None:
            self._learn_locally(s_g, step)
        self._step += 1

    def _begin(self, step: Step) -> None:
        """Let all values begin at what the first step earned, for ever: whatever the rewards are in units of."""
        local_mean = step.local_rewards.mean()
        self._local.values[:] = local_mean / (1.0 - self._env.gamma)
        self._global.values[:] = (step.global_rewards.mean() + local_mean) / (1.0 - self._env.gamma)

    def _observe(self, s_g: Ints, population: Ints) -> Ints:
        """Draw what the global agents see; return the numbers of their situations, (R,)."""
        seen = self._env.observed(population)
        if self._k < self._env.n_agents:
            seen = draw_subsample(seen, self._k, self._rng.random((len(seen), seen.shape[1] - 1)))
        return s_g * self._n_seen + rank_valid(seen, self._k)

    def _global_actions(self, seen: Ints) -> Ints:
        if self._fixed_global is not None:
            return np.asarray(self._fixed_global.reshape(-1)[seen], dtype=np.int64)
        return draw_categorical(self._global.explored_law(seen, self._epsilon), self._rng.random(len(seen)))

    def _local_law(self, s_g: Ints) -> Array:
        """Return the law of the local actions in each local state, (R, L, A_l)."""
        if self._fixed_local is not None:
            return self._fixed_local[s_g]
        situations = s_g[:, None] * self._env.n_local_states + np.arange(self._env.n_local_states)
        return self._local.explored_law(situations.ravel(), self._epsilon).reshape(*situations.shape, -1)

    def _learn_locally(self, s_g: Ints, step: Step) -> None:
        """Let the local agents learn from their own rewards, those who did the same at once."""
        env = self._env
        best = self._local.values.max(axis=1).reshape(env.n_global_states, env.n_local_states)[step.global_states]
        taken = step.moves.sum(axis=3)
        rows, s_l, a_l = np.nonzero(taken)
        weights = taken[rows, s_l, a_l]
        later = np.einsum("im,im->i", step.moves[rows, s_l, a_l], best[rows]) / weights
        targets = env.reward_local[s_g[rows], s_l, a_l] + env.gamma * later
        self._local.learn(s_g[rows] * env.n_local_states + s_l, a_l, targets, weights)

    def _result(self) -> QLearningResult:
        env = self._env
        n_global, n_local = env.n_global_states, env.n_local_states
        global_policy, local_policy = self._fixed_global, self._fixed_local
        if global_policy is None:
            actions = self._global.greedy(np.repeat(np.arange(n_global), self._n_seen))
            global_policy = actions.reshape(n_global, -1).astype(action_type(env))
        if local_policy is None:
            actions = self._local.greedy(np.repeat(np.arange(n_global), n_local))
            local_policy = np.eye(env.n_local_actions)[actions].reshape(n_global, n_local, -1)
        return QLearningResult(
            global_policy=read_only(global_policy),
            local_policy=read_only(local_policy),
            global_value=read_only(self._global.values.max(axis=1).reshape(n_global, -1)),
            local_value=read_only(self._local.values.max(axis=1).reshape(n_global, -1)),
            n_samples=self._model.n_samples,
            visited=float((self._global.visits > 0).any(axis=1).mean()),
        )
