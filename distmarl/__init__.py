"""distmarl: approximate Nash equilibria of a global agent and n local agents, of which it sees k.

The names below are the notebook API; ``python -m distmarl.sweep`` and
``python -m distmarl.report`` are the commands.
"""

from __future__ import annotations

from distmarl.environments.robots import robots
from distmarl.errors import DistmarlError
from distmarl.evaluation.evaluate import EvaluationResult, evaluate
from distmarl.evaluation.intervals import MeanEstimate, estimate_difference, estimate_mean
from distmarl.evaluation.nash_gap import NashGap, nash_gap
from distmarl.evaluation.quantity import Quantity
from distmarl.learning.alternating import AlternatingResult, train_alternating
from distmarl.learning.exact_return import ExactReturn, exact_return
from distmarl.learning.g_learn import GLearnResult, g_learn
from distmarl.learning.l_learn import LLearnResult, l_learn
from distmarl.model.counts import count_vectors, rank
from distmarl.model.environment import Environment
from distmarl.model.policies import uniform_local_policy

__version__ = "0.1.0"

__all__ = [
    "AlternatingResult",
    "DistmarlError",
    "Environment",
    "EvaluationResult",
    "ExactReturn",
    "GLearnResult",
    "LLearnResult",
    "MeanEstimate",
    "NashGap",
    "Quantity",
    "__version__",
    "count_vectors",
    "estimate_difference",
    "estimate_mean",
    "evaluate",
    "exact_return",
    "g_learn",
    "l_learn",
    "nash_gap",
    "rank",
    "robots",
    "train_alternating",
    "uniform_local_policy",
]
