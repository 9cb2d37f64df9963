"""Policies as arrays, and what a local policy makes of the local tables.

A *local policy* pi_l(a_l | s_g, s_l) is a float array (G, L, A_l) whose rows sum to 1.
A *global policy* pi_g(s_g, z) is an integer array (G, C) over the lexicographic count vectors of k agents; where it
draws its action, pi_g(a_g | s_g, z), it is a float array (G, C, A_g) whose rows sum to 1.
An *action law* beta(a_g | s_g, N) is a float array (G, A_g, C_n) over the lexicographic count vectors of all n agents,
whose sums over the actions are 1.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import Array, GlobalPolicy, real_array, remedy_of
from distmarl.model.checks import is_integer
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment


def uniform_local_policy(env: Environment) -> Array:
    """Return the local policy that takes every action with the same probability.

    Returns
    -------
    ndarray, shape (G, L, A_l)

    Examples
    --------
    >>> import distmarl as dm
    >>> policy = dm.uniform_local_policy(dm.robots(n_local_actions=2))
    >>> policy.shape
    (5, 5, 2)
    >>> policy[0, 0]
    array([0.5, 0.5])
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
    if not is_integer(k):
        raise InvalidArgumentError(f"k: must be an integer, got {shown(k)}")
    if not 1 <= k <= env.n_agents:
        raise InvalidArgumentError(f"k: must be from 1 to n_agents ({env.n_agents}), got {k}")
    return int(k)


def checked_local_policy(env: Environment, local_policy: ArrayLike, name: str = "local_policy") -> Array:
    """Return ``local_policy`` as an array (G, L, A_l) of distributions; messages call it ``name``.

    Raises
    ------
    InvalidArgumentError
        When its shape is wrong, an entry is negative or a row does not sum to 1 within 1e-9; in single precision
        (float32), within the roundings of its entries, 1.2e-7 for each.
    """
    shape = (env.n_global_states, env.n_local_states, env.n_local_actions)
    return _checked_distributions(name, local_policy, "(G, L, A_l)", shape, axis=2)


def checked_global_policy(env: Environment, global_policy: ArrayLike, k: int) -> GlobalPolicy:
    """Return ``global_policy`` as an array of actions, (G, C), or of distributions over them, (G, C, A_g).

    Raises
    ------
    InvalidArgumentError
        When its shape does not fit ``k``, an entry is not an action, or a row is no distribution.
    """
    expected = (env.n_global_states, n_count_vectors(k, env.n_classes))
    drawn = (*expected, env.n_global_actions)
    rule = f"global_policy: must be integers of shape (G, C) = {expected} for k={k}"
    try:
        policy = np.asarray(global_policy)
    except ValueError as error:
        raise InvalidArgumentError(f"{rule}, got lists of different lengths") from error
    if policy.shape == drawn:
        return _checked_distributions("global_policy", global_policy, "(G, C, A_g)", drawn, axis=2)
    if policy.shape != expected or not np.issubdtype(policy.dtype, np.integer):
        raise InvalidArgumentError(
            f"{rule}, got {policy.dtype} of shape {policy.shape}; "
            f"distributions of actions have shape (G, C, A_g) = {drawn}"
        )
    if policy.min() < 0 or policy.max() >= env.n_global_actions:
        raise InvalidArgumentError(
            f"global_policy: actions must be in 0 .. {env.n_global_actions - 1}, got {policy.min()} .. {policy.max()}"
        )
    return policy.astype(np.int64) if policy.dtype == np.uint64 else policy  # which numpy 1 does not count by


def is_drawn(global_policy: GlobalPolicy) -> TypeGuard[Array]:
    """Return whether a global policy draws its action: it is then distributions, (G, C, A_g), and not actions."""
    return global_policy.ndim == 3


def checked_action_law(env: Environment, action_law: ArrayLike) -> Array:
    """Return ``action_law`` as an array (G, A_g, C_n) of distributions over global actions.

    Raises
    ------
    InvalidArgumentError
        When its shape is wrong, an entry is negative or the actions do not sum to 1 within 1e-9.
    """
    shape = (env.n_global_states, env.n_global_actions, n_count_vectors(env.n_agents, env.n_local_states))
    return _checked_distributions("action_law", action_law, "(G, A_g, C_n)", shape, axis=1)


def _checked_distributions(name: str, value: ArrayLike, axes: str, shape: tuple[int, ...], *, axis: int) -> Array:
    """Return an array of distributions along an axis, divided by their sums."""
    try:
        array, tolerance = real_array(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: must be numbers of shape {axes} = {shape}, got {error}") from error
    if array.shape != shape:
        raise InvalidArgumentError(f"{name}: must have shape {axes} = {shape}, got {array.shape}")
    if not (array >= 0).all():
        index = np.argwhere(~(array >= 0))[0].tolist()
        raise InvalidArgumentError(f"{name}{index}: must not be negative, got {float(array[tuple(index)])!r}")
    sums = array.sum(axis=axis, keepdims=True)
    wrong = np.abs(sums - 1.0) > tolerance
    if wrong.any():
        index = np.argwhere(wrong)[0].tolist()
        place = ", ".join(":" if i == axis else str(number) for i, number in enumerate(index)).removesuffix(", :")
        total = float(sums[tuple(index)])
        raise InvalidArgumentError(
            f"{name}[{place}]: must sum to 1 within {tolerance:.2g}, got {total!r}{remedy_of(abs(total - 1))}"
        )
    return array / sums


def local_kernel(env: Environment, local_policy: Array) -> Array:
    """Return p(s_l' | s_l, s_g) = sum_a pi_l(a | s_g, s_l) P_l(s_l' | s_l, s_g, a), shape (G, L, L)."""
    kernel = np.einsum("gla,glam->glm", local_policy, env.transition_local)
    return kernel / kernel.sum(axis=-1, keepdims=True)


def local_reward(env: Environment, local_policy: Array) -> Array:
    """Return r(s_l, s_g) = sum_a pi_l(a | s_g, s_l) r_l(s_l, s_g, a), shape (G, L)."""
    return np.einsum("gla,gla->gl", local_policy, env.reward_local)
