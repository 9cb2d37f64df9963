"""ALTERNATING-MARL: alternate best responses of the global agent and the local agents.

From the uniform local policy, each outer iteration proposes a pair (G-LEARN
against the present local policy, then L-LEARN against that global policy) and
measures what the pair is worth (arXiv 2603.03759). A pair that is worth
clearly less than the best one is rejected (:mod:`distmarl.learning.proposals` has the rules, and another
one for single policies). Pairs are valued exactly, or by rollouts on the same random numbers, which no
evaluation uses: they start alike and draw from the same streams, which cancels most of the
noise of a comparison (not all: their populations drift apart).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

from numpy.typing import ArrayLike

from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import learn_global
from distmarl.learning.l_learn import learn_local
from distmarl.learning.proposals import Proposal, ProposalOutcome, StopReason, propose
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.checks import check_at_least_one, check_choice, checked_number
from distmarl.model.environment import Environment
from distmarl.model.options import (
    Alternating,
    Evaluation,
    GlobalAgent,
    JointValueKind,
    LocalAgent,
    UpdateKind,
)
from distmarl.model.policies import checked_local_policy, uniform_local_policy
from distmarl.model.random_streams import Role, Seed
from distmarl.values.exact_return import check_population_size, exact_return


@dataclass(frozen=True, slots=True, eq=False)
class AlternatingResult:
    """The best pair that the alternation found.

    Attributes
    ----------
    global_policy : ndarray of int, shape (G, C)
        pi_g of the best pair.
    local_policy : ndarray, shape (G, L, A_l)
        pi_l of the best pair.
    joint_value : float
        What the best pair is worth: its mean return over the alternation's rollouts, or its exact return.
    history : tuple of ProposalOutcome
        Every proposal, in order, from one start after the other.
    start : str
        What the alternation began with that led to the best pair.
    """

    global_policy: GlobalPolicy = field(repr=False)
    local_policy: Array = field(repr=False)
    joint_value: float
    history: tuple[ProposalOutcome, ...]
    start: str = "uniform"

    @property
    def stopped_because(self) -> StopReason | None:
        """Why the alternation that led to the pair ended."""
        own = [outcome for outcome in self.history if outcome.start == self.start]
        return own[-1].stopped_because

    @property
    def converged(self) -> bool:
        """Whether the joint value settled within ``convergence_rtol``, or the pair proposed itself."""
        return self.stopped_because == "converged"


def alternate(
    env: Environment,
    *,
    k: int,
    seed: Seed,
    global_agent: GlobalAgent,
    local_agent: LocalAgent,
    alternating: Alternating,
    evaluation: Evaluation,
    initial_local_policy: ArrayLike | None = None,
    n_threads: int = 1,
    on_iteration: Callable[[ProposalOutcome], None] | None = None,
) -> AlternatingResult:
    """Return the best pair of one alternation, with its options as sections of the sweep file."""
    _check(env, alternating, evaluation)
    start = uniform_local_policy(env)
    if initial_local_policy is not None:
        start = checked_local_policy(env, initial_local_policy, name="initial_local_policy")
    measure = joint_measure(env, k=k, seed=seed, alternating=alternating, evaluation=evaluation)
    best: Proposal | None = None
    history = []
    for proposal in propose(
        start,
        functools.partial(learn_global, env, k=k, options=global_agent, seed=seed, n_threads=n_threads),
        functools.partial(learn_local, env, k=k, options=local_agent),
        measure,
        alternating,
    ):
        history.append(proposal.outcome)
        if on_iteration is not None and proposal.outcome.proposal != "global":
            on_iteration(proposal.outcome)
        if best is None or proposal.outcome.joint_value > best.outcome.joint_value:
            best = proposal
    assert best is not None  # n_outer_iterations is at least 1
    return AlternatingResult(best.global_policy, best.local_policy, best.outcome.joint_value, tuple(history))


def joint_measure(
    env: Environment, *, k: int, seed: Seed, alternating: Alternating, evaluation: Evaluation
) -> Callable[[GlobalPolicy, Array], float]:
    """Return what values the pairs that an alternation proposes."""
    n_rollouts, horizon = evaluation.n_rollouts, evaluation.horizon

    def measure(global_policy: GlobalPolicy, local_policy: Array) -> float:
        pair = (env, global_policy, local_policy)
        if alternating.joint_value == "exact":
            return exact_return(*pair, k=k, horizon=horizon).value
        rollouts = run_rollouts(*pair, k=k, n_rollouts=n_rollouts, horizon=horizon, seed=seed, role=Role.JOINT_VALUE)
        return float(rollouts.returns.mean())

    return measure


def _check(env: Environment, alternating: Alternating, evaluation: Evaluation) -> None:
    """Refuse options that are out of range, and values that are too large to compute, before any work."""
    check_at_least_one(
        n_outer_iterations=alternating.n_outer_iterations,
        n_rollouts=evaluation.n_rollouts,
        horizon=evaluation.horizon,
    )
    if not checked_number("convergence_rtol", alternating.convergence_rtol) >= 0:
        raise InvalidArgumentError(f"convergence_rtol: must be 0 or more, got {alternating.convergence_rtol!r}")
    check_choice("update", alternating.update, get_args(UpdateKind))
    check_choice("joint_value", alternating.joint_value, get_args(JointValueKind))
    if alternating.joint_value == "exact":
        check_population_size(env)
