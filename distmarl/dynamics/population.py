"""The whole population: how it starts, and what the global agent does when it is so.

Populations are count vectors N of all n agents. The global agent sees k of them, drawn at random; so for
a function f of what it sees, what matters is the mean of f over all subsamples of N. Leaving out one agent after the
other gives the same subsample, and one agent less is one *elevation* of f,

    (E f)(N) = sum_j (N_j / m) f(N - e_j),   N in Z_m, f on Z_{m-1}.

After n - k elevations the indicator of an action has become its probability,

    beta(a | s_g, N) = sum_z Hypergeometric(z; N, k) 1[pi_g(s_g, z) = a],

and so has the probability with which a policy draws it, for n C operations and not one for each of the subsamples. All
terms are 0 or more, so nothing cancels: the relative error is at most (L + 2)(n - k) roundings.
"""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.draws import draw_categorical
from distmarl.model.arrays import EPSILON, Array, GlobalPolicy
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.model.policies import is_drawn


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
    shape = (env.n_global_states, env.n_global_actions, n_count_vectors(env.n_agents, env.n_classes))
    law = np.zeros(shape)
    drawn = is_drawn(global_policy)
    occurring = [np.flatnonzero(row.any(axis=0)) if drawn else np.unique(row) for row in global_policy]
    mixed = [(s_g, a_g) for s_g, actions in enumerate(occurring) for a_g in actions if len(actions) > 1]
    for s_g, actions in enumerate(occurring):
        if len(actions) == 1:
            law[s_g, actions[0]] = 1.0
    if not mixed:
        return _given_states(env, law)
    columns = [global_policy[s_g, :, a_g] if drawn else global_policy[s_g] == a_g for s_g, a_g in mixed]
    probabilities = np.stack(columns, axis=1).astype(np.float64)
    for n_agents in range(k, env.n_agents):
        probabilities = elevate(probabilities, k=n_agents, n_states=env.n_classes)
    for column, (s_g, a_g) in enumerate(mixed):
        law[s_g, a_g] = probabilities[:, column]
    law /= law.sum(axis=1, keepdims=True)
    return _given_states(env, law)


def _given_states(env: Environment, law: Array) -> Array:
    """Return a law given how many agents are in each class, (G, A_g, C_B), as one given how many are in each state."""
    if env.sees_states:
        return law
    return law[:, :, rank_valid(env.observed(count_vectors(env.n_agents, env.n_local_states)), env.n_agents)]


def initial_population(env: Environment) -> Array:
    """Return the probability of each first population, shape (C_n,).

    Counts are multinomial. Where the shares are Dirichlet with concentrations alpha, the weight of N is
    prod_j Gamma(alpha_j + N_j) / (Gamma(alpha_j) N_j!); where they are one of several parts, it is the mean of
    prod_j shares_j^N_j / N_j! over the parts.
    """
    counts = count_vectors(env.n_agents, env.n_local_states)
    probability = np.zeros(len(counts))
    for weight, part in zip(_part_weights(env), _log_weights(env), strict=True):
        log_probability = np.zeros(len(counts))
        for state, log_weights in enumerate(part):
            log_probability += log_weights[counts[:, state]]
        within = np.exp(log_probability - log_probability.max())
        probability += weight * (within / within.sum())
    return probability / probability.sum()


def draw_shares(env: Environment, n_populations: int, rng: np.random.Generator) -> Array:
    """Draw the shares of the local states in some first populations, (n_populations, L)."""
    if env.initial_local_concentration is not None:
        return rng.dirichlet(env.initial_local_concentration, size=n_populations)
    weights = np.tile(_part_weights(env), (n_populations, 1))
    return np.asarray(env.initial_shares)[draw_categorical(weights, rng.random(n_populations))]


def initial_population_error(env: Environment) -> float:
    """Return a bound of the relative rounding error of :func:`initial_population`."""
    log_weights = _log_weights(env)
    finite = np.where(np.isfinite(log_weights), log_weights, 0.0)
    n_parts, n_states = log_weights.shape[:2]
    largest = float(np.abs(finite).max(axis=2).sum(axis=1).max())
    return 2 * EPSILON * ((env.n_agents + 4) * (4 * n_states + largest) + 31 + n_parts)


def _log_weights(env: Environment) -> Array:
    """Return the logarithm of what c agents in state j weigh, c = 0 .. n, in each part of the start; (M, L, n + 1).

    It is log(shares_j^c / c!), or log(Gamma(alpha_j + c) / (Gamma(alpha_j) c!)) of a Dirichlet start, up to a multiple
    of c. The multiple is the same for all states, so it is the same for all populations; it keeps the logarithms of
    large concentrations small.
    """
    added = np.arange(env.n_agents)
    if env.initial_local_concentration is None:
        factors = np.repeat(np.asarray(env.initial_shares)[:, :, None], env.n_agents, axis=2)
    else:
        concentration = env.initial_local_concentration[None, :, None]
        scale = max(1.0, float(concentration.max()) / env.n_agents)
        factors = (concentration + added) / scale
    log_weights = np.zeros((*factors.shape[:2], env.n_agents + 1))
    with np.errstate(divide="ignore"):  # nobody starts in a state of share 0
        np.cumsum(np.log(factors / (added + 1)), axis=2, out=log_weights[:, :, 1:])
    return log_weights


def _part_weights(env: Environment) -> Array:
    """Return the probability of each part of the start, (M,); a Dirichlet start is a single one."""
    return np.ones(1) if env.initial_weights is None else env.initial_weights
