"""Slow and obvious counterparts of the package, to compare it with.

Nothing here calls the code under test: count vectors come from itertools, kernels from moving one
agent after the other, games from one agent per array entry.
"""

from __future__ import annotations

import itertools
import math

import numpy as np


def enumerate_counts(k, n_states):
    """Every count vector of k agents, in lexicographic order, by trying all of (k + 1)^L."""
    candidates = itertools.product(range(k + 1), repeat=n_states)
    return [counts for counts in candidates if sum(counts) == k]


def number_of(k, n_states):
    """The lexicographic number of each count vector, as a dictionary of tuples."""
    return {counts: number for number, counts in enumerate(enumerate_counts(k, n_states))}


def mixed_kernel(env, local_policy):
    """kernel[s_g, s_l, s_l'] under the local policy, entry by entry."""
    kernel = np.zeros((env.n_global_states, env.n_local_states, env.n_local_states))
    for s_g, s_l, a_l in np.ndindex(local_policy.shape):
        kernel[s_g, s_l] += local_policy[s_g, s_l, a_l] * env.transition_local[s_g, s_l, a_l]
    return kernel


def mixed_reward(env, local_policy):
    """Expected local reward [s_g, s_l] under the local policy, entry by entry."""
    reward = np.zeros((env.n_global_states, env.n_local_states))
    for s_g, s_l, a_l in np.ndindex(local_policy.shape):
        reward[s_g, s_l] += local_policy[s_g, s_l, a_l] * env.reward_local[s_g, s_l, a_l]
    return reward


def dense_kernel(kernel, k):
    """P(Z' = z' | z) for each s_g, (G, C, C): the agents of z move one after the other."""
    n_states = kernel.shape[-1]
    number = number_of(k, n_states)
    dense = np.zeros((len(kernel), len(number), len(number)))
    for s_g, matrix in enumerate(kernel):
        for counts, row in number.items():
            distribution = {(0,) * n_states: 1.0}
            for state in np.repeat(np.arange(n_states), counts):
                distribution = _move_one_agent(distribution, matrix[state])
            for moved, probability in distribution.items():
                dense[s_g, row, number[moved]] = probability
    return dense


def _move_one_agent(distribution, row):
    moved = {}
    for counts, probability in distribution.items():
        for state, share in enumerate(row):
            arrived = (*counts[:state], counts[state] + 1, *counts[state + 1 :])
            moved[arrived] = moved.get(arrived, 0.0) + probability * float(share)
    return moved


def elevate(values, k, n_states):
    """Values on count vectors of k + 1 agents: the mean of ``values`` when one agent, drawn at random, is left out."""
    number = number_of(k, n_states)
    elevated = np.zeros((len(number_of(k + 1, n_states)), *values.shape[1:]))
    for row, counts in enumerate(enumerate_counts(k + 1, n_states)):
        for state in np.flatnonzero(counts):
            without = (*counts[:state], counts[state] - 1, *counts[state + 1 :])
            elevated[row] += counts[state] / (k + 1) * values[number[without]]
    return elevated


def surrogate_mdp(env, local_policy, k, dense):
    """The global agent's MDP: rewards (S, A_g) and transitions (S, A_g, S) over states s_g * C + z.

    ``dense`` is the movement of count vectors, (G, C, C).
    """
    counts = np.array(enumerate_counts(k, env.n_local_states))
    local = mixed_reward(env, local_policy)
    n_global, n_counts, n_actions = env.n_global_states, len(counts), env.n_global_actions
    rewards = np.zeros((n_global, n_counts, n_actions))
    moves = np.zeros((n_global, n_counts, n_actions, n_global, n_counts))
    for s_g, z, a_g in np.ndindex(rewards.shape):
        rewards[s_g, z, a_g] = env.reward_global[s_g, a_g] + counts[z] @ local[s_g] / k
        moves[s_g, z, a_g] = np.outer(env.transition_global[s_g, a_g], dense[s_g, z])
    size = n_global * n_counts
    return rewards.reshape(size, n_actions), moves.reshape(size, n_actions, size)


