"""The game with every local agent by name: L^n joint states, subsamples as subsets, one move after the other.

Slow and obvious counterparts of the Nash gaps. States are numbered by ``joint_states``: s_g, then one local
state for each agent. Nothing here counts agents with the package's own code.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from tests.reference import mixed_kernel, mixed_reward, number_of


def joint_states(env):
    """Every (s_g, (s_1, ..., s_n))."""
    agents = list(itertools.product(range(env.n_local_states), repeat=env.n_agents))
    return list(itertools.product(range(env.n_global_states), agents))


def joint_start(env):
    """The probability of every joint state at the start: exchangeable agents with Dirichlet shares, or of one part."""
    if env.initial_shares is not None:
        parts = list(zip(env.initial_weights, env.initial_shares, strict=True))
        return np.array(
            [
                env.initial_global[s_g] * sum(weight * math.prod(shares[list(agents)]) for weight, shares in parts)
                for s_g, agents in joint_states(env)
            ]
        )
    alpha = env.initial_local_concentration
    start = []
    for s_g, agents in joint_states(env):
        probability, drawn = env.initial_global[s_g], np.zeros(len(alpha))
        for state in agents:  # Polya's urn
            probability *= (alpha[state] + drawn[state]) / (alpha.sum() + drawn.sum())
            drawn[state] += 1
        start.append(probability)
    return np.array(start)


def action_law(env, global_policy, k):
    """The probability of every global action in every joint state, by all subsets of k agents."""
    n_classes = max(env.observation) + 1
    number = number_of(k, n_classes)
    law = np.zeros((len(joint_states(env)), env.n_global_actions))
    for row, (s_g, agents) in enumerate(joint_states(env)):
        for subset in itertools.combinations(env.observation[list(agents)], k):
            z = tuple(np.bincount(subset, minlength=n_classes).tolist())
            law[row, global_policy[s_g, number[z]]] += 1 / math.comb(env.n_agents, k)
    return law


def _agents_move(rows):
    """The probability of every next (s_1, ..., s_n), given one row per agent."""
    moved = np.ones(1)
    for row in rows:
        moved = np.outer(moved, row).ravel()
    return moved


def dispatcher_mdp(env, local_policy):
    """The global agent that sees everything: rewards (S, A_g) and transitions (S, A_g, S)."""
    states, kernel, reward = joint_states(env), mixed_kernel(env, local_policy), mixed_reward(env, local_policy)
    rewards = np.zeros((len(states), env.n_global_actions))
    moves = np.zeros((len(states), env.n_global_actions, len(states)))
    for row, (s_g, agents) in enumerate(states):
        moved = _agents_move([kernel[s_g, state] for state in agents])
        for a_g in range(env.n_global_actions):
            rewards[row, a_g] = env.reward_global[s_g, a_g] + np.mean([reward[s_g, state] for state in agents])
            moves[row, a_g] = np.outer(env.transition_global[s_g, a_g], moved).ravel()
    return rewards, moves


def deviator_mdp(env, global_policy, local_policy, k, utility):
    """The first local agent, who sees everything, among others that keep the local policy: (S, A_l), (S, A_l, S)."""
    states, kernel, reward = joint_states(env), mixed_kernel(env, local_policy), mixed_reward(env, local_policy)
    law = action_law(env, global_policy, k)
    rewards = np.zeros((len(states), env.n_local_actions))
    moves = np.zeros((len(states), env.n_local_actions, len(states)))
    for row, (s_g, (own, *others)) in enumerate(states):
        next_global = law[row] @ env.transition_global[s_g]
        for a_l in range(env.n_local_actions):
            earned = env.reward_local[s_g, own, a_l]
            if utility == "team":
                earned = (earned + sum(reward[s_g, state] for state in others)) / env.n_agents
                earned += law[row] @ env.reward_global[s_g]
            rewards[row, a_l] = earned
            rows = [env.transition_local[s_g, own, a_l], *(kernel[s_g, state] for state in others)]
            moves[row, a_l] = np.outer(next_global, _agents_move(rows)).ravel()
    return rewards, moves


def deviation_law(env, policy):
    """What the first agent does in every joint state under a policy (G, L, A_l)."""
    return np.array([policy[s_g, agents[0]] for s_g, agents in joint_states(env)])


def policy_value(rewards, moves, gamma, law):
    """The value of a stochastic policy (S, A), from its linear equations."""
    chain = np.einsum("sa,sat->st", law, moves)
    return np.linalg.solve(np.eye(len(chain)) - gamma * chain, (law * rewards).sum(axis=1))
