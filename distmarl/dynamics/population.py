"""The whole population: how it starts, and what the global agent does when it is so.

Populations are count vectors N of all n agents. The global agent sees k of them, drawn at random; so for
a function f of what it sees, what matters is the mean of f over all subsamples of N. Leaving out one agent after the
other gives the same subsample, and one agent less is one *elevation* of f,

    (E f)(N) = sum_j (N_j / m) f(N - e_j),   N in Z_m, f on Z_{m-1}.

After n - k elevations the indicator of an action has become its probability,

    beta(a | s_g, N) = sum_z Hypergeometric(z; N, k) 1[pi_g(s_g, z) = a],

for n C operations and not one for each of the subsamples. All terms are 0 or more, so nothing cancels: the relative
error is at most (L + 2)(n - k) roundings.
"""

from __future__ import annotations

import numpy as np

from distmarl.model.arrays import EPSILON, Array, GlobalPolicy
from distmarl.model.counts import count_vectors, n_count_vectors
from distmarl.model.environment import Environment


def elevate(values: Array, *, k: int, n_states: int) -> Array:
    """Return the mean of each column of ``values`` when one of k + 1 agents, drawn at random, is left out.

    Takes functions of the count vectors of k agents, (C, m), to functions of those of k + 1, (C', m).
    """
    counts = count_vectors(k + 1, n_states)
    elevated = np.zeros((len(counts), values.shape[1]))
    for state in range(n_states):
        # Less one agent in this state, these are all vectors of k agents, still in lexicographic order.
        rows = np.flatnonzero(counts[:, state])
        elevated[rows] += (counts[rows, state] / (k + 1))[:, None] * values
    return elevated


def global_action_law(env: Environment, global_policy: GlobalPolicy, *, k: int) -> Array:
    """Return beta(a_g | s_g, N), the law of the global action given the whole population, shape (G, A_g, C_n).

    Notes
    -----
    Only actions that occur are worked on, and none where a global state has a single one. Takes about four arrays of
    the result's size.
    """
    shape = (env.n_global_states, env.n_global_actions, n_count_vectors(env.n_agents, env.n_local_states))
    law = np.zeros(shape)
    occurring = [np.unique(actions) for actions in global_policy]
    mixed = [(s_g, a_g) for s_g, actions in enumerate(occurring) for a_g in actions if len(actions) > 1]
    for s_g, actions in enumerate(occurring):
        if len(actions) == 1:
            law[s_g, actions[0]] = 1.0
    if not mixed:
        return law
    probabilities = np.stack([global_policy[s_g] == a_g for s_g, a_g in mixed], axis=1).astype(np.float64)
    for n_agents in range(k, env.n_agents):
        probabilities = elevate(probabilities, k=n_agents, n_states=env.n_local_states)
    for column, (s_g, a_g) in enumerate(mixed):
        law[s_g, a_g] = probabilities[:, column]
    law /= law.sum(axis=1, keepdims=True)
    return law


def initial_population(env: Environment) -> Array:
    """Return the probability of each first population, shape (C_n,).

    The shares are Dirichlet and the counts multinomial, so with concentrations alpha the weight of N is
    prod_j Gamma(alpha_j + N_j) / (Gamma(alpha_j) N_j!).
    """
    counts = count_vectors(env.n_agents, env.n_local_states)
    log_probability = np.zeros(len(counts))
    for state, log_weights in enumerate(_log_weights(env)):
        log_probability += log_weights[counts[:, state]]
    probability = np.exp(log_probability - log_probability.max())
    return probability / probability.sum()


def initial_population_error(env: Environment) -> float:
    """Return a bound of the relative rounding error of :func:`initial_population`."""
    log_weights = _log_weights(env)
    largest = float(np.abs(log_weights).max(axis=1).sum())
    return 2 * EPSILON * ((env.n_agents + 4) * (4 * len(log_weights) + largest) + 32)


def _log_weights(env: Environment) -> Array:
    """Return log(Gamma(alpha_j + c) / (Gamma(alpha_j) c!)) for c = 0 .. n, up to a multiple of c; (L, n + 1).

    The multiple is the same for all states, so it is the same for all populations; it keeps
    the logarithms of large concentrations small.
    """
    concentration = env.initial_local_concentration[:, None]
    scale = max(1.0, float(concentration.max()) / env.n_agents)
    added = np.arange(env.n_agents)
    log_weights = np.zeros((len(concentration), env.n_agents + 1))
    np.cumsum(np.log((concentration + added) / scale / (added + 1)), axis=1, out=log_weights[:, 1:])
    return log_weights
