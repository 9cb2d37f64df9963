"""Independent random streams, keyed by what they are for.

A stream depends on the seed, on its role and on its key, never on when, where or
in which order it is used. So a task that runs twice, or elsewhere, draws the
same numbers.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from distmarl.errors import InvalidArgumentError, shown
from distmarl.model.checks import is_integer

Seed: TypeAlias = int | Sequence[int]


class Role(enum.IntEnum):
    """What a random stream is for. The numbers are part of every result: never renumber."""

    SAMPLED_TRANSITIONS = 0
    JOINT_VALUE = 1
    EVALUATION = 2
    WELFARE = 3
    DEVIATION = 4
    BASELINE = 5
    START = 6
    CHOICE = 7
    TABLES = 8
    LEARNER = 9


def random_stream(seed: Seed, role: Role, *key: int) -> np.random.Generator:
    """Return the generator of one stream.

    Parameters
    ----------
    seed : int or sequence of int
        Root of all streams, not negative. A sequence makes a family of seeds:
        the sweep evaluates with ``(experiment.seed, evaluation seed)``
        (:func:`evaluation_seed`).
    role : Role
        What the stream is for.
    *key : int
        Which of the role's streams.

    Raises
    ------
    InvalidArgumentError
        When the seed is not an integer of 0 or more, or a sequence of such.
    """
    numbers = list(seed) if isinstance(seed, (Sequence, np.ndarray)) else [seed]
    for number in numbers:
        if not is_integer(number) or number < 0:
            raise InvalidArgumentError(f"seed: must be an integer of 0 or more, or several, got {shown(seed)}")
    # The length comes first, since numpy pads entropy with zeros: 5 and (5, 0) are different seeds.
    entropy = [len(numbers), *(int(number) for number in numbers)]
    sequence = np.random.SeedSequence(entropy, spawn_key=(int(role), *key))
    return np.random.Generator(np.random.PCG64(sequence))


def training_seed(seed: int, train_seed: int) -> Seed:
    """Return the seed of a sweep's training: of the first ``experiment.seed`` itself, of others a family of its own.

    Parameters
    ----------
    seed : int
        ``experiment.seed``.
    train_seed : int
        Number of the training, from 0 on.
    """
    return seed if train_seed == 0 else (seed, train_seed)


def evaluation_seed(seed: int, train_seed: int, number: int) -> Seed:
    """Return the seed of an evaluation of one of a sweep's trainings, which no other training's evaluation shares.

    Parameters
    ----------
    seed : int
        ``experiment.seed``.
    train_seed : int
        Number of the training, from 0 on.
    number : int
        Number of the evaluation seed, from 0 on.
    """
    return (seed, number) if train_seed == 0 else (seed, train_seed, number)
