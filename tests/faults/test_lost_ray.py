"""A Ray that is lost under the driver: what is said and kept, and that a local one is started once more."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from distmarl.results.snapshot import Snapshot
from distmarl.results.storage.opening import open_location
from distmarl.results.tables import FAILURES
from tests.faults.machinery import Cluster, FaultyDriver, cluster_of, descendants, n_parts, wait_for
from tests.sweep.sweeps import TINY, changed, run, table_bytes, write_sweep

pytestmark = pytest.mark.ray

MANY = changed(TINY, experiment={"n_eval_seeds": 12})
SLOW = {"sleep_s": 1.0}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder, MANY)
    return table_bytes(folder)


def kill(driver: subprocess.Popen[str], word: str) -> None:
    """Kill a process of the driver's Ray, when there is one."""

    def found() -> list[int]:
        return [process for process in descendants(driver.pid) if word.encode() in command_of(process)]

    wait_for(lambda: driver.poll() is not None or found())
    os.kill(found()[0], signal.SIGKILL)


def no_task_has_failed(folder: Path) -> bool:
    """Return whether a folder has no failure, in its tables or in the parts of a driver that was cut off."""
    return not Snapshot(open_location(str(folder))).keys(FAILURES)


def end_all_of(cluster: Cluster) -> None:
    """Kill the processes of a cluster that has lost its control service: they would wait for it."""
    for each in descendants(cluster.host.pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def command_of(process: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""


def wait_for_parts(driver: subprocess.Popen[str], folder: Path, before: int = 0) -> int:
    """Wait until a sweep has committed something more, or has published, which leaves fewer parts."""
    wait_for(lambda: driver.poll() is not None or n_parts(folder) != before)
    return n_parts(folder)


def test_a_local_ray_that_is_lost_is_started_once_more_and_no_more(tmp_path: Path, whole: dict[str, bytes]) -> None:
    driver, out, sweep = FaultyDriver(None, tmp_path, SLOW), tmp_path / "out", write_sweep(tmp_path, MANY)
    place = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    with driver.start(sweep, "--out", "out", "--num-cpus", "1", RAY_TMPDIR=str(place)) as process:
        wait_for_parts(process, out)
        kill(process, "ray::DashboardAgent")
        assert process.stderr is not None
        lost = "a local Ray was lost: the node of this machine has ended; what was done is kept"
        assert next(line for line in process.stderr if line.startswith(lost))
        before = n_parts(out)
        assert next(line for line in process.stderr if line.startswith("27 tasks, "))
        wait_for_parts(process, out, before)  # so that it is not lost within a call, which would be another error
        kill(process, "gcs/gcs_server")
        _, said = process.communicate()
    place.rmdir()  # it is empty
    assert process.returncode == 1, said
    assert "error: a local Ray was lost: its control service has ended" in said
    assert "what was done is kept. To go on: " in said
    assert f"{sweep} --out out --num-cpus 1" in said
    assert no_task_has_failed(out)
    run(out, MANY)
    assert table_bytes(out) == whole


@pytest.mark.parametrize("within", ["RayExecutor._function", "ray_private.keeps_notes"])
def test_a_ray_that_is_lost_within_a_call_ends_the_driver(tmp_path: Path, whole: dict[str, bytes], within: str) -> None:
    constants = {"clusters.pulse.WAIT_FOR_CALL_S": 2.0}
    driver, out = FaultyDriver(None, tmp_path, {"lost_within": within, "constants": constants}), tmp_path / "out"
    sweep, place = write_sweep(tmp_path, MANY), Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    code, said = driver.run(sweep, "--out", "out", "--num-cpus", "1", RAY_TMPDIR=str(place))
    place.rmdir()  # it is empty
    assert code == 1, said
    lost = "error: a local Ray was lost: its control service has ended, and something that was asked of it has no end"
    assert lost in said
    assert said.rstrip().endswith(f"{sweep} --out out --num-cpus 1")
    assert said.count("what was done is kept. To go on: ") == 1
    run(out, MANY)
    assert table_bytes(out) == whole


def test_a_cluster_that_is_lost_within_a_call_is_told_while_the_call_hangs(tmp_path: Path) -> None:
    constants = {"clusters.pulse.WAIT_FOR_CONTROL_S": 6.0, "clusters.pulse.WAIT_FOR_CALL_S": 2.0}
    with cluster_of(1) as cluster:
        faults = {"lost_within": "RayExecutor._function", "host": cluster.host.pid, "constants": constants}
        code, said = FaultyDriver(cluster, tmp_path, faults).run(write_sweep(tmp_path, MANY), "--out", "out")
        end_all_of(cluster)
    assert code == 1, said
    waits = f"warning: the control service of the Ray cluster at {cluster.address} does not answer; waiting for it, 6 s"
    lost = f"error: the Ray cluster at {cluster.address} was lost: its control service has not answered"
    assert said.index(waits) < said.index(lost)
    assert "and something that was asked of it has no end" in said
    assert said.count("does not answer; waiting for it") == said.count("what was done is kept. To go on: ") == 1
    assert no_task_has_failed(tmp_path / "out")


def test_where_a_lost_ray_does_not_end_no_other_one_is_started(tmp_path: Path, whole: dict[str, bytes]) -> None:
    faults = {**SLOW, "constants": {"executors.ray_cluster.LEAVE_TIMEOUT_S": 0.0}}
    driver, out, sweep = FaultyDriver(None, tmp_path, faults), tmp_path / "out", write_sweep(tmp_path, MANY)
    with driver.start(sweep, "--out", "out", "--num-cpus", "1") as process:
        wait_for_parts(process, out)
        kill(process, "ray::DashboardAgent")
        _, said = process.communicate()
    assert process.returncode == 1, said
    assert "error: a local Ray was lost: the node of this machine has ended, and the rest of it does not end" in said
    assert said.count("what was done is kept. To go on: ") == 1
    run(out, MANY)
    assert table_bytes(out) == whole


def test_a_killed_driver_takes_its_ray_along_which_was_in_a_private_folder(tmp_path: Path) -> None:
    home, deep = tmp_path / "home", tmp_path / ("d" * 100)
    home.write_text("no folder can be made here")
    deep.mkdir()
    driver, out = FaultyDriver(None, tmp_path, SLOW), tmp_path / "out"
    environment = {"TMPDIR": str(deep), "HOME": str(home)}
    sweep = write_sweep(tmp_path, MANY)
    with driver.start(sweep, "--out", "out", "--num-cpus", "1", "--quiet", **environment) as process:
        wait_for_parts(process, out)
        (keeper,) = (each for each in descendants(process.pid) if b"keeper.py" in command_of(each))
        folder = Path(command_of(keeper).split(b"\0")[-2].decode())
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "r" / "session_latest").exists()
        others = [each for each in descendants(process.pid) if each != keeper]
        assert any(b"ray::DashboardAgent" in command_of(each) for each in others)
        process.kill()
        _, said = process.communicate()
        wait_for(lambda: not any(command_of(each) for each in others))
        wait_for(lambda: not folder.exists())
    assert "To go on: " in said
    assert said.startswith(f"warning: TMPDIR ({deep}) is too long for Ray's sockets")
    assert f"the local Ray keeps its files in {folder}" in said


def test_a_cluster_that_dies_is_told_with_the_command_to_go_on(tmp_path: Path, whole: dict[str, bytes]) -> None:
    out, sweep = tmp_path / "out", write_sweep(tmp_path, MANY)
    with cluster_of(1) as cluster:
        constants = {"clusters.pulse.WAIT_FOR_CONTROL_S": 6.0}
        # There is work to the end; and a driver that goes on looks at the silence before it hears of the nodes.
        driver = FaultyDriver(cluster, tmp_path, {"sleep_s": 1.5, "nodes_s": 0.5, "constants": constants})
        with driver.start(sweep, "--out", "out") as process:
            wait_for_parts(process, out)
            process.send_signal(signal.SIGSTOP)
            time.sleep(8)  # longer than the control service may be silent
            process.send_signal(signal.SIGCONT)
            time.sleep(4)  # some looks
            wait_for_parts(process, out, n_parts(out))
            assert process.poll() is None, "the cluster was taken for lost"
            (control,) = (each for each in descendants(cluster.host.pid) if b"gcs/gcs_server" in command_of(each))
            os.kill(control, signal.SIGKILL)
            _, said = process.communicate()
        end_all_of(cluster)
    assert process.returncode == 1, said
    waits = f"the control service of the Ray cluster at {cluster.address} does not answer; waiting for it"
    assert said.count(waits) == 1
    assert f"error: the Ray cluster at {cluster.address} was lost: its control service has not answered" in said
    assert f"what was done is kept. To go on: {process.args[0]} " in said  # type: ignore[index]
    assert no_task_has_failed(out)
    run(out, MANY)
    assert table_bytes(out) == whole
