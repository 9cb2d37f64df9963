"""The command, without its report, with tasks that leave a trace, take their time, and misbehave as they are told.

    python -m tests.faults.driver FAULTS ARGUMENTS...

FAULTS is a JSON object:

trace        file to which each task adds a line when it starts; beside it lie one of the memory that each got, and one
             of the processes: + when a task has started there, - when it has ended
sleep_s      time that each task takes beside its own
gate         file without which no evaluation goes on
misbehave    a list of [kind, k, seed, how]; how is one of those below
lost_within  RayExecutor._function or ray_private.keeps_notes: the control service of Ray ends within it
host         process that started that Ray, if it is not the driver
nodes_s      time that Ray takes to tell of its nodes beside its own
is_new       whether Ray has none of its private names any more
constants    values for constants of modules of distmarl.sweep, by "executors.ray_executor.NAME"
"""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib
import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import ray

from distmarl.study.kinds.kind import TaskKey
from distmarl.sweep import __main__ as sweep_command
from distmarl.sweep.clusters import pulse
from distmarl.sweep.executors import ray_private, ray_worker
from distmarl.sweep.executors.execution import Call
from distmarl.sweep.executors.ray_executor import RayExecutor
from tests.faults.deafness import Deaf, listen_to_nothing
from tests.faults.machinery import descendants


class TwoArgumentsError(Exception):
    """Cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")
        self.lock = sys.stdout


def hang() -> None:
    """Stay in C, where no signal is heeded and nobody else runs."""
    collections.deque(itertools.repeat(None), maxlen=0)


def die() -> None:
    os.write(1, b"last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    sys.stdout.write("about to fail\n")
    raise TwoArgumentsError("no", "luck")


def eat() -> None:
    """Take memory until somebody objects."""
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1)) * 2**26)
        time.sleep(0.005)


def eat_at_first(trace: Path, line: str) -> None:
    """Take memory until it was objected to twice."""
    if trace.read_text().splitlines().count(line) <= 2:
        eat()


def hear_late() -> None:
    """Run for ever, and hear nothing of the first deadline."""
    Deaf()
    listen_to_nothing()


def nap() -> None:
    """Take longer than a connection may be silent that is asked for signs of life more often than its server likes."""
    time.sleep(60)


WAYS = {function.__name__: function for function in (hang, die, fail, eat, hear_late, nap)}


def append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def assigned_memory() -> int:
    """Return the memory that Ray has set aside for the running task."""
    return int(ray.get_runtime_context().get_assigned_resources().get("memory", 0))


def faulty(faults: dict[str, Any], function: Any) -> Any:
    """Return a function of a task that does what it is told before it does its work."""

    @functools.wraps(function)
    def run(job: Any, key: TaskKey, n_threads: int, *values: Any) -> Any:
        numbers = [number for number in (key.k, key.seed) if number is not None]
        numbers += [n_threads] if key.seed is None else []
        line = " ".join(map(str, (key.kind, job.setting_id, *numbers)))
        trace = Path(faults["trace"])
        append(trace, line)
        append(trace.with_suffix(".memory"), f"{line}: {assigned_memory()}")
        running = trace.with_suffix(".running")
        append(running, f"+{os.getpid()}")
        time.sleep(faults.get("sleep_s", 0.0))
        while key.kind == "evaluate" and not Path(faults.get("gate", trace)).exists():
            time.sleep(0.02)
        for *which, how in faults.get("misbehave", []):
            if [key.kind, *numbers] == which:
                eat_at_first(trace, line) if how == "eat_at_first" else WAYS[how]()
        result = function(job, key, n_threads, *values)
        append(running, f"-{os.getpid()}")
        return result

    return run


def forget_private_names() -> None:
    """Make Ray one that has its private names no longer."""
    ray_private._store = object  # type: ignore[assignment]
    ray_private._attempt_number = lambda: None


def slow(function: Any, seconds: float) -> Any:
    """Return a function that takes its time, also once its process has stood still meanwhile."""

    def run(*arguments: Any) -> Any:
        for _ in range(10):
            time.sleep(seconds / 10)
        return function(*arguments)

    return run


def lose_control(host: int, function: Any) -> Any:
    """Return a function that ends the control service of a process's Ray before it does its work."""

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        for each in descendants(host):
            with contextlib.suppress(OSError):  # it has ended
                if b"gcs/gcs_server" in Path(f"/proc/{each}/cmdline").read_bytes():
                    os.kill(each, signal.SIGKILL)
        return function(*arguments)

    return run


def run_faulty_batch(faults: dict[str, Any], name: str, calls: list[Call], *arguments: Any, **options: Any) -> Any:
    """Run a batch in a worker, whose tasks are made faulty first."""
    if faults.get("is_new"):
        forget_private_names()
    one_by_one = [Call(faulty(faults, call.function), call.arguments) for call in calls]
    return ray_worker.run_batch(name, one_by_one, *arguments, **options)


def main() -> int:
    faults, *arguments = sys.argv[1:]
    told = json.loads(faults)
    if told.get("is_new"):
        forget_private_names()
    sweep_command._report = lambda *_, **__: None  # it takes ten times as long as a small sweep
    for name, value in told.get("constants", {}).items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(f"distmarl.sweep.{module}"), constant, value)

    pulse._alive_nodes = slow(pulse._alive_nodes, told.get("nodes_s", 0.0))

    def run_batch(*arguments: Any, **options: Any) -> Any:
        from tests.faults.driver import run_faulty_batch

        return run_faulty_batch(told, *arguments, **options)

    RayExecutor._run_batch = staticmethod(run_batch)
    if within := told.get("lost_within"):
        owner: Any = {"RayExecutor": RayExecutor, "ray_private": ray_private}[within.partition(".")[0]]
        name = within.partition(".")[2]
        setattr(owner, name, lose_control(told.get("host", os.getpid()), getattr(owner, name)))
    return sweep_command.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
