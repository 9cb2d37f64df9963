"""The best pair of policies that several ways of looking for it find.

Local policies come from the starts (:mod:`distmarl.learning.starts`), from alternations of best responses that begin
there, and from team ascents. Both are made in a game of a few agents that are all seen, where values are exact and
cheap: what is best for the local agents depends little on how many there are. Then each candidate gets the best of
several answers of a global agent that sees k of all n agents, and what the pairs earn decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from distmarl.learning.answers import Choice, choose, larger_size, start_value
from distmarl.learning.ascent import ascend
from distmarl.learning.averages import solve_surrogate
from distmarl.learning.choice import AnswerKind, ValueMethod, accuracy
from distmarl.learning.l_learn import learn_local
from distmarl.learning.proposals import ProposalKind
from distmarl.learning.starts import STARTS, start_names, start_policy
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
        What the pair earns over all steps: exactly or, where there are too many populations, the mean of rollouts.
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
    options = Alternating(starts=tuple(starts), n_random_starts=n_random_starts)
    names = start_names(options, env.n_global_actions)
    candidates: dict[bytes, tuple[str, ProposalKind, Array]] = {}
    for name in names:
        for proposal, policy in _candidates_from(env, start_policy(env, name, seed)):
            candidates.setdefault(policy.tobytes(), (name, proposal, policy))
    found = list(candidates.values())
    chosen = choose(env, [policy for *_, policy in found], k=k, seed=seed, n_threads=n_threads)
    return BestPair(
        read_only(chosen.global_policy),
        read_only(chosen.local_policy),
        chosen.worth.value,
        chosen.worth.error,
        chosen.worth.method,
        chosen.answer,
        _history([(name, proposal) for name, proposal, _ in found], chosen),
    )


def _history(found: Sequence[tuple[str, ProposalKind]], chosen: Choice) -> tuple[PairOutcome, ...]:
    return tuple(
        PairOutcome(start, proposal, look.bound, look.is_skipped, number == chosen.number)
        for number, ((start, proposal), look) in enumerate(zip(found, chosen.looks, strict=True))
    )


def _candidates_from(env: Environment, start: Array) -> list[tuple[ProposalKind, Array]]:
    """Return a start, and where an alternation and an ascent from it end."""
    smaller = replace(env, n_agents=min(MAX_AGENTS, larger_size(env)))
    return [
        ("start", start),
        ("local", alternate_seeing_all(smaller, start)),
        ("ascent", ascend(env, start).local_policy),
    ]


def alternate_seeing_all(env: Environment, local_policy: Array) -> Array:
    """Alternate exact, greedy best responses of agents that are all seen, for as long as the pair becomes better."""
    tolerance = accuracy(env)
    options = LocalAgent(policy="greedy", observation="included", max_vi_iterations=MAX_ITERATIONS)
    best = solve_surrogate(env, local_policy, k=env.n_agents, tolerance=tolerance)
    best_value = start_value(env, best, env.n_agents)
    while True:
        answer = learn_local(env, best.policy, local_policy, k=env.n_agents, options=options).policy
        found = solve_surrogate(env, answer, k=env.n_agents, tolerance=tolerance, initial_value=best.value)
        value = start_value(env, found, env.n_agents)
        # By more than the error, so that rounding cannot keep it going.
        if value <= best_value + 2 * tolerance:
            return local_policy
        local_policy, best, best_value = answer, found, value
