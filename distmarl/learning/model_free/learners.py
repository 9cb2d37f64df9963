"""The learners by name: independent Q-learning, and Q-learning in the game of the k agents that are seen.

Both are tabular and model-free: they know the sizes of the game, play it, and see what each agent earns. The global
agent learns what each action is worth in (s_g, z), by the system's reward; the local agents share one table of what
each action is worth in (s_g, s_l), by a local agent's own reward, as L-LEARN does.

- ``independent_q`` plays the game of all n agents, from its start on (Tan, 1993; Claus and Boutilier, 1998).
- ``subsampled_q`` takes from SUBSAMPLE-MFQ (arXiv 2412.00661, after arXiv 2403.00222) that k agents stand for all n,
  and that the game can be set to any state: it plays the game of k agents, all seen, from states drawn uniformly. There
  the local agents see one another, and the table is over their joint actions, too. Here they see (s_g, s_l) alone, as
  in arXiv 2603.03759: so each learns for itself. That is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distmarl.dynamics.rollouts import initial_states
from distmarl.errors import InvalidArgumentError
from distmarl.learning.model_free.playing import Players, QLearningResult, Start, n_parallel, samples_per_step
from distmarl.model.arrays import Array, GlobalPolicy, Ints
from distmarl.model.checks import checked_integer, checked_number
from distmarl.model.counts import MAX_COUNT_VECTORS, n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import Experiment, LearnerName
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy
from distmarl.model.random_streams import Role, Seed, random_stream

EPSILON, N_SAMPLES = 0.1, Experiment.baseline_samples[0]


def _anywhere(env: Environment, n_rollouts: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw states and populations, all count vectors alike."""
    shares = rng.dirichlet(np.ones(env.n_local_states), size=n_rollouts)
    return rng.integers(env.n_global_states, size=n_rollouts), rng.multinomial(env.n_agents, shares)


@dataclass(frozen=True, slots=True)
class Learner:
    """What tells a learner from the others.

    Attributes
    ----------
    number : int
        Names its random stream: part of every result, so it never changes.
    plays_k : bool
        Whether it plays the game of the k agents that are seen, instead of that of all n.
    start : callable
        Draws the first states of its rollouts.
    horizon : int
        Steps of a rollout.
    """

    number: int
    plays_k: bool
    start: Start
    horizon: int

    def n_agents(self, env: Environment, k: int) -> int:
        """Return how many local agents its game has."""
        return k if self.plays_k else env.n_agents


LEARNERS: dict[LearnerName, Learner] = {
    "independent_q": Learner(0, plays_k=False, start=initial_states, horizon=50),
    "subsampled_q": Learner(1, plays_k=True, start=_anywhere, horizon=10),
}


def independent_q(
    env: Environment,
    *,
    k: int,
    n_samples: int = N_SAMPLES,
    epsilon: float = EPSILON,
    horizon: int = LEARNERS["independent_q"].horizon,
    global_policy: ArrayLike | None = None,
    local_policy: ArrayLike | None = None,
    seed: Seed = 0,
) -> QLearningResult:
    """Let the global agent and the local agents learn by playing, each for itself.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    n_samples : int
        Draws of an agent's next state, at most. A step of a rollout takes n + 1; some rollouts advance side by side.
    epsilon : float
        Least probability with which an action is drawn uniformly, from 0 to 1; what was met N times is explored with
        1 / sqrt(N + 1), if that is more.
    horizon : int
        Steps of a rollout, after which the game starts anew. Values are over all steps to come nevertheless.
    global_policy : array_like of int, shape (G, C), optional
        A global policy that is played as it is: then only the local agents learn.
    local_policy : array_like, shape (G, L, A_l), optional
        A local policy that is played as it is: then only the global agent learns.
    seed : int or sequence of int
        Root of the random streams.

    Returns
    -------
    QLearningResult
        Policies and learnt values, without a certificate: two that learn at once need not get anywhere.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, or ``n_samples`` is less than a step takes.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> found = dm.independent_q(env, k=2, n_samples=20_000, seed=0)
    >>> found.global_policy.shape, found.local_policy.shape, found.n_samples
    ((5, 15), (5, 5, 3), 19800)
    >>> value = dm.evaluate(env, found.global_policy, found.local_policy, k=2)
    """
    given: dict[str, Any] = {"epsilon": epsilon, "horizon": horizon}
    given |= {"global_policy": global_policy, "local_policy": local_policy}
    (result,) = learn(env, "independent_q", k=k, budgets=[n_samples], seed=seed, **given)
    return result