def local_mdp(env, global_kernel):
    """One local agent's MDP: rewards (S, A_l) and transitions (S, A_l, S) over states s_g * L + s_l.

    ``global_kernel`` is P(s' | s_g), (G, G), or P(s' | s_g, s_l), (G, L, G).
    """
    shape = env.reward_local.shape
    moves = np.zeros((*shape, shape[0], shape[1]))
    for s_g, s_l, a_l in np.ndindex(shape):
        row = global_kernel[s_g] if global_kernel.ndim == 2 else global_kernel[s_g, s_l]
        moves[s_g, s_l, a_l] = np.outer(row, env.transition_local[s_g, s_l, a_l])
    size = shape[0] * shape[1]
    return env.reward_local.reshape(size, shape[2]), moves.reshape(size, shape[2], size)


def solve_mdp(rewards, moves, gamma):
    """V*: plain value iteration to 1e-10, then the greedy policy's value from its linear equations."""
    value, change = rewards.max(axis=1), math.inf if gamma else 0.0
    while gamma * change > 1e-10 * (1 - gamma):
        image = (rewards + gamma * moves @ value).max(axis=1)
        value, change = image, float(np.abs(image - value).max())
    states = np.arange(len(rewards))
    greedy = (rewards + gamma * moves @ value).argmax(axis=1)
    return np.linalg.solve(np.eye(len(rewards)) - gamma * moves[states, greedy], rewards[states, greedy])


def action_values(rewards, moves, gamma, value):
    """Q(s, a) of a value function."""
    return rewards + gamma * moves @ value


def count_plain_sweeps(bellman, value, *, gamma, threshold):
    """Sweeps that unaccelerated value iteration needs for a span certificate of ``threshold``."""
    n_sweeps, bound = 0, math.inf
    while bound > threshold:
        image = bellman(value)
        change = image - value
        n_sweeps, bound = n_sweeps + 1, gamma / (1 - gamma) * (change.max() - change.min()) / 2
        value = image - image.mean()
    return n_sweeps


def multinomial_pmf(k, mu):
    """The probability of every count vector of k agents drawn from ``mu``."""
    return np.array(
        [
            math.factorial(k) * math.prod(float(p) ** c / math.factorial(c) for p, c in zip(mu, counts, strict=True))
            for counts in enumerate_counts(k, len(mu))
        ]
    )


def hypergeometric_pmf(population, k):
    """The probability of every count vector of k agents drawn from ``population`` without replacement."""
    ways = [
        math.prod(math.comb(int(there), seen) for there, seen in zip(population, counts, strict=True))
        for counts in enumerate_counts(k, len(population))
    ]
    return np.array(ways) / math.comb(int(sum(population)), k)


def dirichlet_multinomial_pmf(n, concentration):
    """The probability of every count vector of n agents whose shares are Dirichlet."""
    total = float(sum(concentration))
    logs = [
        math.lgamma(n + 1)
        + math.lgamma(total)
        - math.lgamma(n + total)
        + sum(
            math.lgamma(c + a) - math.lgamma(c + 1) - math.lgamma(a) for c, a in zip(counts, concentration, strict=True)
        )
        for counts in enumerate_counts(n, len(concentration))
    ]
    return np.exp(logs)


def exact_return(env, global_policy, local_policy, *, k, horizon):
    """E sum_{t < horizon} gamma^t r(t) of the n-agent game, over all of its states (s_g, N)."""
    classes = [observed(env, counts) for counts in enumerate_counts(env.n_agents, env.n_local_states)]
    populations = enumerate_counts(env.n_agents, env.n_local_states)
    dense = dense_kernel(mixed_kernel(env, local_policy), env.n_agents)
    local = mixed_reward(env, local_policy)
    value = np.zeros((env.n_global_states, len(populations)))
    for _ in range(horizon):
        image = np.zeros_like(value)
        for s_g, number in np.ndindex(value.shape):
            moved = value @ dense[s_g, number]
            for probability, a_g in zip(hypergeometric_pmf(classes[number], k), global_policy[s_g], strict=True):
                later = env.transition_global[s_g, a_g] @ moved
                image[s_g, number] += probability * (env.reward_global[s_g, a_g] + env.gamma * later)
            image[s_g, number] += np.dot(populations[number], local[s_g]) / env.n_agents
        value = image
    return float(env.initial_global @ value @ start_pmf(env))


