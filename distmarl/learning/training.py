"""ALTERNATING-MARL from one start, or from several of which the best pair is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.learning.alternating import AlternatingResult, alternate
from distmarl.learning.best.searches import Sections, best_of_starts, search_from
from distmarl.learning.best.starts import checked_starts, is_papers, start_names
from distmarl.learning.proposals import ProposalOutcome
from distmarl.model.environment import Environment
from distmarl.model.options import (
    Alternating,
    Evaluation,
    GlobalAgent,
    JointValueKind,
    LocalAgent,
    LocalPolicyKind,
    ObservationKind,
    StartKind,
    TemperatureUnit,
    TransitionKind,
    UpdateKind,
)
from distmarl.model.random_streams import Seed


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
    softmax_temperature_unit: TemperatureUnit = LocalAgent.softmax_temperature_unit,
    joint_value: JointValueKind = Alternating.joint_value,
    n_rollouts: int = Evaluation.n_rollouts,
    horizon: int = Evaluation.horizon,
    starts: Sequence[StartKind] = Alternating.starts,
    n_random_starts: int = Alternating.n_random_starts,
    ascent: bool = Alternating.ascent,
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
        Where to start, instead of ``starts``.
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
    local_convergence_threshold, local_max_vi_iterations
        See :func:`l_learn`.
    softmax_temperature_scale, softmax_temperature_min, softmax_temperature_unit
        See :func:`l_learn`.
    joint_value : {"rollouts", "exact"}
        What pairs are compared by: the mean return of rollouts, or :func:`exact_return`, of as many steps.
    n_rollouts, horizon : int
        Rollouts that the joint value is the mean of (``rollouts`` only), and its number of steps.
    starts : sequence of {"uniform", "constant_action", "stay", "blind"}
        Local policies to start from, as where an alternation ends depends on it; by default the paper's alone.
        ``constant_action`` is one start for each global action: the best answer to a global agent that always plays it.
        ``stay`` is the best answer to one that stays where it is, ``blind`` to the best one that sees nobody. With
        other starts than the default, the starts themselves are candidates for the best pair, too, and what decides
        among the candidates is their exact return over all steps or, where that is dear, at least 1,000 rollouts on
        common random numbers.
    n_random_starts : int
        Random deterministic local policies to start from, too.
    ascent : bool
        Whether to climb the joint return from each start, too (:mod:`distmarl.learning.best.ascent`).
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
    sections = Sections(
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
            softmax_temperature_unit=softmax_temperature_unit,
        ),
        alternating=Alternating(
            update=update,
            joint_value=joint_value,
            n_outer_iterations=n_outer_iterations,
            convergence_rtol=convergence_rtol,
            starts=checked_starts(starts),
            n_random_starts=n_random_starts,
            ascent=ascent,
        ),
        evaluation=Evaluation(n_rollouts=n_rollouts, horizon=horizon),
    )
    names = start_names(sections.alternating, env.n_global_actions)
    if is_papers(sections.alternating):
        return alternate(
            env,
            k=k,
            seed=seed,
            initial_local_policy=initial_local_policy,
            n_threads=n_threads,
            on_iteration=on_iteration,
            **sections.by_name,
        )
    if initial_local_policy is not None:
        raise InvalidArgumentError(
            "initial_local_policy: takes the place of starts, n_random_starts and ascent; leave them out, or it"
        )
    found = [
        search_from(env, name, k=k, seed=seed, sections=sections, n_threads=n_threads, on_iteration=on_iteration)
        for name in names
    ]
    return best_of_starts(env, found, k=k, seed=seed, global_agent=sections.global_agent, n_threads=n_threads)
