"""Policies as arrays, and what a local policy makes of the local tables.

A *local policy* pi_l(a_l | s_g, s_l) is a float array (G, L, A_l) whose rows sum to 1.
A *global policy* pi_g(s_g, z) is an integer array (G, C) over the lexicographic count vectors of k agents.
An *action law* beta(a_g | s_g, N) is a float array (G, A_g, C_n) over the lexicographic count vectors of all n agents,
whose sums over the actions are 1.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distmarl.errors import InvalidArgumentError
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import ROW_SUM_TOLERANCE, Environment

Scalar = TypeVar("Scalar", bound=np.generic)


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Make an array read-only and return it."""
    array.flags.writeable = False
    return array


def uniform_local_policy(env: Environment) -> NDArray[np.float64]:
    """Return the local policy that takes every action with the same probability.

    Returns
    -------
    ndarray, shape (G, L, A_l)
    """
    shape = (env.n_global_states, env.n_local_states, env.n_local_actions)
    return np.full(shape, 1.0 / env.n_local_actions)


def checked_k(env: Environment, k: int) -> int:
    """Return the subsample size ``k``, an integer from 1 to ``env.n_agents``.

    Raises
    ------
    InvalidArgumentError
        When it is not.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
        raise InvalidArgumentError(f"k: must be an integer, got {k!r}")
    if not 1 <= k <= env.n_agents:
        raise InvalidArgumentError(f"k: must be from 1 to n_agents ({env.n_agents}), got {k}")
    return int(k)


def checked_local_policy(env: Environment, local_policy: ArrayLike, name: str = "local_policy") -> NDArray[np.float64]:
    """Return ``local_policy`` as an array (G, L, A_l) of distributions; messages call it ``name``.

    Raises
    ------
    InvalidArgumentError
        When its shape is wrong, an entry is negative or a row does not sum to 1 within 1e-9.
    """
    expected = (env.n_global_states, env.n_local_states, env.n_local_actions)
    try:
        policy = np.asarray(local_policy, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: must be numbers of shape (G, L, A_l) = {expected}") from error
    if policy.shape != expected:
        raise InvalidArgumentError(f"{name}: must have shape (G, L, A_l) = {expected}, got {policy.shape}")
    if not (policy >= 0).all():
        index = tuple(int(i) for i in np.argwhere(~(policy >= 0))[0])
        raise InvalidArgumentError(f"{name}{list(index)}: must not be negative, got {policy[index]!r}")
    sums = policy.sum(axis=-1)
    wrong = np.abs(sums - 1.0) > ROW_SUM_TOLERANCE
    if wrong.any():
        s_g, s_l = (int(i) for i in np.argwhere(wrong)[0])
        raise InvalidArgumentError(
            f"{name}[{s_g}, {s_l}]: must sum to 1 within {ROW_SUM_TOLERANCE:g}, got {sums[s_g, s_l]!r}"
        )
    return policy / sums[..., None]


def checked_global_policy(env: Environment, global_policy: ArrayLike, k: int) -> NDArray[np.integer]:
    """Return ``global_policy`` as an integer array (G, C) of actions.

    Raises
    ------
    InvalidArgumentError
        When its shape does not fit ``k`` or an entry is not an action.
    """
    policy = np.asarray(global_policy)
    expected = (env.n_global_states, n_count_vectors(k, env.n_local_states))
    if policy.shape != expected or not np.issubdtype(policy.dtype, np.integer):
        raise InvalidArgumentError(
            f"global_policy: must be integers of shape (G, C) = {expected} for k={k}, "
            f"got {policy.dtype} of shape {policy.shape}"
        )
    if policy.min() < 0 or policy.max() >= env.n_global_actions:
        raise InvalidArgumentError(
            f"global_policy: actions must be in 0 .. {env.n_global_actions - 1}, got {policy.min()} .. {policy.max()}"
        )
    return policy


def checked_action_law(env: Environment, action_law: ArrayLike) -> NDArray[np.float64]:
    """Return ``action_law`` as an array (G, A_g, C_n) of distributions over global actions.

    Raises
    ------
    InvalidArgumentError
        When its shape is wrong, an entry is negative or the actions do not sum to 1 within 1e-9.
    """
    expected = (env.n_global_states, env.n_global_actions, n_count_vectors(env.n_agents, env.n_local_states))
    try:
        law = np.asarray(action_law, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"action_law: must be numbers of shape (G, A_g, C_n) = {expected}") from error
    if law.shape != expected:
        raise InvalidArgumentError(f"action_law: must have shape (G, A_g, C_n) = {expected}, got {law.shape}")
    if not (law >= 0).all():
        index = [int(i) for i in np.argwhere(~(law >= 0))[0]]
        raise InvalidArgumentError(f"action_law{index}: must not be negative, got {float(law[tuple(index)])!r}")
    sums = law.sum(axis=1)
    wrong = np.abs(sums - 1.0) > ROW_SUM_TOLERANCE
    if wrong.any():
        s_g, number = (int(i) for i in np.argwhere(wrong)[0])
        raise InvalidArgumentError(
            f"action_law[{s_g}, :, {number}]: must sum to 1 within {ROW_SUM_TOLERANCE:g}, "
            f"got {float(sums[s_g, number])!r}"
        )
    return law / sums[:, None, :]


def local_kernel(env: Environment, local_policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p(s_l' | s_l, s_g) = sum_a pi_l(a | s_g, s_l) P_l(s_l' | s_l, s_g, a), shape (G, L, L)."""
    kernel = np.einsum("gla,glam->glm", local_policy, env.transition_local)
    return kernel / kernel.sum(axis=-1, keepdims=True)


def local_reward(env: Environment, local_policy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return r(s_l, s_g) = sum_a pi_l(a | s_g, s_l) r_l(s_l, s_g, a), shape (G, L)."""
    return np.einsum("gla,gla->gl", local_policy, env.reward_local)
