"""The most valuable of several pairs of policies that see k agents.

In small games every pair is valued exactly. Where that is dear, rollouts on common random numbers leave a few, which
are then valued exactly; where populations have too many count vectors, the rollouts decide, and others tell what the
best one is worth. A pair whose global agent sees nobody is valued exactly in any game.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from distmarl.dynamics.rollouts import CACHED_BYTES, rollout_bytes, run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.blind import blind_return
from distmarl.learning.g_learn import largest_difference
from distmarl.model.arrays import Array, GlobalPolicy, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed
from distmarl.values.exact_return import ExactReturn, exact_return, population_bytes
from distmarl.values.intervals import estimate_mean

AnswerKind: TypeAlias = Literal["surrogate", "averaged", "blind"]
ValueMethod: TypeAlias = Literal["exact", "rollouts"]

# States (s_g, N) of the game with all agents, up to which every pair is valued exactly, and up to which a few are.
CHEAP_STATES, MAX_STATES = 5_000, 500_000
# So many are, of those whose rollouts earn no less than the best by more standard errors than this.
N_EXACT, STANDARD_ERRORS = 4, 3.0
N_ROLLOUTS = 1000
# Share of an infinite sum that rollouts leave out: those that compare, and those that tell what the best one is worth,
# which stands beside exact values.
LEFT_OUT, LEFT_OUT_OF_A_VALUE = 0.01, 1e-4
# Certified error of a value, as a share of the largest difference between returns.
ACCURACY = 1e-6
COMPARING, TELLING = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A pair of policies that may be the best.

    Attributes
    ----------
    answer : {"surrogate", "averaged", "blind"}
        Where its global policy comes from.
    global_policy : ndarray of int, shape (G, C)
        pi_g over the count vectors of k agents.
    local_policy : ndarray, shape (G, L, A_l)
        pi_l.
    owner : int
        Number of the local policy among those that are compared.
    """

    answer: AnswerKind
    global_policy: GlobalPolicy = field(repr=False)
    local_policy: Array = field(repr=False)
    owner: int = 0

    @property
    def blind_actions(self) -> Ints | None:
        """a(s_g), where the global policy ignores what is seen."""
        first = self.global_policy[:, 0]
        return first.astype(np.int64) if (self.global_policy == first[:, None]).all() else None


@dataclass(frozen=True, slots=True)
class Worth:
    """What a pair earns over all steps: exactly with a certified error, or as a mean with its standard error.

    Rollouts leave out the last steps, whose weights sum to less than 0.01 % of all.
    """

    value: float
    error: float
    method: ValueMethod


