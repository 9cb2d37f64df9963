"""The most that m agents earn when all in the same local state take the same action, which depends on what is seen.

A *prescription* is a map S_l -> A_l, and an action is (a_g, prescription), chosen anew at each (s_g, N). There are
A_l^L prescriptions, far fewer than vectors M of agents by state and action, so larger m can be solved; their optimum U2
is at most that of any control, U1. With the slack that convexity leaves
(:mod:`distmarl.equilibrium.ceilings.convexity`) added at each step, it is a bound of any control: if
BV + slack(V) <= V + c everywhere, then U1 <= V + c / (1 - gamma).

Few prescriptions are ever the best. So values are iterated with the prescriptions that were found to be, and a sweep
over all of them certifies the end, or adds those that are better at some (s_g, N). What is certified is about all.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from distmarl.dynamics.transitions.exact import MAX_DENSE_BYTES, ExactTransitions, exact_bytes
from distmarl.dynamics.transitions.weights import weights_bytes
from distmarl.equilibrium.ceilings.control import Control, Solution
from distmarl.equilibrium.ceilings.convexity import convexity_slack
from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import EPSILON, Array
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.values.value_iteration import MAX_ITERATIONS, anderson_bytes, in_double, iterate_values

MAX_ROUNDS = 50
# The error that the iteration with few prescriptions aims at, as a share of what values can differ by; and
# then of the error that the last sweep over all of them certified.
FIRST_AIM, NEXT_AIM = 1 / 200, 1 / 30


class PrescriptionControl(Control):
    """The Bellman operator of whoever chooses a_g and a prescription.

    Parameters
    ----------
    env : Environment
        The game of m agents.
    tolerance : float
        Error of the value that the rounding of the expectations may cause.

    Raises
    ------
    InvalidArgumentError
        When the expectations under one of the prescriptions would lose too many digits.
    """

    def __init__(self, env: Environment, tolerance: float) -> None:
        super().__init__(env)
        states = np.arange(env.n_local_states)
        self._prescriptions = list(itertools.product(range(env.n_local_actions), repeat=env.n_local_states))
        allowed = _allowed_error(env, tolerance)
        self._shares = count_vectors(env.n_agents, env.n_local_states) / env.n_agents
        self._transitions = []
        for actions in self._prescriptions:
            kernel = env.transition_local[:, states, actions]
            transitions = ExactTransitions(kernel, k=env.n_agents, max_relative_error=allowed)
            if "dense" in transitions.method and self._dense_bytes() > MAX_DENSE_BYTES:
                raise InvalidArgumentError(
                    f"m: the moves of {env.n_agents} agents lose too many digits under the prescription {actions}"
                )
            self._transitions.append(transitions)
        # Prescriptions, by their numbers, that have been the best somewhere, for each global state.
        self._chosen: list[list[int]] = [[] for _ in range(env.n_global_states)]

    def backup(self, value: Array) -> Array:
        """Return what no (a_g, M) makes more of the value than: the best (a_g, prescription), and the slack."""
        every = range(len(self._prescriptions))
        return self._sweep(value, [every] * self.env.n_global_states) + convexity_slack(self.env, value)

    def solve(self, initial_value: Array, tolerance: float) -> Solution:
        """Return what no control earns more than over all steps, to a bound of ``tolerance`` if rounding allows it."""
        env = self.env
        scale = env.gamma / (1 - env.gamma)
        rounding = self.reward_error / (1 - env.gamma)
        aim = FIRST_AIM * float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)
        value, n_sweeps = initial_value, 0
        for _ in range(MAX_ROUNDS):
            value = value - (value.min() + value.max()) / 2
            slack = convexity_slack(env, value)
            image = self._extend(value, aim * (1 - env.gamma)) + slack
            n_sweeps += 1
            # The bracket of distmarl.values.value_iteration; from above it holds for any control.
            change = image - value
            low, high = float(change.min()), float(change.max())
            largest, largest_image = float(np.abs(value).max()), float(np.abs(image).max())
            bound = scale * ((high - low) / 2 + self.relative_error * largest + EPSILON * largest_image)
            bound += 4 * EPSILON * (largest_image + scale * abs(high + low)) + rounding
            if bound <= tolerance:
                break
            aim = max(tolerance / 2, bound * NEXT_AIM)
            found = iterate_values(
                in_double(functools.partial(self._sweep, numbers=self._chosen, slack=slack), self.relative_error),
                image,
                gamma=env.gamma,
                convergence_threshold=aim,
                max_iterations=MAX_ITERATIONS,
            )
            value = found.value
            n_sweeps += found.n_iterations
        return Solution(image + scale * (low + high) / 2, bound, float(slack.max()) / (1 - env.gamma), n_sweeps)

    def _sweep(self, value: Array, numbers: Sequence[Iterable[int]], slack: Array | float = 0.0) -> Array:
        """Return the best that some prescriptions, given for each global state, make of the value; -inf for none."""
        image = np.full_like(value, -np.inf)
        for s_g in range(self.env.n_global_states):
            best = image[:, s_g].copy()
            for number in numbers[s_g]:
                np.maximum(best, self._action_values(s_g, number, value), out=best)
            image[:, s_g] = best
        return image + slack

    def _extend(self, value: Array, least_gain: float) -> Array:
        """Sweep over all prescriptions; those that are better by more than ``least_gain`` are chosen from now on."""
        image = self._sweep(value, self._chosen)
        for s_g, chosen in enumerate(self._chosen):
            best = image[:, s_g].copy()
            for number in sorted(set(range(len(self._prescriptions))).difference(chosen)):
                values = self._action_values(s_g, number, value)
                if (values > best + least_gain).any():
                    chosen.append(number)
                np.maximum(best, values, out=best)
            image[:, s_g] = best
        return image

    def _action_values(self, s_g: int, number: int, value: Array) -> Array:
        """Return the best of Q(s_g, N, a_g, prescription) over a_g, (C,)."""
        env = self.env
        rewards = env.reward_local[s_g, np.arange(env.n_local_states), self._prescriptions[number]]
        best = self.best_global_action(s_g, self._transitions[number].expect(s_g, value))
        best += self._shares @ rewards
        return best

    def _dense_bytes(self) -> int:
        """Return the memory of all operators if they were matrices."""
        return 8 * len(self._shares) ** 2 * self.env.n_global_states * len(self._prescriptions)

    @property
    def relative_error(self) -> float:
        """The largest of all prescriptions, and the rounding of the sum over next global states."""
        sums = self.env.n_global_states + 10 * self.env.n_agents
        return max(transitions.relative_error for transitions in self._transitions) + sums * EPSILON

    @property
    def reward_error(self) -> float:
        """Error of the mean of the local rewards, and of the sum with r_g."""
        largest = float(np.abs(self.env.reward_global).max() + np.abs(self.env.reward_local).max())
        return (2 * self.env.n_local_states + 4) * EPSILON * largest


def _allowed_error(env: Environment, tolerance: float) -> float:
    """Return the relative error of the expectations that leaves most of a tolerance of the value to the iteration."""
    largest = float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (2 * (1 - env.gamma))
    return tolerance * (1 - env.gamma) / max(8 * env.gamma * largest, 1e-300)


def n_prescription_vectors(env: Environment, m: int) -> int:
    """Return the number of pairs of a prescription and a count vector, however large."""
    n_vectors = math.comb(m + env.n_local_states - 1, m)
    return int(env.n_local_actions**env.n_local_states) * n_vectors


def prescription_bytes(env: Environment, m: int) -> int:
    """Return about how much memory the operators of all prescriptions and their value iteration take, in bytes."""
    n_vectors = math.comb(m + env.n_local_states - 1, m)
    n_values = n_vectors * env.n_global_states
    weights = env.n_global_states * weights_bytes(m, env.n_local_states)
    operators = int(env.n_local_actions**env.n_local_states) * weights + exact_bytes(env, m)
    return operators + 8 * 12 * n_values + anderson_bytes(n_values)
