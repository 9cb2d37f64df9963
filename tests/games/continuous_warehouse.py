"""The continuous warehouse agent by agent, from its equations and plain numpy: nothing of distmarl is used."""

from __future__ import annotations

import numpy as np

TARGETS = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
STEPS = np.array([0.0, 0.05, -0.05])
STAY, UP, DOWN = range(3)


def simulate(act_global, act_local, *, n_agents, k, n_rollouts, horizon, rng, late_locals=False, gamma=0.95):
    """Discounted return of each rollout, shape (R,).

    ``act_global(s_g, seen)`` takes (R,) and (R, k) positions and returns (R,) numbers of targets;
    ``act_local(s_g, s_l)`` takes (R, 1) and (R, n) positions and returns (R, n) numbers of steps. ``late_locals`` is a
    deliberate mistake, for negative controls: local agents act by s_g(t + 1) in place of s_g(t).
    """
    s_g, s_l = first_states(n_agents, n_rollouts, rng)
    returns = np.zeros(n_rollouts)
    for step in range(horizon):
        target = TARGETS[act_global(s_g, seen_of(s_l, k, rng))]
        earned = 5 * np.exp(-((s_g - target) ** 2) / (2 * 0.3**2))
        next_s_g = np.clip(s_g + 0.6 * (target - s_g) + rng.normal(0, 0.08, n_rollouts), -2, 2)
        moves = STEPS[act_local((next_s_g if late_locals else s_g)[:, None], s_l)]
        together = 10 * np.exp(-((s_l - s_g[:, None]) ** 2) / (2 * 0.2**2))
        returns += gamma**step * (earned + (together - 5 * np.abs(moves)).mean(axis=1))
        s_l = np.clip(s_l + moves + rng.normal(0, 0.04, s_l.shape), -2, 2)
        s_g = next_s_g
    return returns


def first_states(n_agents, n_rollouts, rng):
    """s_g, shape (R,), and s_l, shape (R, n): 55 % of the agents about one bin's centre, 45 % about another's."""
    centres = np.stack([rng.permutation(TARGETS)[:2] for _ in range(n_rollouts)])
    n_larger = round(0.55 * n_agents)
    s_l = np.repeat(centres, [n_larger, n_agents - n_larger], axis=1) + rng.normal(0, 0.18, (n_rollouts, n_agents))
    return rng.uniform(-1, 1, n_rollouts), np.clip(s_l, -2, 2)


def seen_of(s_l, k, rng):
    """The positions of k agents of each rollout, without replacement, shape (R, k)."""
    keys = rng.random(s_l.shape)
    return np.take_along_axis(s_l, np.argpartition(keys, k - 1, axis=1)[:, :k], axis=1)


def nearest_target(s_g, _seen):
    """Stay at the target that is nearest."""
    return np.abs(s_g[:, None] - TARGETS).argmin(axis=1)


def towards(s_g, s_l):
    """Move towards s_g, where that is more than a step away."""
    apart = s_g - s_l
    return np.where(np.abs(apart) <= 0.05, STAY, np.where(apart > 0, UP, DOWN))


class FirstMode:
    """A policy with memory: go to the fullest bin of the first sight, and stay there."""

    def __init__(self):
        self._target = None

    def __call__(self, _s_g, seen):
        if self._target is None:
            bins = np.minimum(((seen + 2) / 0.8).astype(int), 4)
            self._target = (bins[..., None] == np.arange(5)).sum(axis=1).argmax(axis=1)
        return self._target
