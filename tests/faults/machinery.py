"""What the tests of faults share: a cluster on this machine, faulty drivers, and ways to harm both."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.commands import REPOSITORY, own_environment, started

# Ray notices a dead node within four seconds, and a node that hangs within twelve. Less would be too little on a busy
# machine: a node that is taken for dead, and was not, is one loss more than a task may bear, or the driver's own.
QUICK_HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "8",
}


@dataclass(slots=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    address : str
        What a driver joins.
    raylets : list of int
        Process of each node that runs tasks.
    environment : dict
        Environment of whoever shall be let in: it holds the token.
    host : subprocess.Popen
        The process that started it all.
    """

    address: str
    raylets: list[int]
    environment: dict[str, str]
    host: subprocess.Popen[str]

    def workers(self) -> list[int]:
        """Return the processes that run a task now."""
        return [process for process in descendants(*self.raylets) if is_busy(process)]

    def add_node(self) -> None:
        """Start one more node."""
        assert self.host.stdin is not None
        self.host.stdin.write("\n")
        self.host.stdin.flush()
        self.raylets.append(int(hear(self.host)))

    def raylet_of(self, node_id: str) -> int:
        """Return the process of a node."""
        wanted = f"--node_id={node_id}".encode()
        (found,) = (raylet for raylet in self.raylets if wanted in Path(f"/proc/{raylet}/cmdline").read_bytes())
        return found

    def signal_node(self, raylet: int, number: int) -> None:
        """Send a signal to all processes of a node; a node that is killed is no more."""
        for process in (raylet, *descendants(raylet)):
            with suppress(ProcessLookupError):
                os.kill(process, number)
        if number == signal.SIGKILL:
            self.raylets.remove(raylet)


@contextmanager
def cluster_of(n_nodes: int, n_cpus: int = 1) -> Iterator[Cluster]:
    """Start a cluster with a folder, ports and a token of its own; end it, and nothing else, at the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {
        **inherited,
        **QUICK_HEALTH_CHECKS,
        "PYTHONPATH": str(REPOSITORY),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    # The path of Ray's sockets must fit into some 100 characters: pytest's own temporary folders are too deep.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    Path(folder, "ray").mkdir()  # where Ray notes the address; the usual place is not ours, and need not exist
    host = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.host", folder, str(n_nodes), str(n_cpus)],
        cwd=REPOSITORY,
        env={**environment, "RAY_TMPDIR": folder},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    started: set[int] = set()
    try:
        address = hear(host)
        cluster = Cluster(address, [int(hear(host)) for _ in range(n_nodes)], environment, host)
        started = {*descendants(host.pid)}
        yield cluster
        started |= {*descendants(host.pid)}
    finally:
        with suppress(subprocess.TimeoutExpired):
            host.communicate(timeout=30)
        for process in (host.pid, *started):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        host.wait()
        shutil.rmtree(folder, ignore_errors=True)


def hear(host: subprocess.Popen[str]) -> str:
    """Return what the host says next; Ray says things, too."""
    assert host.stdout is not None
    for line in host.stdout:
        if line.startswith("host: "):
            return line.removeprefix("host: ").strip()
    raise RuntimeError("the cluster did not start")


@dataclass(slots=True)
class FaultyDriver:
    """A driver process on a cluster, and what its tasks left in the trace.

    Attributes
    ----------
    cluster : Cluster or None
        Where the tasks run; a Ray of the driver's own if None.
    folder : Path
        Where the command runs.
    faults : dict
        What :mod:`tests.faults.driver` takes.
    """

    cluster: Cluster | None
    folder: Path
    faults: dict[str, Any] = field(default_factory=dict)

    @property
    def trace(self) -> Path:
        """The file with a line for each start of a task."""
        return self.folder / "trace"

    def start(self, *arguments: str | Path, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start the command."""
        faults = json.dumps({"trace": str(self.trace), **self.faults})
        joined = [] if self.cluster is None else ["--address", self.cluster.address]
        base = own_environment() if self.cluster is None else self.cluster.environment
        return started(
            [sys.executable, "-m", "tests.faults.driver", faults, *map(str, arguments), *joined],
            cwd=self.folder,
            env={**base, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path, **environment: str) -> tuple[int, str]:
        """Run the command and return its exit code and what it said."""
        with self.start(*arguments, **environment) as driver:
            _, said = driver.communicate()
        return driver.returncode, said

    def starts(self) -> Counter[str]:
        """Return how often each task was started."""
        return Counter(self.trace.read_text().splitlines() if self.trace.exists() else [])

    def at_work(self) -> set[int]:
        """Return the processes that are within a task: Ray names one after its task long before that, as it imports."""
        running = self.trace.with_suffix(".running")
        lines = running.read_text().splitlines() if running.exists() else []
        balance: Counter[int] = Counter()
        for line in lines:
            balance[abs(int(line))] += 1 if line.startswith("+") else -1
        return {process for process, number in balance.items() if number > 0}


def n_parts(folder: Path) -> int:
    """Return the number of committed parts."""
    return sum(1 for _ in (folder / "_parts").rglob("*.parquet"))


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until something holds, or the test has taken too long."""
    while not condition():
        time.sleep(0.02)


def descendants(*processes: int) -> list[int]:
    """Return the children of processes, and theirs (Linux); looking through all that run takes milliseconds."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name in parentheses may hold anything; the parent is the second field behind it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, unseen = [], [*processes]
    while unseen:
        unseen += (new := children.get(unseen.pop(), []))
        found += new
    return found


def is_busy(process: int) -> bool:
    """Return whether a Ray worker runs a task; Ray puts the task's name into the process's."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::run_")
    return False


def kill_a_worker(cluster: Cluster, rng: random.Random, at_work: Callable[[], Collection[int]] | None = None) -> bool:
    """Kill a random process that runs a task, if there is one; where it is told which are at work, one of these."""
    workers = cluster.workers()
    if workers and at_work is not None:
        now = at_work()
        workers = [process for process in workers if process in now]
    if workers:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
            return True
    return False
