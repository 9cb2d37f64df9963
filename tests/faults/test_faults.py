"""A sweep loses nothing and counts nothing twice, whatever dies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray

from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from tests.commands import REPOSITORY, RunCommand, heard, started
from tests.faults.kill_loop import ROBOTS, kill_loop
from tests.faults.lost_value import LARGE
from tests.faults.machinery import Cluster, FaultyDriver, kill_a_worker, wait_for
from tests.object_store import ENVIRONMENT, ObjectStore
from tests.sweep.sweeps import TINY, changed, plan_of, run, table_bytes, write_sweep
from tests.sweep.test_object_store import stored_tables
from tests.sweep.test_starts import SEARCH

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

WHOLE = changed(TINY, experiment={"n_eval_seeds": 6})


@pytest.fixture(scope="session")
def robots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of an undisturbed run."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, ROBOTS)
    return table_bytes(folder)


def failures(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the failed evaluations by their seed."""
    rows = pd.read_parquet(folder / "failures")
    assert set(rows["task"]) == {"evaluate"}
    return {row["seed"]: row for row in rows.to_dict("records")}


def test_a_sweep_whose_driver_and_workers_are_killed_ends_with_the_same_tables(
    cluster: Cluster, tmp_path: Path, robots: dict[str, bytes]
) -> None:
    toll = kill_loop(cluster, tmp_path, n_driver_kills=2, seed=0)
    assert toll.driver_kills == 2
    assert toll.worker_kills > 0
    assert toll.run_again > 0, "the faults hit nothing"
    assert (toll.lost, toll.counted_twice) == (0, 0)
    assert table_bytes(tmp_path / "out") == robots


def test_tasks_that_misbehave_are_reported_each_on_its_own(cluster: Cluster, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, WHOLE)
    faults = {
        "misbehave": [["evaluate", 3, 1, "hang"], ["evaluate", 3, 2, "die"], ["evaluate", 3, 3, "fail"]],
        "constants": {"executors.ray_executor.DEADLINE_MARGIN_S": 0.5},
    }
    driver = FaultyDriver(cluster, tmp_path, faults)
    code, said = driver.run(sweep, "--out", "out", "--set", "runner.task_timeout_s=15")
    assert code == 1, said
    assert "3 tasks failed" in said
    found = failures(tmp_path / "out")
    assert set(found) == {1, 2, 3}
    assert "TaskTimeoutError: ran longer than runner.task_timeout_s (15 s) and could not be" in found[1]["error"]
    assert found[2]["error"].startswith("WorkerCrashedError")
    assert found[2]["log_tail"] == "last words\n"
    assert found[3]["error"] == "TwoArgumentsError: no luck"
    assert found[3]["log_tail"] == "about to fail\n"
    for failure in found.values():
        assert failure["traceback"].startswith(("Traceback", failure["error"].split(":")[0], "distmarl", "ray"))
        assert failure["arguments"].startswith("job=")
        assert failure["hostname"]
    starts = driver.starts()
    (setting_id,) = {failure["setting_id"] for failure in found.values()}
    assert starts[f"evaluate {setting_id} 3 3"] <= 3, "errors of the task itself are not retried"
    assert 1 + 3 <= starts[f"evaluate {setting_id} 3 2"] <= 2 * (1 + 3), "lost processes are, on their own and before"
    healed = FaultyDriver(cluster, tmp_path)
    code, said = healed.run(sweep, "--out", "out", "--retry-failed")
    assert code == 0, said
    run(tmp_path / "whole", WHOLE)
    assert table_bytes(tmp_path / "out") == table_bytes(tmp_path / "whole")


def test_a_long_task_runs_once(cluster: Cluster, tmp_path: Path) -> None:
    driver = FaultyDriver(cluster, tmp_path, {"misbehave": [["shared_policy", 1, "nap"]]})
    sweep = write_sweep(tmp_path, changed(TINY, runner={"cpus_per_train": 1}))
    code, said = driver.run(sweep, "--out", "out", "--quiet")
    assert (code, said) == (0, "")
    assert pd.read_parquet(tmp_path / "out" / "timings")["seconds"].max() >= 60
    assert set(driver.starts().values()) == {1}


