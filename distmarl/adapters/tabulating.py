"""Policies as tables, from functions and from models of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from distmarl.adapters.observing import global_observations, local_observations
from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.arrays import ROW_SUM_TOLERANCE, GlobalPolicy, Ints, real_array
from distmarl.model.checks import check_choice
from distmarl.model.counts import MAX_COUNT_VECTORS, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy

AgentKind: TypeAlias = Literal["global", "local"]

# Observations that a model is asked about at a time.
BATCH_SIZE = 4096


def tabulate_policy(
    env: Environment, policy: Callable[[Ints], Any] | Any, *, k: int | None = None, agent: AgentKind = "global"
) -> GlobalPolicy:
    """Return a policy as the table that :func:`evaluate`, :func:`exact_return` and :func:`nash_gap` take.

    Parameters
    ----------
    env : Environment
        The game.
    policy : callable or model
        A function of one observation, an array of integers, that returns an action or the probabilities of all of them.
        Or a model with a method ``predict``, as those of stable-baselines3 have it: ``predict(observations,
        deterministic=True)`` returns ``(actions, state)`` for observations side by side, (N, ...).
    k : int, optional
        Number of agents that the global agent sees; needed for a global policy, and of no use for a local one.
    agent : {"global", "local"}
        Whose policy it is. A global agent observes ``[s_g, z_0, z_1, ...]``, a local one ``[s_g, s_l]``, as in
        :func:`gym_env` and :func:`parallel_env`.

    Returns
    -------
    ndarray
        Of a global policy, actions (G, C), or distributions (G, C, A_g) where it returns probabilities; of a local
        policy, distributions (G, L, A_l).

    Raises
    ------
    InvalidArgumentError
        When what comes back is no action and no distribution, naming the observation; when an argument is missing; when
        there are too many count vectors.

    Notes
    -----
    A function is called for each observation: G C or G L times.

    Examples
    --------
    Go where most of the agents in sight are; and walk to the global agent with probability 0.9:

    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> go_along = dm.tabulate_policy(env, lambda observation: observation[1:].argmax(), k=3)
    >>> go_along.shape
    (5, 35)
    >>> def follow(observation):
    ...     ahead = (observation[0] - observation[1]) % 5
    ...     return [1, 0, 0] if ahead == 0 else [0.1, 0.9, 0] if ahead <= 2 else [0.1, 0, 0.9]
    >>> walk = dm.tabulate_policy(env, follow, agent="local")
    >>> round(dm.exact_return(env, go_along, walk, k=3).value, 1)
    101.4
    """
    check_choice("agent", agent, get_args(AgentKind))
    if agent == "global":
        if k is None:
            raise InvalidArgumentError("k: must be given for a global policy: how many agents it sees")
        shape: tuple[int, ...] = (env.n_global_states, n_count_vectors(checked_k(env, k), env.n_classes))
        if shape[1] > MAX_COUNT_VECTORS:
            raise InvalidArgumentError(
                f"k: {k} agents have more than {MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
            )
        observations, n_actions = global_observations(env, k), env.n_global_actions
    else:
        if k is not None:
            raise InvalidArgumentError(f"k: a local policy has no use for it, got {shown(k)}; leave it out")
        observations, n_actions = local_observations(env), env.n_local_actions
        shape = (env.n_global_states, env.n_local_states)
    predict = getattr(policy, "predict", None)
    if callable(predict):
        table = _predicted(predict, observations, n_actions)
    elif callable(policy):
        table = _returned(policy, observations, n_actions)
    else:
        raise InvalidArgumentError(f"policy: must be a function, or a model with predict, got {type(policy).__name__}")
    table = table.reshape(*shape, *table.shape[1:])
    if agent == "global":
        return checked_global_policy(env, table, k)  # type: ignore[arg-type]  # it is there
    return checked_local_policy(env, np.eye(n_actions)[table] if table.ndim == 2 else table)


def _predicted(predict: Callable[..., Any], observations: Ints, n_actions: int) -> Ints:
    """Return a model's action for each observation."""
    actions = np.empty(len(observations), dtype=np.int64)
    for first in range(0, len(observations), BATCH_SIZE):
        batch = observations[first : first + BATCH_SIZE]
        returned = predict(batch.copy(), deterministic=True)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise InvalidArgumentError(
                f"policy.predict: must return (actions, state), as in stable-baselines3, got {type(returned).__name__}"
            )
        given = np.asarray(returned[0])
        if given.shape != (len(batch),):
            raise InvalidArgumentError(
                f"policy.predict: must return an action for each of {len(batch)} observations, got shape {given.shape}"
            )
        for observation, action in zip(batch, given, strict=True):
            _check_action(observation, np.asarray(action), n_actions)
        actions[first : first + len(batch)] = given
    return actions


def _returned(policy: Callable[[Ints], Any], observations: Ints, n_actions: int) -> np.ndarray[Any, Any]:
    """Return what a function returns for each observation: actions, (N,), or distributions, (N, A)."""
    rows: list[Any] = []
    for observation in observations:
        given = policy(observation.copy())
        try:
            row, tolerance = real_array(given)
        except (TypeError, ValueError) as error:
            raise _refusal(observation, f"must return an action or probabilities, got {error}") from error
        if row.ndim == 0:
            _check_action(observation, np.asarray(given), n_actions)
        elif row.shape != (n_actions,):
            raise _refusal(observation, f"must return {n_actions} probabilities or one action, got shape {row.shape}")
        elif not (row >= 0).all() or not abs(row.sum() - 1) <= tolerance:
            raise _refusal(observation, f"must return probabilities that sum to 1, got {shown(row.tolist())}")
        if rows and np.ndim(rows[0]) != row.ndim:
            raise _refusal(observation, "must return an action, or probabilities, as it does for other observations")
        if tolerance > ROW_SUM_TOLERANCE:  # in single precision, which the table will not tell any more
            row = row / row.sum()
        rows.append(int(row) if row.ndim == 0 else row)
    return np.array(rows)


def _check_action(observation: Ints, action: np.ndarray[Any, Any], n_actions: int) -> None:
    if action.dtype.kind not in "iu" or not 0 <= action < n_actions:
        given = shown(action.item())
        raise _refusal(observation, f"must return an action, an integer of 0 .. {n_actions - 1}, got {given}")


def _refusal(observation: Sequence[int] | Ints, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"policy({shown(np.asarray(observation).tolist())}): {message}")
