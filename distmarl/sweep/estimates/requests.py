"""What tasks ask of the machines that they run on: memory and cores.

A task that adds little memory asks for none, so that small tasks start wherever there is a core.
"""

from __future__ import annotations

from distmarl.errors import ExecutorError
from distmarl.study.job import Job
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskGroup
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan
from distmarl.wording import mebibytes

# Less than this is left to the memory that a node has beside what it gives to tasks.
SMALL_TASK_BYTES = 64 * 2**20


def memory_request(n_bytes: int) -> int:
    """Return the memory to ask for: none where it is too little to matter."""
    return n_bytes if n_bytes >= SMALL_TASK_BYTES else 0


def cores_for(plan: Plan, pending: Pending, group: TaskGroup, n_slots: int, node_cpus: int, node_memory: int) -> int:
    """Return the cores for each task of a group.

    Those that need no other task are lent the idle ones, unless ``runner.cpus_per_train`` says how many they get:
    nothing else can run before them.

    Parameters
    ----------
    plan : Plan
        The sweep.
    pending : Pending
        What is left of it.
    group : TaskGroup
        The tasks.
    n_slots : int
        Cores that there are in all.
    node_cpus, node_memory : int
        Cores of the largest node, and the bytes of memory of the one that has most.
    """
    kind, job, asked = KINDS[group.kind], plan.by_id[group.setting_id], plan.sweep.runner.cpus_per_train
    if not kind.has_threads:
        return 1
    if asked is not None or pending.needed(group) is not None:
        return asked or 1
    share = n_slots // max(1, pending.n_tasks[kind.name])
    n_cpus = max(1, min(share, node_cpus, job.environment.n_global_states))
    while n_cpus > 1 and kind.n_bytes(job, group.k, n_cpus) > node_memory:
        n_cpus -= 1
    return n_cpus


def check_memory(plan: Plan, pending: Pending, largest_node: int, where: str) -> None:
    """Refuse a sweep with a task that fits on no node.

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
    for group in pending.missing:
        kind, job = KINDS[group.kind], plan.by_id[group.setting_id]
        needed = kind.n_bytes(job, group.k, n_threads)
        if memory_request(needed) > largest_node:
            raise ExecutorError(_refusal(job, group, needed, largest_node, where))


def _refusal(job: Job, group: TaskGroup, needed: int, largest_node: int, where: str) -> str:
    name = "-".join(part for part in (group.kind, group.setting_id, group.k and f"k{group.k}") if part)
    label = f" ({job.setting.label})" if job.setting.label else ""
    what, remedies = _bulk(job, group)
    return (
        f"{name}{label}: needs about {mebibytes(needed)} of memory, for {what}; the largest node of {where} has "
        f"{mebibytes(largest_node)} for tasks. Use {', '.join(remedies)} or a machine with more memory"
    )


def _bulk(job: Job, group: TaskGroup) -> tuple[str, list[str]]:
    """Return what takes the memory of a task, and what would take less."""
    env, options, evaluation = job.environment, job.setting.global_agent, job.setting.evaluation
    grows_with = KINDS[group.kind].grows_with
    if grows_with == "rollouts":
        what = f"{evaluation.n_rollouts:,} rollouts of {evaluation.horizon:,} steps, {env.n_agents:,} agents"
        return what, ["fewer evaluation.n_rollouts", "a shorter evaluation.horizon"]
    k = env.n_agents if grows_with == "agents" else group.k or job.setting.reference_k
    n_states = env.n_local_states if grows_with == "agents" else env.n_classes
    n_vectors = job.n_populations(k) if grows_with == "agents" else job.n_count_vectors(k)
    states = "local states" if n_states == env.n_local_states else f"classes of {env.n_local_states} local states"
    what = (
        f"{n_vectors:,} count vectors ({k} agents in {n_states} {states}) x "
        f"{env.n_global_states} global states, {options.transitions} transitions"
    )
    if grows_with == "agents":
        return what, ["fewer agents"]
    return what, ["a smaller k", *(["fewer global_agent.n_mc_samples"] if options.transitions == "sampled" else [])]