def test_a_deadline_on_a_worker_that_python_swallows_comes_again(cluster: Cluster, tmp_path: Path) -> None:
    driver = FaultyDriver(cluster, tmp_path, {"misbehave": [["shared_policy", 1, "hear_late"]]})
    sweep = write_sweep(tmp_path, changed(TINY, runner={"cpus_per_train": 1, "task_timeout_s": 3}))
    code, said = driver.run(sweep, "--out", "out")
    assert code == 1, said
    assert "failed: shared_policy-" in said
    assert "1 task failed, 6 not run" in said
    (failure,) = pd.read_parquet(tmp_path / "out" / "failures").to_dict("records")
    assert failure["error"] == "TaskTimeoutError: ran longer than runner.task_timeout_s (3 s)", "it ended itself"
    assert "TaskTimeoutError" in failure["traceback"]
    assert "Exception ignored in: <function Deaf.__del__" in failure["log_tail"]


def test_a_sweep_on_a_cluster_writes_to_a_store(
    cluster: Cluster, tmp_path: Path, object_store: ObjectStore, run_undrawn: RunCommand
) -> None:
    place = object_store.new_bucket()
    sweep, uri = write_sweep(tmp_path), object_store.uri(place)
    joined = ("--address", cluster.address, "--quiet")
    done = run_undrawn(sweep, "--out", uri, *joined, **cluster.environment, **ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    run(tmp_path / "serial")
    assert stored_tables(object_store, place) == table_bytes(tmp_path / "serial")


def test_workers_search_from_all_starts_and_find_the_same(
    cluster: Cluster, tmp_path: Path, run_undrawn: RunCommand
) -> None:
    sweep, joined = write_sweep(tmp_path, SEARCH), ("--address", cluster.address, "--quiet")
    done = run_undrawn(sweep, "--out", "out", *joined, **cluster.environment)
    assert done.returncode == 0, done.stderr
    run(tmp_path / "serial", SEARCH)
    for name in ("candidates", "choices", "baselines"):
        found, expected = (tmp_path / folder / name / "data.parquet" for folder in ("out", "serial"))
        assert found.read_bytes() == expected.read_bytes(), name
    assert table_bytes(tmp_path / "out") == table_bytes(tmp_path / "serial")


def test_a_sweep_runs_all_the_same_where_ray_has_no_private_names(cluster: Cluster, tmp_path: Path) -> None:
    driver = FaultyDriver(cluster, tmp_path, {"is_new": True})
    code, said = driver.run(write_sweep(tmp_path), "--out", "out", "--quiet")
    assert code == 0, said
    assert said.startswith(f"warning: Ray {ray.__version__} does not tell which tasks run, so that "), said
    assert said.count("\n") == 1
    run(tmp_path / "whole")
    assert table_bytes(tmp_path / "out") == table_bytes(tmp_path / "whole")
    timings = pd.read_parquet(tmp_path / "out" / "timings")
    assert timings.loc[timings["node_id"].notna(), "attempt"].isna().all()
    assert timings["node_id"].notna().all()


def test_a_cluster_that_asks_for_a_token_is_told_it_unasked(
    cluster: Cluster, tmp_path: Path, run_undrawn: RunCommand
) -> None:
    sweep, joined = write_sweep(tmp_path), ("--address", cluster.address)
    token = {"HOME": str(tmp_path), "RAY_AUTH_TOKEN": cluster.environment["RAY_AUTH_TOKEN"]}
    done = run_undrawn(sweep, "--out", "out", *joined, **token)
    assert done.returncode == 0, done.stderr
    assert "asks for a token: going on with the one that there is, as with RAY_AUTH_MODE=token" in done.stderr
    refused = run_undrawn(sweep, "--out", "refused", *joined, HOME=str(tmp_path))
    assert refused.returncode == 2, refused.stderr
    assert "If the cluster asks for a token (RAY_AUTH_MODE is not set), set RAY_AUTH_MODE=token and " in refused.stderr
    assert "if it was started without, unset RAY_AUTH_MODE" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "refused").exists()


def test_without_rays_retries_the_loss_of_a_worker_is_a_failure(cluster: Cluster, tmp_path: Path) -> None:
    faults = {"sleep_s": 0.5, "constants": {"executors.ray_executor.MAX_RETRIES": 0}}
    driver = FaultyDriver(cluster, tmp_path, faults)
    with driver.start(write_sweep(tmp_path), "--out", "out") as process:
        wait_for(lambda: kill_a_worker(cluster, random.Random(0)))
        _, said = process.communicate()
    assert process.returncode == 1, said
    assert "WorkerCrashedError" in said


