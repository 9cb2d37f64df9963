"""The best that the global and the local agents could reach together, when the global agent sees everyone.

Pairs are symmetric: one policy pi_l(a_l | s_g, s_l) for all local agents. The best answer to it that sees all
n agents is G-LEARN's at k = n, whose value is what the pair earns. So a local policy is worth what it earns with
that answer, and the search is among local policies alone: all deterministic ones where these are few, else what
starts, alternations and ascents from them lead to (:mod:`distmarl.learning.best.pairs`).

The same in a game of fewer agents bounds what a local policy is worth from above
(:mod:`distmarl.learning.best.answers`). So the most promising come first, and the rest is passed over as soon as one is
known to be worth more than all of it could be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from distmarl.errors import InvalidArgumentError
from distmarl.learning.best.answers import larger_size, start_value
from distmarl.learning.best.averages import solve_surrogate, surrogate_bytes
from distmarl.learning.best.pairs import alternate_seeing_all, local_candidates
from distmarl.learning.best.starts import start_names
from distmarl.learning.g_learn import GLearnResult
from distmarl.model.arrays import Array, read_only
from distmarl.model.checks import checked_integer, checked_tolerance
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import Alternating, Experiment, StartKind
from distmarl.model.random_streams import Role, Seed, random_stream
from distmarl.values.exact_return import ExactReturn, PopulationValue, check_population_size, expected_at_start

# Error of the bounds by which local policies are put in order, as a share of the largest difference between returns.
FIRST_LOOK = 1e-3
# Agents of the game that bounds each of very many local policies, at most.
FEW_AGENTS = 4
# The most promising first, for those who take few.
ORDER: tuple[StartKind, ...] = ("blind", "stay", "constant_action", "uniform")
ENUMERATION = "enumeration"


@dataclass(frozen=True, slots=True, eq=False)
class Welfare:
    """The best pair that a search has found, whose global agent sees everyone, or the reason why there is none.

    Attributes
    ----------
    value, error : float or None
        What it earns over all steps, and its certified error.
    local_policy : ndarray, shape (G, L, A_l), or None
        Its local policy; the global one is the best answer to it.
    source : str
        What led to it: ``enumeration``, or a start and what went on from there, as in ``stay (ascent)``.
    is_exhaustive : bool
        Whether all deterministic local policies were compared.
    n_policies, n_solved : int
        Local policies that were compared, and how many of them took a look in the game of all agents.
    n_starts : int
        Starts of the search; 0 where it was exhaustive.
    reason : str or None
        Why there is no pair: exact transitions of a local policy would lose too many digits.
    """

    value: float | None
    error: float | None
    local_policy: Array | None = field(repr=False)
    source: str | None
    is_exhaustive: bool
    n_policies: int
    n_solved: int
    n_starts: int
    reason: str | None = None


def best_welfare(
    env: Environment,
    *,
    tolerance: float = 1e-6,
    max_enumerated: int = Experiment.welfare_max_enumerated,
    n_starts: int | None = Experiment.welfare_starts,
    seed: Seed = 0,
) -> Welfare:
    """Search for the pair of policies that earns most, with a global agent that sees everyone.

    Parameters
    ----------
    env : Environment
        The game.
    tolerance : float
        Certified error that the value may have.
    max_enumerated : int
        Compare all deterministic local policies if there are at most this many.
    n_starts : int, optional
        Otherwise, start from so many local policies: the answers to the best global agent that sees nobody, to one
        that stays where it is, and to each constant action, then the uniform policy, and then random deterministic
        ones. By default from all but the random ones.
    seed : int or sequence of int
        Root of the random streams of these.

    Returns
    -------
    Welfare
        The best pair found.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or there are too many agents.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=5)
    >>> found = dm.best_welfare(env)
    >>> round(found.value, 2), found.is_exhaustive
    (127.53, False)
    """
    tolerance = checked_tolerance(tolerance)
    max_enumerated = checked_integer("max_enumerated", max_enumerated, least=0)
    n_starts = None if n_starts is None else checked_integer("n_starts", n_starts)
    random_stream(seed, Role.START)  # refuses what is no seed
    env = env.with_states_seen()
    check_population_size(env)
    n_deterministic = n_deterministic_policies(env)
    is_exhaustive = n_deterministic <= max_enumerated
    names = [] if is_exhaustive else welfare_starts(env, n_starts)
    try:
        if is_exhaustive:
            return _enumerated(env, tolerance=tolerance)
        return _searched(env, names, tolerance=tolerance, seed=seed)
    except InvalidArgumentError as error:  # which is about digits alone: what else it could be about was checked
        n_policies = n_deterministic if is_exhaustive else 0
        return Welfare(None, None, None, None, is_exhaustive, n_policies, 0, len(names), str(error))


def _enumerated(env: Environment, *, tolerance: float) -> Welfare:
    """Compare all deterministic local policies."""
    best = _best(env, _deterministic_policies(env), size=min(FEW_AGENTS, env.n_agents), tolerance=tolerance)
    return best.told(env, ENUMERATION, n_starts=0)


def _searched(env: Environment, names: Sequence[str], *, tolerance: float, seed: Seed) -> Welfare:
    """Compare what some starts lead to, and go on from the best in the game of all agents."""
    candidates = local_candidates(env, names, seed)
    policies = [candidate.local_policy for candidate in candidates]
    best = _best(env, policies, size=larger_size(env), tolerance=tolerance)
    chosen = candidates[best.number]
    source = chosen.start if chosen.proposal == "start" else f"{chosen.start} ({chosen.proposal})"
    policy, answer = alternate_seeing_all(env, best.local_policy, tolerance=tolerance, answer=best.answer)
    if answer is not best.answer:
        best, source = best.replaced(policy, answer), f"{source}, and on from there"
    return best.told(env, source, n_starts=len(names))


def welfare_starts(env: Environment, n_starts: int | None) -> list[str]:
    """Return the names of the starts that a search begins with; by default all but random ones."""
    fixed = start_names(Alternating(starts=ORDER), env.n_global_actions)
    if n_starts is None:
        return fixed
    n_random = max(0, n_starts - len(fixed))
    return start_names(Alternating(starts=ORDER, n_random_starts=n_random), env.n_global_actions)[:n_starts]


def informed_worth(
    env: Environment, local_policy: Array, *, tolerance: float, found: GLearnResult | None = None
) -> ExactReturn:
    """Return what a local policy earns with the best global policy that sees everyone, which ``found`` is if known."""
    found = solve_surrogate(env, local_policy, k=env.n_agents, tolerance=tolerance) if found is None else found
    return expected_at_start(env, PopulationValue(found.value, found.bound, found.n_iterations))


def n_deterministic_policies(env: Environment) -> int:
    """Return the number of deterministic local policies, A_l^(G L)."""
    return env.n_local_actions ** (env.n_global_states * env.n_local_states)


def welfare_bytes(env: Environment) -> int:
    """Return about how much memory :func:`best_welfare` takes, in bytes."""
    # Beside G-LEARN: the values of the best local policy so far, and of another one.
    env = env.with_states_seen()
    n_values = env.n_global_states * n_count_vectors(env.n_agents, env.n_local_states)
    return surrogate_bytes(env, env.n_agents) + 4 * 8 * n_values


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best of some local policies, with its answer."""

    number: int
    local_policy: Array
    answer: GLearnResult
    error: float
    n_policies: int
    n_solved: int

    def replaced(self, local_policy: Array, answer: GLearnResult) -> _Best:
        """Return another local policy, which is better than the best of them."""
        error = max(self.error, answer.bound)
        return _Best(self.number, local_policy, answer, error, self.n_policies + 1, self.n_solved + 1)

    def told(self, env: Environment, source: str, *, n_starts: int) -> Welfare:
        """Return it as the result of a search."""
        worth = informed_worth(env, self.local_policy, tolerance=self.error, found=self.answer)
        return Welfare(
            value=worth.value,
            error=max(self.error, worth.bound),
            local_policy=read_only(self.local_policy),
            source=source,
            is_exhaustive=source == ENUMERATION,
            n_policies=self.n_policies,
            n_solved=self.n_solved,
            n_starts=n_starts,
        )


