"""The game of classes: what a global agent that sees classes of local states takes the game for.

With the local policy fixed, the state of G-LEARN's surrogate game is (s_g, z), z being how many of k agents are in each
class. How classes move depends on where within them the agents are, and so on the past. Hard aggregation settles it
with weights w(s_l | b, s_g), a distribution within each class b:

    p[s_g][b, b'] = sum_{s_l in b} w(s_l | b, s_g) sum_{s_l' in b'} kernel[s_g, s_l, s_l'],

and the same mean of the local rewards. What follows is a game of its own, whose local states are the classes.
Where all states of a class move and earn alike it is the right one, whatever the weights are; else it is an
approximation, and certificates of values are about it, not about the game itself.

The weights come from an *occupancy* d(s_g, s_l), the discounted share of time that a local agent spends in s_l while
the global state is s_g. It is smoothed, so that what is never visited has weights, too.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.model.arrays import Array, GlobalPolicy, real_array
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment
from distmarl.model.policies import is_drawn, local_kernel, local_reward, uniform_local_policy

# Given s_g, weights are the occupancy, and so much of the occupancy over all s_g, and so much of equal weights.
SMOOTHING, LEAST = 1e-3, 1e-9
# Share of the discounted time that an occupancy leaves out.
LEFT_OUT = 0.01
SMALLEST = 1e-300  # stands for 0 in logarithms


def game_of_sizes(env: Environment) -> Environment:
    """Return a game of the size of those of classes, for estimates of what they take."""
    everywhere = np.ones((env.n_global_states, env.n_local_states))
    return game_of_classes(env, uniform_local_policy(env), everywhere)[0]


def game_of_classes(env: Environment, local_policy: Array, occupancy: ArrayLike) -> tuple[Environment, Array]:
    """Return the game whose local states are the classes that are seen, and the local policy in it.

    Local agents follow ``local_policy``, (G, L, A_l), and have no choice any more: there is one local action. Where the
    global agent sees the states themselves, there is nothing to aggregate, and both are returned as they are.

    Parameters
    ----------
    env, local_policy
        The game and pi_l.
    occupancy : array_like, shape (G, L)
        Where agents are within classes, given s_g: not negative, in any unit.

    Raises
    ------
    InvalidArgumentError
        When the occupancy has the wrong shape, a negative entry or no positive one.
    """
    if env.sees_states:
        return env, local_policy
    weights = class_weights(env, occupancy)
    membership = np.eye(env.n_classes)[env.observation]
    within = weights[:, :, None] * membership  # (G, L, B)
    moves = within.swapaxes(1, 2) @ (local_kernel(env, local_policy) @ membership)
    rewards = np.einsum("glb,gl->gb", within, local_reward(env, local_policy))
    concentration, shares = env.initial_local_concentration, env.initial_shares
    game = replace(
        env,
        transition_local=(moves / moves.sum(axis=-1, keepdims=True))[:, :, None],
        reward_local=rewards[:, :, None],
        initial_local_concentration=None if concentration is None else concentration @ membership,
        initial_shares=None if shares is None else shares @ membership,
        observation=np.arange(env.n_classes),
        local_types=None,
    )
    return game, np.ones((*rewards.shape, 1))


def class_weights(env: Environment, occupancy: ArrayLike) -> Array:
    """Return w(s_l | b, s_g) from an occupancy, smoothed, shape (G, L); each class has the sum 1.

    Given s_g the weights are, up to a factor, d(s_l | s_g) + 1e-3 d(s_l) + 1e-9 / L.
    """
    shape = (env.n_global_states, env.n_local_states)
    rule = f"occupancy: must be numbers of 0 or more, some above 0, of shape (G, L) = {shape}"
    try:
        visits, _ = real_array(occupancy)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{rule}, got {error}") from error
    if visits.shape != shape:
        raise InvalidArgumentError(f"{rule}, got shape {visits.shape}")
    if not (np.isfinite(visits).all() and (visits >= 0).all() and visits.any()):
        raise InvalidArgumentError(f"{rule}, got entries from {visits.min()} to {visits.max()}")
    overall = visits.sum(axis=0) / visits.sum()
    sums = visits.sum(axis=1, keepdims=True)
    smoothed = np.divide(visits, sums, out=np.zeros(shape), where=sums > 0)
    smoothed += SMOOTHING * overall + LEAST / env.n_local_states
    membership = np.eye(env.n_classes)[env.observation]
    return smoothed / (smoothed @ membership)[:, env.observation]


def occupancy_of(
    env: Environment, local_policy: Array, global_policy: GlobalPolicy | None = None, *, k: int = 1
) -> Array:
    """Return the discounted occupancy of (s_g, s_l) under a pair of policies, shape (G, L); its sum is 1.

    The mean field is propagated: one agent among infinitely many, and the global state, start as they do, and move on
    independently given s_g,

        d'(s_g', s_l') = sum_{s_g, s_l} d(s_g, s_l) P(s_g' | s_g) kernel[s_g, s_l, s_l'],
        P(s_g' | s_g) = E[P_g(s_g' | s_g, pi_g(s_g, z))],    z ~ Multinomial(k, masses of the classes in d(. | s_g)).

    That takes a population for its mean given s_g. The last steps, of which the weights sum to less than 1 %, are left
    out. Without a global policy, every global action is equally likely.

    Notes
    -----
    A step takes about G·C exponentials, and G·L² multiply-adds.
    """
    kernel, membership = local_kernel(env, local_policy), np.eye(env.n_classes)[env.observation]
    law = np.full((env.n_global_states, env.n_global_actions), 1.0 / env.n_global_actions)
    observer = None if global_policy is None else _Observer(env, global_policy, k)
    weights = env.initial_local_weights / env.initial_local_weights.sum()
    present = np.outer(env.initial_global, weights)
    occupancy, discount = present.copy(), 1.0
    for _ in range(n_steps(env.gamma, LEFT_OUT) - 1):
        if observer is not None:
            law = observer.action_law(present @ membership)
        moves = np.einsum("ga,gah->gh", law, env.transition_global)
        moved = (present[:, None] @ kernel)[:, 0]
        present, discount = moves.T @ moved, discount * env.gamma
        occupancy += discount * present
    return occupancy / occupancy.sum()


def n_steps(gamma: float, left_out: float) -> int:
    """Return the first number of steps after which less than a share of the discounted time is left."""
    return 1 if gamma == 0 else math.floor(math.log(left_out) / math.log(gamma)) + 1


def class_masses(env: Environment, masses: Array) -> Array:
    """Return the masses of classes, from those of local states along the last axis, (..., L) to (..., B)."""
    return masses if env.sees_states else masses @ np.eye(env.n_classes)[env.observation]


class _Observer:
    """What a global policy does when the classes of k agents are drawn by their masses."""

    def __init__(self, env: Environment, global_policy: GlobalPolicy, k: int) -> None:
        self._policy, self._n_actions = global_policy, env.n_global_actions
        counts = count_vectors(k, env.n_classes)
        log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, k + 1)))])
        self._log_ways = -log_factorials[counts].sum(axis=1)
        self._counts = counts.astype(np.float64)

    def action_law(self, masses: Array) -> Array:
        """Return the law of the action given s_g, (G, A_g), from masses of the classes, (G, B), in any unit."""
        sums = masses.sum(axis=1, keepdims=True)
        shares = np.where(sums > 0, masses / np.maximum(sums, SMALLEST), masses.sum(axis=0) / masses.sum())
        logs = np.log(np.maximum(shares, SMALLEST)) @ self._counts.T + self._log_ways
        likely = np.exp(logs - logs.max(axis=1, keepdims=True))
        law = np.stack([self._given(s_g, weights) for s_g, weights in enumerate(likely)])
        return law / law.sum(axis=1, keepdims=True)

    def _given(self, s_g: int, weights: Array) -> Array:
        """Return how much each action weighs, (A_g,), from what the count vectors do."""
        row = self._policy[s_g]
        if is_drawn(self._policy):
            return np.asarray(weights @ row)
        return np.asarray(np.bincount(row, weights=weights, minlength=self._n_actions), dtype=np.float64)
