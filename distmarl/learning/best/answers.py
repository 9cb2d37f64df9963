"""The best of several answers of the global agent to a local policy, and the local policy with the best of answers.

A global agent that sees k < n agents solves a partially observed problem. These are candidates:

- ``surrogate``: G-LEARN's policy at k, which takes the k agents seen for the whole population;
- ``averaged``: policies by the action values of one that sees more (:mod:`distmarl.learning.best.averages`);
- ``blind``: a policy that ignores what it sees, the best of all constant actions, ``stay`` and the best blind pair's
  (:mod:`distmarl.learning.best.blind`).

What they earn in the n-agent game decides (:mod:`distmarl.learning.best.choice`). For a local policy pi_l, the start
value V*_m(pi_l) of G-LEARN's exact surrogate game of m <= n agents bounds from above what *any* global policy earns
that sees k <= m agents or any number of them: the return of n agents is the mean over all groups of m agents, and
a controller of one group may simulate the others. So local policies are looked at in the order of that bound, and
those that cannot win are passed over.

Where the global agent sees classes of local states, the value of the game of classes
(:mod:`distmarl.learning.aggregation`) is an estimate and bounds nothing. It gives an order all the same: the first few
local policies are looked at, the others are passed over. Where more agents are seen than the bounds' games have, local
policies are chosen among by what they earn with global agents that see as many as these, and then answered.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.learning.aggregation import game_of_classes
from distmarl.learning.best.averages import (
    averaged_answers,
    distinct,
    mean_field_given_global,
    solve_surrogate,
    surrogate_bytes,
)
from distmarl.learning.best.blind import blind_pair, blind_return, simple_actions
from distmarl.learning.best.choice import AnswerKind, Candidate, Contest, Worth, accuracy, contest_bytes
from distmarl.learning.g_learn import COARSE_K, GLearnResult, coarse_accuracy, estimated_bytes, learn_global
from distmarl.learning.surrogate_game import action_type
from distmarl.model.arrays import Array, GlobalPolicy, Ints, read_only
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import AnswerOption, GlobalAgent
from distmarl.model.policies import checked_k, checked_local_policy, uniform_local_policy
from distmarl.model.random_streams import Role, Seed, random_stream
from distmarl.values.exact_return import PopulationValue, expected_at_start
from distmarl.values.value_iteration import MAX_ITERATIONS

# Agents of the game whose action values are averaged, at most, and of the bounds.
MAX_SEEN = 14
# States (s_g, z) that this game may have; where there are more local states, it has fewer agents.
MAX_STATES = 200_000
# Local policies that are looked at where nothing bounds what they are worth.
MAX_LOOKED_AT = 4


@dataclass(frozen=True, slots=True, eq=False)
class BestAnswer:
    """The best answer found to a local policy.

    Attributes
    ----------
    policy : ndarray of int, shape (G, C)
        pi_g over the count vectors of k agents.
    value : float
        What the pair earns over all steps: exactly or, where there are too many populations, the mean of rollouts,
        which leave out the last steps, whose weights sum to less than 0.01 % of all.
    error : float
        Certified error of an exact value, or standard error of the mean.
    method : {"exact", "rollouts"}
        How the value was found.
    answer : {"surrogate", "averaged", "blind"}
        Where the policy comes from.
    """

    policy: GlobalPolicy = field(repr=False)
    value: float
    error: float
    method: str
    answer: AnswerKind


def best_answer(env: Environment, local_policy: ArrayLike, *, k: int, seed: Seed = 0) -> BestAnswer:
    """Find the best answer of a global agent that sees k agents to ``local_policy``.

    Parameters
    ----------
    env : Environment
        The game.
    local_policy : array_like, shape (G, L, A_l)
        pi_l of all local agents.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    seed : int or sequence of int
        Root of the random streams of rollouts, where populations are too many to value every answer exactly.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape, or exact transitions lose too many digits.

    Examples
    --------
    Seeing one of ten robots, it is better not to react to it:

    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> best = dm.best_answer(env, dm.uniform_local_policy(env), k=1)
    >>> found = dm.g_learn(env, dm.uniform_local_policy(env), k=1, transitions="exact")
    >>> best.value >= dm.exact_return(env, found.policy, dm.uniform_local_policy(env), k=1).value - best.error
    True
    """
    k = checked_k(env, k)
    policy = checked_local_policy(env, local_policy)
    chosen = choose(env, [policy], k=k, seed=seed)
    return BestAnswer(
        read_only(chosen.global_policy), chosen.worth.value, chosen.worth.error, chosen.worth.method, chosen.answer
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What a choice among local policies found out about one of them.

    Attributes
    ----------
    bound : float
        No answer to it earns more; infinite where it is not known.
    is_skipped : bool
        Whether that was less than what another one earns or, where no bound is known, whether others promised more.
    """

    bound: float
    is_skipped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The best of several local policies, with its answer.

    Attributes
    ----------
    number : int
        Which local policy it is.
    global_policy, local_policy : ndarray
        The pair.
    answer : {"surrogate", "averaged", "blind"}
        Where the global policy comes from.
    worth : Worth
        What the pair earns.
    looks : list of Look
        What was found out about each local policy.
    surrogate : GLearnResult or None
        What G-LEARN found at k, where there is a single local policy.
    """

    number: int
    global_policy: GlobalPolicy
    local_policy: Array
    answer: AnswerKind
    worth: Worth
    looks: list[Look] = field(repr=False)
    surrogate: GLearnResult | None = field(repr=False)


def choose(
    env: Environment,
    local_policies: Sequence[Array],
    *,
    k: int,
    seed: Seed,
    answer: AnswerOption = "best",
    options: GlobalAgent | None = None,
    n_threads: int = 1,
) -> Choice:
    """Return the local policy that earns most with its answer by a global agent that sees k agents.

    Parameters
    ----------
    env, local_policies, k, seed
        The game, what to choose from, the agents seen, and the root of random streams.
    answer : {"surrogate", "best"}
        Whether the answer is G-LEARN's at k, or the best of all candidates.
    options : GlobalAgent, optional
        Options of G-LEARN at k; exact transitions by default.
    n_threads : int
        Threads for G-LEARN.
    """
    random_stream(seed, Role.CHOICE)  # refuses what is no seed
    options = exact_options(env) if options is None else options
    several, size, contest = len(local_policies) > 1, larger_size(env), Contest(env, k=k, seed=seed)
    if several and k > size and not env.sees_states:
        again = functools.partial(choose, env, seed=seed, answer=answer, options=options, n_threads=n_threads)
        first = again(local_policies, k=size)
        chosen = again([first.local_policy], k=k)
        return replace(chosen, number=first.number, looks=first.looks, surrogate=None)
    needs_larger = several or (answer == "best" and k < size)
    larger = [solve_larger(env, policy, size) if needs_larger else None for policy in local_policies]
    promised = [math.inf if found is None else start_value(env, found, size) for found in larger]
    bounds = promised if env.sees_states else [math.inf] * len(promised)
    looks = [Look(bound, True) for bound in bounds]
    surrogate: GLearnResult | None = None
    if answer == "best":
        every = _blind_actions(env)
        for number, policy in enumerate(local_policies):
            contest.enter([Candidate("blind", _best_blind(env, every, policy, k), policy, number)])
    most = len(bounds) if env.sees_states else MAX_LOOKED_AT
    for number in sorted(range(len(bounds)), key=lambda each: -promised[each])[:most]:
        policy, bound = local_policies[number], bounds[number]
        if bound < contest.sure_value:
            break
        found = learn_global(env, policy, k=k, options=options, seed=seed, n_threads=n_threads)
        if not several:
            surrogate = found
        if options.transitions == "exact" and env.sees_states:
            bound = min(bound, start_value(env, found, k))
        looks[number] = Look(bound, is_skipped=bound < contest.sure_value)
        if looks[number].is_skipped:
            continue
        policies = [found.policy]
        if answer == "best":
            policies += _averaged(env, policy, found.policy, larger[number], k=k, size=size)
        names: list[AnswerKind] = ["surrogate"]
        names += ["averaged"] * len(policies)
        contest.enter(
            [Candidate(name, each, policy, number) for name, each in zip(names, distinct(policies), strict=False)]
        )
    best, worth = contest.winner()
    return Choice(best.owner, best.global_policy, best.local_policy, best.answer, worth, looks, surrogate)


def exact_options(env: Environment) -> GlobalAgent:
    """Return options of G-LEARN with exact transitions, as precise as values in a choice."""
    return GlobalAgent(
        transitions="exact", convergence_threshold=surrogate_accuracy(env), max_vi_iterations=MAX_ITERATIONS
    )


def surrogate_accuracy(env: Environment) -> float:
    """Return the certified error of surrogate games in a choice: that of values, or what fits a game of classes."""
    return accuracy(env) if env.sees_states else coarse_accuracy(env)


def larger_size(env: Environment) -> int:
    """Return how many agents the surrogate games have by which local policies are bounded and answers averaged."""
    size = min(env.n_agents, MAX_SEEN if env.sees_states else COARSE_K)
    while size > 1 and env.n_global_states * n_count_vectors(size, env.n_classes) > MAX_STATES:
        size -= 1
    return size


def solve_larger(env: Environment, local_policy: Array, size: int) -> GLearnResult | None:
    """Return G-LEARN's result at ``size``, or None where exact transitions lose too many digits."""
    try:
        return solve_surrogate(env, local_policy, k=size, tolerance=surrogate_accuracy(env))
    except InvalidArgumentError:
        return None


