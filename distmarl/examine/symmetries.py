"""Symmetries of a game: what its states may be renamed to without anything being changed.

A symmetry is a permutation of the global states and one of the local states such that, with some permutation of the
actions of each kind, every table and the start are what they were. Turned by a place, a ring is the same.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distmarl.model.arrays import Array
from distmarl.model.environment import Environment

# Pairs of permutations that are tried, at most: a few seconds.
MAX_TRIED = 20_000
# Numbers that differ by less are taken for the same.
RTOL, ATOL = 1e-9, 1e-12
DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Symmetry:
    """What the states become.

    Attributes
    ----------
    global_states, local_states : tuple of int
        The new name of state 0, of state 1, …
    """

    global_states: tuple[int, ...]
    local_states: tuple[int, ...]

    @property
    def is_identity(self) -> bool:
        """Whether every state keeps its name."""
        return all(names == tuple(range(len(names))) for names in (self.global_states, self.local_states))


def find_symmetries(env: Environment) -> list[Symmetry] | None:
    """Return all symmetries of a game, the identity first; None where there would be too many to try."""
    of_global = _classes([_marks(env, s_g) for s_g in range(env.n_global_states)])
    of_local = _classes([_local_marks(env, s_l) for s_l in range(env.n_local_states)])
    if math.prod(math.factorial(len(each)) for each in (*of_global, *of_local)) > MAX_TRIED:
        return None
    return [
        Symmetry(new_global, new_local)
        for new_global in _permutations(of_global)
        if _keeps_global(env, list(new_global))
        for new_local in _permutations(of_local)
        if _keeps_local(env, list(new_global), list(new_local))
    ]


def _keeps_global(env: Environment, new: list[int]) -> bool:
    """Return whether renamed global states have the same rewards and transitions; their marks tell the start."""
    before = _by_action((env.reward_global, env.transition_global), axis=1)
    after = _by_action((env.reward_global[new], env.transition_global[new][:, :, new]), axis=1)
    return _same_set(before, after)


def _keeps_local(env: Environment, new_global: list[int], new: list[int]) -> bool:
    """Return whether local states, renamed with the global ones, have the same rewards and transitions."""
    states = np.ix_(new_global, new)
    before = _by_action((env.reward_local, env.transition_local), axis=2)
    after = _by_action((env.reward_local[states], env.transition_local[states][..., new]), axis=2)
    return _same_set(before, after) and _keeps_classes(env, new) and _keeps_parts(env, new)


def _keeps_classes(env: Environment, new: list[int]) -> bool:
    """Return whether renamed local states are seen alike when they were."""
    return len({*zip(env.observation.tolist(), env.observation[new].tolist(), strict=True)}) == env.n_classes


def _keeps_parts(env: Environment, new: list[int]) -> bool:
    """Return whether renamed local states have the same mixture of parts at the start, if it is one."""
    if env.initial_shares is None or env.initial_weights is None:
        return True
    before = np.column_stack([env.initial_weights, env.initial_shares])
    return _same_set(before, np.column_stack([env.initial_weights, env.initial_shares[:, new]]))


def _by_action(tables: Sequence[Array], *, axis: int) -> Array:
    """Return what tables hold of each action, as a row for each."""
    return np.concatenate([np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1) for each in tables], axis=1)


def _same_set(before: Array, after: Array) -> bool:
    """Return whether the rows of one array are those of another, in any order."""
    left = list(range(len(after)))
    for row in before:
        twin = next((number for number in left if _close(after[number], row)), None)
        if twin is None:
            return False
        left.remove(twin)
    return True


def _close(first: Array, second: Array) -> bool:
    return np.allclose(first, second, rtol=RTOL, atol=ATOL)


def _marks(env: Environment, s_g: int) -> Hashable:
    """Return what no renaming changes of a global state."""
    tables = (env.reward_global, env.transition_global, env.reward_local, env.transition_local)
    return _sorted([env.initial_global[s_g : s_g + 1], *(table[s_g] for table in tables)])


def _local_marks(env: Environment, s_l: int) -> Hashable:
    """Return what no renaming changes of a local state."""
    start = env.initial_local_weights[s_l : s_l + 1]
    return _sorted([start, env.reward_local[:, s_l], env.transition_local[:, s_l]])


def _sorted(arrays: Sequence[Array]) -> Hashable:
    return tuple(tuple((np.round(np.sort(each, axis=None), DECIMALS) + 0.0).tolist()) for each in arrays)


def _classes(marks: Sequence[Hashable]) -> list[list[int]]:
    """Return the states that may be exchanged, by what marks them."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for state, mark in enumerate(marks):
        found[mark].append(state)
    return list(found.values())


def _permutations(classes: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    """Yield every permutation of states within their classes, the identity first."""
    places = [state for each in classes for state in each]
    for chosen in itertools.product(*map(itertools.permutations, classes)):
        names = [name for each in chosen for name in each]
        yield tuple(name for _, name in sorted(zip(places, names, strict=True)))
