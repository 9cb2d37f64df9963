"""Rollouts of the n-agent game in pairs: in one world a pair of policies is kept, in the other someone deviates.

One of the n agents is told apart, so that it can be the one who deviates; the others are counts. Each world by itself
has the law of the game. Together they stay as alike as they can:

- both start alike, and draw with the same numbers who is seen, what the global agent does where its policy draws, what
  the agent does, where it goes and where s_g goes;
- agents that are in the same state in both worlds are matched: they are seen together, and move together while s_g
  is the same in both. As populations meet again, agents match again.

So a difference of returns is 0 until the deviation matters, and its noise is that of what it brings about.
Rewards are expectations given the states and the global action, which has the same mean and less noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distmarl.dynamics.drawing import has_few_states
from distmarl.dynamics.draws import draw_categorical, draw_subsample
from distmarl.dynamics.population import draw_shares
from distmarl.dynamics.sparse_laws import BLOCK, SparseLaws, move_counts
from distmarl.model.arrays import Array, GlobalPolicy, Ints, read_only
from distmarl.model.counts import rank_valid
from distmarl.model.environment import Environment
from distmarl.model.policies import is_drawn, local_kernel, local_reward


@dataclass(frozen=True, slots=True, eq=False)
class PairedReturns:
    """Discounted returns of both worlds, row 0 with the pair of policies and row 1 with the deviation.

    Attributes
    ----------
    team : ndarray, shape (2, n_rollouts)
        Return of the system.
    own : ndarray, shape (2, n_rollouts)
        sum over t of gamma^t r_l of the agent that is told apart.
    """

    team: Array
    own: Array


def run_paired_rollouts(
    env: Environment,
    local_policy: Array,
    global_policies: tuple[GlobalPolicy, GlobalPolicy],
    own_policies: tuple[Array, Array],
    *,
    k: int,
    n_rollouts: int,
    horizon: int,
    rng: np.random.Generator,
) -> PairedReturns:
    """Simulate the n-agent game in two worlds at once.

    In both, n - 1 agents follow ``local_policy``; ``global_policies`` and ``own_policies`` hold for each world what
    the global agent and the agent that is told apart do.

    Notes
    -----
    Takes O(R L²) memory for R rollouts, whatever n and the horizon are; in games of more than 10 local states O(R L),
    beside O(G L²).
    """
    kernel, reward = local_kernel(env, local_policy), local_reward(env, local_policy)
    own_policy = np.stack(own_policies)
    own_reward = np.einsum("wgla,gla->wgl", own_policy, env.reward_local)
    few, n_states = has_few_states(env), env.n_local_states
    law = kernel if few else SparseLaws(kernel.reshape(-1, n_states), likely_first=True)
    world = np.arange(2)[:, None]
    s_g, s_i, others = _start(env, n_rollouts, rng)
    team, own = np.zeros((2, n_rollouts)), np.zeros((2, n_rollouts))
    discount = 1.0
    for _ in range(horizon):
        seen = rank_valid(_observe(env.observation[s_i], env.observed(others), k, rng), k)
        a_g = _act(global_policies, s_g, seen, rng)
        a_i = _draw_alike(own_policy[world, s_g, s_i], rng)
        earned = own_reward[world, s_g, s_i]
        population_reward = np.einsum("wrl,wrl->wr", others, reward[s_g]) + earned
        team += discount * (env.reward_global[s_g, a_g] + population_reward / env.n_agents)
        own += discount * earned
        discount *= env.gamma
        others = _move(s_g, others, law, rng)
        s_i = _draw_alike(env.transition_local[s_g, s_i, a_i], rng)
        s_g = _draw_alike(env.transition_global[s_g, a_g], rng)
    return PairedReturns(read_only(team), read_only(own))


def _start(env: Environment, n_rollouts: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Draw s_g and s_i, (2, R), and the counts of the others, (2, R, L), the same in both worlds."""
    shares = draw_shares(env, n_rollouts, rng)
    others = rng.multinomial(env.n_agents - 1, shares)
    s_g = _draw_alike(np.tile(env.initial_global, (2, n_rollouts, 1)), rng)
    s_i = _draw_alike(np.tile(shares, (2, 1, 1)), rng)
    return s_g, s_i, np.tile(others, (2, 1, 1))


