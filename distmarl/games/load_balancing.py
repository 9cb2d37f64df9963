"""Queues whose arrivals are steered by a dispatcher that sees some of them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from distmarl.games.parameters import Cost, Probability, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def load_balancing(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    capacity: Annotated[int, Ge(1), Le(49)] = 4,
    n_rates: Annotated[int, Ge(2), Le(20)] = 3,
    highest_rate: Probability = 0.8,
    slow: Probability = 0.4,
    fast: Probability = 0.7,
    revenue: Cost = 1.0,
    holding_cost: Cost = 0.5,
    drop_cost: Cost = 1.0,
    fast_cost: Cost = 0.15,
    change_cost: Cost = 0.1,
) -> Environment:
    """Return the game of queues: a dispatcher chooses how many jobs it lets in, and servers how fast they work.

    s_g is the level of the arrivals, a_g the next level, s_g' = a_g; at level i of R, a job arrives at each queue with
    probability lambda = i ``highest_rate`` / (R - 1). s_l is the length of a queue, from 0 to c = ``capacity``. a_l is
    0 (slow) or 1 (fast), with a probability mu = ``slow`` or ``fast`` of ending a job, if there is one. Then jobs
    arrive, and what finds the queue full is dropped::

        s_l' = min(c, s_l - D + A),   D = 1 with probability mu if s_l > 0,   A = 1 with probability lambda
        r_g  = -change_cost |a_g - s_g|
        r_l  = revenue mu [s_l > 0] - holding_cost s_l / c - drop_cost lambda (1 - mu) [s_l = c] - fast_cost a_l

    Parameters
    ----------
    n_agents : int
        Number of queues.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    capacity : int
        The longest that a queue can be; there are L = capacity + 1 local states.
    n_rates : int
        Levels of arrivals R, which is G and A_g.
    highest_rate : float
        Probability of an arrival at the highest level; at the lowest one nothing arrives.
    slow : float
        Probability that a slow server ends a job.
    fast : float
        Probability that a fast server ends a job.
    revenue : float
        What a job earns that is done.
    holding_cost : float
        What a full queue costs in a step; a shorter one costs less, in proportion.
    drop_cost : float
        What a job costs that is dropped.
    fast_cost : float
        What it costs to be fast.
    change_cost : float
        What it costs to change the arrivals by one level.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    Ours, after the dispatchers that look at a few of many queues: Mitzenmacher, The Power of Two Choices in Randomized
    Load Balancing, IEEE Transactions on Parallel and Distributed Systems 12 (2001). Here the dispatcher steers the rate
    of all arrivals, since every local agent is moved by the same s_g; it cannot send a job to one queue.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("load_balancing", capacity=2)
    >>> env
    Environment(G=3, L=3, A_g=3, A_l=2, n_agents=30, gamma=0.9)
    >>> env.transition_local[1, 1, 0].round(2)  # one job, slow, arrivals with probability 0.4
    array([0.24, 0.52, 0.24])
    """
    rates = highest_rate * np.arange(n_rates) / (n_rates - 1)
    moves = np.zeros((n_rates, capacity + 1, 2, capacity + 1))
    reward = np.zeros((n_rates, capacity + 1, 2))
    for level, length, action in np.ndindex(reward.shape):
        arrival, service = rates[level], (slow, fast)[action] if length else 0.0
        for done, likely in ((0, 1.0 - service), (1, service)):
            left = max(length - done, 0)
            moves[level, length, action, left] += likely * (1.0 - arrival)
            moves[level, length, action, min(left + 1, capacity)] += likely * arrival
        dropped = arrival * (1.0 - service) * (length == capacity)
        earned = revenue * service - holding_cost * length / capacity - drop_cost * dropped
        reward[level, length, action] = earned - fast_cost * action
    levels = np.arange(n_rates)
    return Environment(
        transition_global=np.tile(np.eye(n_rates), (n_rates, 1, 1)),
        transition_local=moves,
        reward_global=-change_cost * np.abs(levels - levels[:, None]).astype(float),
        reward_local=reward,
        n_agents=n_agents,
        gamma=gamma,
    )
