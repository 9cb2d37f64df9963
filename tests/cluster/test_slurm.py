"""The Slurm script, linted, and run on this machine with a stand-in for Slurm."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.running import (
    BIN,
    LONG_SWEEP,
    REPOSITORY,
    assert_went_on,
    environment_without_ray,
    run,
    wait_for_evaluations,
)

SCRIPT = REPOSITORY / "cluster" / "slurm.sh"
# Notes how it is called, passes over its options, and runs the command once, on this machine.
SRUN = """\
#!/bin/bash
echo "$@" >> "$SRUN_LOG"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""


@dataclass(slots=True)
class SlurmJob:
    """What the script sees of Slurm.

    Attributes
    ----------
    folder : Path
        Where the stand-in for ``srun`` lies, what it notes, and what the script prints.
    job_id : str
        A number that is in the environment of everything that the script starts, and nowhere else.
    scripts : list of subprocess.Popen
        What was started.
    """

    folder: Path
    job_id: str = field(default_factory=lambda: str(10**7 + secrets.randbelow(10**7)))
    scripts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def srun_log(self) -> Path:
        return self.folder / "srun.log"

    @property
    def output(self) -> str:
        return (self.folder / "slurm.out").read_text()

    @property
    def ray_folders(self) -> list[Path]:
        return list(Path("/tmp").glob(f"ray-{self.job_id}-*"))

    def processes(self) -> list[int]:
        """Return the processes of the job: whatever has its number in the environment that it was started with."""
        number = f"SLURM_JOB_ID={self.job_id}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(PermissionError, FileNotFoundError, ProcessLookupError):  # somebody else's, or just ended
                if number in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def start(self, *arguments: str | Path, n_nodes: int) -> subprocess.Popen[bytes]:
        """Start the script as ``sbatch`` would."""
        (self.folder / "srun").write_text(SRUN)
        (self.folder / "srun").chmod(0o755)
        inherited = environment_without_ray()
        environment = {
            **inherited,
            "PATH": os.pathsep.join([str(self.folder), inherited["PATH"]]),
            "PYTHONPATH": str(REPOSITORY),
            "RAY_ADDRESS": "127.0.0.1:1",  # somebody else's cluster: not to be joined
            "SLURM_JOB_ID": self.job_id,
            "SLURM_JOB_NUM_NODES": str(n_nodes),
            "SLURM_CPUS_PER_TASK": "1",
            "SRUN_LOG": str(self.srun_log),
        }
        with (self.folder / "slurm.out").open("wb") as log:
            script = subprocess.Popen(
                ["bash", SCRIPT, *arguments],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.scripts.append(script)
        return script

    def wait_for_workers(self) -> str:
        """Wait until the workers are started, and return the address that they are told."""
        while not self.srun_log.exists():
            assert self.scripts[-1].poll() is None, self.output
            time.sleep(0.1)
        (address,) = re.findall(r" --address=(\S+) ", self.srun_log.read_text())
        return address


@pytest.fixture
def job(tmp_path: Path) -> Iterator[SlurmJob]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    job = SlurmJob(folder)
    yield job
    for process in job.processes():
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for script in job.scripts:
        script.wait()
    for ray_folder in job.ray_folders:
        shutil.rmtree(ray_folder)


def test_the_script_passes_shellcheck():
    done = run(BIN / "shellcheck", "--severity=style", SCRIPT, environment=dict(os.environ))
    assert done.returncode == 0, done.stdout


def test_slurm_is_asked_to_warn_the_script_and_to_go_on_without_lost_nodes():
    lines = SCRIPT.read_text().splitlines()
    first_command = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    options = [line.removeprefix("#SBATCH ") for line in lines[:first_command] if line.startswith("#SBATCH ")]
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])  # where Slurm does not look
    assert {"--signal=B:TERM@120", "--no-kill", "--requeue", "--ntasks-per-node=1"} <= set(options)


@pytest.mark.cluster
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of the job in /proc")
def test_a_job_ends_in_order_at_sigterm_and_goes_on_when_submitted_again(job, undisturbed_tables, tmp_path):
    results = tmp_path / "results"
    sweep = (*LONG_SWEEP[3:], "--out", results)

    script = job.start(*sweep, "--num-cpus", "1", n_nodes=1)
    wait_for_evaluations(results)
    script.terminate()  # the script alone, as `--signal=B:TERM` does
    assert script.wait() == 130, job.output
    assert job.processes() == []
    assert job.ray_folders == []
    assert not job.srun_log.exists()
    before = {name: pd.read_parquet(results / name) for name in ("evaluations", "timings")}

    script = job.start(*sweep, n_nodes=2)
    address = job.wait_for_workers()
    (ray_folder,) = job.ray_folders
    assert stat.S_IMODE(ray_folder.stat().st_mode) == 0o700
    stranger = {**environment_without_ray(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "not-the-token" * 4}
    assert "AuthenticationError" in run(BIN / "ray", "status", f"--address={address}", environment=stranger).stdout
    assert script.wait() == 0, job.output
    assert job.output.count("Ray runtime started") == 2  # on the head and on the worker
    assert job.processes() == []
    assert job.ray_folders == []
    assert_went_on(results, before, undisturbed_tables)