def start_pmf(env):
    """The probability of every first population."""
    if env.initial_shares is None:
        return dirichlet_multinomial_pmf(env.n_agents, env.initial_local_concentration)
    parts = [multinomial_pmf(env.n_agents, shares) for shares in env.initial_shares]
    return sum(weight * part for weight, part in zip(env.initial_weights, parts, strict=True))


def observed(env, counts):
    """How many agents are in each class, from how many are in each state."""
    seen = [0] * (max(env.observation) + 1)
    for there, of_class in zip(counts, env.observation, strict=True):
        seen[of_class] += int(there)
    return seen


def joint_return(env, action_law, local_policy, *, horizon=None, late_locals=False):
    """E sum_{t < horizon} gamma^t r(t), or of all t, over every state of every agent: G L^n joint states.

    ``action_law(s_g, agents)`` gives the probability of each global action. ``late_locals`` is a deliberate
    mistake, for negative controls: local agents move with s_g(t + 1) in place of s_g(t).
    """
    kernel, local = mixed_kernel(env, local_policy), mixed_reward(env, local_policy)
    states = list(itertools.product(range(env.n_global_states), *[range(env.n_local_states)] * env.n_agents))
    rewards = np.zeros(len(states))
    moves = np.zeros((len(states), env.n_global_states, env.n_local_states**env.n_agents))
    for row, (s_g, *agents) in enumerate(states):
        rewards[row] = np.mean([local[s_g, agent] for agent in agents])
        for a_g, probability in enumerate(action_law(s_g, agents)):
            rewards[row] += probability * env.reward_global[s_g, a_g]
            for next_s_g, share in enumerate(env.transition_global[s_g, a_g]):
                together = np.ones(1)
                for agent in agents:
                    together = np.kron(together, kernel[next_s_g if late_locals else s_g, agent])
                moves[row, next_s_g] += probability * share * together
    moves = moves.reshape(len(states), len(states))
    if horizon is None:
        value = np.linalg.solve(np.eye(len(states)) - env.gamma * moves, rewards)
    else:
        value = np.zeros(len(states))
        for _ in range(horizon):
            value = rewards + env.gamma * moves @ value
    return float(value @ [_start_of_agents(env, *state) for state in states])


def joint_control_mdp(env, *, late_locals=False):
    """The MDP of whoever chooses every action of every agent: rewards (S, A) and transitions (S, A, S).

    States are (s_g, agents), actions (a_g, actions of the agents), in the order of itertools.product. ``late_locals``
    is a deliberate mistake, for negative controls: local agents move with s_g(t + 1) in place of s_g(t).
    """
    n, n_local = env.n_agents, env.n_local_states
    states = list(itertools.product(range(env.n_global_states), *[range(n_local)] * n))
    actions = list(itertools.product(range(env.n_global_actions), *[range(env.n_local_actions)] * n))
    rewards = np.zeros((len(states), len(actions)))
    moves = np.zeros((len(states), len(actions), env.n_global_states, n_local**n))
    for row, (s_g, *agents) in enumerate(states):
        for column, (a_g, *chosen) in enumerate(actions):
            each = list(zip(agents, chosen, strict=True))
            rewards[row, column] = env.reward_global[s_g, a_g] + np.mean([env.reward_local[s_g, s, a] for s, a in each])
            for next_s_g, share in enumerate(env.transition_global[s_g, a_g]):
                together = np.ones(1)
                for s_l, a_l in each:
                    together = np.kron(together, env.transition_local[next_s_g if late_locals else s_g, s_l, a_l])
                moves[row, column, next_s_g] = share * together
    return rewards, moves.reshape(len(states), len(actions), len(states))


def best_joint_return(env, *, horizon=None, late_locals=False):
    """What the best control of every agent earns, over all of them or the first ``horizon`` steps."""
    rewards, moves = joint_control_mdp(env, late_locals=late_locals)
    if horizon is None:
        value = solve_mdp(rewards, moves, env.gamma)
    else:
        value = np.zeros(len(rewards))
        for _ in range(horizon):
            value = (rewards + env.gamma * moves @ value).max(axis=1)
    states = itertools.product(range(env.n_global_states), *[range(env.n_local_states)] * env.n_agents)
    return float(value @ [_start_of_agents(env, *state) for state in states])


