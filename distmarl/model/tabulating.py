"""Tables of a game made from functions: of probabilities, or of samples, of which some are drawn for each entry."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from distmarl.errors import InvalidEnvironmentError, shown
from distmarl.model.arrays import Array
from distmarl.model.checks import is_integer, is_number
from distmarl.model.random_streams import Role, Seed, random_stream

# What takes states and actions, and returns probabilities, a reward or, with a generator, a state.
GameFunction: TypeAlias = Callable[..., Any]


def tables_of(
    functions: Sequence[GameFunction],
    *,
    global_sizes: Mapping[str, int],
    local_sizes: Mapping[str, int],
    n_samples: int | None,
    seed: Seed,
) -> dict[str, Array]:
    """Return the four tables of a game by name.

    Parameters
    ----------
    functions : sequence of callable
        P_g, P_l, r_g and r_l, as in :meth:`distmarl.Environment.from_functions`.
    global_sizes, local_sizes : mapping of str to int
        Numbers of states and actions by their names, in this order.
    n_samples : int, optional
        How often transitions are sampled, where they do not tell probabilities.
    seed : int or sequence of int
        Root of the samples' random streams.

    Raises
    ------
    InvalidEnvironmentError
        When a size is impossible, or a function returns something else than it should.
    """
    of_global, of_local = checked_sizes(global_sizes), checked_sizes(local_sizes)
    axes = {"global": [*map(range, of_global)], "local": [*map(range, (of_global[0], *of_local))]}
    tables: dict[str, Array] = {}
    for part, (whose, function) in enumerate(zip(axes, functions[:2], strict=True)):
        name, n_states = f"transition_{whose}", (of_global, of_local)[part][0]
        if n_samples is None:
            tables[name] = _probabilities(name, function, axes[whose], n_states)
        else:
            checked_sizes({"n_samples": n_samples})
            streams = (random_stream(seed, Role.TABLES, part, number) for number in itertools.count())
            tables[name] = _frequencies(name, function, axes[whose], n_states, n_samples, streams)
    for whose, function in zip(axes, functions[2:], strict=True):
        tables[f"reward_{whose}"] = rewards_of(f"reward_{whose}", function, axes[whose])
    return tables


def calls_of(axes: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], list[float]]]:
    """Yield each index of a table with what its function is called with there.

    Parameters
    ----------
    axes : sequence of sequence of float
        Numbers along the axes of the table: of s_g, then of s_l if it is a local agent's, then of the actions. Tables
        have s_g first, functions of local agents s_l.
    """
    order = (1, 0, 2) if len(axes) == 3 else (0, 1)
    for index in np.ndindex(*map(len, axes)):
        yield index, [axes[axis][index[axis]] for axis in order]


def probabilities_of(returned: Any, call: str, n_states: int) -> Array:
    """Return as a row what a function returned when it was called like this.

    Raises
    ------
    InvalidEnvironmentError
        When it is something else.
    """
    try:
        row = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidEnvironmentError(f"{call}: must return probabilities: {error}") from error
    if row.shape != (n_states,):
        raise InvalidEnvironmentError(
            f"{call}: must return {n_states} probabilities, got an array of shape {row.shape}"
        )
    return row


def _probabilities(name: str, function: GameFunction, axes: Sequence[Sequence[int]], n_states: int) -> Array:
    """Return the distributions that a function gives for each combination of its arguments."""
    table = np.zeros((*map(len, axes), n_states))
    for index, arguments in calls_of(axes):
        table[index] = probabilities_of(function(*arguments), call_in_words(name, arguments), n_states)
    return table


def _frequencies(
    name: str,
    function: GameFunction,
    axes: Sequence[Sequence[int]],
    n_states: int,
    n_samples: int,
    streams: Iterator[np.random.Generator],
) -> Array:
    """Return how often each state came up among so many samples of each entry, which has a stream of its own."""
    table = np.zeros((*map(len, axes), n_states))
    for (index, arguments), rng in zip(calls_of(axes), streams, strict=False):
        for _ in range(n_samples):
            state = function(*arguments, rng)
            if not is_integer(state) or not 0 <= state < n_states:
                raise InvalidEnvironmentError(
                    f"{call_in_words(name, arguments)}: must return a state, an integer from 0 to {n_states - 1}, "
                    f"got {shown(state)}"
                )
            table[(*index, int(state))] += 1.0
    return table / n_samples


def rewards_of(name: str, function: GameFunction, axes: Sequence[Sequence[float]]) -> Array:
    """Return the rewards that a function gives for each combination of its arguments.

    Raises
    ------
    InvalidEnvironmentError
        When it returns no number.
    """
    table = np.zeros(tuple(map(len, axes)))
    for index, arguments in calls_of(axes):
        reward = function(*arguments)
        if isinstance(reward, np.ndarray) and reward.ndim == 0:
            reward = reward.item()
        if not is_number(reward):
            raise InvalidEnvironmentError(
                f"{call_in_words(name, arguments)}: must return a number, got {shown(reward)}"
            )
        table[index] = reward
    return table


def checked_sizes(sizes: Mapping[str, Any]) -> tuple[int, ...]:
    """Return sizes, each called by its name, which must be whole numbers of 1 or more.

    Raises
    ------
    InvalidEnvironmentError
        When one of them is not.
    """
    for name, size in sizes.items():
        if not is_integer(size) or size < 1:
            raise InvalidEnvironmentError(f"{name}: must be an integer of 1 or more, got {shown(size)}")
    return tuple(int(size) for size in sizes.values())


def call_in_words(name: str, arguments: Sequence[float]) -> str:
    """Return a call as it would be typed."""
    return f"{name}({', '.join(map(str, arguments))})"