class Contest:
    """Finds the best of the candidates that enter it one after the other.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agents see.
    seed : int or sequence of int
        Root of the random streams of rollouts.
    """

    def __init__(self, env: Environment, *, k: int, seed: Seed) -> None:
        self._env, self._k = env, k
        self._seed = [int(seed)] if isinstance(seed, (int, np.integer)) else [int(number) for number in seed]
        self._values_all, self._values_some = is_cheap(env), has_exact_values(env)
        self.accuracy = accuracy(env)
        self._known: dict[int, Worth] = {}
        self._returns: dict[int, Array] = {}
        self._entered: list[Candidate] = []
        self._has_looked = False

    @property
    def sure_value(self) -> float:
        """What the best candidate so far earns at least, for certain."""
        sure = [worth.value - worth.error for worth in self._known.values() if worth.method == "exact"]
        return max(sure, default=-math.inf)

    def enter(self, candidates: Sequence[Candidate]) -> None:
        """Add candidates, and value them as far as it takes to tell what cannot win any more."""
        first = len(self._entered)
        self._entered += candidates
        for number in range(first, len(self._entered)):
            if self._values_all or self._entered[number].blind_actions is not None:
                self._know(number)
        unknown = [number for number in range(first, len(self._entered)) if number not in self._known]
        if self._values_some and unknown and not self._has_looked:
            # What is expected to win comes first, and tells most about what cannot win any more.
            self._know(max(unknown, key=self._mean))
            self._has_looked = True

    def winner(self) -> tuple[Candidate, Worth]:
        """Return the best candidate, the first of equally good ones, and what it is worth."""
        numbers = range(len(self._entered))
        if self._values_all or all(number in self._known for number in numbers):
            best = max(numbers, key=lambda number: self._known[number].value)
            return self._entered[best], self._known[best]
        leader = max(numbers, key=self._mean)
        if not self._values_some:
            return self._entered[leader], self._tell(leader)
        close = [number for number in numbers if number in self._known or self._is_close(number, leader)]
        for number in sorted(close, key=self._mean, reverse=True)[:N_EXACT]:
            self._know(number)
        best = max(self._known, key=lambda number: (self._known[number].value, -number))
        return self._entered[best], self._known[best]

    def _know(self, number: int) -> None:
        """Value a candidate exactly; where that loses too many digits, by rollouts."""
        if number in self._known:
            return
        candidate, env = self._entered[number], self._env
        actions = candidate.blind_actions
        if actions is not None:
            found = blind_return(env, actions, candidate.local_policy)
        else:
            try:
                found = _exact(env, candidate, self._k, self.accuracy)
            except InvalidArgumentError:  # which is about digits alone: what else it could be about was checked
                self._known[number] = self._tell(number)
                return
        self._known[number] = Worth(found.value, found.bound, "exact")

    def _tell(self, number: int) -> Worth:
        """Value a candidate, by rollouts that did not choose it where exact values are out of reach."""
        if number in self._known:
            return self._known[number]
        found = estimate_mean(self._rollouts(self._entered[number], TELLING))
        return Worth(found.mean, found.standard_error, "rollouts")

    def _mean(self, number: int) -> float:
        return float(self._common_returns(number).mean())

    def _is_close(self, number: int, leader: int) -> bool:
        difference = self._common_returns(leader) - self._common_returns(number)
        return bool(difference.mean() <= STANDARD_ERRORS * difference.std(ddof=1) / math.sqrt(len(difference)))

    def _common_returns(self, number: int) -> Array:
        if number not in self._returns:
            self._returns[number] = self._rollouts(self._entered[number], COMPARING)
        return self._returns[number]

    def _rollouts(self, candidate: Candidate, purpose: int) -> Array:
        return run_rollouts(
            self._env,
            candidate.global_policy,
            candidate.local_policy,
            k=self._k,
            n_rollouts=N_ROLLOUTS,
            horizon=n_steps(self._env.gamma, LEFT_OUT if purpose == COMPARING else LEFT_OUT_OF_A_VALUE),
            seed=[*self._seed, purpose],
            role=Role.CHOICE,
            reward="expected",
        ).returns


def n_steps(gamma: float, left_out: float) -> int:
    """Return the steps of rollouts that leave out less than such a share of an infinite sum."""
    return 1 if gamma == 0 else math.floor(math.log(left_out) / math.log(gamma)) + 1


def contest_bytes(env: Environment) -> int:
    """Return about how much memory it takes to value a pair, in bytes."""
    rollouts = max(CACHED_BYTES, rollout_bytes(env, N_ROLLOUTS))
    return max(population_bytes(env), rollouts) if has_exact_values(env) else rollouts


def accuracy(env: Environment) -> float:
    """Return the certified error that values in a choice may have, in units of return."""
    return ACCURACY * max(largest_difference(env), np.finfo(np.float64).tiny) + 1e-12


def _exact(env: Environment, candidate: Candidate, k: int, tolerance: float) -> ExactReturn:
    return exact_return(env, candidate.global_policy, candidate.local_policy, k=k, tolerance=tolerance)


def is_cheap(env: Environment) -> bool:
    """Return whether every pair is valued exactly."""
    return _has_states(env, CHEAP_STATES)


def has_exact_values(env: Environment) -> bool:
    """Return whether a few pairs are, at least."""
    return _has_states(env, MAX_STATES)


def _has_states(env: Environment, most: int) -> bool:
    n_populations = math.comb(env.n_agents + env.n_local_states - 1, env.n_local_states - 1)
    return n_populations * env.n_global_states <= most
