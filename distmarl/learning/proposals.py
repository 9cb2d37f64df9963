"""What the alternation proposes, what of it is kept, and when it ends.

A round asks for the global agent's best response to the local policy, then for the local agent's
best response to the global policy. With ``update="pair"`` the two are one proposal. With
``update="each"`` they are two, as in the paper (arXiv 2603.03759): the new global policy is measured with
the old local policy, and the new local policy with the global policy that was kept.

A proposal is rejected when it is worth clearly less than the best pair so far. Best responses are
deterministic (but for ties that no certificate can tell apart), so equal pairs have equal successors:

- After a rejected pair or local policy the same would be proposed again: ``reverted``. After
  a rejected global policy the local agent may still find an answer to the one that was kept.
- A pair that proposes itself is final: ``converged``, or ``reverted`` when only its global policy's
  successor was rejected.
- A pair that an earlier round has proposed leads in a circle: ``cycle``; unless it is kept and the best
  value has risen since, so that something that was kept after it may now be rejected.

Pairs are equal when their policies are, byte for byte; SHA-256 hashes of the bytes are compared.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from distmarl.learning.g_learn import GLearnResult
from distmarl.learning.l_learn import LLearnResult
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.options import Alternating

ProposalKind: TypeAlias = Literal["pair", "global", "local", "start", "ascent"]
StopReason: TypeAlias = Literal["converged", "cycle", "reverted", "n_outer_iterations"]

SMALLEST_VALUE = 1e-6


@dataclass(frozen=True, slots=True)
class ProposalOutcome:
    """What became of one proposal.

    Attributes
    ----------
    iteration : int
        Number of the outer iteration, from 0.
    proposal : {"pair", "global", "local", "start", "ascent"}
        What was new: both policies, or one of them; or the start itself, or where the ascent from it ended, with the
        global agent's best response.
    joint_value : float
        What the proposed pair is worth: its mean return over the alternation's rollouts, or its exact return.
    relative_change : float
        Change of the joint value against the previous outer iteration's, relative to that; NaN in the first.
    accepted : bool
        Whether the proposal was kept.
    stopped_because : {"converged", "cycle", "reverted", "n_outer_iterations"} or None
        Why the alternation ended here: the value settled, or the pair proposed itself; the pair had been
        proposed before; what was rejected would only be proposed again; the iterations were used up.
        None while it goes on.
    global_n_iterations, local_n_iterations : int or None
        Sweeps of value iteration in G-LEARN and in L-LEARN; None where the proposal is not theirs.
    global_bound, local_bound : float or None
        Their certified errors.
    global_converged, local_converged : bool or None
        Whether the bounds reached their thresholds.
    n_recurrent_classes, mean_field_period : int or None
        Above 1, the mean field depends on the start, or is a mean over time of a periodic chain.
    start : str
        What the alternation began with.
    minimum_share : float or None
        Share of (s_g, s_l) at which the softmax of L-LEARN has its minimum temperature.
    """

    iteration: int
    proposal: ProposalKind
    joint_value: float
    relative_change: float
    accepted: bool
    stopped_because: StopReason | None
    global_n_iterations: int | None = None
    global_bound: float | None = None
    global_converged: bool | None = None
    local_n_iterations: int | None = None
    local_bound: float | None = None
    local_converged: bool | None = None
    n_recurrent_classes: int | None = None
    mean_field_period: int | None = None
    start: str = "uniform"
    minimum_share: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A pair and its outcome."""

    global_policy: GlobalPolicy
    local_policy: Array
    outcome: ProposalOutcome


