"""Local policies that an alternation of best responses may start from.

Where an alternation ends depends on its start, and the uniform policy (the paper's start, arXiv 2603.03759) often leads
to a poor equilibrium. The others are few and need no seed, but for the random ones:

- ``uniform``: every action with the same probability;
- ``constant_action 0``, ``constant_action 1``, …: the best answer of a local agent to a global agent that always plays
  that action a, so that P(s' | s_g) = P_g(s' | s_g, a);
- ``stay``: the best answer to a global agent that stays where it is, a(s_g) = argmax_a P_g(s_g | s_g, a);
- ``blind``: what answers the best global agent that sees nobody (:mod:`distmarl.learning.best.blind`);
- ``random 0``, ``random 1``, …: deterministic policies, drawn action by action.

All but the first are deterministic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import numpy as np

from distmarl.errors import InvalidArgumentError, nearest_name
from distmarl.learning.best.blind import blind_answer, blind_pair, simple_actions
from distmarl.model.arrays import Array
from distmarl.model.checks import checked_integer
from distmarl.model.environment import Environment
from distmarl.model.options import MAX_RANDOM_STARTS, Alternating, StartKind
from distmarl.model.policies import uniform_local_policy
from distmarl.model.random_streams import Role, Seed, random_stream

STARTS: tuple[StartKind, ...] = get_args(StartKind)


def is_papers(alternating: Alternating) -> bool:
    """Return whether there is one start, the uniform one, and nothing but the alternation goes on from it."""
    return tuple(alternating.starts) == ("uniform",) and not (alternating.n_random_starts or alternating.ascent)


def checked_starts(starts: Iterable[StartKind]) -> tuple[StartKind, ...]:
    """Return the starts that a function was given; what they are is checked with their names.

    Raises
    ------
    InvalidArgumentError
        When it is no list: the letters of a name alone are no starts.
    """
    if isinstance(starts, str) or not isinstance(starts, Iterable):
        raise InvalidArgumentError(f"starts: must be a list of names, as in ['stay'], got {starts!r}")
    return tuple(starts)


def start_names(alternating: Alternating, n_global_actions: int) -> list[str]:
    """Return the names of all starts, in order.

    Raises
    ------
    InvalidArgumentError
        When no start is asked for, or one is unknown or repeated.
    """
    kinds, n_random = alternating.starts, alternating.n_random_starts
    if not isinstance(alternating.ascent, (bool, np.bool_)):
        raise InvalidArgumentError(f"ascent: must be True or False, got {alternating.ascent!r}")
    if not kinds:
        raise InvalidArgumentError(f"starts: must list at least one of {', '.join(STARTS)}, got none")
    checked_integer("n_random_starts", n_random, least=0)
    if n_random > MAX_RANDOM_STARTS:
        raise InvalidArgumentError(f"n_random_starts: must be at most {MAX_RANDOM_STARTS:,}, got {n_random:,}")
    names: list[str] = []
    for place, kind in enumerate(kinds):
        if kind not in STARTS:
            raise InvalidArgumentError(f"starts: there is no start {kind!r}; {nearest_name(str(kind), STARTS)}")
        if kind in kinds[:place]:
            raise InvalidArgumentError(f"starts: must not repeat a start, got {kind!r} twice")
        several = kind == "constant_action"
        names += [f"{kind} {action}" for action in range(n_global_actions)] if several else [kind]
    return names + [f"random {number}" for number in range(n_random)]


def start_policy(env: Environment, name: str, seed: Seed) -> Array:
    """Return the local policy (G, L, A_l) of a start; the seed is that of the random ones."""
    kind, _, number = name.partition(" ")
    if kind == "constant_action":
        return blind_answer(env, simple_actions(env)[int(number)])
    if kind == "stay":
        return blind_answer(env, simple_actions(env)[-1])
    if kind == "blind":
        return blind_pair(env).local_policy
    if kind == "random":
        rng = random_stream(seed, Role.START, int(number))
        shape = (env.n_global_states, env.n_local_states)
        return np.eye(env.n_local_actions)[rng.integers(env.n_local_actions, size=shape)]
    return uniform_local_policy(env)
