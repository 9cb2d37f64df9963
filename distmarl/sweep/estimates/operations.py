"""How long tasks take on a reference core, by the count of their operations.

The counts tell how the time grows: a sweep of value iteration passes over all C(k) count vectors, with exact
transitions k/L + 1 times as often; rollouts cost their steps. The constants are those of one core, and rough: how
far they are off where tasks run is for :mod:`distmarl.sweep.estimates.costs` to find out.
"""

from __future__ import annotations

from distmarl.dynamics.transitions.kinds import TRANSITIONS
from distmarl.equilibrium.baselines import N_TRIALS
from distmarl.model.options import TransitionKind
from distmarl.study.plan import Job, Plan, n_count_vectors_of
from distmarl.study.tasks import TaskKind

# Measured on the robots game, with nothing else on the machine, as those of the kinds of transitions.
# Of a step of rollouts: for each of the L^2 A_l moves, once and per rollout.
PER_MOVE_S, PER_MOVE_AND_ROLLOUT_S = 5e-6, 7e-8
# Most alternations settle in so many outer iterations.
N_OUTER_ITERATIONS = 3
# An exact Nash gap takes about as long as so many values of the population. An estimate takes paired rollouts, and
# sweeps over a smaller population.
N_VALUES_OF_A_GAP = 20
N_ROLLOUTS_OF_AN_ESTIMATE, N_SWEEPS_OF_AN_ESTIMATE, MAX_VECTORS_OF_AN_ESTIMATE = 20_000, 120, 50_000


def reference_seconds(plan: Plan, job: Job, kind: TaskKind, k: int | None) -> float:
    """Return about how long a task takes on a reference core.

    Parameters
    ----------
    plan : Plan
        The sweep.
    job : Job
        The task's setting.
    kind : str
        Which task.
    k : int or None
        The task's subsample size, if it has one.
    """
    setting = job.setting
    if kind == "evaluate":
        return _rollouts_s(job, setting.evaluation.n_rollouts)
    if kind == "exact_return":
        return _population_s(job)
    if kind == "nash_gap":
        return _gap_s(job, exact=plan.sweep.experiment.nash_gap == "exact")
    if kind == "baselines":
        return _baselines_s(plan, job)
    if kind == "g_learn":
        assert k is not None
        return _training_s(job, k)
    exactly = setting.alternating.joint_value == "exact"
    valued = _population_s(job) if exactly else _rollouts_s(job, setting.evaluation.n_rollouts)
    return min(setting.alternating.n_outer_iterations, N_OUTER_ITERATIONS) * (
        _training_s(job, setting.reference_k) + valued
    )


def _training_s(job: Job, k: int, transitions: TransitionKind | None = None) -> float:
    """Return the time of G-LEARN at k, with the setting's transitions unless others are given."""
    options = job.setting.global_agent
    kind = transitions or options.transitions
    n_sweeps = min(TRANSITIONS[kind].n_sweeps, options.max_vi_iterations)
    return n_sweeps * _sweep_s(job, k, n_count_vectors_of(job, k), kind)


def _sweep_s(job: Job, k: int, n_vectors: int, transitions: TransitionKind) -> float:
    """Return the time of a sweep of value iteration over count vectors of k agents."""
    kind, n_global = TRANSITIONS[transitions], job.environment.n_global_states
    n_operations = n_global**2 * n_vectors * kind.n_operations(job.environment, k, job.setting.global_agent)
    return n_global * kind.per_kernel_s + n_operations * kind.per_operation_s


def _rollouts_s(job: Job, n_rollouts: int) -> float:
    """Return the time of rollouts that advance together."""
    env = job.environment
    n_moves = env.n_local_states**2 * env.n_local_actions
    return job.setting.evaluation.horizon * n_moves * (PER_MOVE_S + n_rollouts * PER_MOVE_AND_ROLLOUT_S)


def _population_s(job: Job) -> float:
    """Return the time of an exact value over the count vectors of all agents."""
    n_agents = job.environment.n_agents
    return job.setting.evaluation.horizon * _sweep_s(job, n_agents, n_count_vectors_of(job, n_agents), "exact")


def _gap_s(job: Job, *, exact: bool) -> float:
    """Return the time of a Nash gap."""
    if exact:
        return N_VALUES_OF_A_GAP * _population_s(job)
    n_agents = job.environment.n_agents
    n_vectors = min(n_count_vectors_of(job, n_agents), MAX_VECTORS_OF_AN_ESTIMATE)
    sweeps = N_SWEEPS_OF_AN_ESTIMATE * _sweep_s(job, n_agents, n_vectors, "exact")
    return sweeps + _rollouts_s(job, N_ROLLOUTS_OF_AN_ESTIMATE)


def _baselines_s(plan: Plan, job: Job) -> float:
    """Return the time of all baselines that are asked for."""
    names, method = plan.sweep.experiment.baselines, plan.sweep.evaluation.method
    value = 0.0
    if method != "exact":
        value += plan.n_eval_seeds * _rollouts_s(job, job.setting.evaluation.n_rollouts)
    if method != "rollouts":
        value += _population_s(job)
    total = len(names) * value
    if "fixed_action" in names:
        trial = _rollouts_s(job, N_TRIALS) if method == "rollouts" else _population_s(job)
        total += job.environment.n_global_actions * trial
    if "full_information" in names:
        total += _training_s(job, job.environment.n_agents, "exact")
    if "no_local_update" in names:
        total += _training_s(job, job.setting.reference_k)
    return total
