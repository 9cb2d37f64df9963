"""Starting a local Ray or joining a cluster, leaving it, and what its nodes have."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from distmarl.errors import ExecutorError
from distmarl.model.options import Runner
from distmarl.sweep.clusters.joining import Cluster
from distmarl.sweep.clusters.local_ray import Keeper, LocalPlace
from distmarl.sweep.estimates.machine import machine_cores
from distmarl.sweep.executors import ray_private
from distmarl.sweep.stopping import HalfStarted
from distmarl.wording import counted, mebibytes

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A kill for want of memory comes back here at once; by default it is repeated for ever, as it was.
    "RAY_task_oom_retries": "0",
    # A connection that gives no sign of life is given up within seconds. It is asked for one after five minutes, as by
    # default: servers bear no shorter time, but hang up on tasks that take four times as long, which are lost then.
    "RAY_grpc_client_keepalive_timeout_ms": "10000",
    # Ray ends a process that has lost its control service, by default after a minute: the pulse is to notice first.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
}
# A checkout that is not installed: what runs from the current folder must be found there by the workers, too.
CHECKOUT = Path(__file__).parents[3]
# What to do about causes that are known, by what Ray says of them.
HINTS = {
    "AF_UNIX path": "Set RAY_TMPDIR to a folder with a short path. ",
    "auth_token": "Let HOME be a folder that can be written, or name a file with the token by RAY_AUTH_TOKEN_PATH. ",
    "No space left": "Set RAY_TMPDIR to a folder on a disk with room. ",
}
# So long a Ray may take to be left; one that was lost may do it never.
LEAVE_TIMEOUT_S = 30.0


def join(runner: Runner, cluster: Cluster | None, warn: Callable[[str], None]) -> LocalPlace | Keeper:
    """Join a cluster or start a local Ray, refuse what no node could ever run, and return what tidies up at the end."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray_private.hush()
    options: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}
    is_client = cluster is not None and "://" in cluster.address  # which would send it to its server
    if not is_client and not CHECKOUT.samefile(Path.cwd()):
        options["job_config"] = ray_private.JobConfig()
    if cluster is not None:
        with _explained(f"cannot join {cluster}"):
            ray.init(address=cluster.address, **options)
        place: LocalPlace | Keeper = Keeper()
    else:
        n_cpus = runner.num_cpus or machine_cores()[0]
        place = _start(warn, num_cpus=n_cpus, include_dashboard=False, **options)
    wanted = runner.cpus_per_train or 1
    nodes = [node["Resources"]["CPU"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0)]
    if wanted > max(nodes, default=0) and sum(nodes) > 0:
        leave(place)
        raise ExecutorError(
            f"runner.cpus_per_train: each training asks for {wanted} cores, but the largest of {len(nodes)} nodes "
            f"has {max(nodes):g}; ask for fewer"
        )
    return place


def _start(warn: Callable[[str], None], **options: Any) -> LocalPlace:
    """Start a Ray of this machine."""
    place = LocalPlace()
    if place.note:
        warn(place.note)
    try:
        with _explained("cannot start a local Ray", place):
            ray.init(address="local", _temp_dir=place.temp_dir, **options)
    except BaseException as error:
        place.close(keep=isinstance(error, ExecutorError) and place.has_logs)
        raise
    return place


@contextmanager
def _explained(what: str, place: LocalPlace | None = None) -> Iterator[None]:
    """Make one error of ours of whatever Ray raises in the block, which installs a handler of its own for SIGTERM."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise HalfStarted from interrupt
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise HalfStarted from left
        raise ExecutorError(f"{what}: Ray ended with exit code {left.code}. {_way_out(place)}") from left
    except Exception as error:  # Ray raises plain ones, too: on a machine that is too busy to start it in time
        hint = next((hint for sign, hint in HINTS.items() if sign in f"{type(error).__name__}: {error}"), "")
        raise ExecutorError(
            f"{what}: {type(error).__name__}: {str(error).rstrip('.')}. {hint}{_way_out(place)}"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _way_out(place: LocalPlace | None) -> str:
    logs = f"Ray's logs are in {place.temp_dir}; " if place is not None and place.has_logs else ""
    return f"{logs}--executor serial needs no Ray"


def leave(place: LocalPlace | Keeper, *, is_lost: bool = False) -> bool:
    """Leave the cluster; a local Ray ends, with whatever still runs on it. Return whether one that was lost has ended.

    That takes a second or two of waiting, in which figures can be drawn; Python exits when it is done, and at the
    latest after LEAVE_TIMEOUT_S.
    """

    def end() -> bool:
        ending = threading.Thread(target=ray.shutdown, name="leaving Ray", daemon=True)
        ending.start()
        ending.join(LEAVE_TIMEOUT_S)
        has_ended = not ending.is_alive()
        if not has_ended:
            atexit.unregister(ray.shutdown)  # which Python would wait for at its end
        place.close()
        return has_ended

    if is_lost:
        gc.collect()  # a reference that went after Ray would take this process along
        place.close()  # whatever of it does not answer any more would be waited for
        return end()  # which closes once more, for what was written at the end
    if sys.exc_info()[0] is None:
        threading.Thread(target=end, name="end of Ray").start()
    else:  # the error's frames may hold references, and nothing is drawn
        end()
    return True


def node_resources(nodes: Iterable[dict[str, Any]], name: str) -> list[float]:
    """Return how much of a resource each of the nodes has that run tasks."""
    return [node["Resources"].get(name, 0) for node in nodes if node["Resources"].get("CPU", 0)]


def compare_with_nodes(requests: Iterable[tuple[int, int]], alive: Collection[dict[str, Any]]) -> str:
    """Return what waiting tasks ask for, each for cores and bytes of memory, and what the nodes have."""
    nodes = zip(node_resources(alive, "CPU"), node_resources(alive, "memory"), strict=True)
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
