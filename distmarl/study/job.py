"""A setting with its game: all that its tasks need to know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distmarl.config.settings import Setting
from distmarl.model.counts import MAX_RANK, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import Experiment
from distmarl.model.random_streams import Seed, evaluation_seed, training_seed
from distmarl.study.foreign import ForeignPair


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A setting with its game.

    Attributes
    ----------
    sweep : str
        Name of the sweep.
    setting_id : str
        Hash of ``content``.
    setting : Setting
        The options of the setting.
    experiment : Experiment
        What the sweep asks for of each setting.
    environment : Environment
        The game, as tables, so that no worker needs the code that made it.
    content : dict
        Everything that the setting is, as plain data.
    policies : mapping
        Pairs of policies from elsewhere, by their names in the sweep file and by k.
    """

    sweep: str
    setting_id: str
    setting: Setting
    experiment: Experiment
    environment: Environment
    content: dict[str, Any]
    policies: Mapping[str, Mapping[int, ForeignPair]] = field(default_factory=dict)

    @property
    def starts(self) -> list[str]:
        """Names of the local policies that the alternations start from."""
        names: list[str] = self.content["starts"]["names"]
        return names

    def training_seed(self, train_seed: int) -> Seed:
        """Return the root of the random streams of a training."""
        return training_seed(self.setting.seed, train_seed)

    def evaluation_seed(self, train_seed: int, number: int) -> Seed:
        """Return the root of the random streams of one of a training's evaluation seeds."""
        return evaluation_seed(self.setting.seed, train_seed, number)

    def n_count_vectors(self, k: int) -> int:
        """Return the number C of count vectors of k agents that are seen, by their classes."""
        return n_count_vectors(k, self.environment.n_classes)

    def n_populations(self, n_agents: int) -> int:
        """Return the number of count vectors of so many agents, by their states; a large one where there are more."""
        n_others = self.environment.n_local_states - 1
        return min(math.comb(n_agents + n_others, n_others), MAX_RANK)