def subsampled_q(
    env: Environment,
    *,
    k: int,
    n_samples: int = N_SAMPLES,
    epsilon: float = EPSILON,
    horizon: int = LEARNERS["subsampled_q"].horizon,
    global_policy: ArrayLike | None = None,
    local_policy: ArrayLike | None = None,
    seed: Seed = 0,
) -> QLearningResult:
    """Let both learn in the game of the k agents that are seen, from states drawn uniformly.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``: the agents of the game that is played.
    n_samples : int
        Draws of an agent's next state, at most. A step of a rollout takes k + 1; some rollouts advance side by side.
    epsilon : float
        Least probability with which an action is drawn uniformly, from 0 to 1; what was met N times is explored with
        1 / sqrt(N + 1), if that is more.
    horizon : int
        Steps of a rollout, after which the game is set to other states. Values are over all steps to come nevertheless.
    global_policy : array_like of int, shape (G, C), optional
        A global policy that is played as it is: then only the local agents learn.
    local_policy : array_like, shape (G, L, A_l), optional
        A local policy that is played as it is: then only the global agent learns, in the surrogate game of G-LEARN.
    seed : int or sequence of int
        Root of the random streams.

    Returns
    -------
    QLearningResult
        Policies and learnt values, without a certificate: two that learn at once need not get anywhere.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, or ``n_samples`` is less than a step takes.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10**6)
    >>> found = dm.subsampled_q(env, k=2, n_samples=20_000, seed=0)
    >>> found.global_policy.shape, found.n_samples
    ((5, 15), 19920)
    """
    given: dict[str, Any] = {"epsilon": epsilon, "horizon": horizon}
    given |= {"global_policy": global_policy, "local_policy": local_policy}
    (result,) = learn(env, "subsampled_q", k=k, budgets=[n_samples], seed=seed, **given)
    return result


def learn(
    env: Environment,
    name: LearnerName,
    *,
    k: int,
    budgets: Sequence[int],
    seed: Seed,
    epsilon: float = EPSILON,
    horizon: int | None = None,
    global_policy: ArrayLike | None = None,
    local_policy: ArrayLike | None = None,
) -> Iterator[QLearningResult]:
    """Yield what a learner has learnt at each of some increasing budgets of samples, which one run passes through."""
    k, learner = checked_k(env, k), LEARNERS[name]
    check_budget(env, name, k=k, n_samples=budgets[0])
    if not 0 <= checked_number("epsilon", epsilon) <= 1:
        raise InvalidArgumentError(f"epsilon: must be from 0 to 1, got {epsilon}")
    fixed_global: GlobalPolicy | None = None if global_policy is None else checked_global_policy(env, global_policy, k)
    fixed_local: Array | None = None if local_policy is None else checked_local_policy(env, local_policy)
    if fixed_global is not None and fixed_local is not None:
        raise InvalidArgumentError("local_policy: with global_policy given, too, nobody learns; leave one of them out")
    yield from Players(
        replace(env, n_agents=learner.n_agents(env, k)),
        k=k,
        epsilon=float(epsilon),
        start=learner.start,
        horizon=learner.horizon if horizon is None else checked_integer("horizon", horizon),
        rng=random_stream(seed, Role.LEARNER, learner.number, k),
        global_policy=fixed_global,
        local_policy=fixed_local,
    ).play(budgets)


def check_budget(env: Environment, name: LearnerName, *, k: int, n_samples: int) -> None:
    """Raise InvalidArgumentError where a budget is less than a step takes, or the table would be too large."""
    n_agents = LEARNERS[name].n_agents(env, k)
    least = samples_per_step(n_agents)
    if checked_integer("n_samples", n_samples) < least:
        rollouts = f"{n_parallel(n_agents):,} rollouts with {n_agents:,} local agents"
        raise InvalidArgumentError(f"n_samples: must be at least {least:,}, a step of {rollouts}, got {n_samples:,}")
    if n_count_vectors(k, env.n_classes) > MAX_COUNT_VECTORS:
        raise InvalidArgumentError(
            f"k: {k} agents have more than {MAX_COUNT_VECTORS:,} count vectors; choose a smaller k"
        )


def table_bytes(env: Environment, *, k: int) -> int:
    """Return about how much memory a learner takes, in bytes."""
    n_entries = env.n_global_states * n_count_vectors(k, env.n_classes) * env.n_global_actions
    return 8 * 5 * n_entries
