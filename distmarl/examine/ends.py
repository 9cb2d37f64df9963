"""Where best responses end: an alternation from every start, in a game of few agents."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distmarl.learning.best.choice import is_cheap
from distmarl.learning.best.starts import STARTS, start_names, start_policy
from distmarl.learning.training import train_alternating
from distmarl.model.environment import Environment
from distmarl.model.options import Alternating
from distmarl.values.exact_return import exact_return

MAX_AGENTS, MAX_SEEN = 6, 2
# Factors of larger kernels, which exact transitions need, take minutes to find.
MAX_STATES_FACTORED = 12
N_ITERATIONS = 20
# Pairs whose returns differ by less, of how far returns can be apart, are taken for one end.
SAME = 1e-4


@dataclass(frozen=True, slots=True)
class End:
    """Pairs that are worth the same.

    Attributes
    ----------
    value : float
        Their exact return over all steps.
    starts : tuple of str
        What led there.
    """

    value: float
    starts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the alternations ended, the best first, with the population and the subsample that they were made for."""

    ends: Sequence[End]
    n_agents: int
    k: int


def find_ends(env: Environment) -> Ends | None:
    """Return where an alternation of exact best responses ends from every start; None where that takes too long.

    Raises
    ------
    InvalidArgumentError
        When exact transitions lose too many digits.
    """
    few = _with_few_agents(env)
    if few is None:
        return None
    k = min(MAX_SEEN, few.n_agents)
    apart = float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)
    found: list[tuple[float, list[str]]] = []
    for start in start_names(Alternating(starts=STARTS), env.n_global_actions):
        value = _value_of_end(few, start, k)
        same = next((each for each in found if abs(each[0] - value) <= SAME * apart), None)
        if same is None:
            found.append((value, [start]))
        else:
            same[1].append(start)
    ends = [End(value, tuple(starts)) for value, starts in sorted(found, reverse=True)]
    return Ends(ends, few.n_agents, k)


def _with_few_agents(env: Environment) -> Environment | None:
    """Return the game with as many agents as can be valued at once, if any."""
    if env.n_local_states > MAX_STATES_FACTORED:
        return None
    for n_agents in range(min(MAX_AGENTS, env.n_agents), 0, -1):
        few = dataclasses.replace(env, n_agents=n_agents)
        if is_cheap(few):
            return few
    return None


def _value_of_end(env: Environment, start: str, k: int) -> float:
    pair = train_alternating(
        env,
        k=k,
        initial_local_policy=start_policy(env, start, 0),
        transitions="exact",
        policy="greedy",
        update="each",
        joint_value="exact",
        n_outer_iterations=N_ITERATIONS,
    )
    return exact_return(env, pair.global_policy, pair.local_policy, k=k).value
