"""The memory that tasks are made of, estimated before they run: the terms that kinds of tasks add up.

Estimates are of what a task adds to its process; the tests hold those of every kind of task to within a factor of
two of measured peaks.
"""

from __future__ import annotations

from distmarl.equilibrium.estimated_gaps import MAX_SEEN, MOST_UNSEEN
from distmarl.learning.g_learn import estimated_bytes
from distmarl.study.job import Job
from distmarl.values.exact_return import population_bytes
from distmarl.values.value_iteration import anderson_bytes

# What nash_gap simulates of each deviation, unless it is told otherwise.
N_PAIRED_ROLLOUTS = 1000


def training_bytes(job: Job, k: int, n_threads: int = 1) -> int:
    """Return about how much memory training the global policy at k takes, in bytes."""
    options = job.setting.global_agent
    return estimated_bytes(
        job.environment,
        k=k,
        transitions=options.transitions,
        n_mc_samples=options.n_mc_samples,
        n_threads=n_threads,
    )


def exact_training_bytes(job: Job, k: int) -> int:
    """Return about how much memory training at k with exact transitions takes, in bytes."""
    return estimated_bytes(job.environment, k=k, transitions="exact", n_mc_samples=1)


def exact_value_bytes(job: Job) -> int:
    """Return what an exact value over the horizon of the rollouts takes: a sum of so many steps is not accelerated."""
    env = job.environment
    return population_bytes(env) - anderson_bytes(job.n_count_vectors(env.n_agents) * env.n_global_states)


def estimated_gap_bytes(job: Job, k: int) -> int:
    """Return what estimated gaps take: the larger game in which deviations are looked for, and paired rollouts."""
    env = job.environment
    sizes = range(min(k + MOST_UNSEEN, env.n_agents), k, -1)
    larger = next((size for size in sizes if job.n_count_vectors(size) <= MAX_SEEN), k)
    action_values = 8 * job.n_count_vectors(larger) * env.n_global_states * env.n_global_actions
    rollouts = 8 * 3 * 2 * N_PAIRED_ROLLOUTS * env.n_local_states**2  # in two worlds
    return exact_training_bytes(job, larger) + 2 * action_values + rollouts


def rollout_bytes(job: Job) -> int:
    """Return what rollouts take; policies are shared by the tasks of a node."""
    env = job.environment
    return 8 * 3 * job.setting.evaluation.n_rollouts * env.n_local_states**2 * env.n_local_actions
