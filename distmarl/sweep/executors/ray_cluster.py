"""Starting a local Ray or joining a cluster, leaving it, and what its nodes have."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray

from distmarl.errors import ExecutorError
from distmarl.model.options import Runner
from distmarl.sweep.estimates.machine import machine_cores
from distmarl.sweep.executors import ray_private
from distmarl.wording import counted, mebibytes

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A kill for want of memory comes back here at once; by default it is repeated for ever, as it was.
    "RAY_task_oom_retries": "0",
    # A connection that has gone silent is given up within seconds instead of minutes.
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
}
# A checkout that is not installed: what runs from the current folder must be found there by the workers, too.
CHECKOUT = Path(__file__).parents[3]


def join(runner: Runner, address: str | None) -> None:
    """Join the cluster at an address, or start a local Ray, and refuse a request that no node could ever meet."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray_private.hush()
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    if address is None:
        options |= {"num_cpus": runner.num_cpus or machine_cores()[0], "include_dashboard": False}
    if "://" not in (address or "") and not CHECKOUT.samefile(Path.cwd()):  # Ray Client would send it to its server
        options["job_config"] = ray_private.JobConfig()
    try:
        ray.init(address=address or "local", **options)
    except Exception as error:  # Ray raises plain ones, too: on a machine that is too busy to start it in time
        raise ExecutorError(f"cannot start on {name_of(address)}: {error}") from error
    wanted, nodes = runner.cpus_per_train or 1, node_resources("CPU")
    if wanted > max(nodes, default=0) and sum(nodes) > 0:
        ray.shutdown()
        raise ExecutorError(
            f"runner.cpus_per_train: each training asks for {wanted} cores, but the largest of {len(nodes)} nodes "
            f"has {max(nodes):g}; ask for fewer"
        )


def leave() -> None:
    """Leave the cluster; a local Ray ends, with whatever still runs on it.

    That takes a second or two of waiting, in which figures can be drawn; Python exits when it is done.
    """
    if sys.exc_info()[0] is None:
        threading.Thread(target=ray.shutdown, name="end of Ray").start()
    else:  # the error's frames may hold references, and nothing is drawn
        ray.shutdown()


def name_of(address: str | None) -> str:
    """Return what to call a cluster."""
    return f"the Ray cluster at {address}" if address else "a local Ray"


def alive_nodes() -> list[dict[str, Any]]:
    """Return the resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def node_resources(name: str) -> list[float]:
    """Return how much of a resource each node has that is alive and runs tasks."""
    return [resources.get(name, 0) for resources in alive_nodes() if resources.get("CPU", 0)]


def compare_with_nodes(requests: Iterable[tuple[int, int]]) -> str:
    """Return what waiting tasks ask for, each for cores and bytes of memory, and what the nodes have."""
    nodes = zip(node_resources("CPU"), node_resources("memory"), strict=True)
    free = ray.available_resources()
    return (
        f"waiting: {_amounts('task', requests)}; there: {_amounts('node', nodes) or 'no node that runs tasks'}; "
        f"free in all: {_amount(free.get('CPU', 0), free.get('memory', 0))}"
    )


def _amounts(noun: str, each: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"{counted(number, noun)} of {_amount(*has)}" for has, number in Counter(each).most_common())


def _amount(n_cpus: float, memory_bytes: float) -> str:
    """Return cores and memory as text."""
    return counted(int(n_cpus), "core") + (f" and {mebibytes(memory_bytes)}" if memory_bytes else "")