def _start_of_agents(env, s_g, *agents):
    """The probability of a first joint state: with Dirichlet shares, agents join one after the other by Polya's urn."""
    if env.initial_shares is not None:
        return env.initial_global[s_g] * (env.initial_weights @ env.initial_shares[:, list(agents)].prod(axis=1))
    probability, weights = env.initial_global[s_g], env.initial_local_concentration.copy()
    for agent in agents:
        probability *= weights[agent] / weights.sum()
        weights[agent] += 1
    return probability


def subsampled_action_law(env, global_policy, k):
    """The law of the global action given (s_g, agents), by looking at every subsample of k agents."""
    number = number_of(k, env.n_classes)

    def law(s_g, agents):
        subsamples = list(itertools.combinations(env.observation[list(agents)], k))
        seen = [tuple(np.bincount(subsample, minlength=env.n_classes).tolist()) for subsample in subsamples]
        chosen = [global_policy[s_g, number[z]] for z in seen]
        if np.ndim(chosen) == 2:  # distributions of actions
            return np.mean(chosen, axis=0)
        return np.bincount(chosen, minlength=env.n_global_actions) / len(subsamples)

    return law


def simulate_agents(env, global_policy, local_policy, *, k, n_rollouts, horizon, rng, late_locals=False):
    """Simulate the n-agent game agent by agent, one rollout after the other.

    Returns the discounted return of each rollout and the share of its steps at which the global
    action was one of the most populated states. ``late_locals`` is a deliberate mistake, for negative
    controls: local agents move with s_g(t + 1) in place of s_g(t).
    """
    n_classes = max(env.observation) + 1
    number = number_of(k, n_classes)
    returns, hits = np.zeros(n_rollouts), np.zeros(n_rollouts)
    for rollout in range(n_rollouts):
        s_g = rng.choice(env.n_global_states, p=env.initial_global)
        if env.initial_shares is None:
            shares = rng.dirichlet(env.initial_local_concentration)
        else:
            shares = env.initial_shares[rng.choice(len(env.initial_shares), p=env.initial_weights)]
        agents = rng.choice(env.n_local_states, size=env.n_agents, p=shares)
        for step in range(horizon):
            seen = agents[rng.choice(env.n_agents, size=k, replace=False)]
            z = tuple(np.bincount(env.observation[seen], minlength=n_classes).tolist())
            a_g = int(global_policy[s_g, number[z]])
            actions = _draw_each(local_policy[s_g, agents], rng)
            reward = env.reward_global[s_g, a_g] + env.reward_local[s_g, agents, actions].mean()
            returns[rollout] += env.gamma**step * reward
            population = np.bincount(agents, minlength=env.n_local_states)
            hits[rollout] += a_g < len(population) and population[a_g] == population.max()
            next_s_g = rng.choice(env.n_global_states, p=env.transition_global[s_g, a_g])
            seen_by_locals = next_s_g if late_locals else s_g
            agents = _draw_each(env.transition_local[seen_by_locals, agents, actions], rng)
            s_g = next_s_g
    return returns, hits / horizon


def _draw_each(rows, rng):
    return (rng.random(len(rows))[:, None] >= rows.cumsum(axis=1)[:, :-1]).sum(axis=1)


def standard_errors_apart(first, second):
    """How many standard errors lie between the means of two independent samples."""
    first, second = np.asarray(first), np.asarray(second)
    variance = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float(abs(first.mean() - second.mean()) / math.sqrt(variance))


def standard_errors_from(sample, mean):
    """How many standard errors lie between the mean of a sample and a known number."""
    sample = np.asarray(sample)
    return float(abs(sample.mean() - mean) / math.sqrt(sample.var(ddof=1) / len(sample)))


def count_frequencies(counts, k):
    """How often each count vector of k agents was drawn."""
    number = number_of(k, counts.shape[1])
    drawn = [number[tuple(row)] for row in counts.tolist()]
    return np.bincount(drawn, minlength=len(number))


def largest_frequency_error(observed, probabilities):
    """Largest distance of a frequency from its expectation, in standard errors."""
    n, possible = observed.sum(), probabilities > 0
    if observed[~possible].any():
        return math.inf
    spread = np.sqrt(n * probabilities * (1 - probabilities))[possible]
    return float((np.abs(observed - n * probabilities)[possible] / spread).max())