def _observe(s_i: Ints, others: Ints, k: int, rng: np.random.Generator) -> Ints:
    """Draw k of all n agents in each world, (2, R, B): the same ones, as far as they are matched.

    Agents are told by their classes, the others as counts, (2, R, B).
    """
    n_agents = int(others[0, 0].sum()) + 1
    seen_itself = (rng.random(len(others[0])) * n_agents < k).astype(np.int64)
    matched = others.min(axis=0)
    unmatched = others - matched
    # The unmatched of a world are as many as those of the other; first draw how many of them are seen.
    groups = np.concatenate([matched, unmatched[0].sum(axis=1, keepdims=True)], axis=1)
    n_rollouts, n_states = matched.shape
    drawn = draw_subsample(groups, k - seen_itself, rng.random((n_rollouts, n_states)))
    seen: Ints = drawn[:, :-1] + np.stack(
        [draw_subsample(rest, drawn[:, -1], rng.random((n_rollouts, n_states - 1))) for rest in unmatched]
    )
    seen += seen_itself[:, None] * np.eye(others.shape[-1], dtype=np.int64)[s_i]
    return seen


def _act(global_policies: tuple[GlobalPolicy, GlobalPolicy], s_g: Ints, seen: Ints, rng: np.random.Generator) -> Ints:
    """Return the global action in each world, (2, R); where policies draw it, by one number for both."""
    n_drawn = s_g.shape[1] if any(is_drawn(policy) for policy in global_policies) else 0
    uniform = rng.random((n_drawn,))
    actions = np.empty(s_g.shape, dtype=np.int64)
    for world, policy in enumerate(global_policies):
        found = policy[s_g[world], seen[world]]
        actions[world] = draw_categorical(found, uniform) if is_drawn(policy) else found
    return actions


def _move(s_g: Ints, others: Ints, law: Array | SparseLaws, rng: np.random.Generator) -> Ints:
    """Draw the next counts of the others; matched agents move together where s_g is the same."""
    together = others.min(axis=0) * (s_g[0] == s_g[1])[:, None]
    moved_together = _moved(s_g[0], together, law, rng)
    return np.stack(
        [
            moved_together + _moved(states, counts - together, law, rng)
            for states, counts in zip(s_g, others, strict=True)
        ]
    )


def _moved(s_g: Ints, counts: Ints, law: Array | SparseLaws, rng: np.random.Generator) -> Ints:
    """Draw where agents go, (R, L) to (R, L), by the kernel, (G, L, L), or by what is possible of it."""
    if isinstance(law, SparseLaws):
        return move_counts(law, s_g, counts, rng)
    moved: Ints = rng.multinomial(counts, law[s_g]).sum(axis=1)
    return moved


def _draw_alike(probabilities: Array, rng: np.random.Generator) -> Ints:
    """Draw one outcome from each row of both worlds, (2, R, S) to (2, R), with one number for both."""
    uniform = rng.random(len(probabilities[0]))
    outcome: Ints = (uniform[:, None] >= np.cumsum(probabilities, axis=-1)[..., :-1]).sum(axis=-1)
    return outcome


def paired_bytes(env: Environment, n_rollouts: int) -> int:
    """Return about how much memory :func:`run_paired_rollouts` takes, in bytes."""
    n_states = env.n_local_states
    if has_few_states(env):
        return 8 * 3 * 2 * n_rollouts * n_states**2
    return 8 * 2 * (6 * n_rollouts * n_states + 4 * BLOCK) + 8 * 5 * env.n_global_states * n_states**2
