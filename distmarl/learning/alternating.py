"""ALTERNATING-MARL: alternate best responses of the global agent and the local agents.

From the uniform local policy, each outer iteration proposes a pair (G-LEARN
against the present local policy, then L-LEARN against that global policy) and
measures what the pair is worth (arXiv 2603.03759). A pair that is worth
clearly less than the best one is rejected. All pairs are valued on the same random numbers, which no
evaluation uses: they start alike and draw from the same streams, which cancels most of the
noise of a comparison (not all: their populations drift apart).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distmarl.config.sections import Alternating, Evaluation, GlobalAgent, LocalAgent, TransitionKind
from distmarl.dynamics.rollouts import run_rollouts
from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import GLearnResult, g_learn
from distmarl.learning.l_learn import LLearnResult, l_learn
from distmarl.model.environment import Environment
from distmarl.model.policies import uniform_local_policy
from distmarl.model.random_streams import Role, Seed

StopReason: TypeAlias = Literal["converged", "reverted", "n_outer_iterations"]

SMALLEST_VALUE = 1e-6


@dataclass(frozen=True, slots=True)
class OuterIteration:
    """What became of one proposed pair.

    Attributes
    ----------
    iteration : int
        Number of the outer iteration, from 0.
    joint_value : float
        Mean return of the proposed pair over the alternation's rollouts.
    relative_change : float
        Change of the joint value against the previous outer iteration's, relative to that; NaN at first.
    accepted : bool
        Whether the pair was kept; False means that the best pair was reverted to.
    stopped_because : {"converged", "reverted", "n_outer_iterations"} or None
        Why the alternation ended here: the value settled; the best pair would only propose
        the same pairs again; the iterations were used up. None while it goes on.
    global_n_iterations, local_n_iterations : int
        Sweeps of value iteration in G-LEARN and in L-LEARN.
    global_bound, local_bound : float
        Their certified errors.
    global_converged, local_converged : bool
        Whether the bounds reached their thresholds.
    n_recurrent_classes, mean_field_period : int
        Above 1, the mean field depends on the start, or is a mean over time of a periodic chain.
    """

    iteration: int
    joint_value: float
    relative_change: float
    accepted: bool
    stopped_because: StopReason | None
    global_n_iterations: int
    global_bound: float
    global_converged: bool
    local_n_iterations: int
    local_bound: float
    local_converged: bool
    n_recurrent_classes: int
    mean_field_period: int


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
        Mean return of the best pair over the alternation's rollouts.
    history : tuple of OuterIteration
        Every proposed pair, in order.
    """

    global_policy: NDArray[np.integer]
    local_policy: NDArray[np.float64]
    joint_value: float
    history: tuple[OuterIteration, ...]

    @property
    def stopped_because(self) -> StopReason | None:
        """Why the alternation ended."""
        return self.history[-1].stopped_because

    @property
    def converged(self) -> bool:
        """Whether the joint value settled within ``convergence_rtol``."""
        return self.stopped_because == "converged"