def _best(env: Environment, policies: Sequence[Array], *, size: int, tolerance: float) -> _Best:
    """Return the local policy that is worth most, by bounds from the game of ``size`` agents."""
    bounds = _upper_ends(env, policies, size=size, tolerance=tolerance)
    best: tuple[float, int, GLearnResult] | None = None
    error, n_solved = 0.0, 0
    for number in sorted(range(len(policies)), key=lambda each: (-bounds[each], each)):
        if best is not None and bounds[number] <= best[0] - error:
            break
        initial_value = None if best is None else best[2].value
        answer = solve_surrogate(
            env, policies[number], k=env.n_agents, tolerance=tolerance, initial_value=initial_value
        )
        worth = informed_worth(env, policies[number], tolerance=tolerance, found=answer)
        error, n_solved = max(error, worth.bound), n_solved + 1
        if best is None or worth.value > best[0]:
            best = worth.value, number, answer
    assert best is not None  # there is a policy at least
    _, number, answer = best
    return _Best(number, policies[number], answer, error, len(policies), n_solved)


def _upper_ends(env: Environment, policies: Iterable[Array], *, size: int, tolerance: float) -> list[float]:
    """Return what each local policy is worth at most. Each value iteration starts from the last one's value."""
    largest_difference = float(np.ptp(env.reward_global) + np.ptp(env.reward_local)) / (1 - env.gamma)
    rough = max(tolerance, FIRST_LOOK * largest_difference)
    ends: list[float] = []
    initial_value: Array | None = None
    for policy in policies:
        found = solve_surrogate(env, policy, k=size, tolerance=rough, initial_value=initial_value)
        initial_value = found.value
        ends.append(start_value(env, found, size))
    return ends


def _deterministic_policies(env: Environment) -> list[Array]:
    """Return every deterministic local policy, (G, L, A_l) each, neighbours differing little."""
    n_global, n_local, n_actions = env.reward_local.shape
    actions = itertools.product(range(n_actions), repeat=n_global * n_local)
    return [np.eye(n_actions)[np.reshape(chosen, (n_global, n_local))] for chosen in actions]
