"""Games of several types of local agents: the type is a part of the local state that never changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError, InvalidEnvironmentError, shown
from distmarl.model.arrays import Array, Ints, real_array
from distmarl.model.checks import check_positive
from distmarl.model.environment import Environment

# What the global agent and all types have to share.
SHARED_TABLES = ("transition_global", "reward_global", "initial_global")


def compose(
    parts: Mapping[str, Environment],
    *,
    shares: ArrayLike,
    concentration: float | None = None,
    n_agents: int | None = None,
    sees_types: bool = True,
) -> Environment:
    """Return the game whose local agents are of several types, each of which moves and earns as in a game of its own.

    A local state of the game is a type with a local state of its part: those of the first part come first. No agent
    changes its type (arXiv 2412.00661).

    Parameters
    ----------
    parts : mapping of str to Environment
        A game for each type, by the type's name. They have the same global agent (``transition_global``,
        ``reward_global``, ``initial_global``), discount and number of local actions.
    shares : array_like, shape (number of types,)
        How many of the agents are of each type, in the order of ``parts``: shares that sum to 1.
    concentration : float, optional
        By default these shares are fixed: each agent is of a type with its probability. With a concentration c they are
        drawn for each rollout, Dirichlet with the parameters ``c * shares``.
    n_agents : int, optional
        Number of local agents; by default that of the parts, where they agree.
    sees_types : bool
        Whether the global agent sees the types of agents, beside what it sees of their states in the parts. If
        not, it sees only the latter, of which all parts then need as many classes.

    Returns
    -------
    Environment
        With the names of the types, ``local_types``.

    Raises
    ------
    InvalidEnvironmentError
        When the parts disagree; the message names what about.
    InvalidArgumentError
        When an argument is out of range; when there is a concentration, and a part starts with ``initial_shares``.

    Notes
    -----
    Within a type, agents start as in its part, with one exception: where that is a Dirichlet start, fixed shares
    are its mean, and drawn ones are Dirichlet with the parameters ``c * share * mean``, so that all is one Dirichlet
    start.

    Examples
    --------
    Three in ten robots earn more by going up:

    >>> import dataclasses
    >>> import distmarl as dm
    >>> calm = dm.robots(n_global_states=3, n_local_states=3, n_global_actions=3)
    >>> eager = dataclasses.replace(calm, reward_local=calm.reward_local + [0.0, 1.0, 0.0])
    >>> env = dm.compose({"eager": eager, "calm": calm}, shares=[0.3, 0.7])
    >>> env
    Environment(G=3, L=6, A_g=3, A_l=3, n_agents=30, gamma=0.95)
    >>> env.local_types
    ('eager', 'eager', 'eager', 'calm', 'calm', 'calm')
    """
    _check_parts(parts)
    games = list(parts.values())
    of_types = _checked_shares(shares, len(games))
    first, sizes = games[0], [game.n_local_states for game in games]
    start = _fixed_start(games, of_types) if concentration is None else _drawn_start(games, of_types, concentration)
    shape = (first.n_global_states, sum(sizes), first.n_local_actions, sum(sizes))
    transition_local = np.zeros(shape)
    for game, end in zip(games, itertools.accumulate(sizes), strict=True):
        states = slice(end - game.n_local_states, end)
        transition_local[:, states, :, states] = game.transition_local
    return Environment(
        transition_global=first.transition_global,
        transition_local=transition_local,
        reward_global=first.reward_global,
        reward_local=np.concatenate([game.reward_local for game in games], axis=1),
        n_agents=_agreed_n_agents(parts) if n_agents is None else n_agents,
        gamma=first.gamma,
        initial_global=first.initial_global,
        observation=_observation(parts, sees_types),
        local_types=tuple(np.repeat(list(parts), sizes).tolist()),
        **start,
    )


def _check_parts(parts: Any) -> None:
    """Refuse what is no mapping of names to games that share the global agent."""
    if not isinstance(parts, Mapping) or not parts:
        raise InvalidArgumentError(f"parts: must be a mapping of names to games, got {shown(parts)}")
    for name, game in parts.items():
        if not isinstance(name, str) or not isinstance(game, Environment):
            raise InvalidArgumentError(f"parts: must map names to games, got {shown(name)}: {type(game).__name__}")
    (first_name, first), *others = parts.items()
    for name, game in others:
        both = f"{first_name} and {name}"
        if game.gamma != first.gamma:
            raise InvalidEnvironmentError(f"gamma: must be the same in {both}, got {first.gamma} and {game.gamma}")
        for table in SHARED_TABLES:
            mine, its = getattr(first, table), getattr(game, table)
            if mine.shape != its.shape:
                raise InvalidEnvironmentError(
                    f"{table}: must be the same in {both}, got the shapes {mine.shape} and {its.shape}"
                )
            if not (mine == its).all():
                index = tuple(int(i) for i in np.argwhere(mine != its)[0])
                raise InvalidEnvironmentError(
                    f"{table}{list(index)}: must be the same in {both}, got {mine[index]} and {its[index]}"
                )
        if game.n_local_actions != first.n_local_actions:
            raise InvalidEnvironmentError(
                f"transition_local: {both} must have the same number of local actions, got {first.n_local_actions} and "
                f"{game.n_local_actions}; repeat an action in the one that has fewer"
            )


def _checked_shares(shares: ArrayLike, n_types: int) -> Array:
    rule = f"shares: must be {n_types} numbers above 0 that sum to 1, one for each part"
    try:
        found, tolerance = real_array(shares)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{rule}, got {error}") from error
    if found.shape != (n_types,) or not (found > 0).all() or not abs(found.sum() - 1) <= tolerance:
        raise InvalidArgumentError(f"{rule}, got {shown(found.tolist())}")
    return found


def _fixed_start(games: Sequence[Environment], shares: Array) -> dict[str, Array]:
    """Return the mixture that draws a part of each type's start."""
    mixtures = []
    for game in games:
        if game.initial_shares is None or game.initial_weights is None:
            mixtures.append([(1.0, _mean(game))])
        else:
            mixtures.append([*zip(game.initial_weights.tolist(), game.initial_shares, strict=True)])
    drawn = [*itertools.product(*mixtures)]
    weights = [np.prod([weight for weight, _ in each]) for each in drawn]
    within = [np.concatenate([share * of for share, (_, of) in zip(shares, each, strict=True)]) for each in drawn]
    return {"initial_shares": np.array(within), "initial_weights": np.array(weights)}


