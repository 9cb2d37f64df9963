"""The robots game of the paper's experiments (arXiv 2603.03759).

A coordinator moves between zones, and robots on a ring of the same zones earn
most in the zone where the coordinator is. Robots mostly stay where they are, so a
coordinator that sees more of them steers to a more populated zone.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le

from distmarl.errors import InvalidEnvironmentError, shown
from distmarl.model.arrays import Array
from distmarl.model.checks import is_integer
from distmarl.model.environment import Environment
from distmarl.model.options import Count, Discount

# The transitions of so many take 200 MB.
MAX_ZONES = 200
Zones: TypeAlias = Annotated[int, Ge(1), Le(MAX_ZONES)]
# Logits of the transitions, before the softmax.
FLOOR = 0.1
STEER = 3.0
GLOBAL_INERTIA = 0.5
LOCAL_INERTIA = 3.5
MOVE = 1.5
ATTRACTION = 0.3

ALIGNED_REWARD = 10.0
ACTION_STEPS = (0, 1, -1)  # stay, up, down
ACTION_BONUSES = (0.0, 0.5, -0.3)


def robots(
    *,
    n_agents: Count = 30,
    gamma: Discount = 0.95,
    n_global_states: Zones = 5,
    n_local_states: Zones = 5,
    n_global_actions: Zones = 5,
    n_local_actions: Annotated[int, Ge(1), Le(3)] = 3,
    reward_global: Literal["flat", "paper"] = "flat",
) -> Environment:
    """Return the robots game.

    Parameters
    ----------
    n_agents : int
        Number of robots.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    n_global_states, n_local_states, n_global_actions : int
        Number of zones; the three must be equal.
    n_local_actions : int
        1 (stay), 2 (stay, up) or 3 (stay, up, down).
    reward_global : {"flat", "paper"}
        ``r_g = 1`` as in the published code's example, or
        ``r_g = G - 1 - |s_g - a_g|`` as in the paper's runs.

    Raises
    ------
    InvalidEnvironmentError
        When a size or an option is impossible.

    References
    ----------
    The experiments of Anand and Karmarkar, arXiv 2603.03759, and their code.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=100)
    >>> env
    Environment(G=5, L=5, A_g=5, A_l=3, n_agents=100, gamma=0.95)
    >>> env.reward_local[0, :, 0].round(2)  # what robots that stay earn, with the coordinator in zone 0
    array([10.  ,  1.  ,  0.67,  0.67,  1.  ])
    """
    sizes = {"n_global_states": n_global_states, "n_local_states": n_local_states}
    sizes |= {"n_global_actions": n_global_actions, "n_local_actions": n_local_actions}
    for name, size in sizes.items():
        if not is_integer(size):
            raise InvalidEnvironmentError(f"{name}: must be an integer, got {shown(size)}")
    zones = int(n_global_states)
    if not 1 <= zones <= MAX_ZONES or not n_global_states == n_local_states == n_global_actions:
        raise InvalidEnvironmentError(
            f"n_global_states, n_local_states, n_global_actions: must be equal, at least 1 and at most {MAX_ZONES}, "
            f"got {n_global_states}, {n_local_states} and {n_global_actions}"
        )
    if n_local_actions not in (1, 2, 3):
        raise InvalidEnvironmentError(f"n_local_actions: must be 1, 2 or 3, got {n_local_actions}")
    return Environment(
        transition_global=_transition_global(zones),
        transition_local=_transition_local(zones, n_local_actions),
        reward_global=_reward_global(zones, reward_global),
        reward_local=_reward_local(zones, n_local_actions),
        n_agents=n_agents,
        gamma=gamma,
    )


def _transition_global(zones: int) -> Array:
    """Return P_g[s_g, a_g, s_g']: the action's zone pulls, the present one a little."""
    here = np.eye(zones)
    logits = FLOOR + STEER * here[None, :, :] + GLOBAL_INERTIA * here[:, None, :]
    return _softmax(logits)


def _transition_local(zones: int, n_local_actions: int) -> Array:
    """Return P_l[s_g, s_l, a_l, s_l']: robots stay, move by one, and drift to the coordinator."""
    here = np.eye(zones)
    logits = np.full((zones, zones, n_local_actions, zones), FLOOR)
    logits += LOCAL_INERTIA * here[None, :, None, :]
    logits += ATTRACTION * here[:, None, None, :]
    for action in range(1, n_local_actions):
        logits[:, :, action, :] += MOVE * np.roll(here, ACTION_STEPS[action], axis=1)
    return _softmax(logits)


def _reward_global(zones: int, kind: str) -> Array:
    """Return r_g[s_g, a_g]."""
    if kind == "flat":
        return np.ones((zones, zones))
    if kind == "paper":
        zone = np.arange(zones)
        return zones - 1.0 - np.abs(zone[:, None] - zone[None, :])
    raise InvalidEnvironmentError(f"reward_global: must be 'flat' or 'paper', got {kind!r}")


def _reward_local(zones: int, n_local_actions: int) -> Array:
    """Return r_l[s_g, s_l, a_l]: most at the coordinator's zone, less with the distance on the ring."""
    zone = np.arange(zones)
    apart = np.abs(zone[:, None] - zone[None, :])
    distance = np.minimum(apart, zones - apart)
    aligned = np.where(distance == 0, ALIGNED_REWARD, 2.0 / (1.0 + distance))
    return aligned[:, :, None] + np.array(ACTION_BONUSES[:n_local_actions])


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)
