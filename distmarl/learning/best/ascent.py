"""Team ascent: a local policy climbs what it earns with the best global policy that sees everyone.

Everybody is paid the system's reward, so the local policy, which all agents share, may climb the joint return itself,
where alternating best responses stop at the first equilibrium. Worked on is the game of a few agents, m of them, all of
which are seen: its count vectors are few enough for dense transitions. With V the value of the best global policy
pi_g, and d(s_g, z) = sum_t gamma^t P(s_g(t) = s_g, z(t) = z) from the start, the gradient is exact (the derivative
through pi_g vanishes at the best one),

    dJ / dpi_l(a | s_g, j) = sum_z d(s_g, z) z_j [ r_l(s_g, j, a) / m
        + gamma sum_{s'} P_g(s' | s_g, pi_g(s_g, z)) sum_{j'} P_l(j' | s_g, j, a) (T' V(s', . + e_{j'}))(z - e_j) ],

where T' moves the m - 1 other agents. A step makes the policy take the best action in all (s_g, j) where another
action has the larger derivative. If the joint return does not rise, it does so in the better half of them, and
so on, and then in single ones, in the order of their gain. The ascent ends when none of it helps. It never ends below
its start.

In that game the local states themselves are seen, also where the global agent sees classes of them. Where there are so
many local states that it has room for one agent alone, there is nothing to learn for several, and no ascent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.population import initial_population
from distmarl.dynamics.transitions.exact import dense_powers
from distmarl.model.arrays import EPSILON, Array, GlobalPolicy, Ints, read_only
from distmarl.model.counts import count_vectors, n_count_vectors, rank_valid
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_local_policy, local_kernel, local_reward
from distmarl.values.value_iteration import MAX_ITERATIONS, in_double, iterate_values

# Agents in the game that is climbed, at most: ends for 4 to 6 agents agree.
MAX_AGENTS = 5
# Memory that its dense transitions may take; where many local states need more, there are fewer agents.
MAX_BYTES = 2**26
# Certified error of returns, and discounted weight that is left out of d, as shares of the largest difference between
# returns. A step must raise the return by more.
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class AscentResult:
    """Where an ascent ended.

    Attributes
    ----------
    local_policy : ndarray, shape (G, L, A_l)
        The last policy: deterministic, unless it is the start itself.
    value, start_value : float
        What it earns, and what the start earns, with the best global policy in the game of ``n_agents`` agents.
    n_steps : int
        Number of steps that raised the value.
    n_agents : int
        Agents in the game that was climbed.
    """

    local_policy: Array = field(repr=False)
    value: float
    start_value: float
    n_steps: int
    n_agents: int


def ascend(env: Environment, local_policy: ArrayLike, *, n_agents: int | None = None) -> AscentResult:
    """Climb the joint return from a local policy.

    Parameters
    ----------
    env : Environment
        The game.
    local_policy : array_like, shape (G, L, A_l)
        Where to start.
    n_agents : int, optional
        Agents in the game that is climbed; by default five, or what there are, or what fits into memory.
    """
    policy = checked_local_policy(env, local_policy)
    game = SmallGame(env, ascent_size(env) if n_agents is None else n_agents)
    best = game.solve(policy)
    start_value, n_steps = best.worth, 0
    while (better := _step(game, best)) is not None:
        best, n_steps = better, n_steps + 1
    return AscentResult(read_only(best.local_policy), best.worth, start_value, n_steps, game.n_agents)


def ascent_size(env: Environment) -> int:
    """Return how many agents the game has that is climbed."""
    size = min(env.n_agents, MAX_AGENTS)
    while size > 1 and 8 * env.n_global_states * n_count_vectors(size, env.n_local_states) ** 2 > MAX_BYTES:
        size -= 1
    return size


def has_ascent(env: Environment) -> bool:
    """Return whether there is room for several agents in the game that is climbed, if there are several."""
    return env.sees_states or ascent_size(env) > 1 or env.n_agents == 1


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A local policy with the best global policy against it, and its value, in a small game.

    Attributes
    ----------
    local_policy : ndarray, shape (G, L, A_l)
        The policy.
    global_policy : ndarray of int, shape (G, C)
        The best answer.
    value : ndarray, shape (C, G)
        What the pair earns from each state.
    worth : float
        What it earns from the start.
    """

    local_policy: Array
    global_policy: GlobalPolicy
    value: Array
    worth: float