def choice_bytes(env: Environment, *, k: int, answer: AnswerOption, options: GlobalAgent, n_threads: int = 1) -> int:
    """Return about how much memory :func:`choose` takes, in bytes."""
    size = larger_size(env)
    action_values = 8 * n_count_vectors(size, env.n_classes) * env.n_global_states * env.n_global_actions
    needed = [
        estimated_bytes(env, k=k, options=options, n_threads=n_threads),
        surrogate_bytes(env, size) + (2 * action_values if answer == "best" else 0),
        contest_bytes(env),
    ]
    return max(needed)


def start_value(env: Environment, found: GLearnResult, k: int) -> float:
    """Return the upper end of the value of the surrogate game of k agents, from its start.

    No global policy earns more with n >= k agents, whatever it sees of them; not so where ``found`` is about a game of
    classes, whose value is an estimate.
    """
    if found.occupancy is not None:
        env, _ = game_of_classes(env, uniform_local_policy(env), found.occupancy)
    value = PopulationValue(found.value, found.bound, found.n_iterations)
    worth = expected_at_start(replace(env, n_agents=k), value)
    return worth.value + worth.bound


def _averaged(
    env: Environment, local_policy: Array, global_policy: GlobalPolicy, found: GLearnResult | None, *, k: int, size: int
) -> Iterator[GlobalPolicy]:
    """Yield answers by averages over what is not seen; none where as many are seen as the larger game has."""
    if k < size and found is not None:
        mean_field = mean_field_given_global(env, global_policy, local_policy, k=k)
        tolerance = surrogate_accuracy(env)
        yield from averaged_answers(env, local_policy, mean_field, k=k, size=size, tolerance=tolerance, found=found)


def _blind_actions(env: Environment) -> Ints:
    """Return the a(s_g) that compete as answers, (B, G): every constant, ``stay``, and the best blind pair's."""
    return np.concatenate([simple_actions(env), blind_pair(env).global_actions[None]])


def _best_blind(env: Environment, every: Ints, local_policy: Array, k: int) -> GlobalPolicy:
    """Return the best of some a(s_g) against a local policy, as a policy that sees k agents."""
    worths = [blind_return(env, actions, local_policy).value for actions in every]
    actions = every[int(np.argmax(worths))].astype(action_type(env))
    return np.repeat(actions[:, None], n_count_vectors(k, env.n_classes), axis=1)
