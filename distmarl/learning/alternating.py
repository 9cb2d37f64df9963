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
from distmarl.errors import InvalidArgumentError, shown
from distmarl.learning.g_learn import learn_global
from distmarl.learning.l_learn import learn_local
from distmarl.learning.proposals import Proposal, ProposalOutcome, StopReason, propose
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.checks import check_at_least_one, check_choice
from distmarl.model.environment import Environment
from distmarl.model.options import (
    Alternating,
    Evaluation,
    GlobalAgent,
    JointValueKind,
    LocalAgent,
    LocalPolicyKind,
    ObservationKind,
    TransitionKind,
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
        Every proposal, in order.
    """

    global_policy: GlobalPolicy = field(repr=False)
    local_policy: Array = field(repr=False)
    joint_value: float
    history: tuple[ProposalOutcome, ...]

    @property
    def stopped_because(self) -> StopReason | None:
        """Why the alternation ended."""
        return self.history[-1].stopped_because

    @property
    def converged(self) -> bool:
        """Whether the joint value settled within ``convergence_rtol``, or the pair proposed itself."""
        return self.stopped_because == "converged"


def train_alternating(
    env: Environment,
    *,
    k: int,
    seed: Seed = 0,
    initial_local_policy: ArrayLike | None = None,
    update: UpdateKind = Alternating.update,
    n_outer_iterations: int = Alternating.n_outer_iterations,
    convergence_rtol: float = Alternating.convergence_rtol,
    transitions: TransitionKind = GlobalAgent.transitions,
    n_mc_samples: int = GlobalAgent.n_mc_samples,
    convergence_threshold: float = GlobalAgent.convergence_threshold,
    max_vi_iterations: int = GlobalAgent.max_vi_iterations,
    policy: LocalPolicyKind = LocalAgent.policy,
    observation: ObservationKind = LocalAgent.observation,
    local_convergence_threshold: float = LocalAgent.convergence_threshold,
    local_max_vi_iterations: int = LocalAgent.max_vi_iterations,
    softmax_temperature_scale: float = LocalAgent.softmax_temperature_scale,
    softmax_temperature_min: float = LocalAgent.softmax_temperature_min,
    joint_value: JointValueKind = Alternating.joint_value,
    n_rollouts: int = Evaluation.n_rollouts,
    horizon: int = Evaluation.horizon,
    n_threads: int = 1,
    on_iteration: Callable[[ProposalOutcome], None] | None = None,
) -> AlternatingResult:
    """Alternate best responses and return the best pair that was proposed.

    Parameters
    ----------
    env : Environment
        The game.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    seed : int or sequence of int
        Root of the random streams.
    initial_local_policy : array_like, shape (G, L, A_l), optional
        Where to start; the uniform policy by default. Other starts may end in other equilibria.
    update : {"pair", "each"}
        Whether the two best responses of a round are kept or rejected together, or each by itself.
    n_outer_iterations : int
        Rounds of a global and a local best response, at most.
    convergence_rtol : float
        Stop when the joint value changes by less than this, relatively; reject what makes it
        fall by more than this below the best value.
    transitions, n_mc_samples, convergence_threshold, max_vi_iterations
        See :func:`g_learn`.
    policy, observation
        See :func:`l_learn`.
    local_convergence_threshold, local_max_vi_iterations, softmax_temperature_scale, softmax_temperature_min
        See :func:`l_learn`.
    joint_value : {"rollouts", "exact"}
        What pairs are compared by: the mean return of rollouts, or :func:`exact_return`, of as many steps.
    n_rollouts, horizon : int
        Rollouts that the joint value is the mean of (``rollouts`` only), and its number of steps.
    n_threads : int
        Threads for :func:`g_learn`; the result does not depend on it.
    on_iteration : callable, optional
        Called at the end of each outer iteration, with its last proposal.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or there are too many agents for exact values.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=3, n_global_states=2, n_local_states=2, n_global_actions=2)
    >>> pair = dm.train_alternating(env, k=1, transitions="exact", joint_value="exact", policy="greedy")
    >>> pair.converged
    True
    >>> [round(proposal.joint_value, 2) for proposal in pair.history]
    [154.32, 154.32]
    """
    return alternate(
        env,
        k=k,
        seed=seed,
        initial_local_policy=initial_local_policy,
        global_agent=GlobalAgent(
            transitions=transitions,
            n_mc_samples=n_mc_samples,
            convergence_threshold=convergence_threshold,
            max_vi_iterations=max_vi_iterations,
        ),
        local_agent=LocalAgent(
            policy=policy,
            observation=observation,
            convergence_threshold=local_convergence_threshold,
            max_vi_iterations=local_max_vi_iterations,
            softmax_temperature_scale=softmax_temperature_scale,
            softmax_temperature_min=softmax_temperature_min,
        ),
        alternating=Alternating(
            update=update,
            joint_value=joint_value,
            n_outer_iterations=n_outer_iterations,
            convergence_rtol=convergence_rtol,
        ),
        evaluation=Evaluation(n_rollouts=n_rollouts, horizon=horizon),
        n_threads=n_threads,
        on_iteration=on_iteration,
    )


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
    """Return what :func:`train_alternating` finds, with its options as sections of the sweep file."""
    _check(env, alternating, evaluation)
    start = uniform_local_policy(env)
    if initial_local_policy is not None:
        start = checked_local_policy(env, initial_local_policy, name="initial_local_policy")
    n_rollouts, horizon = evaluation.n_rollouts, evaluation.horizon

    def measure(global_policy: GlobalPolicy, local_policy: Array) -> float:
        pair = (env, global_policy, local_policy)
        if alternating.joint_value == "exact":
            return exact_return(*pair, k=k, horizon=horizon).value
        rollouts = run_rollouts(*pair, k=k, n_rollouts=n_rollouts, horizon=horizon, seed=seed, role=Role.JOINT_VALUE)
        return float(rollouts.returns.mean())

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


def _check(env: Environment, alternating: Alternating, evaluation: Evaluation) -> None:
    """Refuse options that are out of range, and values that are too large to compute, before any work."""
    check_at_least_one(
        n_outer_iterations=alternating.n_outer_iterations,
        n_rollouts=evaluation.n_rollouts,
        horizon=evaluation.horizon,
    )
    if not alternating.convergence_rtol >= 0:
        raise InvalidArgumentError(f"convergence_rtol: must be 0 or more, got {shown(alternating.convergence_rtol)}")
    check_choice("update", alternating.update, get_args(UpdateKind))
    check_choice("joint_value", alternating.joint_value, get_args(JointValueKind))
    if alternating.joint_value == "exact":
        check_population_size(env)
