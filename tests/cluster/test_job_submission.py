"""A sweep on a running cluster gives what it gives in one process, and nobody gets in without the token."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.conftest import RayHead
from tests.cluster.running import (
    BIN,
    LONG_SWEEP,
    REPOSITORY,
    SWEEP,
    assert_same_tables,
    assert_went_on,
    read_tables,
    run,
    wait_for_evaluations,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

needs_token_authentication = pytest.mark.skipif(
    tuple(map(int, metadata.version("ray").split(".")[:2])) < (2, 52), reason="Ray asks for tokens from 2.52 on"
)


def submit_command(
    head: RayHead, *entry_point: str | Path, options: tuple[str, ...] = ("--working-dir", ".")
) -> list[str]:
    address = ("--address", head.dashboard_url)
    return [str(word) for word in (BIN / "ray", "job", "submit", *address, *options, "--", *entry_point)]


def outsider(head: RayHead, token: str | None, home: Path) -> dict[str, str]:
    """Return an environment with another token, or none; ``home`` is where Ray looks for one, too."""
    environment = {**head.environment, "HOME": str(home)}
    if token is None:
        del environment["RAY_AUTH_TOKEN"]
    else:
        environment["RAY_AUTH_TOKEN"] = token
    return environment


@pytest.fixture(scope="module")
def serial_tables(ray_head: RayHead, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("serial") / "results"
    done = run(*SWEEP, "--out", folder, "--executor", "serial", environment=ray_head.environment)
    assert done.returncode == 0, done.stdout
    return read_tables(folder)


@dataclass(frozen=True, slots=True)
class StoppedJob:
    """A submitted sweep that was stopped midway: its results folder, the tables then, and what was printed."""

    folder: Path
    tables: dict[str, pd.DataFrame]
    log: str


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository, with things in it that shall not travel and a command that lists what did."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("distmarl", "sweeps", "cluster"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in (".git/HEAD", ".venv/pyvenv.cfg", "results/old/evaluations/data.parquet", "tests/test_it.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    (folder / "list_then.sh").write_text('find . -type f && exec "$@"')
    return folder


@pytest.fixture(scope="module")
def stopped_job(ray_head: RayHead, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> StoppedJob:
    folder = tmp_path_factory.mktemp("shared") / "results"
    options = ("--runtime-env", "cluster/runtime-env.yaml", "--submission-id", "stopped", "--no-wait")
    sweep = ("env", "DISTMARL_COMMIT=0123abc", *LONG_SWEEP, "--out", folder, "--num-cpus", "1")
    command = submit_command(ray_head, "sh", "list_then.sh", *sweep, options=options)
    assert run(*command, environment=ray_head.environment, folder=checkout).returncode == 0
    wait_for_evaluations(folder)
    ray_head.stop_job("stopped")
    tables = {name: pd.read_parquet(folder / name) for name in ("evaluations", "timings")}
    return StoppedJob(folder, tables, ray_head.ask("/api/jobs/stopped/logs")["logs"])


def test_a_job_takes_the_code_along_and_nothing_else(stopped_job):
    files = [Path(line) for line in stopped_job.log.splitlines() if line.startswith("./")]
    assert {path.parts[0] for path in files} == {"distmarl", "sweeps", "cluster", "list_then.sh"}
    assert Path("distmarl/sweep/__main__.py") in files


def test_a_stopped_job_goes_on_when_it_is_submitted_again(ray_head, stopped_job, undisturbed_tables):
    done = run(*submit_command(ray_head, *LONG_SWEEP, "--out", stopped_job.folder), environment=ray_head.environment)
    assert done.returncode == 0, done.stdout
    assert_went_on(stopped_job.folder, stopped_job.tables, undisturbed_tables)


def test_a_job_notes_the_commit_that_it_was_told(stopped_job):
    first, *_ = json.loads((stopped_job.folder / "provenance.json").read_text())["sessions"]
    assert first["commit"] == "0123abc"


def test_a_stopped_job_is_given_time_to_end_in_order(ray_head, checkout, tmp_path):
    ended, script = tmp_path / "ended", checkout / "slow.sh"
    script.write_text(f"trap 'sleep 5; touch {ended}; exit' TERM\ntouch {tmp_path / 'began'}\nsleep 600\n")
    options = ("--runtime-env", "cluster/runtime-env.yaml", "--submission-id", "slow", "--no-wait")
    command = submit_command(ray_head, "sh", "slow.sh", options=options)
    assert run(*command, environment=ray_head.environment, folder=checkout).returncode == 0
    while not (tmp_path / "began").exists():
        time.sleep(0.1)
    ray_head.stop_job("slow")
    assert ended.exists()


def test_a_job_that_brings_no_code_fails_as_the_cluster_has_none(ray_head, checkout, tmp_path):
    command = submit_command(ray_head, *SWEEP, "--out", tmp_path / "results", options=())
    done = run(*command, environment=ray_head.environment, folder=checkout)
    assert done.returncode != 0
    assert "No module named 'distmarl'" in done.stdout


def test_driver_joins_the_cluster_at_ray_address_and_leaves_it_running(ray_head, serial_tables, tmp_path):
    folder = tmp_path / "results"
    nodes = ray_head.live_node_ids()
    done = run(*SWEEP, "--out", folder, environment={**ray_head.environment, "RAY_ADDRESS": ray_head.gcs_address})
    assert done.returncode == 0, done.stdout
    assert_same_tables(read_tables(folder), serial_tables)
    assert set(pd.read_parquet(folder / "timings")["node_id"]) == set(nodes)
    assert ray_head.live_node_ids() == nodes


def test_comparison_notices_a_changed_last_bit(serial_tables):
    evaluations = serial_tables["evaluations"].copy()
    evaluations.loc[0, "mean_return"] *= 1 + 2**-52
    with pytest.raises(AssertionError, match="mean_return"):
        assert_same_tables({**serial_tables, "evaluations": evaluations}, serial_tables)


@needs_token_authentication
@pytest.mark.parametrize("token", [None, "not-the-token" * 4], ids=["none", "wrong"])
def test_submission_without_the_token_is_refused(ray_head, token, tmp_path):
    trace = tmp_path / "trace"
    done = run(*submit_command(ray_head, "touch", trace), environment=outsider(ray_head, token, home=tmp_path))
    assert done.returncode != 0
    assert "AuthenticationError" in done.stdout
    assert not trace.exists()


@needs_token_authentication
def test_driver_with_a_wrong_token_cannot_join(ray_head, tmp_path):
    folder = tmp_path / "results"
    environment = {
        **outsider(ray_head, "not-the-token" * 4, home=tmp_path),
        "RAY_ADDRESS": ray_head.gcs_address,
        "RAY_NUM_REDIS_GET_RETRIES": "2",  # seconds for which Ray keeps trying
    }
    done = run(*SWEEP, "--out", folder, environment=environment)
    assert done.returncode != 0
    assert "InvalidAuthToken" in done.stdout
    assert not (folder / "evaluations").exists()
