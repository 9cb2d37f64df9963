"""Rollouts of the n-agent game by counts, exact in law.

The law of the system depends on the population only through how many agents N_j are in
each local state, so no agent is simulated:

- what the global agent sees: z ~ multivariate hypergeometric(N, k);
- actions: M[j, .] ~ Multinomial(N_j, pi_l(. | s_g, j));
- moves: sum over j, a of Multinomial(M[j, a], P_l(. | j, s_g, a)).

A step costs O(L² A_l) whatever n is, and all rollouts advance together as arrays. The same seed gives rollouts
that stay alike for every k and every pair of policies (:mod:`distmarl.dynamics.draws`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from distmarl.dynamics.draws import conditional_probabilities, draw_categorical, draw_multinomial, draw_subsample
from distmarl.model.arrays import Array, GlobalPolicy, Ints
from distmarl.model.counts import rank_valid
from distmarl.model.environment import Environment
from distmarl.model.options import RewardKind
from distmarl.model.policies import local_reward
from distmarl.model.random_streams import Role, Seed, random_stream

# Keys of the streams that one set of rollouts draws from. Each purpose has its own, so that
# rollouts of different policies stay as alike as they can be. The last is keyed by k, too: rollout i of one k
# and rollout j of another share no number then, and their differences are independent.
START, OBSERVATION, POPULATION, GLOBAL_STATE, LARGE_COUNTS = range(5)


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


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    """What a set of rollouts earned.

    Attributes
    ----------
    returns : ndarray, shape (n_rollouts,)
        Discounted return of each rollout, sum over t < horizon of gamma^t r(t).
    mode_accuracy : float
        Share of all steps at which the global action was one of the most populated local
        states; NaN where global actions are not local states (A_g != L).
    first : RecordedRollout
        The first of them, step by step.
    """

    returns: Array
    mode_accuracy: float
    first: RecordedRollout


def initial_states(env: Environment, n_rollouts: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the first global states, (R,), and the first populations as counts, (R, L)."""
    states = draw_categorical(np.tile(env.initial_global, (n_rollouts, 1)), rng)
    shares = rng.dirichlet(env.initial_local_concentration, size=n_rollouts)
    return states, rng.multinomial(env.n_agents, shares)


def run_rollouts(
    env: Environment,
    global_policy: GlobalPolicy | Array,
    local_policy: Array,
    *,
    k: int,
    n_rollouts: int,
    horizon: int,
    seed: Seed,
    role: Role,
    reward: RewardKind = "sampled",
) -> Rollouts:
    """Simulate the n-agent game under a pair of policies.

    Parameters
    ----------
    env, global_policy, local_policy, k
        The game and the pair. For k = 0 nobody is seen, and ``global_policy`` is the law of the action, (G, A_g).
    n_rollouts, horizon : int
        Number of rollouts R, and of steps T in each.
    seed : int or sequence of int
        Root of the random streams. The initial states depend on nothing else
        but the start distribution and R, so they are shared by every k and every pair.
    role : Role
        What the rollouts are for; other roles draw other numbers.
    reward : {"sampled", "expected"}
        What a step earns: the reward of the actions that were drawn, or its expectation given the
        states and the global action. The states are the same in both.

    Notes
    -----
    Takes O(R L² A_l) memory, whatever n is, O(R sqrt(k)) for large k, and O(T L) for the recorded rollout.
    """
    streams = [random_stream(seed, role, purpose) for purpose in (START, OBSERVATION, POPULATION, GLOBAL_STATE)]
    divide = functools.partial(
        draw_multinomial, rng=streams[POPULATION], rng_of_large=random_stream(seed, role, LARGE_COUNTS, k)
    )
    choices, moves = conditional_probabilities(local_policy), conditional_probabilities(env.transition_local)
    expected = local_reward(env, local_policy)
    s_g, population = initial_states(env, n_rollouts, streams[START])
    tracks_mode = env.n_global_actions == env.n_local_states
    returns = np.zeros(n_rollouts)
    first = _empty_record(horizon, env.n_local_states)
    n_hits = 0
    discount = 1.0
    for step in range(horizon):
        if k == 0:
            a_g = draw_categorical(np.asarray(global_policy[s_g], dtype=np.float64), streams[OBSERVATION])
        else:
            seen = draw_subsample(population, k, streams[OBSERVATION])
            a_g = np.asarray(global_policy[s_g, rank_valid(seen, k)], dtype=np.int64)
        actions = np.moveaxis(divide(population, choices[:, s_g]), 0, -1)
        if reward == "expected":
            earned = np.einsum("rl,rl->r", population, expected[s_g])
        else:
            earned = np.einsum("rla,rla->r", actions, env.reward_local[s_g])
        rewards = env.reward_global[s_g, a_g] + earned / env.n_agents
        returns += discount * rewards
        first.global_states[step], first.global_actions[step] = s_g[0], a_g[0]
        first.populations[step], first.rewards[step] = population[0], rewards[0]
        discount *= env.gamma
        if tracks_mode:
            n_hits += int((population[np.arange(n_rollouts), a_g] == population.max(axis=1)).sum())
        population = divide(actions, moves[:, s_g]).sum(axis=(2, 3)).T
        s_g = draw_categorical(env.transition_global[s_g, a_g], streams[GLOBAL_STATE])
    return Rollouts(returns, n_hits / (n_rollouts * horizon) if tracks_mode else float("nan"), first)


def _empty_record(horizon: int, n_local_states: int) -> RecordedRollout:
    states, actions = np.zeros((2, horizon), dtype=np.int64)
    return RecordedRollout(states, actions, np.zeros((horizon, n_local_states), dtype=np.int64), np.zeros(horizon))