class SmallGame:
    """The game of a few agents that are all seen, with dense transitions.

    Parameters
    ----------
    env : Environment
        The game.
    n_agents : int
        Number of agents.
    """

    def __init__(self, env: Environment, n_agents: int) -> None:
        self.env = replace(env, n_agents=n_agents, observation=np.arange(env.n_local_states))
        self.n_agents = n_agents
        largest_difference = float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)
        self.tolerance = TOLERANCE * max(largest_difference, 1.0)
        self._counts = count_vectors(n_agents, env.n_local_states)
        self._start = np.outer(initial_population(self.env), env.initial_global)
        # Where a count vector of the others is, with one agent more in each state.
        others = count_vectors(n_agents - 1, env.n_local_states)
        units = np.eye(env.n_local_states, dtype=np.int64)
        self._with_one_more: Ints = np.stack([rank_valid(others + unit, n_agents) for unit in units], axis=1)
        self._kept: dict[bytes, tuple[Array, Array]] = {}

    def solve(self, local_policy: Array, initial_value: Array | None = None) -> Solved:
        """Return the best global policy against a local policy, by value iteration."""
        env = self.env
        powers = np.stack([self._powers(kernel)[1] for kernel in local_kernel(env, local_policy)])
        moves = env.gamma * env.transition_global.swapaxes(1, 2)
        rewards = self._counts @ (local_reward(env, local_policy).T / self.n_agents)

        def action_values(value: Array) -> Array:
            expected = (powers @ value) @ moves  # (G, C, A_g)
            return expected.swapaxes(0, 1) + env.reward_global + rewards[:, :, None]

        n_roundings = len(rewards) + env.n_global_states + 2 * self.n_agents * env.n_local_states
        solution = iterate_values(
            in_double(lambda value: action_values(value).max(axis=-1), n_roundings * EPSILON),
            np.zeros(rewards.shape) if initial_value is None else initial_value,
            gamma=env.gamma,
            convergence_threshold=self.tolerance,
            max_iterations=MAX_ITERATIONS,
        )
        actions = action_values(solution.value).argmax(axis=-1).T
        return Solved(local_policy, actions, solution.value, float((self._start * solution.value).sum()))

    def gradient(self, solved: Solved) -> Array:
        """Return the derivative of the joint return by each pi_l(a | s_g, j), shape (G, L, A_l)."""
        env, m = self.env, self.n_agents
        occupancy = self.occupancy(solved)
        kernel = local_kernel(env, solved.local_policy)
        gradient = np.empty(env.reward_local.shape)
        after_move = solved.value[self._with_one_more]  # (C', L, G): one agent in j', the others not moved yet
        flat = after_move.reshape(len(after_move), -1)
        for s_g in range(env.n_global_states):
            expected = (self._powers(kernel[s_g])[0] @ flat).reshape(after_move.shape)
            moves = env.transition_global[s_g][solved.global_policy[s_g]]  # (C, G)
            for j in range(env.n_local_states):
                rows = self._with_one_more[:, j]
                weights = occupancy[rows, s_g] * self._counts[rows, j]
                future = np.einsum("y,yjs,ys->j", weights, expected, moves[rows])
                rewards = weights.sum() * env.reward_local[s_g, j] / m
                gradient[s_g, j] = rewards + env.gamma * env.transition_local[s_g, j] @ future
        return gradient

    def occupancy(self, solved: Solved) -> Array:
        """Return d(s_g, z), whose sum is 1 / (1 - gamma), as an array (C, G)."""
        env = self.env
        kernel = local_kernel(env, solved.local_policy)
        powers = np.stack([env.gamma * self._powers(each)[1].T for each in kernel])
        moves = np.stack([env.transition_global[s_g][actions] for s_g, actions in enumerate(solved.global_policy)])
        mass = self._start
        total = mass.copy()
        n_steps = 1 if env.gamma == 0 else math.ceil(math.log(TOLERANCE) / math.log(env.gamma))
        for _ in range(n_steps):
            mass = (powers @ (mass.T[:, :, None] * moves)).sum(axis=0)
            total += mass
        return total

    def _powers(self, kernel: Array) -> tuple[Array, Array]:
        """Return how all agents but one move by the kernel of a global state, (C', C'), and how all do, (C, C)."""
        key = kernel.tobytes()
        if key not in self._kept:
            if len(self._kept) >= 8 * self.env.n_global_states:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = dense_powers(kernel, self.n_agents)
        return self._kept[key]


def _step(game: SmallGame, best: Solved) -> Solved | None:
    """Return a policy that earns more, or None where no step helps."""
    gradient = game.gradient(best)
    gains = gradient.max(axis=-1) - (gradient * best.local_policy).sum(axis=-1)
    improving = np.argwhere(gains > game.tolerance)
    order = improving[np.argsort(-gains[tuple(improving.T)], kind="stable")]
    wanted = np.eye(game.env.n_local_actions)[gradient.argmax(axis=-1)]
    for entries in _switches(order):
        policy = best.local_policy.copy()
        places = tuple(entries.T)
        policy[places] = wanted[places]
        found = game.solve(policy, best.value)
        if found.worth > best.worth + 2 * game.tolerance:
            return found
    return None


def _switches(order: Ints) -> Iterator[Ints]:
    """Yield the entries to switch: all, the better half, and so on, then each by itself."""
    size = len(order)
    while size > 1:
        yield order[:size]
        size //= 2
    yield from (order[place : place + 1] for place in range(len(order)))