OCCUPY = """
import sys, time
import ray
ray.init(address=sys.argv[1], log_to_driver=False)
nap = ray.remote(lambda: time.sleep(600))
sleeping = [nap.remote() for _ in range(int(ray.cluster_resources()["CPU"]))]
while ray.available_resources().get("CPU", 0):
    time.sleep(0.1)
print("occupied", flush=True)
sys.stdin.read()
"""


def test_that_nothing_starts_is_explained(cluster: Cluster, tmp_path: Path) -> None:
    driver = FaultyDriver(cluster, tmp_path, {"constants": {"pace.SILENCE_S": 1.0}})
    with started(
        [sys.executable, "-c", OCCUPY, cluster.address],
        env=cluster.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as others:
        assert others.stdout is not None
        assert others.stdout.readline() == "occupied\n"
        with driver.start(write_sweep(tmp_path), "--out", "out", "--cpus-per-train", "2") as process:
            assert process.stderr is not None
            joining = heard(process.stderr, "joining ")
            told = next((line for line in process.stderr if line.startswith("nothing is running; ")), "")
            others.communicate()
            _, rest = process.communicate()
    assert process.returncode == 0, rest
    assert joining == f"joining the Ray cluster at {cluster.address} (from --address), for 30 s at most\n"
    asked, _, there = told.partition("; there: ")
    assert asked == "nothing is running; waiting: 1 task of 2 cores", told
    assert " of 2 cores and " in there
    assert "; free in all: 0 cores and " in there


def test_a_value_that_is_lost_with_its_node_is_computed_again(cluster: Cluster) -> None:
    with started(
        [sys.executable, "-m", "tests.faults.lost_value", cluster.address],
        cwd=REPOSITORY,
        env=cluster.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = next(line for line in process.stdout if line.startswith("trained on "))
        cluster.signal_node(cluster.raylet_of(told.split()[-1]), signal.SIGKILL)
        said, _ = process.communicate("killed\n")
    assert process.returncode == 0
    (job,) = plan_of(LARGE).jobs
    name = job.setting_id
    local_policy = KINDS["shared_policy"].run(job, TaskKey("shared_policy", name), 1).value
    global_policy = KINDS["g_learn"].run(job, TaskKey("g_learn", name, 20), 1, local_policy).value
    result = KINDS["evaluate"].run(job, TaskKey("evaluate", name, 20, 0), 1, local_policy, global_policy)
    (row,) = result.rows["evaluations"]
    assert global_policy.nbytes > 100_000
    assert said.splitlines()[-1] == row["mean_return"].hex()
    cluster.add_node()


def test_a_sweep_outlives_a_node_that_dies_and_one_that_hangs(
    cluster: Cluster, tmp_path: Path, robots: dict[str, bytes]
) -> None:
    sweep = write_sweep(tmp_path, ROBOTS, "robots.json")
    gate = tmp_path / "gate"
    driver = FaultyDriver(cluster, tmp_path, {"gate": str(gate)})
    victim, hung, _ = cluster.raylets

    def every_core_is_busy() -> bool:
        return sum(line.startswith("evaluate ") for line in driver.starts().elements()) >= 2 * len(cluster.raylets)

    # What hangs is given up after five minutes of silence; here sooner, as no task takes long.
    impatient = {"RAY_grpc_client_keepalive_time_ms": "10000"}
    with driver.start(sweep, "--out", "out", **impatient) as process:
        wait_for(lambda: process.poll() is not None or every_core_is_busy())
        cluster.signal_node(victim, signal.SIGKILL)
        cluster.signal_node(hung, signal.SIGSTOP)
        gate.touch()
        _, said = process.communicate()
    cluster.signal_node(hung, signal.SIGKILL)
    assert process.returncode == 0, said
    assert table_bytes(tmp_path / "out") == robots
    starts = driver.starts()
    assert starts.total() >= len(starts) + 4, "what the nodes did was not done again"


def test_that_no_node_is_left_is_explained(cluster: Cluster, tmp_path: Path) -> None:
    driver = FaultyDriver(cluster, tmp_path, {"sleep_s": 0.5, "constants": {"pace.SILENCE_S": 1.0}})
    with driver.start(write_sweep(tmp_path), "--out", "out") as process:
        wait_for(lambda: process.poll() is not None or cluster.workers())
        for raylet in [*cluster.raylets]:
            cluster.signal_node(raylet, signal.SIGKILL)
        assert process.stderr is not None
        told = next((line for line in process.stderr if "no node that runs tasks" in line), "")
        cluster.add_node()
        _, rest = process.communicate()
    assert told.startswith("nothing is running; waiting: "), told
    assert process.returncode == 0, rest
