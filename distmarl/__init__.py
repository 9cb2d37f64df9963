"""distmarl: approximate Nash equilibria of a global agent and n local agents, of which it sees k.

The names below are the notebook API. ``python -m distmarl`` lists the commands.
"""

from __future__ import annotations

from distmarl import search_path as search_path  # before all others

# isort: split
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from distmarl.adapters.making import gym_env, gym_vector_env, parallel_env
from distmarl.adapters.tabulating import tabulate_policy
from distmarl.equilibrium.ceilings.value_bound import ValueBound, value_bound
from distmarl.equilibrium.nash_gap import NashGap, nash_gap
from distmarl.equilibrium.quantity import Quantity
from distmarl.equilibrium.welfare import Welfare, best_welfare
from distmarl.errors import DistmarlError
from distmarl.games.lookup import game
from distmarl.games.robots import robots
from distmarl.learning.alternating import AlternatingResult
from distmarl.learning.best.answers import BestAnswer, best_answer
from distmarl.learning.best.pairs import BestPair, best_pair
from distmarl.learning.g_learn import GLearnResult, g_learn
from distmarl.learning.l_learn import LLearnResult, l_learn
from distmarl.learning.model_free.learners import independent_q, subsampled_q
from distmarl.learning.model_free.playing import QLearningResult
from distmarl.learning.training import train_alternating
from distmarl.model.composing import compose
from distmarl.model.continuous.grid import Grid
from distmarl.model.continuous.pair import ContinuousPair
from distmarl.model.continuous.tabulate import Tabulated, tabulate
from distmarl.model.counts import count_vectors, rank
from distmarl.model.environment import Environment
from distmarl.model.policies import uniform_local_policy
from distmarl.values.evaluate import EvaluationResult, evaluate
from distmarl.values.exact_return import ExactReturn, exact_return
from distmarl.values.intervals import MeanEstimate, estimate_difference, estimate_mean
from distmarl.values.rates import Rate, fit_rate, subsampling_bound
from distmarl.values.sampling_error import SamplingError, sampling_error
from distmarl.version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame

    from distmarl import figures as figures
    from distmarl.notebook import Results

__all__ = [
    "AlternatingResult",
    "BestAnswer",
    "BestPair",
    "ContinuousPair",
    "DistmarlError",
    "Environment",
    "EvaluationResult",
    "ExactReturn",
    "GLearnResult",
    "Grid",
    "LLearnResult",
    "MeanEstimate",
    "NashGap",
    "QLearningResult",
    "Quantity",
    "Rate",
    "SamplingError",
    "Tabulated",
    "ValueBound",
    "Welfare",
    "__version__",
    "best_answer",
    "best_pair",
    "best_welfare",
    "compose",
    "count_vectors",
    "estimate_difference",
    "estimate_mean",
    "evaluate",
    "exact_return",
    "fit_rate",
    "g_learn",
    "game",
    "gym_env",
    "gym_vector_env",
    "independent_q",
    "l_learn",
    "nash_gap",
    "parallel_env",
    "rank",
    "robots",
    "sampling_error",
    "subsampled_q",
    "subsampling_bound",
    "tabulate",
    "tabulate_policy",
    "train_alternating",
    "uniform_local_policy",
    "value_bound",
]


def open(folder: str | Path) -> Results:  # noqa: A001  # read as dm.open; not in __all__, since it would hide Python's
    """Open the results folder of a sweep, finished or not.

    Parameters
    ----------
    folder : str or Path
        The results folder: a path, or a URI such as s3://bucket/name.

    Returns
    -------
    Results
        Its tables as pandas frames, its figures, its policies and its games.

    Raises
    ------
    ResultsError
        When there is no such folder, it is not a sweep's, or it is of another schema version.
    ConfigError
        When its sweep file cannot be read.

    Examples
    --------
    What the report shows of the sweep ``tiny``, and the pair at k = 3 among more agents than it was trained for:

    >>> import distmarl as dm
    >>> r = dm.open("results/tiny")
    >>> r.points()["k"].tolist()
    [1, 3]
    >>> crowd = r.environment(n_agents=100)
    >>> dm.evaluate(crowd, r.global_policy(3), r.local_policy(), k=3, n_rollouts=20).returns.shape
    (20,)
    """
    from distmarl.notebook import open_folder  # and with it pandas, which importing distmarl need not wait for

    return open_folder(folder)


def compare(
    results: Results, a: str | Mapping[str, Any], b: str | Mapping[str, Any], *, k: int | None = None
) -> DataFrame:
    """Compare what two settings of a sweep earn, over their trainings (``experiment.n_train_seeds``).

    Parameters
    ----------
    results : Results
        What :func:`open` returns.
    a, b : str or mapping
        Ids, labels or grid values of the two settings, as ``{"policy": "greedy"}``.
    k : int, optional
        Number of local agents that the global agent sees; all that both settings have by default.

    Returns
    -------
    DataFrame
        A row for each k, with

        - ``n_a``, ``n_b``: how many trainings are compared;
        - ``mean_a``, ``mean_b``, ``difference`` (reward): their means, and that of ``a`` less that of ``b``;
        - ``ci95_low``, ``ci95_high`` (reward): the difference's 95 % interval, Student's t over pairs of trainings
          where the training seeds are common (``is_paired``), else Welch's; NaN for a single training;
        - ``probability``: that one training of ``a`` earns more than one of ``b`` (ties count half), and its 95 %
          interval, ``probability_ci95_low`` and ``probability_ci95_high`` (Newcombe's).

    Raises
    ------
    InvalidArgumentError
        When a setting is not clear, or the two have no such k in common.
    ResultsError
        When nothing has been evaluated yet.

    Examples
    --------
    For a grid over ``local_agent.policy``:

    >>> import distmarl as dm
    >>> r = dm.open("results/grid")
    >>> found = dm.compare(r, {"policy": "greedy"}, {"policy": "softmax"}, k=3)
    >>> found[["n_a", "is_paired"]].to_dict("records")
    [{'n_a': 3, 'is_paired': True}]
    """
    from distmarl.notebook import compare_settings

    return compare_settings(results, a, b, k=k)


def __getattr__(name: str) -> ModuleType:
    if name == "figures":  # and with it matplotlib, which importing distmarl need not wait for
        return importlib.import_module("distmarl.figures")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "compare", "figures", "open"]
