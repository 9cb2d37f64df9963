"""A Ray head of the tests' own: one node, two CPUs, a token, and ports and a folder that nobody else uses.

Its Python has the packages that distmarl needs, but not distmarl.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.cluster.running import LONG_SWEEP, environment_without_ray, free_ports, read_tables, run

STOP_TIMEOUT_S = 60
STRAGGLERS_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class RayHead:
    """A running head.

    Attributes
    ----------
    process : subprocess.Popen
        ``ray start --head --block``, leader of a process group of its own.
    gcs_address : str
        What a driver joins.
    dashboard_url : str
        What jobs are submitted to.
    environment : dict
        Environment of the head, and of whoever shall be let in: it holds the token.
    """

    process: subprocess.Popen[bytes]
    gcs_address: str
    dashboard_url: str
    environment: dict[str, str]

    def ask(self, path: str, method: str = "GET") -> Any:
        """Return what the dashboard answers to an authenticated request."""
        token = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        request = urllib.request.Request(self.dashboard_url + path, headers=token, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def stop_job(self, name: str) -> None:
        """Stop a job at once, as ``ray job stop`` does once it has started, and wait until it has ended."""
        self.ask(f"/api/jobs/{name}/stop", "POST")
        while self.ask(f"/api/jobs/{name}")["status"] not in ("STOPPED", "SUCCEEDED", "FAILED"):
            time.sleep(0.1)

    def live_node_ids(self) -> list[str]:
        """Return Ray's ids of the nodes that can run tasks."""
        nodes = self.ask("/nodes?view=summary")["data"]["summary"]
        return [node["raylet"]["nodeId"] for node in nodes if node["raylet"].get("state") == "ALIVE"]


@pytest.fixture(scope="session")
def ray_head() -> Iterator[RayHead]:
    # The path of Ray's sockets must fit into some 100 characters: pytest's own temporary folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    try:
        with (folder / "head.log").open("wb") as log:
            head = start_head(folder, log)
        try:
            wait_until_ready(head, folder / "head.log")
            yield head
        finally:
            stop_head(head)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def undisturbed_tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """Tables of a sweep that takes long enough to be interrupted, and was not."""
    folder = tmp_path_factory.mktemp("undisturbed") / "results"
    done = run(*LONG_SWEEP, "--out", folder, "--executor", "serial", environment=environment_without_ray())
    assert done.returncode == 0, done.stdout
    return read_tables(folder)


def python_without_distmarl(folder: Path) -> Path:
    """Make an environment with the packages of this one, but for distmarl, and return its Python."""
    venv.create(folder, symlinks=True)
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "distmarl" not in package.name:  # neither the package nor the link to a checkout
            Path(sysconfig.get_path("purelib", vars={"base": str(folder)}), package.name).symlink_to(package)
    return folder / "bin" / "python"


def start_head(folder: Path, log: Any) -> RayHead:
    python = python_without_distmarl(folder / "python")
    gcs_port, dashboard_port, agent_port, client_port = free_ports(4)
    command = [
        python,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        f"--temp-dir={folder}",
        f"--port={gcs_port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        f"--dashboard-agent-listen-port={agent_port}",
        f"--ray-client-server-port={client_port}",
    ]
    environment = {
        **environment_without_ray(),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    process = subprocess.Popen(
        command,
        cwd=folder,  # where jobs start that bring no folder of their own
        env={**environment, "PATH": os.pathsep.join([str(python.parent), environment["PATH"]])},  # jobs say "python"
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return RayHead(process, f"127.0.0.1:{gcs_port}", f"http://127.0.0.1:{dashboard_port}", environment)


def wait_until_ready(head: RayHead, log: Path) -> None:
    """Wait until the dashboard answers and the node can run tasks; the former comes seconds before the latter."""
    while head.process.poll() is None:
        with suppress(OSError, ValueError, KeyError):  # not up yet
            if head.live_node_ids():
                return
        time.sleep(0.2)
    pytest.fail(f"the Ray head has ended:\n{log.read_text(errors='replace')[-4000:]}", pytrace=False)


def stop_head(head: RayHead) -> None:
    """End the head, and with it everything that it started, and nothing else.

    First the head alone is signalled: it ends its processes in order, which cannot work once they had the signal, too.
    """
    group = head.process.pid
    head.process.terminate()
    try:
        head.process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(group, signal.SIGKILL)
        head.process.wait()
    with suppress(ProcessLookupError):  # which says that nothing is left
        for _ in range(STRAGGLERS_TIMEOUT_S):
            os.killpg(group, 0)
            time.sleep(1)
        os.killpg(group, signal.SIGKILL)
