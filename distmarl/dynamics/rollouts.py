"""Rollouts of the n-agent game, exact in law.

The law of the system depends on the population only through how many agents N_j are in
each local state, so populations are count vectors. What is seen of them and where they move is drawn agent by agent
where there are few, else by counts, whichever is faster (:mod:`distmarl.dynamics.drawing`).

All rollouts advance together as arrays, those of several seeds, too. The same seed gives rollouts
that stay alike for every k and every pair of policies (:mod:`distmarl.dynamics.draws`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distmarl.dynamics.drawing import bytes_of_arrays, bytes_of_tables, draws_for
from distmarl.dynamics.draws import draw_categorical
from distmarl.dynamics.population import draw_shares
from distmarl.dynamics.purposes import GLOBAL_ACTION, GLOBAL_STATE, OBSERVATION, START, streams, uniforms
from distmarl.model.arrays import Array, GlobalPolicy, Ints
from distmarl.model.counts import rank_valid
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind
from distmarl.model.policies import is_drawn, local_reward
from distmarl.model.random_streams import Role, Seed

# Seeds are simulated side by side as long as their arrays stay in the cache.
CACHED_BYTES = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRollout:
    """What happened in one rollout, step by step.

    Attributes
    ----------
    global_states, global_actions : ndarray of int, shape (horizon,)
        s_g(t) and a_g(t).
    populations : ndarray of int, shape (horizon, L)
        How many agents were in each local state at time t.
    rewards : ndarray, shape (horizon,)
        r(t): its discounted sum is the rollout's return.
    """

    global_states: Ints
    global_actions: Ints
    populations: Ints
    rewards: Array

    def note(self, step: int, s_g: int, a_g: int, population: Ints, reward: float) -> None:
        """Write a step down."""
        self.global_states[step], self.global_actions[step] = s_g, a_g
        self.populations[step], self.rewards[step] = population, reward


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """What a set of rollouts earned.

    Attributes
    ----------
    returns : ndarray, shape (n_rollouts,)
        Discounted return of each rollout, sum over t < horizon of gamma^t r(t).
    mode_accuracy : float
        Share of all steps at which the global action was one of the most populated classes (local states, where those
        are seen); NaN where global actions are no classes (A_g != B).
    first : RecordedRollout
        The first of them, step by step.
    """

    returns: Array
    mode_accuracy: float
    first: RecordedRollout


def initial_states(env: Environment, n_rollouts: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the first global states, (R,), and the first populations as counts, (R, L)."""
    states = draw_categorical(np.tile(env.initial_global, (n_rollouts, 1)), rng.random(n_rollouts))
    return states, rng.multinomial(env.n_agents, draw_shares(env, n_rollouts, rng))


def run_rollouts(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    *,
    k: int,
    n_rollouts: int,
    horizon: int,
    seed: Seed,
    role: Role,
    reward: RewardKind = "sampled",
) -> Rollouts:
    """Simulate the n-agent game under a pair of policies: :func:`run_seeds` with a single seed."""
    (rollouts,) = run_seeds(
        env,
        global_policy,
        local_policy,
        k=k,
        n_rollouts=n_rollouts,
        horizon=horizon,
        seeds=[seed],
        role=role,
        reward=reward,
    )
    return rollouts


def run_seeds(
    env: Environment,
    global_policy: GlobalPolicy,
    local_policy: Array,
    *,
    k: int,
    n_rollouts: int,
    horizon: int,
    seeds: Sequence[Seed],
    role: Role,
    reward: RewardKind = "sampled",
) -> Iterator[Rollouts]:
    """Simulate the n-agent game under a pair of policies, and yield the rollouts of each seed.

    Parameters
    ----------
    env, global_policy, local_policy, k
        The game and the pair. The global policy is actions, (G, C), or distributions that actions are drawn from,
        (G, C, A_g). For k = 0 nobody is seen, and it is the law of the action, (G, A_g).
    n_rollouts, horizon : int
        Number of rollouts R of each seed, and of steps T in each.
    seeds : sequence of seeds
        Roots of the random streams. The initial states depend on nothing else
        but the start distribution and R, so they are shared by every k and every pair. What a seed yields does not
        depend on the others.
    role : Role
        What the rollouts are for; other roles draw other numbers.
    reward : {"sampled", "expected"}
        What a step earns: the reward of the actions that were drawn, or its expectation given the
        states and the global action. The states are the same in both.

    Notes
    -----
    Takes O(R L² A_l) memory for large populations, O(R L n) for small ones, O(R sqrt(k)) for large k, and O(T L) for
    the recorded rollout. In games of more than 10 local states it is O(R L) and O(R (L + n)), beside O(G L² A_l) for
    their laws.
    """
    n_together = seeds_together(env, n_rollouts)
    for first in range(0, len(seeds), n_together):
        together = _Together(
            env, global_policy, local_policy, k, n_rollouts, seeds[first : first + n_together], role, reward
        )
        yield from together.run(horizon)


