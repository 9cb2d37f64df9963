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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import g_learn
from distmarl.learning.l_learn import l_learn
from distmarl.learning.proposals import Proposal, ProposalOutcome, StopReason, propose
from distmarl.model.checks import check_choice
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

    global_policy: NDArray[np.integer] = field(repr=False)
    local_policy: NDArray[np.float64] = field(repr=False)
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
    """
    for name, number in (
        ("n_outer_iterations", n_outer_iterations),
        ("n_rollouts", n_rollouts),
        ("horizon", horizon),
    ):
        if number < 1:
            raise InvalidArgumentError(f"{name}: must be at least 1, got {number}")
    if not convergence_rtol >= 0:
        raise InvalidArgumentError(f"convergence_rtol: must be 0 or more, got {convergence_rtol!r}")
    check_choice("update", update, UpdateKind)
    check_choice("joint_value", joint_value, JointValueKind)
    if joint_value == "exact":
        check_population_size(env)
    start = uniform_local_policy(env)
    if initial_local_policy is not None:
        start = checked_local_policy(env, initial_local_policy, name="initial_local_policy")
    respond_globally = functools.partial(
        g_learn,
        env,
        k=k,
        transitions=transitions,
        n_mc_samples=n_mc_samples,
        seed=seed,
        convergence_threshold=convergence_threshold,
        max_vi_iterations=max_vi_iterations,
        n_threads=n_threads,
    )
    respond_locally = functools.partial(
        l_learn,
        env,
        k=k,
        policy=policy,
        observation=observation,
        convergence_threshold=local_convergence_threshold,
        max_vi_iterations=local_max_vi_iterations,
        softmax_temperature_scale=softmax_temperature_scale,
        softmax_temperature_min=softmax_temperature_min,
    )

    def measure(global_policy: NDArray[np.integer], local_policy: NDArray[np.float64]) -> float:
        if joint_value == "exact":
            return exact_return(env, global_policy, local_policy, k=k, horizon=horizon).value
        rollouts = run_rollouts(
            env,
            global_policy,
            local_policy,
            k=k,
            n_rollouts=n_rollouts,
            horizon=horizon,
            seed=seed,
            role=Role.JOINT_VALUE,
        )
        return float(rollouts.returns.mean())

    best: Proposal | None = None
    history = []
    for proposal in propose(
        start,
        respond_globally,
        respond_locally,
        measure,
        update=update,
        n_outer_iterations=n_outer_iterations,
        convergence_rtol=convergence_rtol,
    ):
        history.append(proposal.outcome)
        if on_iteration is not None and proposal.outcome.proposal != "global":
            on_iteration(proposal.outcome)
        if best is None or proposal.outcome.joint_value > best.outcome.joint_value:
            best = proposal
    assert best is not None  # n_outer_iterations is at least 1
    return AlternatingResult(best.global_policy, best.local_policy, best.outcome.joint_value, tuple(history))
