"""The most that a control of a few agents earns, and why it bounds what any number of them earn.

**Any control.** Let J*_n be the most that any control of n agents earns: an action for every single agent, everything
seen, any memory. Then J*_n <= J*_m for all m <= n. *Proof.* The mean local reward of a random subset S of m agents has
the population's expectation, so J_n is the mean over subsets of the return of r_g + (1/m) sum_S r_l. For a fixed S the
others act on S and on s_g through the controller alone, which can simulate them: they are private randomness of a
control of the m agents. (Their moves depend on s_g and themselves; their start is drawn given that of S, and the start
of m exchangeable agents out of n is that of the game of m.) So S earns what some randomised control with memory earns
in the game of m agents, at most J*_m.

**Any global policy.** Let all local agents follow one and the same pi_l. The same proof, with a controller that chooses
a_g alone, says that the optimum of the game of k agents that are all seen, which is G-LEARN's surrogate, bounds
what any global policy, whatever it sees, earns against pi_l among n >= k agents. It falls in k.

Neither counts steps: both hold over any horizon, and the optimum of finitely many steps comes from backward induction.

A :class:`Control` is a Bellman operator B of the game of m agents, on values (C, G) of its count vectors. With h
steps to go the optimum is V_h = B^h 0. Let V = BV be that of all steps to come. B is monotone and shifts
constants by gamma, so

    V_H = B^(H-h) V_h <= V + gamma^(H-h) max (V_h - V),

and as much from below: a long horizon H takes no more steps than until V_h - V is nearly the same everywhere.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np

from distmarl.model.arrays import EPSILON, Array
from distmarl.model.environment import Environment
from distmarl.values.exact_return import ExactReturn, PopulationValue, expected_at_start
from distmarl.values.value_iteration import MAX_ITERATIONS, backward_induction, in_double, iterate_values


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What a control earns from each state over all steps.

    Attributes
    ----------
    value : ndarray, shape (C, G)
        For each count vector and global state.
    bound : float
        Certified: the optimum is nowhere above ``value`` by more.
    slack : float
        By how much ``value`` may be too large, since its operator is not that of a control but a bound of it.
    n_iterations : int
        Applications of the operator.
    """

    value: Array
    bound: float
    slack: float
    n_iterations: int


class Control(abc.ABC):
    """A Bellman operator of those who control the m agents of a game, or one that is nowhere below it."""

    def __init__(self, env: Environment) -> None:
        self.env = env

    @abc.abstractmethod
    def backup(self, value: Array) -> Array:
        """Return B(value), (C, G) to (C, G)."""

    @property
    @abc.abstractmethod
    def relative_error(self) -> float:
        """Largest rounding error of the expectations inside B, per unit of max |value|."""

    @property
    @abc.abstractmethod
    def reward_error(self) -> float:
        """Largest rounding error of the rewards inside B."""

    def best_global_action(self, s_g: int, expected: Array) -> Array:
        """Return max_a r_g(s_g, a) + gamma sum_{s'} P_g(s' | s_g, a) expected[., s'], (C, G) to (C,)."""
        later = expected @ (self.env.gamma * self.env.transition_global[s_g].T)
        later += self.env.reward_global[s_g]
        best: Array = later[:, 0].copy()
        for action in range(1, later.shape[1]):  # numpy's maximum of short rows takes several times as long
            np.maximum(best, later[:, action], out=best)
        return best

    def solve(self, initial_value: Array, tolerance: float) -> Solution:
        """Return the optimum over all steps, to a bound of ``tolerance`` where rounding allows it."""
        rounding = self.reward_error / (1 - self.env.gamma)
        found = iterate_values(
            in_double(self.backup, self.relative_error),
            initial_value,
            gamma=self.env.gamma,
            convergence_threshold=tolerance - rounding,
            max_iterations=MAX_ITERATIONS,
        )
        return Solution(found.value, found.bound + rounding, 0.0, found.n_iterations)


def at_start(env: Environment, value: Array, bound: float, n_iterations: int) -> ExactReturn:
    """Return the mean of values (C, G) over where the game starts."""
    found = PopulationValue(np.ascontiguousarray(value.T), bound, n_iterations)
    return expected_at_start(env, found)


def within_horizon(control: Control, endless: Solution, horizon: int, tolerance: float) -> ExactReturn:
    """Return the optimum of the first ``horizon`` steps, from that of all steps, to an error of ``tolerance``.

    After ``horizon`` sweeps it is the result of backward induction, exact up to rounding.
    """
    env = control.env
    whole = at_start(env, endless.value, endless.bound, 0)
    steps = backward_induction(
        control.backup,
        endless.value.shape,
        gamma=env.gamma,
        relative_error=control.relative_error,
        reward_error=control.reward_error,
    )
    for n_steps, (value, bound) in zip(range(1, horizon), steps):  # noqa: B905  # steps has no end
        change = value - endless.value
        low, high = float(change.min()), float(change.max())
        weight = env.gamma ** (horizon - n_steps)
        error = whole.bound + weight * ((high - low) / 2 + bound + endless.bound)
        error += 4 * EPSILON * (abs(whole.value) + abs(low) + abs(high))
        if error <= tolerance:
            return ExactReturn(whole.value + weight * (low + high) / 2, error, n_steps)
    value, bound = next(steps)
    return at_start(env, value, bound, horizon)