def seeds_together(env: Environment, n_rollouts: int) -> int:
    """Return of how many seeds the rollouts are simulated side by side: their arrays stay in the cache."""
    return max(1, CACHED_BYTES // bytes_of_arrays(env, n_rollouts))


def rollout_bytes(env: Environment, n_rollouts: int) -> int:
    """Return about how much memory a set of rollouts takes, in bytes."""
    return bytes_of_arrays(env, n_rollouts) + bytes_of_tables(env, n_rollouts)


class _Together:
    """The rollouts of S seeds, side by side in arrays of S R rows."""

    def __init__(
        self,
        env: Environment,
        global_policy: GlobalPolicy,
        local_policy: Array,
        k: int,
        n_rollouts: int,
        seeds: Sequence[Seed],
        role: Role,
        reward: RewardKind,
    ) -> None:
        self._env, self._global_policy, self._k, self._n_rollouts = env, global_policy, k, n_rollouts
        self._starts = streams(seeds, role, START)
        self._global_states = streams(seeds, role, GLOBAL_STATE)
        self._observations = streams(seeds, role, OBSERVATION)  # where nobody is seen
        self._global_actions = streams(seeds, role, GLOBAL_ACTION)  # where they are drawn
        draws = draws_for(env, n_rollouts)
        self._draws = draws(env, local_policy, k=k, n_rollouts=n_rollouts, seeds=seeds, role=role)
        self._expected = local_reward(env, local_policy) if reward == "expected" else None

    def run(self, horizon: int) -> Iterator[Rollouts]:
        """Simulate all steps; yield the rollouts of each seed."""
        env, n_seeds = self._env, len(self._starts)
        starts = [initial_states(env, self._n_rollouts, rng) for rng in self._starts]
        s_g, population = map(np.concatenate, zip(*starts, strict=True))
        tracks_mode = env.n_global_actions == env.n_classes
        number = np.arange(len(s_g))
        returns, n_hits = np.zeros(len(s_g)), np.zeros(len(s_g), dtype=np.int64)
        firsts = slice(None, None, self._n_rollouts)
        records = [_empty_record(horizon, env.n_local_states) for _ in range(n_seeds)]
        discount = 1.0
        for step in range(horizon):
            a_g = self._act(s_g, population)
            earned, moved = self._draws.move(s_g, population)
            if self._expected is not None:
                earned = np.einsum("rl,rl->r", population, self._expected[s_g])
            rewards = env.reward_global[s_g, a_g] + earned / env.n_agents
            returns += discount * rewards
            discount *= env.gamma
            for record, *values in zip(
                records, s_g[firsts], a_g[firsts], population[firsts], rewards[firsts], strict=True
            ):
                record.note(step, *values)
            if tracks_mode:
                in_class = env.observed(population)
                n_hits += in_class[number, a_g] == in_class.max(axis=1)
            population = moved
            s_g = draw_categorical(env.transition_global[s_g, a_g], uniforms(self._global_states, self._n_rollouts))
        for each, hits, record in zip(np.split(returns, n_seeds), np.split(n_hits, n_seeds), records, strict=True):
            yield Rollouts(each, int(hits.sum()) / (hits.size * horizon) if tracks_mode else float("nan"), record)

    def _act(self, s_g: Ints, population: Ints) -> Ints:
        """Draw what the global agents see, and what they do."""
        if self._k == 0:
            law = np.asarray(self._global_policy[s_g], dtype=np.float64)
            return draw_categorical(law, uniforms(self._observations, self._n_rollouts))
        seen = rank_valid(self._draws.observe(self._env.observed(population)), self._k)
        if is_drawn(self._global_policy):
            return draw_categorical(self._global_policy[s_g, seen], uniforms(self._global_actions, self._n_rollouts))
        return np.asarray(self._global_policy[s_g, seen], dtype=np.int64)


def _empty_record(horizon: int, n_local_states: int) -> RecordedRollout:
    states, actions = np.zeros((2, horizon), dtype=np.int64)
    return RecordedRollout(states, actions, np.zeros((horizon, n_local_states), dtype=np.int64), np.zeros(horizon))
