"""Two conventions, of which the better one is the riskier: where best responses end depends on where they start."""

from __future__ import annotations

import numpy as np

from distmarl.games.parameters import Cost, Probability, Real, with_ranges
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount


@with_ranges
def conventions(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.9,
    bonus: Real = 0.4,
    worth_new_under_old: Real = 0.6,
    worth_old_under_new: Real = 0.0,
    slip: Probability = 0.1,
    cost: Cost = 0.2,
) -> Environment:
    """Return the game of conventions: an authority prescribes the old or the new one, and agents follow either.

    State and action 0 are the old convention, 1 is the new one; s_g is what is prescribed, s_l what an agent follows.
    With w = ``worth_new_under_old``, v = ``worth_old_under_new``, q = ``slip`` and x for either s_g or s_l::

        P(x' | a) = 1 - q/2 if x' = a, else q/2          (whatever x is)
        r_g       = 0 if a_g = s_g, else -cost
        r_l       = 1 if s_g = s_l = 0,    w if s_g = 0 and s_l = 1,
                    v if s_g = 1 and s_l = 0,    1 + bonus if s_g = s_l = 1

    All follow the old convention, and all follow the new one: both are equilibria, and the new one earns more. While
    agents follow either at random, as with uniform local policies, the old one is the better bet where w - v > bonus:
    then an alternation that starts there ends in the worse equilibrium. It is a stag hunt.

    Parameters
    ----------
    n_agents : int
        Number of agents.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    bonus : float
        How much more the new convention earns where all follow it.
    worth_new_under_old : float
        What an agent earns that follows the new convention while the old one is prescribed.
    worth_old_under_new : float
        What an agent earns that follows the old convention while the new one is prescribed.
    slip : float
        Twice the probability that somebody ends up with the other convention than the one chosen.
    cost : float
        What it costs to prescribe another convention than the present one.

    Raises
    ------
    InvalidEnvironmentError
        When a parameter is out of its range.

    References
    ----------
    Ours, after the stag hunt and Young, The Evolution of Conventions, Econometrica 61 (1993).

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.game("conventions", bonus=0.5)
    >>> env
    Environment(G=2, L=2, A_g=2, A_l=2, n_agents=30, gamma=0.9)
    >>> env.reward_local[:, :, 0]
    array([[1. , 0.6],
           [0. , 1.5]])
    """
    goes_there = (1.0 - slip) * np.eye(2) + slip / 2.0
    worth = np.array([[1.0, worth_new_under_old], [worth_old_under_new, 1.0 + bonus]])
    return Environment(
        transition_global=np.tile(goes_there, (2, 1, 1)),
        transition_local=np.tile(goes_there, (2, 2, 1, 1)),
        reward_global=-cost * (1.0 - np.eye(2)),
        reward_local=worth[:, :, None].repeat(2, axis=2),
        n_agents=n_agents,
        gamma=gamma,
    )
