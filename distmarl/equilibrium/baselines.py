"""What a trained pair is compared with.

- ``random``: the global action is drawn uniformly, and so are the local actions;
- ``fixed_action``: the best global action that is always the same, against the shared local policy;
- ``full_information``: the best global policy that sees all n agents and their local states, also where others see
  classes of these, against the shared local policy;
- ``no_local_update``: the local agents act uniformly, and the global policy is the best answer to that;
- ``blind``: the best pair whose global agent sees nobody (:mod:`distmarl.learning.best.blind`). Whatever is worth
  less is not worth its observations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from distmarl.dynamics.rollouts import run_seeds
from distmarl.learning.best.blind import blind_pair, law_return
from distmarl.learning.g_learn import learn_global
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.environment import Environment
from distmarl.model.options import Evaluation, EvaluationMethod, Experiment, GlobalAgent, LevelName
from distmarl.model.policies import uniform_local_policy
from distmarl.model.random_streams import Role, Seed
from distmarl.values.exact_return import ExactReturn, exact_return
from distmarl.values.intervals import estimate_mean

ValueMethod: TypeAlias = Literal["rollouts", "exact"]

# Rollouts for each action, to find the best one; other rollouts tell what it is worth.
N_TRIALS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class BaselinePair:
    """A pair of policies to compare with.

    Attributes
    ----------
    global_policy : ndarray
        pi_g over the count vectors of ``k`` agents, (G, C) ints; for k = 0 the law of the global action, (G, A_g).
    local_policy : ndarray, shape (G, L, A_l)
        pi_l.
    k : int
        Number of agents that the global agent sees, 0 for none.
    converged : bool
        Whether G-LEARN, if it was needed, reached its threshold.
    sees_states : bool
        Whether the global agent sees local states even where others see classes of them.
    """

    global_policy: GlobalPolicy | Array
    local_policy: Array
    k: int
    converged: bool = True
    sees_states: bool = False

    def game(self, env: Environment) -> Environment:
        """Return the game that it is played in."""
        return env.with_states_seen() if self.sees_states else env


@dataclass(frozen=True, slots=True)
class BaselineValue:
    """What a baseline is worth: columns of the table ``baselines``.

    Attributes
    ----------
    method : {"rollouts", "exact"}
        How it was found.
    n_agents, horizon : int
        Number of local agents, and of steps.
    value : float
        Mean discounted return.
    error : float
        Standard error of the mean, or the certified bound of an exact value; NaN for a single rollout.
    n_rollouts : int
        Rollouts in all; 0 for an exact value.
    converged : bool
        Whether the pair's training, if it needed any, reached its threshold.
    """

    method: ValueMethod
    n_agents: int
    horizon: int
    value: float
    error: float
    n_rollouts: int
    converged: bool


def level_names(experiment: Experiment) -> list[LevelName]:
    """Return the baselines of ``experiment.baselines`` that are evaluated once: all but the learners."""
    return [level for name in experiment.baselines for level in get_args(LevelName) if level == name]


def methods(method: EvaluationMethod) -> tuple[ValueMethod, ...]:
    """Return the ways in which ``evaluation.method`` asks for values."""
    return ("rollouts", "exact") if method == "both" else (method,)


def baseline_pair(
    env: Environment,
    local_policy: Array,
    name: LevelName,
    *,
    k: int,
    evaluation: Evaluation,
    seed: Seed,
    global_agent: GlobalAgent,
) -> BaselinePair:
    """Return the policies of a baseline.

    Parameters
    ----------
    env, local_policy
        The game, and the shared local policy.
    name : {"random", "fixed_action", "full_information", "no_local_update", "blind"}
        Which baseline.
    k : int
        Number of agents that ``no_local_update`` sees.
    evaluation : Evaluation
        ``fixed_action`` is the best over its horizon: exactly, unless its method is rollouts alone.
    seed : int or sequence of int
        Root of the random streams.
    global_agent : GlobalAgent
        Options of G-LEARN for ``no_local_update``. ``full_information`` uses exact transitions.
    """
    uniform = uniform_local_policy(env)
    if name == "random":
        return BaselinePair(_law(env, np.full(env.n_global_actions, 1 / env.n_global_actions)), uniform, 0)
    if name == "blind":
        blind = blind_pair(env)
        return BaselinePair(np.eye(env.n_global_actions)[blind.global_actions], blind.local_policy, 0)
    if name == "fixed_action":
        pairs = [BaselinePair(_law(env, row), local_policy, 0) for row in np.eye(env.n_global_actions)]
        horizon = evaluation.horizon
        if evaluation.method == "rollouts":
            trials = [_returns(env, pair, N_TRIALS, horizon, [seed], Role.BASELINE).mean() for pair in pairs]
        else:
            tolerance = global_agent.convergence_threshold
            trials = [_exact_value(env, pair, horizon, tolerance).value for pair in pairs]
        return pairs[int(np.argmax(trials))]
    everyone = name == "full_information"
    against, n_seen = (local_policy, env.n_agents) if everyone else (uniform, k)
    options = replace(global_agent, transitions="exact") if everyone else global_agent
    game = env.with_states_seen() if everyone else env
    found = learn_global(game, against, k=n_seen, options=options, seed=seed)
    return BaselinePair(found.policy, against, n_seen, found.converged, sees_states=everyone)


def evaluate_baseline(
    env: Environment,
    pair: BaselinePair,
    *,
    evaluation: Evaluation,
    seeds: Sequence[Seed],
    tolerance: float,
) -> Iterator[BaselineValue]:
    """Yield what a baseline is worth, in each of the ways that ``evaluation.method`` asks for.

    Where the global agent sees nobody, the exact value is among them, as it takes no time for any number of agents.
    The seeds are those of the pairs that it is compared with, for the same initial states. An exact value may have a
    certified error of ``tolerance``.
    """
    horizon = evaluation.horizon
    ways = methods(evaluation.method if pair.k or evaluation.method == "exact" else "both")
    for way in ways:
        if way == "exact":
            exact = _exact_value(env, pair, horizon, tolerance)
            yield BaselineValue(way, env.n_agents, horizon, exact.value, exact.bound, 0, pair.converged)
            continue
        found = estimate_mean(_returns(env, pair, evaluation.n_rollouts, horizon, seeds, Role.EVALUATION))
        yield BaselineValue(way, env.n_agents, horizon, found.mean, found.standard_error, found.n, pair.converged)


def _law(env: Environment, probabilities: Array) -> Array:
    """Return the law of a global action that depends on nothing, (G, A_g)."""
    return np.tile(probabilities, (env.n_global_states, 1))


def _returns(
    env: Environment, pair: BaselinePair, n_rollouts: int, horizon: int, seeds: Sequence[Seed], role: Role
) -> Array:
    found = run_seeds(
        pair.game(env),
        pair.global_policy,
        pair.local_policy,
        k=pair.k,
        n_rollouts=n_rollouts,
        horizon=horizon,
        seeds=seeds,
        role=role,
    )
    return np.concatenate([rollouts.returns for rollouts in found])


def _exact_value(env: Environment, pair: BaselinePair, horizon: int, tolerance: float) -> ExactReturn:
    if not pair.k:
        return law_return(env, np.asarray(pair.global_policy, dtype=np.float64), pair.local_policy, horizon=horizon)
    return exact_return(
        pair.game(env), pair.global_policy, pair.local_policy, k=pair.k, horizon=horizon, tolerance=tolerance
    )
