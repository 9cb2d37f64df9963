"""What the agents of a game observe, as other people's learners get it: arrays of whole numbers.

- The global agent: s_g, then how many of its k agents are in each class, ``[s_g, z_0, ..., z_{B-1}]``. By default each
  local state is a class of its own.
- A local agent: ``[s_g, s_l]``.
"""

from __future__ import annotations

import numpy as np

from distmarl.model.arrays import Ints
from distmarl.model.counts import count_vectors
from distmarl.model.environment import Environment


def global_sizes(env: Environment, k: int) -> Ints:
    """Return how many values each entry of a global agent's observation can have, (1 + B,)."""
    return np.array([env.n_global_states, *[k + 1] * env.n_classes])


def local_sizes(env: Environment) -> Ints:
    """Return how many values each entry of a local agent's observation can have, (2,)."""
    return np.array([env.n_global_states, env.n_local_states])


def global_observations(env: Environment, k: int) -> Ints:
    """Return all observations of a global agent that sees k agents, in the order of its policies, (G C, 1 + B)."""
    counts = count_vectors(k, env.n_classes)
    s_g = np.repeat(np.arange(env.n_global_states), len(counts))
    return np.column_stack([s_g, np.tile(counts, (env.n_global_states, 1))])


def local_observations(env: Environment) -> Ints:
    """Return all observations of a local agent, in the order of its policies, (G L, 2)."""
    return np.indices((env.n_global_states, env.n_local_states)).reshape(2, -1).T
