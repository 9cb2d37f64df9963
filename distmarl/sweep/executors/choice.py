"""Choosing what runs the tasks: this process, a Ray of this machine or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from distmarl.errors import ExecutorError, LostRayError
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan
from distmarl.sweep.clusters.joining import Cluster, try_to_join
from distmarl.sweep.estimates.machine import machine_cores, machine_memory
from distmarl.sweep.estimates.requests import check_memory
from distmarl.sweep.executors.executor import Executor
from distmarl.sweep.executors.head_start import AheadExecutor, HeadStart
from distmarl.sweep.executors.serial import SerialExecutor
from distmarl.sweep.guards.guard import Guard


@dataclass(frozen=True, eq=False)
class ExecutorChoice:
    """What is to run the tasks that are missing of a plan.

    Attributes
    ----------
    plan : Plan
        The checked sweep.
    pending : Pending
        What is left of it.
    kind : {"ray", "serial"}
        Which executor.
    cluster : Cluster or None
        The cluster that Ray is to join; None for a Ray of this machine.
    guard : Guard or None
        What ends this process where one of its tasks hears nothing.
    """

    plan: Plan
    pending: Pending
    kind: Literal["ray", "serial"]
    cluster: Cluster | None
    guard: Guard | None = None

    @property
    def runs_on_ray(self) -> bool:
        """Whether a Ray is needed: not where nothing is to run."""
        return self.kind == "ray" and bool(self.pending.missing)

    def check(self) -> None:
        """Refuse before anything starts, with an ExecutorError, what this machine could never run."""
        if self.kind == "ray" and self.cluster is not None:
            return
        runner = self.plan.sweep.runner
        n_cpus = runner.num_cpus or machine_cores()[0]
        if self.kind == "ray" and (runner.cpus_per_train or 1) > n_cpus:
            raise ExecutorError(
                f"runner.cpus_per_train: each training asks for {runner.cpus_per_train} cores, "
                f"but the local Ray has {n_cpus}; ask for fewer"
            )
        check_memory(self.plan, self.pending, machine_memory(), "this machine")

    def cores(self) -> tuple[int, str]:
        """Return the cores that a plan reckons with, and whose they are."""
        if self.kind == "serial":
            return 1, ", as --executor serial asks for"
        asked = self.plan.sweep.runner.num_cpus
        if asked is not None:
            return asked, ", as runner.num_cpus says"
        there, whose = machine_cores()
        return there, whose if self.cluster is None else f"{whose}; --num-cpus tells how many the cluster has"

    @cached_property
    def _head_start(self) -> HeadStart | None:
        """What is done while a Ray of this machine starts: not what has a deadline, or cores of its own."""
        runner = self.plan.sweep.runner
        has_one = self.cluster is None and runner.task_timeout_s is None and runner.cpus_per_train is None
        return HeadStart(self.plan, self.pending) if has_one else None

    def start(
        self, tell: Callable[[str], None], warn: Callable[[str], None], give_up: Callable[[LostRayError], object]
    ) -> Executor:
        """Tell what is joined, or start a Ray, and begin meanwhile; what gives up is called when Ray hangs."""
        runner = self.plan.sweep.runner
        if not self.runs_on_ray:
            return SerialExecutor(runner.task_timeout_s, self.guard)
        if self.cluster is not None:
            try_to_join(self.cluster, tell)
        else:  # Under `uv run`, Ray would upload the current folder, and make of it an environment like this one.
            os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        head_start = self._head_start
        if head_start is not None:
            head_start.begin()
        try:
            executor = self._start_ray(warn, give_up)
        finally:
            if head_start is not None:
                head_start.end()
        return executor if head_start is None else AheadExecutor(head_start, executor)

    def _start_ray(self, warn: Callable[[str], None], give_up: Callable[[LostRayError], object]) -> Executor:
        """Join or start a Ray; warn of what it lacks, and refuse what it could never run."""
        from distmarl.sweep.executors.ray_executor import RayExecutor  # half a second that --help need not wait for

        executor = RayExecutor(self.plan.sweep.runner, self.cluster, warn, give_up)
        try:
            where = "the cluster" if self.cluster else "the local Ray"
            check_memory(self.plan, self.pending, executor.largest_node_memory, where)
        except ExecutorError:
            executor.close()
            raise
        if executor.shortcoming:
            warn(executor.shortcoming)
        return executor
