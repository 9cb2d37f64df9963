"""What the softmax of the local agents costs in a game, told before anything is trained.

The temperature of the softmax has a minimum in units of reward. Where rewards are small, that minimum decides, and the
softmax hardly prefers anything. How bad it is shows against a global agent that sees nobody: there values are exact
and take no time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distmarl.learning.best.blind import blind_answer, blind_return, law_return, simple_actions
from distmarl.learning.l_learn import learn_local
from distmarl.model.environment import Environment
from distmarl.model.options import LocalAgent
from distmarl.model.policies import uniform_local_policy

# The minimum is told of where it decides in so large a share of (s_g, s_l) and the softmax gives away so large a share
# of what the greedy policy earns more than random actions: wherever rewards have their zero, that is the same.
MOST, NOTABLE_GAIN = 0.5, 0.1


@dataclass(frozen=True, slots=True)
class SoftmaxPreview:
    """What the softmax earns against the best of the simplest global agents that see nobody.

    Attributes
    ----------
    minimum_share : float
        Share of (s_g, s_l) at which it has its minimum temperature.
    value, greedy_value : float
        What it earns over all steps, and what the greedy policy does.
    random_value : float
        What uniform actions of everybody earn.
    """

    minimum_share: float
    value: float
    greedy_value: float
    random_value: float

    @property
    def is_notable(self) -> bool:
        """Whether the minimum decides, and costs much."""
        costs_much = self.greedy_value - self.value > NOTABLE_GAIN * abs(self.greedy_value - self.random_value)
        return self.minimum_share >= MOST and costs_much


def preview_softmax(env: Environment, options: LocalAgent) -> SoftmaxPreview:
    """Return what the softmax costs."""
    every = simple_actions(env)
    worths = [blind_return(env, actions, blind_answer(env, actions)).value for actions in every]
    actions = every[int(np.argmax(worths))]
    seeing_one = np.repeat(actions[:, None], env.n_classes, axis=1)
    found = learn_local(env, seeing_one, uniform_local_policy(env), k=1, options=options)
    value = blind_return(env, actions, found.policy).value
    law = np.full((env.n_global_states, env.n_global_actions), 1 / env.n_global_actions)
    at_random = law_return(env, law, uniform_local_policy(env)).value
    return SoftmaxPreview(found.minimum_share, value, max(worths), at_random)
