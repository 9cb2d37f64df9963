"""The Slurm script: linted, and submitted to a real Slurm on this machine."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.running import (
    BIN,
    LONG_SWEEP,
    REPOSITORY,
    assert_same_tables,
    assert_went_on,
    environment_without_ray,
    read_tables,
    run,
)
from tests.cluster.slurm import BUSY, IDLE, Job, Slurm, is_pending, missing_programs, standing_still, wait_until

SCRIPT = REPOSITORY / "cluster" / "slurm.sh"
REQUIRED = "DISTMARL_REQUIRE_SLURM"
SOMEBODY_ELSES = "RAY_ADDRESS=127.0.0.1:1"  # a cluster that is not to be joined
# A node that has vanished is given up after seconds, instead of a quarter of a minute.
IMPATIENT = "RAY_health_check_initial_delay_ms=0,RAY_health_check_period_ms=500,RAY_health_check_failure_threshold=3"


@pytest.fixture(scope="module")
def running_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    missing = ", ".join(missing_programs())
    if missing and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is no {missing}")
    if missing:
        pytest.skip(f"there is no {missing}")
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    yield slurm
    slurm.close()


@pytest.fixture
def slurm(running_slurm: Slurm) -> Iterator[Slurm]:
    yield running_slurm
    running_slurm.tidy_up()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def submit(slurm: Slurm, results: Path, *options: str, n_nodes: int, export: str = SOMEBODY_ELSES) -> Job:
    """Submit a sweep that takes long enough to be disturbed."""
    size = (f"--nodes={n_nodes}", "--cpus-per-task=1", "--mem-per-cpu=1G", f"--export=ALL,{export}")
    return slurm.submit(*size, *options, SCRIPT, *LONG_SWEEP[3:], "--out", results, f"--num-cpus={n_nodes}")


def committed(results: Path) -> dict[str, pd.DataFrame]:
    """Return the tables that tell what was done, as a session left them that may not have come to publish them."""
    return {
        name: pd.concat(
            map(pd.read_parquet, [*results.glob(f"{name}/*.parquet"), *results.glob(f"_parts/{name}/*.parquet")])
        )
        for name in ("evaluations", "timings")
    }


def has_used_both_nodes(results: Path) -> bool:
    """Return whether tasks have ended on two nodes, as far as can be read while a driver publishes."""
    try:
        return bool(committed(results)["timings"]["node_id"].nunique() == 2)
    except FileNotFoundError:  # published, and gone from the parts, since it was listed
        return False


def assert_ended(job: Job, state: str | tuple[str, ...], exit_code: int) -> None:
    """Wait until a job has ended; check how, and that nothing of it is left."""
    ended_as, code = job.wait()
    assert ended_as in ((state,) if isinstance(state, str) else state), job.log.read_text()
    assert code == exit_code, job.log.read_text()
    wait_until(lambda: not job.processes())  # Slurm's own take another moment
    assert job.ray_folders() == []


def test_the_script_passes_shellcheck():
    done = run(BIN / "shellcheck", "--severity=style", SCRIPT, environment=dict(os.environ))
    assert done.returncode == 0, done.stdout


@pytest.mark.slurm
def test_a_job_on_two_nodes_of_which_one_vanishes_gives_the_tables_of_a_serial_run(slurm, results, undisturbed_tables):
    job = submit(slurm, results, n_nodes=2, export=IMPATIENT)
    job.wait_for_evaluations(results)
    with standing_still(*job.workers("n1", IDLE, BUSY)):
        (ray_folder,) = job.ray_folders()
        assert stat.S_IMODE(ray_folder.stat().st_mode) == 0o700
        (address,) = re.findall(r"on the Ray cluster at (\S+):", job.log.read_text())
        stranger = {**environment_without_ray(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "not-the-token" * 4}
        assert "AuthenticationError" in run(BIN / "ray", "status", f"--address={address}", environment=stranger).stdout
        wait_until(lambda: has_used_both_nodes(results) and job.workers("n2", BUSY))
        slurm.kill_node("n2")
    assert_ended(job, "COMPLETED", 0)
    assert_same_tables(read_tables(results), undisturbed_tables)


@pytest.mark.slurm
def test_a_time_limit_ends_a_job_in_order_and_one_submitted_in_advance_goes_on(slurm, results, undisturbed_tables):
    first, second = (submit(slurm, results, "--dependency=singleton", n_nodes=1) for _ in range(2))
    first.wait_for_evaluations(results)
    driver = first.driver()
    with standing_still(driver):
        # Between one and two minutes are left: it is told before its time is up, and has the time to end.
        slurm.call("scontrol", "update", f"jobid={first.number}", f"timelimit={first.minutes() + 2}")
        # Slurm looks at the limits twice a minute.
        wait_until(lambda: is_pending(driver, signal.SIGTERM) or not Path(f"/proc/{driver}").exists())
    assert_ended(first, "FAILED", 130)
    before = committed(results)
    assert_ended(second, "COMPLETED", 0)
    assert_went_on(results, before, undisturbed_tables)


@pytest.mark.slurm
def test_a_requeued_job_goes_on_and_its_log_is_free_of_noise(slurm, results, undisturbed_tables):
    job = submit(slurm, results, n_nodes=2)
    job.wait_for_evaluations(results)
    slurm.call("scontrol", "requeue", job.number)
    wait_until(lambda: job.status()[0] == "PENDING")
    job.sweep_up()
    before, log_before = committed(results), job.log.read_text()
    slurm.call("scontrol", "update", f"jobid={job.number}", "starttime=now")  # rather than in two minutes
    assert_ended(job, "COMPLETED", 0)
    assert_went_on(results, before, undisturbed_tables)
    assert not re.search("INFO|SUCC|WARN|rror|srun|slurm", job.log.read_text().removeprefix(log_before))
