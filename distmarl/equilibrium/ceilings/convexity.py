"""How much better mixed actions can be than prescriptions, by the curvature of the value.

Take an action (a_g, M) at (s_g, N), and look at the c = N_j agents of a local state j, x_a of them with action a, the
others as they are. What is expected of W = sum_{s'} P_g(s' | s_g, a_g) V(s', .) is a function phi(x). With
u = P_l(. | s_g, j, a) - P_l(. | s_g, j, b), its second difference in the direction from b to a is

    phi(x + d) - 2 phi(x) + phi(x - d) = E[H(N'')],   d = e_a - e_b,   H(N'') = sum_{s, t} u_s u_t W(N'' + e_s + e_t),

where N'' is where the m - 2 other agents go: both of two agents take a, or one does, or none. (Rewards are linear in
x.) Let E[H] >= -eps for all a and b, whatever the others do. Then phi(x) + (eps / 4) |x|^2 is convex in every
direction d, so it is largest where all c agents take one action:

    phi(x) <= max_a phi(c e_a) + (eps / 4) (c^2 - |x|^2).

State by state, a mixed action is better than the best prescription by at most gamma sum_j (eps_j / 4) (N_j^2 - |x|^2),
which is largest where the agents of a state are spread evenly over its actions.

The others average H over where they go. Let h_0 = H on Z_{m-2}, and

    h_{i+1}(N) = min_{j,a} sum_s P_l(s | s_g, j, a) h_i(N + e_s)   on Z_{m-3-i}:

one more agent has moved, in the way that makes the mean smallest. So E[H] >= h_{m-2}(0), and H need not be
positive everywhere for eps to vanish.
"""

from __future__ import annotations

import itertools

import numpy as np

from distmarl.model.arrays import EPSILON, Array, Ints
from distmarl.model.counts import count_vectors, ranks_with_one_more
from distmarl.model.environment import Environment


def convexity_slack(env: Environment, value: Array) -> Array:
    """Return what the best mixed action may be better by than the best prescription, in one step, (C, G).

    Parameters
    ----------
    env : Environment
        The game of m agents.
    value : ndarray, shape (C, G)
        The value from the next step on.
    """
    m, n_actions = env.n_agents, env.n_local_actions
    slack = np.zeros(value.shape)
    if m < 2 or n_actions < 2:
        return slack  # one agent cannot be mixed
    value = value - (value.min() + value.max()) / 2
    arrivals = [ranks_with_one_more(size, env.n_local_states) for size in range(m)]
    # Sums of two differences of L terms each, and of the moves of the others.
    rounding = (8 * env.n_local_states + m * (env.n_local_states + 10) + env.n_global_states) * EPSILON
    rounding *= 4 * float(np.abs(value).max())
    losses = _mixing_loss(m, n_actions)[count_vectors(m, env.n_local_states)]
    for s_g in range(env.n_global_states):
        later = value @ env.transition_global[s_g].T
        for s_l, moves in enumerate(env.transition_local[s_g]):
            least = 0.0
            for first, second in itertools.combinations(range(n_actions), 2):
                direction = moves[first] - moves[second]
                curvature = _derivative(_derivative(later, direction, arrivals[m - 1]), direction, arrivals[m - 2])
                bent = curvature[:, curvature.min(axis=0) < least]
                if bent.size:
                    least = min(least, _worst_mean(env, s_g, bent, arrivals))
            slack[:, s_g] += env.gamma * (rounding - least) * losses[:, s_l]
    return slack


def _mixing_loss(m: int, n_actions: int) -> Array:
    """Return (c^2 - sum of squares of c agents spread evenly over the actions) / 4, for c = 0 .. m."""
    n_agents = np.arange(m + 1)
    each, over = n_agents // n_actions, n_agents % n_actions
    return (n_agents**2 - (n_actions * each**2 + over * (2 * each + 1))) / 4


def _derivative(values: Array, direction: Array, arrivals: Ints) -> Array:
    """Return sum_s u_s f(N + e_s) for functions f, (C', A), of one agent more."""
    total = np.zeros((arrivals.shape[1], values.shape[1]))
    for share, rows in zip(direction, arrivals, strict=True):
        if share:
            total += share * values[rows]
    return total


def _worst_mean(env: Environment, s_g: int, values: Array, arrivals: list[Ints]) -> float:
    """Return the least mean of any of the columns after all the other agents have moved, whatever they do."""
    moves = env.transition_local[s_g].reshape(-1, env.n_local_states)
    for n_unmoved in range(env.n_agents - 3, -1, -1):
        landed = values[arrivals[n_unmoved]]
        smallest = np.tensordot(moves[0], landed, axes=1)
        for row in moves[1:]:
            np.minimum(smallest, np.tensordot(row, landed, axes=1), out=smallest)
        values = smallest
    return float(values.min())
