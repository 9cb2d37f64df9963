"""How far a game whose transitions were estimated from samples may be from the true one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.checks import checked_integer, checked_number
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_k


@dataclass(frozen=True, slots=True)
class SamplingError:
    """Bounds that hold together, with the confidence asked for.

    Attributes
    ----------
    row_global, row_local : float
        How far any row of ``transition_global``, and of ``transition_local``, is from the true one: the sum of the
        absolute differences, which is at most 2.
    value : float
        How far the return of any pair of policies over all steps is from its return in the true game.
    """

    row_global: float
    row_local: float
    value: float


def sampling_error(env: Environment, *, n_samples: int, k: int, confidence: float = 0.95) -> SamplingError:
    r"""Bound what estimated transitions are off, given the number of samples of each entry.

    With N = G A_g + G L A_l rows and m samples of each, all rows of S states are at once within

    .. math:: \varepsilon_S = \sqrt{\tfrac 2 m \ln((2^S - 2) N / \delta)}

    of the true ones in L1 norm, with probability 1 - delta (Weissman et al., Inequalities for the L1 deviation of the
    empirical distribution, 2003). Let the true and the estimated game run side by side, alike for as long as possible.
    An agent parts from its twin with probability :math:`\varepsilon_L / 2` in a step, and the global agent with
    :math:`\varepsilon_G / 2`, or when one of the k agents that it sees has parted. With R_g and R_l the ranges of the
    rewards, that makes the returns differ by at most

    .. math::

        (R_g + R_l)\left(\frac{\varepsilon_G}{2} \frac{\gamma}{(1 - \gamma)^2}
        + k \frac{\varepsilon_L}{2} \frac{\gamma^2}{(1 - \gamma)^3}\right)
        + (k R_g + R_l) \frac{\varepsilon_L}{2} \frac{\gamma}{(1 - \gamma)^2},

    and by (R_g + R_l) / (1 - gamma) in any case.

    Parameters
    ----------
    env : Environment
        The estimated game.
    n_samples : int
        Samples m of each entry.
    k : int
        Number of agents that the global agent sees.
    confidence : float
        Probability 1 - delta that all bounds hold, between 0 and 1.

    Returns
    -------
    SamplingError
        The bounds.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    Examples
    --------
    >>> import distmarl as dm
    >>> error = dm.sampling_error(dm.robots(), n_samples=100_000, k=1)
    >>> round(error.row_global, 3), round(error.row_local, 3)
    (0.015, 0.015)
    """
    n_drawn, k = checked_integer("n_samples", n_samples), checked_k(env, k)
    if not 0 < (sure := checked_number("confidence", confidence)) < 1:
        raise InvalidArgumentError(f"confidence: must be between 0 and 1, got {shown(sure)}")
    n_rows = env.reward_global.size + env.reward_local.size
    row_global, row_local = (
        _row_error(n_states, n_drawn, n_rows, 1.0 - sure) for n_states in (env.n_global_states, env.n_local_states)
    )
    global_range, local_range = float(np.ptp(env.reward_global)), float(np.ptp(env.reward_local))
    once, twice = env.gamma / (1 - env.gamma) ** 2, env.gamma**2 / (1 - env.gamma) ** 3
    value = (global_range + local_range) * (row_global / 2 * once + k * row_local / 2 * twice)
    value += (k * global_range + local_range) * row_local / 2 * once
    return SamplingError(row_global, row_local, min(value, (global_range + local_range) / (1 - env.gamma)))


def _row_error(n_states: int, n_samples: int, n_rows: int, delta: float) -> float:
    """Return what all rows are within, in L1 norm; a single state is always right."""
    if n_states == 1:
        return 0.0
    log_subsets = n_states * math.log(2.0) + math.log1p(-(2.0 ** (1 - n_states)))
    return min(2.0, math.sqrt(2.0 / n_samples * (log_subsets + math.log(n_rows / delta))))
