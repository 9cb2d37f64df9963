"""Trains a policy on one node, waits for that node to be killed, and evaluates the policy on another.

python -m tests.faults.lost_value ADDRESS
"""

from __future__ import annotations

import os
import sys

from distmarl.model.options import Runner
from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep.clusters.joining import Cluster
from distmarl.sweep.executors.executor import Completed, Task
from distmarl.sweep.executors.ray_executor import RayExecutor
from tests.sweep.sweeps import TINY, changed, plan_of

# A hundred kilobytes or less would travel with the task's result and have no node to be lost with.
LARGE = changed(
    TINY,
    environment={"n_agents": 30, "n_global_states": 5, "n_local_states": 5, "n_global_actions": 5},
    global_agent={"transitions": "rounded"},
    experiment={"k_values": [20]},
)


def completed(executor: RayExecutor) -> Completed:
    while not (done := executor.next_completed(1.0)):
        pass
    (only,) = done
    assert only.outcome.failure is None, only.outcome.failure
    return only


def main() -> None:
    (job,) = plan_of(LARGE).jobs
    with RayExecutor(Runner(), Cluster(sys.argv[1], "--address", 30.0), print, lambda _: os._exit(1)) as executor:
        handle = executor.put(job)
        executor.submit(Task(TaskKey("shared_policy", job.setting_id), handle))
        local_policy = completed(executor).value
        executor.submit(Task(TaskKey("g_learn", job.setting_id, 20), handle, (local_policy,)))
        trained = completed(executor)
        sys.stdout.write(f"trained on {trained.outcome.timing['node_id']}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        executor.submit(Task(TaskKey("evaluate", job.setting_id, 20, 0), handle, (local_policy, trained.value)))
        (row,) = completed(executor).outcome.rows["evaluations"]
        sys.stdout.write(f"{row['mean_return'].hex()}\n")


if __name__ == "__main__":
    main()
