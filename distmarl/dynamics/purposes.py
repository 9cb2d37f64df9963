"""The random streams that a set of rollouts draws from, and draws for several sets side by side.

Each purpose has a stream of its own, so that rollouts of different policies stay as alike as they can be. Where a
rollout takes now more and now fewer numbers, the stream is keyed by k, too: rollout i of one k and rollout j of another
share no number then, and their differences are independent.

Each seed has its own streams, so what its rollouts do does not depend on which others are simulated beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from distmarl.model.arrays import Array
from distmarl.model.random_streams import Role, Seed, random_stream

# Keys of the streams. The numbers are part of every result: never renumber.
START, OBSERVATION, POPULATION, GLOBAL_STATE, UNDECIDED, GLOBAL_ACTION = range(6)


def streams(seeds: Iterable[Seed], role: Role, *key: int) -> list[np.random.Generator]:
    """Return a stream of each seed."""
    return [random_stream(seed, role, *key) for seed in seeds]


def uniforms(generators: Sequence[np.random.Generator], n_rollouts: int, *shape: int) -> Array:
    """Draw uniform numbers for the rollouts of each seed, (S R, ...)."""
    return np.concatenate([rng.random((n_rollouts, *shape)) for rng in generators])
