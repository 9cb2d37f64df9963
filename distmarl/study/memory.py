"""The memory that tasks are made of, estimated before they run: the terms that kinds of tasks add up.

Estimates are of what a task adds to its process; the tests hold those of every kind of task to within a factor of
two of measured peaks.
"""

from __future__ import annotations

from distmarl.dynamics.rollouts import CACHED_BYTES
from distmarl.dynamics.rollouts import rollout_bytes as bytes_of_rollouts
from distmarl.learning.best.answers import choice_bytes
from distmarl.learning.g_learn import estimated_bytes
from distmarl.study.job import Job
from distmarl.values.exact_return import population_bytes
from distmarl.values.value_iteration import anderson_bytes

# Of each number of each step of the rollout that is recorded: a Python integer in a list.
RECORDED_BYTES = 40


def training_bytes(job: Job, k: int, n_threads: int = 1) -> int:
    """Return about how much memory training the global policy at k takes, in bytes."""
    return estimated_bytes(job.environment, k=k, options=job.setting.global_agent, n_threads=n_threads)


def answer_bytes(job: Job, k: int, n_threads: int = 1) -> int:
    """Return what choosing an answer takes, or a local policy by its answer."""
    options = job.setting.global_agent
    return choice_bytes(job.environment, k=k, answer=options.answer, options=options, n_threads=n_threads)


def exact_value_bytes(job: Job) -> int:
    """Return what an exact value over the horizon of the rollouts takes: a sum of so many steps is not accelerated."""
    env = job.environment
    return population_bytes(env) - anderson_bytes(job.n_populations(env.n_agents) * env.n_global_states)


def rollout_bytes(job: Job) -> int:
    """Return what rollouts take; policies are shared by the tasks of a node."""
    env, evaluation = job.environment, job.setting.evaluation
    moving = max(CACHED_BYTES, bytes_of_rollouts(env, evaluation.n_rollouts))
    return moving + RECORDED_BYTES * evaluation.horizon * (env.n_local_states + 3)
