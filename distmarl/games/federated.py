"""Federated optimisation, as small as it gets: a server sets the step size and how it aggregates; clients drift."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, Probability, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount

# How s_g and a_g, and how s_l, are numbered.
STEP_SIZES = (0.5, 1.0)  # small, large
WAITS = (0, 1)  # the server takes what has arrived, or waits for stragglers
N_EFFORTS = 3  # a client does nothing, one pass over its data, or two


@with_ranges
def federated(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    n_levels: Annotated[int, Ge(2), Le(20)] = 3,
    speed: Probability = 0.6,
    straggling: Probability = 0.4,
    forgetting: Probability = 0.1,
    drifting: Probability = 0.3,
    correction: Probability = 0.7,
    drift_cost: Cost = 0.5,
    effort_cost: Cost = 0.1,
    waiting_cost: Cost = 0.2,
) -> Environment:
    """Return the federated game: a server steers clients that make progress on a shared model, and drift from it.

    The server's state is what it chose last: s_g = 2 i + w with a step size h of 0.5 (i = 0) or 1 (i = 1), and w = 1
    where it waits for stragglers; a_g is the next choice, s_g' = a_g. A client's state is s_l = 2 p + d: its progress
    p, from 0 to M - 1, and whether it has drifted to the optimum of its own data, d = 1. Its action e is 0, 1 or 2
    passes over them. In a round:

    - what a client does arrives with probability 1 if w = 1, else with 1 - ``straggling``; if not, it counts as e = 0;
    - with e > 0, p grows by 1, up to M - 1, with probability min(1, ``speed`` h e) (1 - d / 2);
    - with e = 0, p falls by 1, down to 0, with probability ``forgetting`` (data change);
    - a client that has not drifted drifts with probability ``drifting`` h max(e - 1, 0); one that has drifted is
      brought back, with probability ``correction`` if w = 1, else with half of it.

    Progress and drift of a round are independent, given the state and whether the work arrived::

        r_g = -waiting_cost w
        r_l = p / (M - 1) - drift_cost d - effort_cost e

    Parameters
    ----------
    n_agents : int
        Number of clients.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_levels : int
        Levels of progress M; there are L = 2 M local states.
    speed : float
        Probability of progress in one pass with the large step size.
    straggling : float
        Probability that a client's work does not arrive, unless the server waits.
    forgetting : float
        Probability that an idle client falls back.
    drifting : float
        Probability that two passes with the large step size lead to drift.
    correction : float
        Probability that an aggregate of all brings a client back that has drifted.
    drift_cost : float
        What drift costs.
    effort_cost : float
        What a pass costs.
    waiting_cost : float
        What it costs to wait.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    Ours. The first version of arXiv 2603.03759 announces federated optimisation as an application, without a model; the
    terms are those of McMahan et al., arXiv 1602.05629 (passes, aggregation), and Karimireddy et al., arXiv 1910.06378
    (client drift). It is no model of gradients.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("federated")
    >>> env
    Environment(G=4, L=6, A_g=4, A_l=3, n_agents=30, gamma=0.9)
    >>> env.transition_local[1, 0, 1].round(2)  # small steps, waiting: a pass by a client without progress or drift
    array([0.7, 0. , 0.3, 0. , 0. , 0. ])
    """
    n_choices, n_states = len(STEP_SIZES) * len(WAITS), 2 * n_levels
    moves = np.zeros((n_choices, n_states, N_EFFORTS, n_states))
    reward = np.zeros((n_choices, n_states, N_EFFORTS))
    for choice, state, effort in np.ndindex(reward.shape):
        size, waits = STEP_SIZES[choice // 2], WAITS[choice % 2]
        progress, drift = divmod(state, 2)
        arrives = 1.0 if waits else 1.0 - straggling
        for counted, likely in ((effort, arrives), (0, 1.0 - arrives)):
            levels = np.eye(n_levels)[progress]
            p = min(1.0, speed * size * counted) * (1.0 - drift / 2.0) if counted else forgetting
            target = min(progress + 1, n_levels - 1) if counted else max(progress - 1, 0)
            levels = (1.0 - p) * levels + p * np.eye(n_levels)[target]
            returns = correction * (1.0 if waits else 0.5)
            drifted = 1.0 - returns if drift else drifting * size * max(counted - 1, 0)
            moves[choice, state, effort] += likely * np.outer(levels, [1.0 - drifted, drifted]).ravel()
        reward[choice, state, effort] = progress / (n_levels - 1) - drift_cost * drift - effort_cost * effort
    waits_now = np.arange(n_choices) % 2
    return Environment(
        transition_global=np.tile(np.eye(n_choices), (n_choices, 1, 1)),
        transition_local=moves,
        reward_global=np.repeat(-waiting_cost * waits_now[:, None], n_choices, axis=1),
        reward_local=reward,
        n_agents=n_agents,
        gamma=gamma,
    )
