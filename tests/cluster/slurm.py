"""A Slurm of the tests' own: a controller and two nodes on this machine, on loopback ports, all else in one folder."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.running import REPOSITORY, environment_without_ray, free_ports

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel", "sinfo", "squeue")
NODES = ("n1", "n2")
# A busy machine is not to be taken for a node that is down, nor for processes that do not end.
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmctldPidFile={folder}/controller.pid
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=3600
KillWait=300
ReturnToService=2
FirstJobId={first_job}
SchedulerParameters=sched_interval=1
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000\n"
PARTITION = "PartitionName=all Nodes=ALL Default=YES\n"
IDLE, BUSY = "ray::IDLE", "ray::run_batch"  # what Ray calls a process without and with a task
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def missing_programs() -> list[str]:
    """Return what Slurm needs and is not there."""
    return [program for program in PROGRAMS if shutil.which(program, path=_environment()["PATH"]) is None]


def _environment() -> dict[str, str]:
    """Return the tests' environment, in which the daemons are found, too: they lie where usually only root looks."""
    inherited = environment_without_ray()
    return {**inherited, "PATH": os.pathsep.join([inherited["PATH"], "/usr/sbin"]), "PYTHONPATH": str(REPOSITORY)}


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something, or until the test has taken too long."""
    while not condition():
        time.sleep(0.05)


class Slurm:
    """A running Slurm.

    Parameters
    ----------
    folder : Path
        An empty folder, for everything that it writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**_environment(), "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._configure()
        self._start()

    def _configure(self) -> None:
        host, (controller_port, *ports) = socket.gethostname().split(".")[0], free_ports(1 + len(NODES))
        lines = CONFIGURATION.format(
            folder=self.folder,
            host=host,
            user=getpass.getuser(),
            controller_port=controller_port,
            first_job=10**7 + secrets.randbelow(10**7),  # which nothing else on this machine is called
        )
        nodes = (NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, ports, strict=True))
        (self.folder / "slurm.conf").write_text("".join([lines, *nodes, PARTITION]))
        # Control groups are not used; before 23.02, a node that has no plugin for them does not start.
        version = [int(number) for number in re.findall(r"\d+", self.call("sbatch", "--version"))[:2]]
        plugin = "disabled" if version >= [23, 2] else "cgroup/v1"
        (self.folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\nCgroupMountpoint={self.folder}\n")
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(64))
        (self.folder / "munge.key").chmod(0o400)
        (self.folder / "controller").mkdir()

    def _start(self) -> None:
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{name}" for option, name in files.items()]
        try:
            # By force, since others may not look into the folder.
            self._start_daemon("munged", "munged", "--foreground", "--force", *options)
            wait_until(lambda: self._daemons_run() and (self.folder / "munge.socket").exists())
            self._start_daemon("slurmctld", "slurmctld", "-D")
            wait_until(lambda: self._daemons_run() and "is UP" in self.call("scontrol", "ping", check=False))
            for name in NODES:
                self.start_node(name)
        except BaseException:
            self.close()
            raise

    def _start_daemon(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._daemons[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _daemons_run(self) -> bool:
        """Return True; raise an error if a daemon has ended."""
        for name, daemon in self._daemons.items():
            if daemon.poll() is not None:
                raise RuntimeError(f"{name} has ended:\n{(self.folder / f'{name}.log').read_text()}")
        return True

    def call(self, *command: str | Path, check: bool = True) -> str:
        """Run one of Slurm's commands in the top folder, and return what it prints."""
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_node(self, name: str) -> None:
        """Start a node's daemon, and wait until the node takes jobs."""
        self._start_daemon(name, "slurmd", "-D", "-N", name)
        wait_until(lambda: self._daemons_run() and self._node_state(name) == "idle")

    def _node_state(self, name: str) -> str:
        return self.call("sinfo", "--noheader", "--nodes", name, "--format=%t").strip()

    def kill_node(self, name: str) -> None:
        """Let a node vanish: its daemon, those of the steps that it runs, and what they run."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        daemon.wait()
        running = self.processes(f"SLURMD_NODENAME={name}")
        running += {step for step in map(_parent, running) if _status(step, "Name") == "slurmstepd"}
        with standing_still(*running):  # none sees the others go
            for process in running:
                os.kill(process, signal.SIGKILL)
        self.call("scontrol", "update", f"nodename={name}", "state=down", "reason=vanished")  # Slurm notices

    def processes(self, variable: str) -> list[int]:
        """Return the processes of this Slurm's jobs that have a variable in the environment they were started with."""
        wanted = {f"SLURM_CONF={self.environment['SLURM_CONF']}".encode(), variable.encode()}
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(PermissionError, FileNotFoundError, ProcessLookupError):  # somebody else's, or just ended
                if wanted <= set(path.read_bytes().split(b"\0")):
                    found.append(int(path.parent.name))
        return found

    def submit(self, *command: str | Path) -> Job:
        """Submit a job: options of ``sbatch``, the script and its arguments."""
        log = self.folder / f"{secrets.token_hex(4)}.out"
        return Job(self, self.call("sbatch", "--parsable", f"--output={log}", *command).strip(), log)

    def tidy_up(self) -> None:
        """End the jobs that are left, and start the nodes that have vanished."""
        self.call("scancel", f"--user={getpass.getuser()}")
        wait_until(lambda: not self.call("squeue", "--noheader").strip())
        for name in set(NODES) - set(self._daemons):
            self.start_node(name)

    def close(self) -> None:
        """End the daemons."""
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
            daemon.wait()


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was submitted.

    Attributes
    ----------
    slurm : Slurm
        Where.
    number : str
        What Slurm calls it.
    log : Path
        What it prints.
    """

    slurm: Slurm
    number: str
    log: Path

    def status(self) -> tuple[str, int]:
        """Return the job's state in Slurm's words, and its exit code so far."""
        shown = self.slurm.call("scontrol", "show", "job", self.number)
        state, code = re.findall(r"(?:JobState=|ExitCode=)(\w+)", shown)
        return state, int(code)

    def minutes(self) -> int:
        """Return for how many whole minutes the job has run."""
        shown = self.slurm.call("scontrol", "show", "job", self.number)
        ((hours, minutes),) = re.findall(r"RunTime=(\d+):(\d+):", shown)
        return 60 * int(hours) + int(minutes)

    def wait(self) -> tuple[str, int]:
        """Wait until the job has ended, and return its state and exit code."""
        wait_until(lambda: self.status()[0] in ENDED)
        return self.status()

    def processes(self) -> list[int]:
        """Return what runs of the job, on any node."""
        return self.slurm.processes(f"SLURM_JOB_ID={self.number}")

    def ray_folders(self) -> list[Path]:
        """Return the folders that it has made for Ray."""
        return list(Path("/tmp").glob(f"ray-{self.number}-*"))

    def sweep_up(self) -> None:
        """End what is left of a job that Slurm took from its nodes, as control groups do where they are used."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not self.processes())
        for folder in self.ray_folders():
            shutil.rmtree(folder)

    def wait_for_evaluations(self, results: Path) -> None:
        """Wait until the sweep has committed an evaluation, or the job has ended, which is too early."""
        wait_until(lambda: any((results / "_parts" / "evaluations").glob("*.parquet")) or self.status()[0] in ENDED)

    def workers(self, node: str, *titles: str) -> list[int]:
        """Return Ray's processes for tasks on a node, those with one of these titles."""
        here = set(self.processes()) & set(self.slurm.processes(f"SLURMD_NODENAME={node}"))
        return [process for process in here if _command(process).startswith(titles)]

    def driver(self) -> int:
        """Return the process that decides and writes."""
        (driver,) = (process for process in self.processes() if "\0-m\0distmarl.sweep\0" in _command(process))
        return driver


@contextmanager
def standing_still(*processes: int) -> Iterator[None]:
    """Let processes stand still in the block."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):  # killed meanwhile
                os.kill(process, signal.SIGCONT)


def _command(process: int) -> str:
    """Return the command line of a process, or nothing if it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/cmdline").read_text(errors="replace")
    return ""


def _status(process: int, name: str) -> str:
    """Return one of the fields that the system tells of a process, or nothing if it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        found = re.search(rf"^{name}:\s*(\S*)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
        return found[1] if found else ""
    return ""


def _parent(process: int) -> int:
    return int(_status(process, "PPid") or 0)


def is_pending(process: int, number: signal.Signals) -> bool:
    """Return whether a process was sent a signal that it has not taken yet."""
    return bool(int(_status(process, "ShdPnd") or "0", 16) >> (number - 1) & 1)