def propose(
    local_policy: Array,
    respond_globally: Callable[..., GLearnResult],
    respond_locally: Callable[[GlobalPolicy, Array], LLearnResult],
    measure: Callable[[GlobalPolicy, Array], float],
    options: Alternating,
) -> Iterator[Proposal]:
    """Yield each proposal with its outcome, until a reason to stop.

    Parameters
    ----------
    local_policy : ndarray, shape (G, L, A_l)
        What the first global policy answers.
    respond_globally : callable
        G-LEARN against a local policy, from an ``initial_value``.
    respond_locally : callable
        L-LEARN against a global policy and the population's local policy.
    measure : callable
        The joint value of a pair.
    options : Alternating
        When proposals are kept, and when to stop.
    """
    judge = _Judge(options.convergence_rtol)
    globally = respond_globally(local_policy, initial_value=None)
    global_policy, global_accepted = globally.policy, True
    for iteration in range(options.n_outer_iterations):
        certificates = global_certificate(globally)
        if options.update == "each":
            value = measure(globally.policy, local_policy)
            change, global_accepted = judge.compare(value)
            outcome = ProposalOutcome(iteration, "global", value, change, global_accepted, None, **certificates)
            yield Proposal(globally.policy, local_policy, outcome)
            certificates = {}
        if global_accepted:
            global_policy = globally.policy
        locally = respond_locally(global_policy, local_policy)
        value = measure(global_policy, locally.policy)
        change, accepted = judge.compare(value)
        reason = judge.reason_to_stop(_digest(global_policy, locally.policy), change, accepted, global_accepted)
        if reason is None and iteration == options.n_outer_iterations - 1:
            reason = "n_outer_iterations"
        certificates |= _local_certificate(locally)
        kind: ProposalKind = "pair" if options.update == "pair" else "local"
        outcome = ProposalOutcome(iteration, kind, value, change, accepted, reason, **certificates)
        yield Proposal(global_policy, locally.policy, outcome)
        if reason is not None:
            return
        judge.end_round(value)
        local_policy = locally.policy
        globally = respond_globally(local_policy, initial_value=globally.value)


class _Judge:
    """Decides what is kept, and whether to go on, by the values and pairs so far."""

    def __init__(self, convergence_rtol: float) -> None:
        self._rtol = convergence_rtol
        self._best_value = -math.inf
        self._last_value = math.nan
        self._last_pair = b""
        self._best_value_at: dict[bytes, float] = {}

    def compare(self, value: float) -> tuple[float, bool]:
        """Return a joint value's relative change against the last round, and whether it is near the best or above."""
        change = (value - self._last_value) / max(abs(self._last_value), SMALLEST_VALUE)
        is_first = math.isinf(self._best_value)
        accepted = is_first or value >= self._best_value - self._rtol * abs(self._best_value)
        self._best_value = max(self._best_value, value)
        return change, accepted

    def reason_to_stop(self, digest: bytes, change: float, accepted: bool, global_accepted: bool) -> StopReason | None:
        """Return why the alternation ends with the last pair of a round, and remember the pair."""
        proposes_itself, best_value_then = digest == self._last_pair, self._best_value_at.get(digest)
        self._last_pair, self._best_value_at[digest] = digest, self._best_value
        if proposes_itself:
            return "converged" if global_accepted else "reverted"
        if best_value_then == self._best_value or (best_value_then is not None and not accepted):
            return "cycle"
        if not accepted:
            return "reverted"
        return "converged" if abs(change) < self._rtol else None

    def end_round(self, value: float) -> None:
        """Remember what the pair that a round ends with is worth."""
        self._last_value = value


def _digest(global_policy: GlobalPolicy, local_policy: Array) -> bytes:
    """Return a hash of a pair that is the same only for the same bytes."""
    return hashlib.sha256(global_policy.tobytes() + local_policy.tobytes()).digest()


def global_certificate(result: GLearnResult) -> dict[str, Any]:
    """Return what a proposal says about G-LEARN."""
    return {
        "global_n_iterations": result.n_iterations,
        "global_bound": result.bound,
        "global_converged": result.converged,
    }


def _local_certificate(result: LLearnResult) -> dict[str, Any]:
    return {
        "local_n_iterations": result.n_iterations,
        "local_bound": result.bound,
        "local_converged": result.converged,
        "n_recurrent_classes": result.mean_field.n_recurrent_classes,
        "mean_field_period": result.mean_field.period,
        "minimum_share": result.minimum_share,
    }
