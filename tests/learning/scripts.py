"""Best responses and joint values that are read from a script, to test what is made of them."""

from __future__ import annotations

import math

import numpy as np

from distmarl.learning.g_learn import GLearnResult
from distmarl.learning.l_learn import LLearnResult
from distmarl.learning.mean_field import MeanField
from distmarl.learning.proposals import propose
from distmarl.model.options import Alternating


def global_response(policy, number=0):
    return GLearnResult(np.array(policy), np.array(100 + number), 10 + number, 1e-7, True, "factored")


def local_response(policy, number=0):
    return LLearnResult(np.array(policy), np.zeros(1), 20 + number, 1e-8, False, MeanField(np.ones(1), 2, 3))


class Script:
    """Best responses that only count, and joint values that are read from a list.

    Proposal i is the pair (i, i + 0.5); what each response was given is recorded.
    """

    def __init__(self, values):
        self.values = values
        self.given = []

    def respond_globally(self, local_policy, *, initial_value=None):
        number = len(self.given)
        self.given.append((float(local_policy), initial_value))
        return global_response(number, number)

    def respond_locally(self, global_policy, local_policy):
        # Responds to the proposed global policy, and to the population that it was found against.
        assert float(local_policy) == self.given[-1][0]
        return local_response(global_policy + 0.5, int(global_policy))

    def joint_value(self, global_policy, local_policy):
        assert float(local_policy) == global_policy + 0.5
        return self.values[int(global_policy)]

    def run(self, n_outer_iterations=10, convergence_rtol=0.01):
        proposals = propose(
            np.array(-1.0),
            self.respond_globally,
            self.respond_locally,
            self.joint_value,
            Alternating(n_outer_iterations=n_outer_iterations, convergence_rtol=convergence_rtol),
        )
        return list(proposals)


class Game:
    """A game in three tables: global responses to local policies, local ones to pairs, and values of pairs.

    Policies are the indices of the tables; local policy 0 is the first.
    """

    def __init__(self, globally, locally, values):
        self.globally, self.locally, self.values = globally, locally, values

    def respond_globally(self, local_policy, **_):
        return global_response(self.globally[int(local_policy)])

    def respond_locally(self, global_policy, local_policy):
        return local_response(self.locally[int(global_policy)][int(local_policy)])

    def joint_value(self, global_policy, local_policy):
        return float(self.values[int(global_policy)][int(local_policy)])

    def run(self, update, n_outer_iterations=100, convergence_rtol=0.0):
        proposals = propose(
            np.array(0),
            self.respond_globally,
            self.respond_locally,
            self.joint_value,
            Alternating(update=update, n_outer_iterations=n_outer_iterations, convergence_rtol=convergence_rtol),
        )
        return list(proposals)

    def run_on(self, update, n_rounds, convergence_rtol=0.0):
        """Propose, and keep or reject, for whole rounds whatever comes of it; return the pair kept in each round."""
        pair, best_value, kept = (None, 0), -math.inf, []

        def better(*proposed):
            nonlocal best_value
            value = self.values[proposed[0]][proposed[1]]
            accepted = best_value == -math.inf or value >= best_value - convergence_rtol * abs(best_value)
            best_value = max(best_value, value)
            return proposed if accepted else pair

        for _ in range(n_rounds):
            answer = self.globally[pair[1]]
            if update == "pair":
                pair = better(answer, self.locally[answer][pair[1]])
            else:
                pair = better(answer, pair[1])
                pair = better(pair[0], self.locally[pair[0]][pair[1]])
            kept.append(pair)
        return kept, best_value
