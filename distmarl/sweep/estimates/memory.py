"""The memory that tasks take, estimated before they run.

Estimates are of what a task adds to its process; the tests hold those of every kind of task to within a factor of
two of measured peaks. A task that adds little asks for none, so that small tasks start wherever there is a core.
"""

from __future__ import annotations

import os
from pathlib import Path

from distmarl.equilibrium.deviations import surrogate_bytes
from distmarl.equilibrium.nash_gap import gap_bytes
from distmarl.errors import ExecutorError
from distmarl.learning.g_learn import estimated_bytes
from distmarl.study.pending import Pending
from distmarl.study.plan import Job, Plan, n_count_vectors_of
from distmarl.study.tasks import TaskKey, TaskKind
from distmarl.values.exact_return import population_bytes
from distmarl.values.value_iteration import anderson_bytes

# Less than this is left to the memory that a node has beside what it gives to tasks.
SMALL_TASK_BYTES = 64 * 2**20
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def task_bytes(plan: Plan, job: Job, kind: TaskKind, k: int | None, n_threads: int = 1) -> int:
    """Return about how much memory a task takes, in bytes.

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
    n_threads : int
        Threads that a training uses.
    """
    env, method = job.environment, plan.sweep.evaluation.method
    if kind == "shared_policy":
        return shared_policy_bytes(job, n_threads)
    if kind == "exact_return":
        return _exact_value_bytes(job)
    if kind == "baselines":
        # One after the other: a training, then what it is worth.
        return max(_baselines_bytes(plan, job), 0 if method == "rollouts" else _exact_value_bytes(job))
    if k is None or kind == "evaluate":
        return _rollout_bytes(job)
    if kind == "g_learn":
        return training_bytes(job, k, n_threads)
    return gap_bytes(env, k=k, method="exact" if plan.sweep.experiment.nash_gap == "exact" else "estimate")


def training_bytes(job: Job, k: int, n_threads: int = 1) -> int:
    """Return about how much memory training the global policy at k takes, in bytes."""
    return estimated_bytes(job.environment, k=k, options=job.setting.global_agent, n_threads=n_threads)


def shared_policy_bytes(job: Job, n_threads: int = 1) -> int:
    """Return about how much memory training the shared local policy takes, in bytes."""
    k, env = job.setting.reference_k, job.environment
    # L-LEARN's weights of the count vectors, with the value that G-LEARN starts from next.
    local = 8 * n_count_vectors_of(job, k) * (env.n_global_states + env.n_local_states)
    n_bytes = training_bytes(job, k, n_threads) + local
    return n_bytes if job.setting.alternating.joint_value == "rollouts" else max(n_bytes, _exact_value_bytes(job))


def _exact_value_bytes(job: Job) -> int:
    """Return what an exact value over the horizon of the rollouts takes: a sum of so many steps is not accelerated."""
    env = job.environment
    return population_bytes(env) - anderson_bytes(n_count_vectors_of(job, env.n_agents) * env.n_global_states)


def _baselines_bytes(plan: Plan, job: Job) -> int:
    """Return what training the baselines takes."""
    names = plan.sweep.experiment.baselines
    full = surrogate_bytes(job.environment, job.environment.n_agents) if "full_information" in names else 0
    reference = training_bytes(job, job.setting.reference_k) if "no_local_update" in names else 0
    return max(full, reference, _rollout_bytes(job))


def _rollout_bytes(job: Job) -> int:
    """Return what rollouts take; policies are shared by the tasks of a node."""
    env = job.environment
    return 8 * 3 * job.setting.evaluation.n_rollouts * env.n_local_states**2 * env.n_local_actions


def memory_request(n_bytes: int) -> int:
    """Return the memory to ask for: none where it is too little to matter."""
    return n_bytes if n_bytes >= SMALL_TASK_BYTES else 0


def check_memory(plan: Plan, pending: Pending, largest_node: int, where: str) -> None:
    """Refuse a sweep with a training that fits on no node.

    Parameters
    ----------
    plan : Plan
        The checked sweep.
    pending : Pending
        What is left of it.
    largest_node : int
        Bytes of memory that the largest node has for tasks.
    where : str
        What the nodes are part of, for the message.

    Raises
    ------
    ExecutorError
        With the arithmetic.
    """
    n_threads = plan.sweep.runner.cpus_per_train or 1
    for job in plan.jobs:
        name = job.setting_id
        keys = [TaskKey(kind, name) for kind, names in pending.by_setting.items() if name in names]
        keys += [TaskKey(kind, name, k) for kind, missing in pending.by_k.items() for k in missing[name]]
        for key in keys:
            needed = task_bytes(plan, job, key.kind, key.k, n_threads)
            if memory_request(needed) > largest_node:
                raise ExecutorError(_refusal(job, key, needed, largest_node, where))


def machine_memory() -> int:
    """Return the bytes of memory of this machine, or of the container that it is."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in CGROUP_LIMITS:
        if Path(name).exists() and (text := Path(name).read_text().strip()).isdecimal():
            limits.append(int(text))
    return min(limits)


def mebibytes(n_bytes: float) -> str:
    """Return a number of bytes as text."""
    return f"{n_bytes / 2**20:,.0f} MiB"


def _refusal(job: Job, key: TaskKey, needed: int, largest_node: int, where: str) -> str:
    env, options = job.environment, job.setting.global_agent
    label = f" ({job.setting.label})" if job.setting.label else ""
    remedies = ["a machine with more memory"]
    of_population = key.kind not in ("g_learn", "shared_policy")
    if options.transitions == "sampled" and not of_population:
        remedies.insert(0, "fewer global_agent.n_mc_samples")
    remedies.insert(0, "fewer agents" if of_population else "a smaller k")
    k = env.n_agents if of_population else key.k or job.setting.reference_k
    return (
        f"{key}{label}: needs about {mebibytes(needed)} of memory, for {n_count_vectors_of(job, k):,} count vectors "
        f"({k} agents in {env.n_local_states} local states) x {env.n_global_states} global states, "
        f"{options.transitions} transitions; the largest node of {where} has {mebibytes(largest_node)} for tasks. "
        f"Use {', '.join(remedies[:-1])} or {remedies[-1]}"
    )
