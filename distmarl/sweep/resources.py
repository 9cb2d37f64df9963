"""The memory that tasks take, estimated before they run.

Estimates are of what a task adds to its process; the tests hold them to within a factor of two of measured
peaks. A task that adds little asks for none, so that small tasks start wherever there is a core.
"""

from __future__ import annotations

import os
from pathlib import Path

from distmarl.errors import ExecutorError
from distmarl.learning.g_learn import estimated_bytes
from distmarl.sweep.pending import Pending
from distmarl.sweep.plan import Job, Plan, n_count_vectors_of

# Less than this is left to the memory that a node has beside what it gives to tasks.
SMALL_TASK_BYTES = 64 * 2**20
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


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


def shared_policy_bytes(job: Job, n_threads: int = 1) -> int:
    """Return about how much memory training the shared local policy takes, in bytes."""
    k, env = job.setting.reference_k, job.environment
    # L-LEARN's weights of the count vectors, with the value that G-LEARN starts from next.
    local = 8 * n_count_vectors_of(job, k) * (env.n_global_states + env.n_local_states)
    return training_bytes(job, k, n_threads) + local


def evaluation_bytes(job: Job) -> int:
    """Return about how much memory an evaluation takes, in bytes; policies are shared by the tasks of a node."""
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
        needs = [(training_bytes(job, k, n_threads), f"g_learn-{name}-k{k}", k) for k in pending.trainings[name]]
        if name in pending.shared_policies:
            needs.append((shared_policy_bytes(job, n_threads), f"shared_policy-{name}", job.setting.reference_k))
        needed, task, k = max(needs, default=(0, "", 0))
        if memory_request(needed) > largest_node:
            raise ExecutorError(_refusal(job, task, k, needed, largest_node, where))


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


def _refusal(job: Job, task: str, k: int, needed: int, largest_node: int, where: str) -> str:
    env, options = job.environment, job.setting.global_agent
    label = f" ({job.setting.label})" if job.setting.label else ""
    draws = f", n_mc_samples = {options.n_mc_samples}" if options.transitions == "sampled" else ""
    remedies = ["a smaller k", "a machine with more memory"]
    if options.transitions == "sampled":
        remedies.insert(1, "fewer global_agent.n_mc_samples")
    return (
        f"{task}{label}: needs about {mebibytes(needed)} of memory for {n_count_vectors_of(job, k):,} count vectors "
        f"(k = {k} agents in {env.n_local_states} states) x {env.n_global_states} global states, "
        f"{options.transitions} transitions{draws}; the largest node of {where} has {mebibytes(largest_node)} "
        f"for tasks. Use {', '.join(remedies[:-1])} or {remedies[-1]}"
    )
