"""A sweep on a running cluster gives what it gives in one process, and nobody gets in without the token."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.conftest import BIN, RayHead

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
SWEEP = ("python", "-m", "distmarl.sweep", "sweeps/smoke.yaml")
DETERMINISTIC_TABLES = ("evaluations", "trainings", "alternations", "local_policies", "global_policies")
TIMEOUT_S = 300

needs_token_authentication = pytest.mark.skipif(
    tuple(map(int, metadata.version("ray").split(".")[:2])) < (2, 52), reason="Ray asks for tokens from 2.52 on"
)


def run(*command: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository as a user would; the output of both streams is in ``stdout``."""
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def submit(
    head: RayHead, *entry_point: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = (BIN / "ray", "job", "submit", "--address", head.dashboard_url, "--working-dir", ".", "--", *entry_point)
    return run(*command, environment=environment or head.environment)


def outsider(head: RayHead, token: str | None, home: Path) -> dict[str, str]:
    """Return an environment with another token, or none; ``home`` is where Ray looks for one, too."""
    environment = {**head.environment, "HOME": str(home)}
    if token is None:
        del environment["RAY_AUTH_TOKEN"]
    else:
        environment["RAY_AUTH_TOKEN"] = token
    return environment


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_parquet(folder / name) for name in DETERMINISTIC_TABLES}


def assert_same_tables(actual: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for name in DETERMINISTIC_TABLES:
        pd.testing.assert_frame_equal(actual[name], expected[name], check_exact=True, obj=name)


@pytest.fixture(scope="module")
def serial_tables(ray_head: RayHead, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("serial") / "results"
    done = run(*SWEEP, "--out", folder, "--executor", "serial", environment=ray_head.environment)
    assert done.returncode == 0, done.stdout
    return read_tables(folder)


def test_submitted_sweep_writes_the_tables_of_a_serial_one(ray_head, serial_tables, tmp_path):
    folder = tmp_path / "results"
    done = submit(ray_head, *SWEEP, "--out", folder)
    assert done.returncode == 0, done.stdout
    tables = read_tables(folder)
    assert {"setting_id", "k", "seed", "n_agents", "mean_return", "returns"} <= set(tables["evaluations"].columns)
    assert {"setting_id", "k", "n_count_vectors", "bound", "converged"} <= set(tables["trainings"].columns)
    assert_same_tables(tables, serial_tables)


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
    done = submit(ray_head, "touch", trace, environment=outsider(ray_head, token, home=tmp_path))
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


def test_failed_sweep_fails_the_job(ray_head, tmp_path):
    done = submit(ray_head, *SWEEP[:-1], "sweeps/missing.yaml", "--out", tmp_path / "results")
    assert done.returncode != 0
    assert "sweeps/missing.yaml" in done.stdout