def train_alternating(
    env: Environment,
    *,
    k: int,
    seed: Seed = 0,
    n_outer_iterations: int = Alternating.n_outer_iterations,
    convergence_rtol: float = Alternating.convergence_rtol,
    transitions: TransitionKind = GlobalAgent.transitions,
    n_mc_samples: int = GlobalAgent.n_mc_samples,
    convergence_threshold: float = GlobalAgent.convergence_threshold,
    max_vi_iterations: int = GlobalAgent.max_vi_iterations,
    local_convergence_threshold: float = LocalAgent.convergence_threshold,
    local_max_vi_iterations: int = LocalAgent.max_vi_iterations,
    softmax_temperature_scale: float = LocalAgent.softmax_temperature_scale,
    softmax_temperature_min: float = LocalAgent.softmax_temperature_min,
    n_rollouts: int = Evaluation.n_rollouts,
    horizon: int = Evaluation.horizon,
    n_threads: int = 1,
    on_iteration: Callable[[OuterIteration], None] | None = None,
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
    n_outer_iterations : int
        Propose at most this many pairs.
    convergence_rtol : float
        Stop when the joint value changes by less than this, relatively; revert to the best
        pair when it falls by more than this below the best value.
    transitions, n_mc_samples, convergence_threshold, max_vi_iterations
        See :func:`g_learn`.
    local_convergence_threshold, local_max_vi_iterations, softmax_temperature_scale, softmax_temperature_min
        See :func:`l_learn`.
    n_rollouts, horizon : int
        Rollouts that the joint value is the mean of, and steps in each.
    n_threads : int
        Threads for :func:`g_learn`; the result does not depend on it.
    on_iteration : callable, optional
        Called with each outer iteration as it ends.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.
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
        convergence_threshold=local_convergence_threshold,
        max_vi_iterations=local_max_vi_iterations,
        softmax_temperature_scale=softmax_temperature_scale,
        softmax_temperature_min=softmax_temperature_min,
    )

    def joint_value(global_policy: NDArray[np.integer], local_policy: NDArray[np.float64]) -> float:
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

    best: _Proposal | None = None
    history = []
    for proposal in _alternate(
        uniform_local_policy(env), respond_globally, respond_locally, joint_value, n_outer_iterations, convergence_rtol
    ):
        history.append(proposal.outcome)
        if on_iteration is not None:
            on_iteration(proposal.outcome)
        if best is None or proposal.outcome.joint_value > best.outcome.joint_value:
            best = proposal
    assert best is not None  # n_outer_iterations is at least 1
    return AlternatingResult(best.global_policy, best.local_policy, best.outcome.joint_value, tuple(history))


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """A pair and its outcome."""

    global_policy: NDArray[np.integer]
    local_policy: NDArray[np.float64]
    outcome: OuterIteration


def _alternate(
    local_policy: NDArray[np.float64],
    respond_globally: Callable[..., GLearnResult],
    respond_locally: Callable[..., LLearnResult],
    joint_value: Callable[[NDArray[np.integer], NDArray[np.float64]], float],
    n_outer_iterations: int,
    convergence_rtol: float,
) -> Iterator[_Proposal]:
    """Yield each proposed pair with its outcome, until a reason to stop.

    Best responses are deterministic, so after a rejection the best pair would
    propose again what it has already proposed: a rejection ends the alternation.
    """
    initial_value: NDArray[np.float64] | None = None
    best_value, previous_value = -math.inf, math.nan
    for iteration in range(n_outer_iterations):
        globally = respond_globally(local_policy, initial_value=initial_value)
        locally = respond_locally(globally.policy, local_policy)
        value = joint_value(globally.policy, locally.policy)
        change = (value - previous_value) / max(abs(previous_value), SMALLEST_VALUE)
        accepted = iteration == 0 or value >= best_value - convergence_rtol * abs(best_value)
        reason: StopReason | None = None
        if not accepted:
            reason = "reverted"
        elif abs(change) < convergence_rtol:
            reason = "converged"
        elif iteration == n_outer_iterations - 1:
            reason = "n_outer_iterations"
        outcome = OuterIteration(
            iteration=iteration,
            joint_value=value,
            relative_change=change,
            accepted=accepted,
            stopped_because=reason,
            global_n_iterations=globally.n_iterations,
            global_bound=globally.bound,
            global_converged=globally.converged,
            local_n_iterations=locally.n_iterations,
            local_bound=locally.bound,
            local_converged=locally.converged,
            n_recurrent_classes=locally.mean_field.n_recurrent_classes,
            mean_field_period=locally.mean_field.period,
        )
        yield _Proposal(globally.policy, locally.policy, outcome)
        if reason is not None:
            return
        best_value, previous_value = max(best_value, value), value
        local_policy, initial_value = locally.policy, globally.value
