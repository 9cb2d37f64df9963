"""The best pair of policies that several ways of looking for it find.

Local policies come from the starts (:mod:`distmarl.learning.best.starts`), from alternations of best responses that
begin there, and from team ascents. Both are made in a game of a few agents that are all seen, where values are exact
and cheap: what is best for the local agents depends little on how many there are. Then each candidate gets the best of
several answers of a global agent that sees k of all n agents, and what the pairs earn decides.

Where the global agent sees classes of local states, alternations are made in games of classes
(:mod:`distmarl.learning.aggregation`), and there are no ascents where local states are many
(:func:`distmarl.learning.best.ascent.has_ascent`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from distmarl.learning.best.answers import Choice, choose, larger_size, start_value, surrogate_accuracy
from distmarl.learning.best.ascent import ascend, has_ascent
from distmarl.learning.best.averages import solve_surrogate
from distmarl.learning.best.choice import AnswerKind, ValueMethod
from distmarl.learning.best.starts import STARTS, checked_starts, start_names, start_policy
from distmarl.learning.g_learn import GLearnResult
from distmarl.learning.l_learn import learn_local
from distmarl.learning.proposals import ProposalKind
from distmarl.model.arrays import Array, GlobalPolicy, read_only
from distmarl.model.checks import check_at_least_one
from distmarl.model.environment import Environment
from distmarl.model.options import Alternating, LocalAgent, StartKind
from distmarl.model.policies import checked_k
from distmarl.model.random_streams import Seed
from distmarl.values.value_iteration import MAX_ITERATIONS

# Agents of the game in which alternations are made, at most.
MAX_AGENTS = 8


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What became of a candidate for the best pair's local policy.

    Attributes
    ----------
    start : str
        What led to it first: ``uniform``, ``constant_action 0``, ``stay``, …
    proposal : {"start", "local", "ascent"}
        Whether it is the start itself, or where the alternation or the ascent from it ended.
    bound : float
        No global policy earns more against it; infinite where that is not known.
    is_skipped : bool
        Whether it was passed over, since another pair earns more than that.
    is_best : bool
        Whether it is the best pair's.
    """

    start: str
    proposal: ProposalKind
    bound: float
    is_skipped: bool
    is_best: bool


@dataclass(frozen=True, slots=True, eq=False)
class BestPair:
    """The best pair that was found.

    Attributes
    ----------
    global_policy : ndarray of int, shape (G, C)
        pi_g over the count vectors of k agents.
    local_policy : ndarray, shape (G, L, A_l)
        pi_l.
    value : float
        What the pair earns over all steps: exactly or, where there are too many populations, the mean of rollouts,
        which leave out the last steps, whose weights sum to less than 0.01 % of all.
    error : float
        Certified error of an exact value, or standard error of the mean.
    method : {"exact", "rollouts"}
        How the value was found.
    answer : {"surrogate", "averaged", "blind"}
        Where the global policy comes from, as in :func:`best_answer`.
    history : tuple of PairOutcome
        Every candidate for the local policy.
    """

    global_policy: GlobalPolicy = field(repr=False)
    local_policy: Array = field(repr=False)
    value: float
    error: float
    method: ValueMethod
    answer: AnswerKind
    history: tuple[PairOutcome, ...] = field(repr=False)


def best_pair(
    env: Environment,
    *,
    k: int,
    starts: Sequence[StartKind] = STARTS,
    n_random_starts: int = Alternating.n_random_starts,
    seed: Seed = 0,
    n_threads: int = 1,
) -> BestPair:
    """Find the best pair of policies whose global agent sees k agents.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    starts : sequence of {"uniform", "constant_action", "stay", "blind"}
        Local policies to start from; see :func:`train_alternating`.
    n_random_starts : int
        Random deterministic local policies to start from, too.
    seed : int or sequence of int
        Root of the random streams: of random starts, and of rollouts where populations are too many to value
        everything exactly.
    n_threads : int
        Threads for G-LEARN; the result does not depend on it.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or exact transitions lose too many digits.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> pair = dm.best_pair(env, k=10)
    >>> trained = dm.train_alternating(env, k=10)
    >>> gain = pair.value - dm.exact_return(env, trained.global_policy, trained.local_policy, k=10).value
    >>> round(gain, 1) > 5
    True
    """
    k = checked_k(env, k)
    check_at_least_one(n_threads=n_threads)
    options = Alternating(starts=checked_starts(starts), n_random_starts=n_random_starts)
    found = local_candidates(env, start_names(options, env.n_global_actions), seed)
    chosen = choose(env, [each.local_policy for each in found], k=k, seed=seed, n_threads=n_threads)
    return BestPair(
        read_only(chosen.global_policy),
        read_only(chosen.local_policy),
        chosen.worth.value,
        chosen.worth.error,
        chosen.worth.method,
        chosen.answer,
        _history(found, chosen),
    )


def _history(found: Sequence[LocalCandidate], chosen: Choice) -> tuple[PairOutcome, ...]:
    return tuple(
        PairOutcome(each.start, each.proposal, look.bound, look.is_skipped, number == chosen.number)
        for number, (each, look) in enumerate(zip(found, chosen.looks, strict=True))
    )


@dataclass(frozen=True, slots=True, eq=False)
class LocalCandidate:
    """A local policy that may be the best pair's: where it comes from, as in :class:`PairOutcome`, and itself."""

    start: str
    proposal: ProposalKind
    local_policy: Array = field(repr=False)


def local_candidates(env: Environment, names: Sequence[str], seed: Seed) -> list[LocalCandidate]:
    """Return some starts, and where an alternation and an ascent from each end, without repetitions."""
    smaller = replace(env, n_agents=min(MAX_AGENTS, larger_size(env)))
    found: dict[bytes, LocalCandidate] = {}
    for name in names:
        start = start_policy(env, name, seed)
        ends: dict[ProposalKind, Array] = {
            "start": start,
            "local": alternate_seeing_all(smaller, start)[0],
        }
        if has_ascent(env):
            ends["ascent"] = ascend(env, start).local_policy
        for proposal, policy in ends.items():
            found.setdefault(policy.tobytes(), LocalCandidate(name, proposal, policy))
    return list(found.values())


def alternate_seeing_all(
    env: Environment, local_policy: Array, *, tolerance: float | None = None, answer: GLearnResult | None = None
) -> tuple[Array, GLearnResult]:
    """Alternate exact, greedy best responses of agents that are all seen, for as long as the pair becomes better.

    Returns the last local policy, and G-LEARN's result against it. That against the first one is ``answer``, if it is
    known; the certified error of each is ``tolerance``, by default that of values in a choice.
    """
    tolerance = surrogate_accuracy(env) if tolerance is None else tolerance
    options = LocalAgent(policy="greedy", observation="included", max_vi_iterations=MAX_ITERATIONS)
    best = solve_surrogate(env, local_policy, k=env.n_agents, tolerance=tolerance) if answer is None else answer
    best_value = start_value(env, best, env.n_agents)
    while True:
        response = learn_local(env, best.policy, local_policy, k=env.n_agents, options=options).policy
        found = solve_surrogate(env, response, k=env.n_agents, tolerance=tolerance, initial_value=best.value)
        value = start_value(env, found, env.n_agents)
        # By more than the error, so that rounding cannot keep it going.
        if value <= best_value + 2 * tolerance:
            return local_policy, best
        local_policy, best, best_value = response, found, value
