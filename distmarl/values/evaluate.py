"""The value of a pair of policies, estimated by rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from numpy.typing import ArrayLike

from distmarl.dynamics.rollouts import RecordedRollout, run_seeds
from distmarl.model.arrays import Array, read_only
from distmarl.model.checks import check_choice, checked_integer
from distmarl.model.environment import Environment
from distmarl.model.options import Evaluation, RewardKind
from distmarl.model.policies import checked_global_policy, checked_k, checked_local_policy
from distmarl.model.random_streams import Role, Seed
from distmarl.values.intervals import MeanEstimate, estimate_mean


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EvaluationResult:
    """Discounted returns of a set of rollouts.

    Attributes
    ----------
    returns : ndarray, shape (n_rollouts,)
        One return per rollout, truncated at ``horizon``.
    horizon : int
        Number of steps that the returns sum over.
    mode_accuracy : float
        Share of steps at which the global action was one of the most populated classes (local states, where those are
        seen); NaN where A_g != B.
    first_rollout : RecordedRollout
        The rollout that earned ``returns[0]``, step by step.
    """

    returns: Array
    horizon: int
    mode_accuracy: float
    first_rollout: RecordedRollout

    def __repr__(self) -> str:
        return (
            f"EvaluationResult(mean={self.mean:.6g}, std={self.std:.3g}, n_rollouts={len(self.returns)}, "
            f"horizon={self.horizon}, mode_accuracy={self.mode_accuracy:.3g})"
        )

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Sample standard deviation of the returns (ddof = 1); NaN for a single rollout."""
        return float(self.returns.std(ddof=1)) if len(self.returns) > 1 else float("nan")

    @property
    def estimate(self) -> MeanEstimate:
        """Mean return with its standard error and 95 % interval."""
        return estimate_mean(self.returns)


def evaluate(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    n_rollouts: int = Evaluation.n_rollouts,
    horizon: int = Evaluation.horizon,
    reward: RewardKind = Evaluation.reward,
    seed: Seed = 0,
) -> EvaluationResult:
    """Estimate E sum_{t < horizon} gamma^t r(t) of a pair of policies in the n-agent game.

    Parameters
    ----------
    env : Environment
        The game.
    global_policy : array_like, shape (G, C) or (G, C, A_g)
        pi_g over the count vectors of ``k`` agents: actions, or distributions that they are drawn from.
    local_policy : array_like, shape (G, L, A_l)
        pi_l.
    k : int
        Number of agents that the global agent sees, from 1 to ``env.n_agents``.
    n_rollouts, horizon : int
        Number of rollouts, and of steps in each.
    reward : {"sampled", "expected"}
        What a step earns: the reward of the local actions that were drawn, or its expectation given
        s_g, a_g and the population. The mean is the same. The variance is less, as a rule: it is more
        where later rewards make up for what the draw of an action earned.
    seed : int or sequence of int
        Root of the random streams. The same seed gives rollouts that start alike and stay alike for
        every k and every pair: compare returns of one seed entry by entry.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range or has the wrong shape.

    Examples
    --------
    >>> import distmarl as dm
    >>> env = dm.robots(n_agents=10)
    >>> policy = dm.uniform_local_policy(env)
    >>> found = dm.g_learn(env, policy, k=2, transitions="exact")
    >>> value = dm.evaluate(env, found.policy, policy, k=2, n_rollouts=200, horizon=50, seed=0)
    >>> value.returns.shape
    (200,)
    >>> exact = dm.exact_return(env, found.policy, policy, k=2, horizon=50)
    >>> abs(value.mean - exact.value) < 4 * value.estimate.standard_error
    True
    """
    (result,) = evaluate_seeds(
        env,
        global_policy,
        local_policy,
        k=k,
        options=Evaluation(
            n_rollouts=checked_integer("n_rollouts", n_rollouts),
            horizon=checked_integer("horizon", horizon),
            reward=reward,
        ),
        seeds=[seed],
    )
    return result


def evaluate_seeds(
    env: Environment,
    global_policy: ArrayLike,
    local_policy: ArrayLike,
    *,
    k: int,
    options: Evaluation,
    seeds: Sequence[Seed],
) -> list[EvaluationResult]:
    """Return what :func:`evaluate` finds for each of several seeds, which are simulated side by side.

    The options are a section of the sweep file.
    """
    k = checked_k(env, k)
    check_choice("reward", options.reward, get_args(RewardKind))
    found = run_seeds(
        env,
        checked_global_policy(env, global_policy, k),
        checked_local_policy(env, local_policy),
        k=k,
        n_rollouts=options.n_rollouts,
        horizon=options.horizon,
        seeds=seeds,
        role=Role.EVALUATION,
        reward=options.reward,
    )
    return [
        EvaluationResult(read_only(rollouts.returns), options.horizon, rollouts.mode_accuracy, rollouts.first)
        for rollouts in found
    ]