def _drawn_start(games: Sequence[Environment], shares: Array, concentration: float) -> dict[str, Array]:
    """Return the Dirichlet start in which the shares of types are drawn."""
    check_positive(concentration=concentration)
    if any(game.initial_shares is not None for game in games):
        raise InvalidArgumentError(
            "concentration: shares of types cannot be drawn where a part starts with initial_shares; leave "
            "concentration out, so that they are fixed, or give all parts an initial_local_concentration"
        )
    means = [share * _mean(game) for share, game in zip(shares, games, strict=True)]
    parameters = concentration * np.concatenate(means)
    if not (parameters > 0).all():
        raise InvalidArgumentError(
            "concentration: shares of types cannot be drawn where agents of a type never start in some of its "
            "states; leave concentration out, so that the shares are fixed"
        )
    return {"initial_local_concentration": parameters}


def _mean(game: Environment) -> Array:
    """Return the expected shares of the local states at the start."""
    return game.initial_local_weights / game.initial_local_weights.sum()


def _agreed_n_agents(parts: Mapping[str, Environment]) -> int:
    numbers = {name: game.n_agents for name, game in parts.items()}
    if len({*numbers.values()}) > 1:
        said = ", ".join(f"{number} in {name}" for name, number in numbers.items())
        raise InvalidArgumentError(f"n_agents: must be given where the parts disagree, got {said}")
    return next(iter(numbers.values()))


def _observation(parts: Mapping[str, Environment], sees_types: bool) -> Ints:
    """Return the class of each typed state."""
    numbers = {name: game.n_classes for name, game in parts.items()}
    if sees_types:
        offsets = np.cumsum([0, *numbers.values()])
        seen = [game.observation + offset for game, offset in zip(parts.values(), offsets, strict=False)]
        return np.concatenate(seen)
    if len({*numbers.values()}) > 1:
        said = ", ".join(f"{number} in {name}" for name, number in numbers.items())
        raise InvalidArgumentError(f"sees_types: may be false where all parts have as many classes, got {said}")
    return np.concatenate([game.observation for game in parts.values()])
